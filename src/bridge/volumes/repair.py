"""Irregular stacks to volumes, because a rule says so. Nothing here is done by itself.

Refusals, beside those of `stack`, by code:

    GEO-029  a repair that would invent too much
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from enum import StrEnum

import numpy as np

from bridge.errors import Refused
from bridge.volumes.geometry import (
    USUAL,
    Tolerance,
    drift_mm,
    lean_of,
    median_step_mm,
    places,
    regular_grid,
    several_at_one_position,
    slice_positions_mm,
)
from bridge.volumes.slices import Slice
from bridge.volumes.stack import Stack, volume_of, volume_on
from bridge.volumes.volume import Candidate, FloatArray, Mending, Volume
from bridge.volumes.ways import Pick, Shift, Way

MOST_MISSING = 2
"""So many slices in a row may be interpolated; over a wider hole nobody knows what was there."""

MOST_INVENTED = 0.25
"""Interpolated slices for each real one."""

MOST_LEAN_DEGREES = 45.0
"""Gantries tilt by 30 degrees at most; beyond, positions or orientation are wrong."""

FEWEST_LEANING = 3
"""Two slices lie on a line whatever they are."""

MOST_GROWTH = 4.0
"""So many times the voxels of the slices may the upright grid have: positions are claims too."""


class Repair(StrEnum):
    """The words by which a rule declares it, in the order in which they are done."""

    DROP_DUPLICATES = "drop-duplicates"
    SHEAR = "shear"
    RESAMPLE_GAPS = "resample-gaps"


MENDS = {
    "GEO-021": Repair.DROP_DUPLICATES,
    "GEO-023": Repair.SHEAR,
    "GEO-024": Repair.RESAMPLE_GAPS,
}
"""Which repair can begin with which refusal. No other is tried: of slices that lack positions which the other volumes
of their series have (GEO-028), a regular grid could be made, and would hide the hole."""

Digests = Mapping[tuple[int, int], str]
"""`frame_digest` by (number of the instance, frame)."""


def mended(
    candidate: Candidate,
    repairs: Collection[str],
    digests: Digests | None = None,
    tolerance: Tolerance = USUAL,
) -> Candidate:
    """The candidate with a volume, where the declared repairs make one of it; else with what still stands against it.

    Args:
        digests: of the frames, where `asks_for_pixels`.
    """
    refusal, stack = candidate.refusal, candidate.stack
    if candidate.volume or stack is None or refusal is None or MENDS.get(refusal.code) not in repairs:
        return candidate
    try:
        return replace(candidate, volume=mend(stack, repairs, digests, tolerance))
    except Refused as left:
        numbers = {**refusal.numbers, **left.numbers}
        why = Refused(left.code, left.found, left.expected, left.remedy, numbers)
        return replace(candidate, refusal=why)


def asks_for_pixels(candidate: Candidate, repairs: Collection[str]) -> bool:
    """Whether headers do not tell what a repair makes of it."""
    return (
        candidate.volume is None
        and candidate.stack is not None
        and candidate.refusal is not None
        and MENDS.get(candidate.refusal.code) is Repair.DROP_DUPLICATES
        and Repair.DROP_DUPLICATES in repairs
    )


def mend(
    stack: Stack,
    repairs: Collection[str],
    digests: Digests | None = None,
    tolerance: Tolerance = USUAL,
) -> Volume:
    """The volume that a stack becomes by the declared repairs, as far as they are needed.

    Args:
        digests: of the frames; without them no image counts as the repetition of another.
    Returns:
        A grid at right angles: the directions of the slices, the distance of their planes.
    Raises:
        Refused: what `volume_of` raises for that which no declared repair mends; GEO-029.
    """
    done, notes, ways, lean = list[Repair](), list[str](), list[Way](), 0.0
    rest = stack
    if Repair.DROP_DUPLICATES in repairs:
        rest = _without_duplicates(stack, digests or {}, tolerance)
        if gone := len(stack.slices) - len(rest.slices):
            done.append(Repair.DROP_DUPLICATES)
            notes.append(
                f"{gone} of {len(stack.slices)} images dropped: equal pixels at an equal position",
            )
    column_step, row_step, normal = rest.axes
    positions, pixel_mm = rest.positions_lps, rest.slices[0].pixel_spacing_mm
    depth = slice_positions_mm(positions, normal)
    _one_each(depth, tolerance)
    depth = depth - depth[0]
    size = rest.size
    if Repair.SHEAR in repairs and len(depth) > 1:
        in_plane = np.stack((positions @ column_step, positions @ row_step), axis=1)
        line = lean_of(in_plane, depth)
        if drift_mm(line, float(depth[-1]), min(pixel_mm), tolerance):
            shift, (down, right) = _shift(line, depth, pixel_mm, size)
            # What lies beside the line stays beside it, and is refused below.
            positions = positions - depth[:, None] * (line @ np.stack((column_step, row_step)))
            positions = positions + down * pixel_mm[0] * row_step + right * pixel_mm[1] * column_step
            size = shift.outer
            ways.append(shift)
            done.append(Repair.SHEAR)
            lean = math.degrees(math.atan(math.hypot(*line)))
            notes.append(f"sheared upright by {lean:.2f} degrees")
    if Repair.RESAMPLE_GAPS in repairs and len(depth) > 1:
        slots = _slots(depth, tolerance)
        count = slots[-1] + 1
        if count > len(slots):
            # With the real slices where they lie, so that a lean or a slice beside the others is still seen.
            positions = np.stack([np.interp(range(count), slots, axis) for axis in positions.T], axis=1)
            ways.append(Pick(kept=tuple(slots), of=count))
            done.append(Repair.RESAMPLE_GAPS)
            notes.append(f"{count - len(slots)} of {count} slices interpolated in gaps")
    if not done:
        return volume_of(rest, tolerance)
    # Of the mean orientation: so the directions stay those of the stack, however many slices there are now.
    orientations = np.tile(np.concatenate((column_step, row_step)), (len(positions), 1))
    geometry = regular_grid(positions, orientations, pixel_mm, size, tolerance)[1]
    kept = set(rest.instances)
    mending = Mending(
        repairs=tuple(done),
        notes=tuple(notes),
        lean_degrees=lean,
        ways=tuple(ways),
        dropped=tuple(one for one in stack.instances if one not in kept),
    )
    return replace(volume_on(rest, geometry), mending=mending)


def _without_duplicates(stack: Stack, digests: Digests, tolerance: Tolerance) -> Stack:
    """The stack with one of all slices that show the same in the same place.

    Raises:
        Refused: GEO-021, slices at one position differ: that is a conflict, not a repetition.
    """
    kept: dict[str, Slice] = {}
    for place, one in enumerate(stack.slices):
        # A frame that nobody has looked at repeats none.
        kept.setdefault(digests.get((one.instance.number, one.frame), f"slice {place}"), one)
    rest = tuple(kept.values())
    _one_each(slice_positions_mm(np.array([one.position_lps for one in rest]), stack.axes[2]), tolerance)
    return replace(stack, slices=rest)


def _one_each(depth_mm: FloatArray, tolerance: Tolerance) -> None:
    positions = int(places(depth_mm, tolerance).max()) + 1
    if positions < len(depth_mm):
        raise several_at_one_position(len(depth_mm), positions)


def _shift(
    line: FloatArray, depth_mm: FloatArray, pixel_mm: tuple[float, float], inner: tuple[int, int]
) -> tuple[Shift, tuple[int, int]]:
    """Slices moved back under the first, in a frame that holds them all; and where that frame begins, in voxels."""
    lean = math.degrees(math.atan(math.hypot(*line)))
    if len(depth_mm) < FEWEST_LEANING:
        raise _too_much(
            f"a lean of {lean:.4g} degrees that {len(depth_mm)} slices say",
            f"at least {FEWEST_LEANING}",
            lean_degrees=lean,
            slices=len(depth_mm),
        )
    if lean > MOST_LEAN_DEGREES:
        raise _too_much(f"a lean of {lean:.4g} degrees", f"at most {MOST_LEAN_DEGREES:g}", lean_degrees=lean)
    offset = depth_mm[:, None] * (line[::-1] / pixel_mm)
    low, high = np.floor(offset.min(axis=0)), np.ceil(offset.max(axis=0))
    rows, columns = (int(size + room) for size, room in zip(inner, high - low, strict=True))
    growth = rows * columns / math.prod(inner)
    if growth > MOST_GROWTH:
        raise _too_much(
            f"an upright grid of {growth:.4g} times the voxels", f"at most {MOST_GROWTH:g}", growth=growth
        )
    offsets = tuple((float(down), float(right)) for down, right in offset - low)
    return Shift(offsets=offsets, inner=inner, outer=(rows, columns)), (int(low[0]), int(low[1]))


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


def _too_much(found: str, expected: str, **numbers: float) -> Refused:
    remedy = "Ask the source for the missing slices, or for a reconstruction without tilt"
    return Refused("GEO-029", found, expected, remedy, numbers)
