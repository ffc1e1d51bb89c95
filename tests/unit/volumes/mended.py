"""A stack on a regular grid with numbers that no file holds: what `mend` and `Mending` do together."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from bridge.dicom.pixels import FileReader
from bridge.volumes import Geometry, Mending, Repair, Stack, frame_digests, mend, read_values
from bridge.volumes.stack import volume_on

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Repaired:
    geometry: Geometry
    values: Array
    mending: Mending

    @property
    def notes(self) -> tuple[str, ...]:
        return self.mending.notes

    def back(self, mask: Array) -> Array:
        return self.mending.back(mask)

    def forth(self, mask: Array) -> Array:
        return self.mending.forth(mask)


def repaired(stack: Stack, values: Array, repairs: Collection[Repair]) -> Repaired:
    volume = mend(stack, repairs)
    mending = volume.mending or Mending(repairs=(), notes=())
    return Repaired(geometry=volume.geometry, values=mending.values(values), mending=mending)


def values_of(stack: Stack) -> Array:
    """The numbers of the slices as they lie."""
    first, (column_step, row_step, normal) = stack.slices[0], stack.axes
    nominal = Geometry(
        shape=(len(stack.slices), *stack.size),
        origin_lps=first.position_lps,
        slice_step_lps=tuple(normal),
        row_step_lps=tuple(row_step),
        column_step_lps=tuple(column_step),
        spacing_mm=(1.0, *first.pixel_spacing_mm),
    )
    return read_values(volume_on(stack, nominal), FileReader())


def digests_of(stack: Stack) -> dict[tuple[int, int], str]:
    return frame_digests(stack, FileReader())
