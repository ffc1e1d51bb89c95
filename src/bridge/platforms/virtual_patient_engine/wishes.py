"""What a rule may write as values for the Virtual Patient Engine, and the job body that becomes of it.

    [rules.jaw.values]
    inputs = { cbct = { extension = ".nrrd" } }
    outputs = { meshes = [{ extension = ".stl", structures = ["mandible", "tooth36"], files = "each" }] }
    options = { mandible = { makeManifold = true, smoothingIterations = 0 } }
    cloudPackage = "…"
    endUserId = "…"

Structures, options and families other than meshes go through as they are written: the vendor has the list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bridge.errors import ConfigError
from bridge.export.parcel import Json

MESHES = "meshes"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputWish(_Model):
    """How an input is sent."""

    extension: str = Field(pattern=r"^(\.[a-z0-9]+)+$")


class MeshWish(_Model):
    """One entry of `outputs.meshes`."""

    extension: str = Field(default=".stl", pattern=r"^(\.[a-z0-9]+)+$")
    structures: tuple[str, ...] = Field(min_length=1)
    files: Literal["each", "combined"] = "each"
    """A file for each structure, or one that holds them all."""
    name: str = ""
    """What a combined one is called here; it is not sent."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Further keys of the vendor, for example for structures that are cut out."""


class Wishes(_Model):
    inputs: dict[str, InputWish] = Field(default_factory=dict)
    outputs: dict[str, Any] = Field(min_length=1)
    options: dict[str, Any] = Field(default_factory=dict)
    cloudPackage: str = ""  # noqa: N815
    endUserId: str = ""  # noqa: N815


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One file that was asked for; kept with the job, because answers are told apart by it."""

    family: str
    name: str
    extension: str
    structures: tuple[str, ...] = ()


WANTED = TypeAdapter(tuple[Wanted, ...])


def wishes_of(values: Mapping[str, Json]) -> Wishes:
    """Raises ConfigError: VPE-020, a value that is missing, unknown or of another shape."""
    try:
        return Wishes.model_validate_json(json.dumps(dict(values)))
    except ValidationError as error:
        raise _wrong("values", error) from None


def meshes_of(wishes: Wishes) -> tuple[MeshWish, ...]:
    """Raises ConfigError: VPE-020."""
    try:
        return TypeAdapter(tuple[MeshWish, ...]).validate_json(json.dumps(wishes.outputs.get(MESHES, [])))
    except ValidationError as error:
        raise _wrong(f"values.outputs.{MESHES}", error) from None


def body_of(wishes: Wishes, extensions: Mapping[str, str]) -> tuple[dict[str, Json], tuple[Wanted, ...]]:
    """The body of a job and the files that it asks for. `extensions`: by input.

    Raises ConfigError: VPE-020, VPE-024 (the same file twice).
    """
    entries: list[Json] = []
    wanted: list[Wanted] = []
    for mesh in meshes_of(wishes):
        groups = [mesh.structures] if mesh.files == "combined" else [(one,) for one in mesh.structures]
        for group in groups:
            entries.append({**mesh.extra, "extension": mesh.extension, "structures": list(group)})
            name = (mesh.name if mesh.files == "combined" else "") or "+".join(group)
            wanted.append(Wanted(family=MESHES, name=name, extension=mesh.extension, structures=tuple(group)))
    outputs: dict[str, Json] = {MESHES: entries} if entries else {}
    for family, asked in wishes.outputs.items():
        if family != MESHES:
            outputs[family] = asked
            wanted += _passed_through(family, asked)
    body: dict[str, Json] = {
        "inputFiles": {name: {"extension": one} for name, one in sorted(extensions.items())},
        "outputFiles": outputs,
    }
    if wishes.options:
        body["options"] = wishes.options
    if wishes.cloudPackage:
        body["cloudPackage"] = wishes.cloudPackage
    if wishes.endUserId:
        body["endUserId"] = wishes.endUserId
    return body, _named_apart(wanted)


def _passed_through(family: str, asked: Any) -> list[Wanted]:
    entries = asked if isinstance(asked, list) else [asked]
    return [
        Wanted(
            family=family,
            name=family if len(entries) == 1 else f"{family}-{number}",
            extension=str(entry.get("extension", "")) if isinstance(entry, dict) else "",
        )
        for number, entry in enumerate(entries, start=1)
    ]


def _named_apart(wanted: list[Wanted]) -> tuple[Wanted, ...]:
    """Two formats of one structure are two outputs; the same file twice could not be told apart."""
    asked = [(one.family, one.name, one.extension) for one in wanted]
    twice = sorted({name for family, name, extension in asked if asked.count((family, name, extension)) > 1})
    if twice:
        raise ConfigError(
            "VPE-024",
            f"the rule asks for {', '.join(twice)} more than once",
            "each file once",
            "Leave one of them out, or give a combined one a name",
        )
    names = [one.name for one in wanted]
    return tuple(
        Wanted(
            family=one.family,
            name=f"{one.name}{one.extension}" if names.count(one.name) > 1 else one.name,
            extension=one.extension,
            structures=one.structures,
        )
        for one in wanted
    )


def _wrong(where: str, error: ValidationError) -> ConfigError:
    places = sorted(
        {".".join(map(str, problem["loc"])) or "outputs" for problem in error.errors(include_input=False)}
    )
    return ConfigError(
        "VPE-020",
        f"{where} of the rule: missing, unknown or of another shape: {', '.join(places[:5])}",
        "outputs (with meshes: extension, structures, files, name, extra), and inputs, options, cloudPackage, "
        "endUserId where they are needed",
        "docs/platforms/virtual-patient-engine.md shows each of them",
    )
