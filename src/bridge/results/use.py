"""What becomes of an output, by its kind and by what the rule asks for. What becomes nothing is not even read."""

from __future__ import annotations

from enum import StrEnum

from bridge.results.output import Output, OutputKind
from bridge.results.result import HeatMaps, Wrapping

HEAT_MAP = "heat map"
PDF = "application/pdf"
JSON = "application/json"

_MIB = 1 << 20


class Use(StrEnum):
    """As what an output is read. The order is that of the results."""

    MASK = "mask"
    VALUES = "values"
    TABLE = "table"
    HEAT_MAP = "heat map"
    DOCUMENT = "document"
    MESH = "mesh"


MOST_BYTES = {
    Use.MASK: 4096 * _MIB,
    Use.HEAT_MAP: 4096 * _MIB,
    Use.VALUES: 16 * _MIB,
    Use.TABLE: 4 * _MIB,
    Use.DOCUMENT: 64 * _MIB,
    Use.MESH: 512 * _MIB,
}
"""Larger files are not read. A PDF of 64 MiB is more than an archive wants in one object and a reader opens."""


def use_of(output: Output, wrapping: Wrapping) -> tuple[Use | None, str]:
    """As what an output is read; or None, and why it stays with the job."""
    match output.kind:
        case OutputKind.MASK if wrapping.segmentation or wrapping.measurement_report or wrapping.picture:
            return Use.MASK, ""
        case OutputKind.MASK:
            return None, "nothing of a mask was asked for"
        case OutputKind.VALUE:
            return _if_reported(Use.VALUES, wrapping)
        case OutputKind.TABLE if output.name in wrapping.tables:
            return _if_reported(Use.TABLE, wrapping)
        case OutputKind.TABLE:
            return None, "a table without configured columns stays with the job"
        case OutputKind.IMAGE if output.word.casefold() == HEAT_MAP:
            if wrapping.heat_maps is HeatMaps.OFF:
                return None, "heat maps are off in the rule: it stays with the job"
            return Use.HEAT_MAP, ""
        case OutputKind.FILE if output.media_type == PDF:
            return (Use.DOCUMENT, "") if wrapping.documents else (None, "documents are off in the rule")
        case OutputKind.FILE if output.media_type == JSON and _is_asked_for(output, wrapping):
            return _if_reported(Use.VALUES, wrapping)
        case OutputKind.MESH if not wrapping.meshes:
            return None, "meshes are off in the rule"
        case OutputKind.MESH if output.frame is None:
            return None, "nobody says in which frame and unit the mesh is: it stays with the job"
        case OutputKind.MESH:
            return Use.MESH, ""
        case _:
            return None, f"a {output.kind.value} has no encoder and stays with the job"


def _if_reported(use: Use, wrapping: Wrapping) -> tuple[Use | None, str]:
    return (use, "") if wrapping.measurement_report else (None, "no measurement report was asked for")


def _is_asked_for(output: Output, wrapping: Wrapping) -> bool:
    return any(value.output == output.name for value in wrapping.values)
