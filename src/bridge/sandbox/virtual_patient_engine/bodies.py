"""What a job body may say; anything else is refused with a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .anatomy import STRUCTURES
from .surfaces import WRITERS
from .volumes import INPUTS

KEYS = frozenset(
    {"inputFiles", "outputFiles", "options", "finishWebhook", "externalJobId", "cloudPackage", "endUserId"}
)
LATER = frozenset({"finishWebhook", "externalJobId"})
MESHES = "meshes"


class WrongBody(Exception):
    """The sentence of a 400."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One file: a mesh of structures, or a small JSON file for any other family."""

    family: str
    extension: str
    structures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """A body that was taken. `inputs`: extension by name."""

    inputs: Mapping[str, str]
    outputs: tuple[Wanted, ...]


def ordered(body: Any) -> Ordered:
    """Raises WrongBody."""
    if not isinstance(body, dict):
        raise WrongBody("the body is no object")
    unknown, later = sorted(set(body) - KEYS), sorted(set(body) & LATER)
    if unknown or later:
        raise WrongBody(f"unknown, or not in this sandbox: {', '.join(unknown + later)}")
    inputs = {name: _extension(name, entry) for name, entry in _table(body, "inputFiles").items()}
    outputs: list[Wanted] = []
    for family, entries in _table(body, "outputFiles").items():
        for entry in entries if isinstance(entries, list) else [entries]:
            outputs.append(_wanted(family, entry, inputs))
    if not outputs:
        raise WrongBody("outputFiles asks for nothing")
    return Ordered(inputs=inputs, outputs=tuple(outputs))


def _table(body: dict[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key)
    if not isinstance(value, dict) or not value:
        raise WrongBody(f"{key} is missing or empty")
    return value


def _extension(name: str, entry: Any) -> str:
    if name not in INPUTS:
        raise WrongBody(f"unknown input {name}")
    if not isinstance(entry, dict) or set(entry) != {"extension"}:
        raise WrongBody(f"{name}: an extension is wanted, and no more: this sandbox fetches nothing")
    if entry["extension"] not in INPUTS[name]:
        raise WrongBody(f"{name}: extension outside of {', '.join(INPUTS[name])}")
    return str(entry["extension"])


def _wanted(family: str, entry: Any, inputs: Mapping[str, str]) -> Wanted:
    if not isinstance(entry, dict) or "uploadUrl" in entry:
        raise WrongBody(f"{family}: an object is wanted, and this sandbox puts nothing elsewhere")
    extension = str(entry.get("extension", ".json"))
    if family != MESHES:
        return Wanted(family=family, extension=extension)
    structures = entry.get("structures")
    if extension not in WRITERS:
        raise WrongBody(f"meshes: extension outside of {', '.join(WRITERS)}; Draco is not in this sandbox")
    if not isinstance(structures, list) or not structures or not set(structures) <= STRUCTURES:
        raise WrongBody("meshes: structures are empty or unknown")
    if "cbct" not in inputs:
        raise WrongBody("meshes: these structures need the input cbct")
    return Wanted(family=family, extension=extension, structures=tuple(structures))
