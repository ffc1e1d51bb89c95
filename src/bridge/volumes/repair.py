"""Irregular stacks to regular grids, because a rule says so, and the way back for masks.

Nothing here is done by itself: without a declared repair a stack stays refused. Numbers are interpolated linearly;
masks go back by whole voxels, so that every voxel of an original slice has exactly one label.

Refusals, beside those of `geometry`, by code:

    GEO-029  a repair that would invent too much
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.errors import Refused
from bridge.volumes.geometry import (
    USUAL,
    Tolerance,
    lean_of,
    median_step_mm,
    places,
    regular_grid,
    several_at_one_position,
    slice_positions_mm,
    vector,
)
from bridge.volumes.pixels import Reader, read_values
from bridge.volumes.slices import Slice
from bridge.volumes.stack import Stack
from bridge.volumes.volume import FloatArray, Geometry, Volume
from bridge.volumes.ways import Pick, Shift

Array = NDArray[Any]

MOST_MISSING = 2
"""So many slices in a row may be interpolated; over a wider hole nobody knows what was there."""

MOST_INVENTED = 0.25
"""Interpolated slices for each real one."""

MOST_LEAN_DEGREES = 45.0
"""Gantries tilt by 30 degrees at most; beyond, positions or orientation are wrong."""

MOST_GROWTH = 4.0
"""So many times the voxels of the slices may the upright grid have: positions are claims too."""


class Repair(StrEnum):
    """The words by which a rule declares it."""

    SHEAR = "shear"
    RESAMPLE_GAPS = "resample-gaps"
    DROP_DUPLICATES = "drop-duplicates"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Repaired:
    """Numbers on a regular grid, and how they came there."""

    geometry: Geometry
    values: Array
    """(slices, rows, columns) in the dtype they had."""
    ways: tuple[Shift | Pick, ...] = ()
    notes: tuple[str, ...] = ()
    """What was done, for the job, the segmentation and the report; no value of the patient."""

    def back(self, mask: Array) -> Array:
        """A mask on the grid to the original slices.

        Args:
            mask: of the grid's shape.
        Returns:
            (slices of the stack, rows, columns), the labels unchanged.
        """
        for way in reversed(self.ways):
            mask = way.back(mask)
        return mask

    def forth(self, mask: Array) -> Array:
        """A mask on the original slices to the grid, so that `back` returns it voxel by voxel."""
        for way in self.ways:
            mask = way.forth(mask)
        return mask


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Layers:
    """Slices that share a normal, anywhere along and beside it."""

    values: Array
    depth_mm: FloatArray
    """(n,), from the first slice."""
    offset: FloatArray
    """(n, 2), where the first voxel lies against that of the first slice: (rows, columns), in voxels."""


def values_of(stack: Stack, reader: Reader) -> Array:
    """The numbers of a stack's slices, (slices, rows, columns), as `read_values` gives those of a volume."""
    first, (column_step, row_step, normal) = stack.slices[0], stack.axes
    # Reading asks for planes and their size alone: the step stands for none.
    nominal = Volume(
        study_instance_uid=first.instance.study_instance_uid,
        series_instance_uid=first.instance.series_instance_uid,
        frame_of_reference_uid=first.frame_of_reference_uid,
        sop_class_uid=first.instance.sop_class_uid,
        modality=first.modality,
        units=first.units,
        geometry=Geometry(
            shape=(len(stack.slices), *stack.size),
            origin_lps=first.position_lps,
            slice_step_lps=vector(normal),
            row_step_lps=vector(row_step),
            column_step_lps=vector(column_step),
            spacing_mm=(1.0, *first.pixel_spacing_mm),
        ),
        planes=stack.planes,
    )
    return read_values(nominal, reader)


def drop_duplicates(
    stack: Stack, digests: Sequence[str], tolerance: Tolerance = USUAL
) -> tuple[Stack, tuple[str, ...]]:
    """The stack with one of all slices that show the same in the same place, and a note of what was dropped.

    Args:
        digests: `frame_digest` of each slice, in the order of the stack: equal where place, rescale and pixels are.
    Raises:
        Refused: GEO-021, slices at one position differ: that is a conflict, not a repetition.
    """
    kept: dict[str, Slice] = {}
    for one, digest in zip(stack.slices, digests, strict=True):
        kept.setdefault(digest, one)
    rest = tuple(kept.values())
    depth = slice_positions_mm(stack.positions_lps, stack.axes[2])
    positions = int(places(depth, tolerance).max()) + 1
    if len(rest) > positions:
        raise several_at_one_position(len(rest), positions)
    dropped = len(stack.slices) - len(rest)
    notes = (f"{dropped} of {len(stack.slices)} images dropped: equal pixels at an equal position",)
    return replace(stack, slices=rest), notes if dropped else ()


def repaired(
    stack: Stack, values: Array, repairs: Collection[Repair], tolerance: Tolerance = USUAL
) -> Repaired:
    """Put the numbers of a stack on a regular grid by the declared repairs, as far as they are needed.

    Args:
        values: (slices, rows, columns), in the order of the stack.
    Returns:
        A grid at right angles: the directions of the slices, the distance of their planes. Where it is larger than
        the slices, it is filled with their lowest number.
    Raises:
        Refused: what `regular_grid` raises for that which no declared repair mends; GEO-029.
    """
    column_step, row_step, normal = stack.axes
    positions, pixel_mm = stack.positions_lps, stack.slices[0].pixel_spacing_mm
    depth = slice_positions_mm(positions, normal)
    ranks = places(depth, tolerance)
    if len(set(ranks)) < len(ranks):
        raise several_at_one_position(len(ranks), int(ranks.max()) + 1)
    in_plane = np.stack((positions @ column_step, positions @ row_step), axis=1)
    line = lean_of(in_plane, depth) if len(depth) > 1 else np.zeros(2)
    depth_mm = depth - depth[0]
    layers = _Layers(values=values, depth_mm=depth_mm, offset=depth_mm[:, None] * (line[::-1] / pixel_mm))
    placed, ways, notes = positions, list[Shift | Pick](), list[str]()
    if Repair.SHEAR in repairs and _leans(line, depth_mm, min(pixel_mm), tolerance):
        # What lies beside the line stays beside it, and is refused below.
        placed = positions - depth_mm[:, None] * (line @ np.stack((column_step, row_step)))
        layers, shift, base = _sheared(layers, line)
        start = base[0] * pixel_mm[0] * row_step + base[1] * pixel_mm[1] * column_step
        placed = placed + start
        ways.append(shift)
        notes.append(f"sheared upright by {math.degrees(math.atan(math.hypot(*line))):.2f} degrees")
    if Repair.RESAMPLE_GAPS in repairs and len(depth) > 1:
        slots = _slots(layers.depth_mm, tolerance)
        if slots[-1] >= len(slots):
            missing = slots[-1] + 1 - len(slots)
            layers = _filled(layers, slots)
            # With the real slices where they lie, so that a lean or a slice beside the others is still seen.
            every = np.arange(slots[-1] + 1)
            placed = np.stack([np.interp(every, slots, axis) for axis in placed.T], axis=1)
            ways.append(Pick(kept=tuple(slots), of=len(every)))
            notes.append(f"{missing} of {len(every)} slices interpolated in gaps")
    geometry = _grid(stack, placed, layers.values.shape[1:], tolerance)
    return Repaired(geometry=geometry, values=layers.values, ways=tuple(ways), notes=tuple(notes))


def _grid(stack: Stack, positions: FloatArray, size: tuple[int, ...], tolerance: Tolerance) -> Geometry:
    first = stack.slices[0]
    # Of the mean orientation: so the directions stay those of the stack, however many slices there are now.
    column_step, row_step, _ = stack.axes
    orientations = np.tile(np.concatenate((column_step, row_step)), (len(positions), 1))
    rows, columns = size
    return regular_grid(positions, orientations, first.pixel_spacing_mm, (rows, columns), tolerance)[1]


def _leans(line: FloatArray, depth_mm: FloatArray, pixel_mm: float, tolerance: Tolerance) -> bool:
    slant = math.hypot(*line)
    limit = min(
        math.tan(math.radians(tolerance.lean_degrees)) * float(depth_mm[-1]),
        tolerance.drift_pixels * pixel_mm,
    )
    return slant * float(depth_mm[-1]) > max(limit, tolerance.step_mm)


def _sheared(layers: _Layers, line: FloatArray) -> tuple[_Layers, Shift, tuple[int, int]]:
    """Slices moved back under the first, in a frame that holds them all; where that frame begins, in voxels."""
    lean = math.degrees(math.atan(math.hypot(*line)))
    if lean > MOST_LEAN_DEGREES:
        raise _too_much(f"a lean of {lean:.4g} degrees", f"at most {MOST_LEAN_DEGREES:g}", lean_degrees=lean)
    count, *inner = layers.values.shape
    low, high = np.floor(layers.offset.min(axis=0)), np.ceil(layers.offset.max(axis=0))
    outer = tuple(int(size + room) for size, room in zip(inner, high - low, strict=True))
    growth = math.prod(outer) / math.prod(inner)
    if growth > MOST_GROWTH:
        raise _too_much(
            f"an upright grid of {growth:.4g} times the voxels", f"at most {MOST_GROWTH:g}", growth=growth
        )
    fill = layers.values.min()
    out = np.full((count, *outer), fill, layers.values.dtype)
    for target, slice_, (down, right) in zip(out, layers.values, layers.offset - low, strict=True):
        moved = _moved(_moved(slice_, down, 0, outer[0], fill), right, 1, outer[1], fill)
        target[...] = np.rint(moved) if out.dtype.kind in "iu" else moved
    whole = np.floor(layers.offset - low + 0.5).astype(int)
    shift = Shift(
        rows=tuple(int(one) for one in whole[:, 0]),
        columns=tuple(int(one) for one in whole[:, 1]),
        inner=(inner[0], inner[1]),
        outer=(outer[0], outer[1]),
    )
    upright = replace(layers, values=out, offset=np.zeros_like(layers.offset))
    return upright, shift, (int(low[0]), int(low[1]))


def _moved(plane: Array, by: float, axis: int, length: int, fill: float) -> FloatArray:
    """A plane at a place that need not be whole, in a longer one; linear between voxels."""
    whole, part = math.floor(by), by - math.floor(by)
    room = [(0, 0), (0, 0)]
    room[axis] = (whole, length - whole - plane.shape[axis])
    near = np.pad(plane.astype(np.float64), room, constant_values=fill)
    if part == 0:
        return near
    far = np.roll(near, 1, axis)
    far[(slice(None),) * axis + (0,)] = fill
    return np.asarray((1 - part) * near + part * far)


def _slots(depth_mm: FloatArray, tolerance: Tolerance) -> list[int]:
    """The number of each slice on the grid of the median step."""
    steps = np.diff(depth_mm)
    median = median_step_mm(steps)
    times = np.maximum(np.rint(steps / median), 1)
    if (np.abs(steps - times * median) > times * tolerance.of_step_mm(median)).any():
        # Not a matter of missing slices: regular_grid says what is uneven.
        return list(range(len(depth_mm)))
    missing, widest = int((times - 1).sum()), int(times.max()) - 1
    if widest > MOST_MISSING or missing > MOST_INVENTED * len(depth_mm):
        raise _too_much(
            f"{missing} slices missing between {len(depth_mm)}, up to {widest} in a row",
            f"at most {MOST_MISSING} in a row, and one for each {1 / MOST_INVENTED:g} of the others",
            missing=missing,
            widest=widest,
            slices=len(depth_mm),
        )
    return [0, *(int(one) for one in np.cumsum(times))]


def _filled(layers: _Layers, slots: Sequence[int]) -> _Layers:
    values = np.empty((slots[-1] + 1, *layers.values.shape[1:]), layers.values.dtype)
    values[list(slots)] = layers.values
    for (low, below), (high, above) in zip(
        zip(slots[:-1], layers.values[:-1], strict=True),
        zip(slots[1:], layers.values[1:], strict=True),
        strict=True,
    ):
        for k in range(low + 1, high):
            part = (k - low) / (high - low)
            between = (1 - part) * below.astype(np.float64) + part * above.astype(np.float64)
            values[k] = np.rint(between) if values.dtype.kind in "iu" else between
    depth = np.arange(slots[-1] + 1) * (layers.depth_mm[-1] / slots[-1])
    return _Layers(values=values, depth_mm=depth, offset=np.zeros((len(depth), 2)))


def _too_much(found: str, expected: str, **numbers: float) -> Refused:
    return Refused("GEO-029", found, expected, "Ask the source for the missing slices", numbers=numbers)
