"""Positions and one orientation to a regular grid, or the reason with numbers why there is none.

Refusals of a stack, by code:

    GEO-020  one slice alone
    GEO-021  several images at one position
    GEO-022  a slice beside the line on which the others lie
    GEO-023  the stack leans: gantry tilt
    GEO-024  a gap
    GEO-025  uneven steps
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.errors import Refused
from bridge.volumes.volume import FloatArray, Geometry, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far positions may be from a regular grid and still be one. The defaults are those of every site so far."""

    step_mm: float = 0.01
    """Below this, positions are equal: vendors write them with 1e-4 to 1e-2 mm of noise, and no scanner steps so
    finely."""
    step: float = 0.01
    """How much of the median step a single step may deviate; coarser than any noise of a regular series."""
    depth: float = 0.1
    """How much of a step a slice may lie off its place on the grid: small deviations of one sign must not add up."""
    gap_factor: float = 1.5
    """A step from here on, in median steps, is a hole; below, it is uneven."""
    lean_degrees: float = 0.1
    """How far the stack may lean against its normal. Orientations of three decimals feign up to 0.05 degrees;
    gantries are tilted by whole or half degrees."""
    drift_pixels: float = 0.5
    """How far a lean within the tolerance may shift the last slice against the first: where it says more, it counts."""

    def of_step_mm(self, median_mm: float) -> float:
        """What one step may deviate."""
        return max(self.step_mm, self.step * median_mm)


USUAL = Tolerance()


def orthonormal(orientation: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Unit vectors at right angles from Image Orientation (Patient).

    Args:
        orientation: (6,) direction cosines; within `ORTHONORMAL_TOLERANCE` of unit length and right angle.
    Returns:
        (3,) each, LPS: the direction in which the column index grows, that of the row index, and their
        cross product, in which the slice index grows. The error is shared between the first two; exact
        cosines come back unchanged.

    PS3.3 C.7.6.2.1.1.
    """
    first, second = (part / np.linalg.norm(part) for part in (orientation[:3], orientation[3:]))
    half = float(first @ second) / 2
    first, second = first - half * second, second - half * first
    first = first / np.linalg.norm(first)
    second = second - (second @ first) * first
    second = second / np.linalg.norm(second)
    return first, second, np.cross(first, second)


def slice_positions_mm(positions: FloatArray, normal: FloatArray) -> FloatArray:
    """Distance of each slice from the origin along the normal.

    Args:
        positions: (n, 3) Image Position (Patient), LPS, mm.
        normal: (3,) unit vector.
    Returns:
        (n,) float64, mm, in the order of `positions` (not sorted).
    """
    return np.asarray(positions @ normal)


def regular_grid(
    positions: FloatArray,
    orientations: FloatArray,
    pixel_spacing_mm: tuple[float, float],
    size: tuple[int, int],
    tolerance: Tolerance = USUAL,
) -> tuple[tuple[int, ...], Geometry]:
    """The order of the slices along their normal, and the grid on which they lie.

    Args:
        positions: (n, 3) Image Position (Patient), LPS, mm, in any order.
        orientations: (n, 6) Image Orientation (Patient), equal within noise; their mean counts.
        pixel_spacing_mm: (between rows, between columns).
        size: (rows, columns).
        tolerance: what still counts as regular.
    Returns:
        Indices into `positions`, lowest along the normal first, and the geometry. The spacing of the slices is
        the way from the first to the last divided by the steps, so that no rounding adds up.
    Raises:
        Refused: GEO-020 to GEO-025.

    PS3.3 C.7.6.2.1.1. Slice Thickness, Spacing Between Slices and the tilt attribute are not asked.
    """
    column_step, row_step, normal = directions(orientations)
    depth = slice_positions_mm(positions, normal)
    order = np.argsort(depth, kind="stable")
    positions, depth = positions[order], depth[order]
    if len(positions) < 2:
        raise Refused("GEO-020", "one slice alone", "at least two slices", numbers={"slices": len(positions)})
    steps = np.diff(depth)
    _one_per_position(steps, tolerance)
    median = median_step_mm(steps)
    in_plane = np.stack((positions @ column_step, positions @ row_step), axis=1)
    holes = _holes(steps, median, tolerance)
    _upright(in_plane, depth, median, min(pixel_spacing_mm), holes, tolerance)
    _regular(steps, depth, median, holes, tolerance)
    spacing = float(depth[-1] - depth[0]) / len(steps)
    return tuple(int(index) for index in order), Geometry(
        shape=(len(positions), *size),
        origin_lps=vector(positions[0]),
        slice_step_lps=vector(normal),
        row_step_lps=vector(row_step),
        column_step_lps=vector(column_step),
        spacing_mm=(spacing, *pixel_spacing_mm),
    )


def directions(orientations: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The `orthonormal` directions of the mean of orientations that are equal within noise, (n, 6)."""
    # Equal orientations are one row here, so that their mean is exact and independent of order.
    return orthonormal(np.unique(orientations + 0.0, axis=0).mean(axis=0))


def places(depth: FloatArray, tolerance: Tolerance = USUAL) -> NDArray[np.intp]:
    """Which position along the normal each slice has, counted from 0 at the lowest.

    Args:
        depth: (n,) as `slice_positions_mm` gives it, in any order.
    """
    order = np.argsort(depth, kind="stable")
    ranks = np.empty(len(depth), np.intp)
    ranks[order] = np.concatenate(([0], np.cumsum(np.diff(depth[order]) > tolerance.step_mm)))
    return ranks


def median_step_mm(steps: FloatArray) -> float:
    """The lower median: of two steps with one hole the smaller is the step."""
    return float(np.sort(steps)[(len(steps) - 1) // 2])


def _one_per_position(steps: FloatArray, tolerance: Tolerance) -> None:
    distinct = 1 + int(np.count_nonzero(steps > tolerance.step_mm))
    images = len(steps) + 1
    if distinct < images:
        raise several_at_one_position(images, distinct)


def several_at_one_position(images: int, positions: int, keywords: Sequence[str] = ()) -> Refused:
    """The refusal of images that share positions; `keywords`: attributes in which those at one position differ."""
    differ = f", which differ in {', '.join(keywords)}" if keywords else ""
    return Refused(
        "GEO-021",
        f"{images} images at {positions} position{'s' * (positions > 1)}{differ}",
        "one image per position, or attributes that tell whole volumes apart",
        "Send the phases, echoes or acquisitions as series of their own",
        numbers={"images": images, "positions": positions},
    )


def _upright(
    in_plane: FloatArray,
    depth: FloatArray,
    median: float,
    pixel_mm: float,
    holes: dict[str, float | int | str],
    tolerance: Tolerance,
) -> None:
    """Whether the first voxels of all slices lie on one line, and that line is the normal.

    The line is the median of the steps, so that one slice out of place does not bend it.
    """
    line = lean_of(in_plane, depth)
    beside = in_plane - depth[:, None] * line
    beside = np.hypot(*(beside - np.median(beside, axis=0)).T)
    worst = int(np.argmax(beside))
    allowed = tolerance.of_step_mm(median)
    if beside[worst] > allowed:
        raise Refused(
            "GEO-022",
            f"slice {worst + 1} of {len(depth)} lies {beside[worst]:.4g} mm beside the line of the others",
            f"at most {allowed:.4g} mm",
            numbers={"slice": worst + 1, "slices": len(depth), "beside_mm": float(beside[worst])},
        )
    if drift := drift_mm(line, float(depth[-1] - depth[0]), pixel_mm, tolerance):
        lean = math.degrees(math.atan(math.hypot(*line)))
        also = f", and there is a gap of {holes['step_mm']:.4g} mm" if holes else ""
        raise Refused(
            "GEO-023",
            f"the stack leans by {lean:.2f} degrees against its normal (gantry tilt): the last slice is shifted "
            f"by {drift:.4g} mm{also}",
            f"at most {tolerance.lean_degrees:g} degrees and {tolerance.drift_pixels:g} pixels",
            "Ask the source for a reconstruction without tilt",
            numbers={"lean_degrees": lean, "drift_mm": drift, **holes},
        )


def lean_of(in_plane: FloatArray, depth: FloatArray) -> FloatArray:
    """How far the first voxel moves along columns and rows per mm of depth: (2,), the median of the steps."""
    return np.asarray(np.median(np.diff(in_plane, axis=0) / np.diff(depth)[:, None], axis=0))


def drift_mm(line: FloatArray, length_mm: float, pixel_mm: float, tolerance: Tolerance) -> float:
    """How far the last slice is shifted against the first by that lean; 0 within the tolerance."""
    slant = math.hypot(*line)
    limit = min(
        math.tan(math.radians(tolerance.lean_degrees)) * length_mm,
        tolerance.drift_pixels * pixel_mm,
    )
    drift = slant * length_mm
    return drift if drift > max(limit, tolerance.step_mm) else 0.0


def _regular(
    steps: FloatArray,
    depth: FloatArray,
    median: float,
    holes: dict[str, float | int | str],
    tolerance: Tolerance,
) -> None:
    allowed = tolerance.of_step_mm(median)
    if holes:
        raise Refused(
            "GEO-024",
            f"step {holes['step']} of {len(steps)} is {holes['step_mm']:.4g} mm, the median {median:.4g} mm: "
            "slices are missing, or two acquisitions are mixed",
            f"equal steps within {allowed:.4g} mm",
            "Send the missing slices, or the acquisitions as series of their own",
            numbers=holes,
        )
    grid = depth[0] + np.arange(len(depth)) * ((depth[-1] - depth[0]) / len(steps))
    off = float(np.abs(depth - grid).max())
    worst = int(np.argmax(np.abs(steps - median)))
    if abs(steps[worst] - median) > allowed or off > max(tolerance.step_mm, tolerance.depth * median):
        raise Refused(
            "GEO-025",
            f"uneven steps: step {worst + 1} of {len(steps)} is {steps[worst]:.4g} mm, the median {median:.4g} mm, "
            f"and a slice lies {off:.4g} mm off its place",
            f"equal steps within {allowed:.4g} mm",
            numbers={**_step(steps, worst, median), "off_mm": off},
        )


def _holes(steps: FloatArray, median: float, tolerance: Tolerance) -> dict[str, float | int | str]:
    """Number of the first widest step (from 1), its length and the median, when it is a gap; else nothing."""
    widest = int(np.argmax(steps))
    return _step(steps, widest, median) if steps[widest] >= tolerance.gap_factor * median else {}


def _step(steps: FloatArray, index: int, median: float) -> dict[str, float | int | str]:
    return {"step": index + 1, "step_mm": float(steps[index]), "median_mm": median, "steps": len(steps)}


def vector(values: FloatArray) -> Vector:
    """Three numbers as a value."""
    # + 0.0 turns the negative zeros of headers and products into plain ones.
    x, y, z = (float(value) + 0.0 for value in values)
    return x, y, z
