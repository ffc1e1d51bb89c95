"""The table of formats in which a volume may leave: one row per writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from bridge.errors import ConfigError
from bridge.export.mha import write_mha
from bridge.export.written import Sink, Written
from bridge.volumes.volume import Geometry

__all__ = ["FORMATS", "Format", "Sink", "Written", "format_named"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A way to write geometry and voxels into one file, and nothing else."""

    name: str
    """As a rule or a platform names it."""
    extension: str
    """With its dot."""
    media_type: str
    write: Callable[[Geometry, NDArray[Any], Sink], Written]


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "mha": Format(
            name="mha",
            extension=".mha",
            media_type="application/octet-stream",  # none is registered for MetaImage
            write=write_mha,
        ),
    }
)


def format_named(name: str) -> Format:
    """The format of that name.

    Raises:
        ConfigError: EXP-001, no such format; names the known ones.
    """
    if name in FORMATS:
        return FORMATS[name]
    near = get_close_matches(name, FORMATS, n=1)
    raise ConfigError(
        "EXP-001",
        f"unknown format {name!r}",
        "one of " + ", ".join(sorted(FORMATS)),
        f"Did you mean {near[0]!r}?" if near else "",
    )
