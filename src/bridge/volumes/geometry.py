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

import numpy as np

from bridge.errors import Refused
from bridge.volumes.volume import FloatArray, Geometry, Vector

STEP_TOLERANCE_MM = 0.01
"""Below this, positions are equal: vendors write them with 1e-4 to 1e-2 mm of noise, and no scanner steps so finely."""

STEP_TOLERANCE = 0.01
"""How much of the median step a single step may deviate; coarser than any noise of a regular series."""

DEPTH_TOLERANCE = 0.1
"""How much of a step a slice may lie off its place on the grid: small deviations of one sign must not add up."""

GAP_FACTOR = 1.5
"""A step from here on is a hole; below, it is uneven."""

LEAN_TOLERANCE_DEGREES = 0.1
"""How far the stack may lean against its normal. Orientations of three decimals feign up to 0.05 degrees;
gantries are tilted by whole or half degrees."""

DRIFT_TOLERANCE_PIXELS = 0.5
"""How far a lean within the tolerance may shift the last slice against the first: where it says more, it counts."""


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
) -> tuple[tuple[int, ...], Geometry]:
    """The order of the slices along their normal, and the grid on which they lie.

    Args:
        positions: (n, 3) Image Position (Patient), LPS, mm, in any order.
        orientations: (n, 6) Image Orientation (Patient), equal within noise; their mean counts.
        pixel_spacing_mm: (between rows, between columns).
        size: (rows, columns).
    Returns:
        Indices into `positions`, lowest along the normal first, and the geometry. The spacing of the slices is
        the way from the first to the last divided by the steps, so that no rounding adds up.
    Raises:
        Refused: GEO-020 to GEO-025.

    PS3.3 C.7.6.2.1.1. Slice Thickness, Spacing Between Slices and the tilt attribute are not asked.
    """
    # Equal orientations are one row here, so that their mean is exact and independent of order.
    mean = np.unique(orientations + 0.0, axis=0).mean(axis=0)
    column_step, row_step, normal = orthonormal(mean)
    depth = slice_positions_mm(positions, normal)
    order = np.argsort(depth, kind="stable")
    positions, depth = positions[order], depth[order]
    if len(positions) < 2:
        raise Refused("GEO-020", "one slice alone", "at least two slices", numbers={"slices": len(positions)})
    steps = np.diff(depth)
    _one_per_position(steps)
    # The lower median: of two steps with one hole the smaller is the step.
    median = float(np.sort(steps)[(len(steps) - 1) // 2])
    tolerance = max(STEP_TOLERANCE_MM, STEP_TOLERANCE * median)
    in_plane = np.stack((positions @ column_step, positions @ row_step), axis=1)
    _upright(in_plane, depth, tolerance, min(pixel_spacing_mm), _holes(steps, median))
    _regular(steps, depth, median, tolerance)
    spacing = float(depth[-1] - depth[0]) / len(steps)
    return tuple(int(index) for index in order), Geometry(
        shape=(len(positions), *size),
        origin_lps=_vector(positions[0]),
        slice_step_lps=_vector(normal),
        row_step_lps=_vector(row_step),
        column_step_lps=_vector(column_step),
        spacing_mm=(spacing, *pixel_spacing_mm),
    )


def _one_per_position(steps: FloatArray) -> None:
    distinct = 1 + int(np.count_nonzero(steps > STEP_TOLERANCE_MM))
    images = len(steps) + 1
    if distinct < images:
        raise Refused(
            "GEO-021",
            f"{images} images at {distinct} position{'s' * (distinct > 1)}",
            "one image per position",
            "Send the phases, echoes or acquisitions as series of their own",
            numbers={"images": images, "positions": distinct},
        )


def _upright(
    in_plane: FloatArray,
    depth: FloatArray,
    tolerance: float,
    pixel_mm: float,
    holes: dict[str, float | int | str],
) -> None:
    """Whether the first voxels of all slices lie on one line, and that line is the normal.

    The line is the median of the steps, so that one slice out of place does not bend it.
    """
    line = np.median(np.diff(in_plane, axis=0) / np.diff(depth)[:, None], axis=0)
    beside = in_plane - depth[:, None] * line
    beside = np.hypot(*(beside - np.median(beside, axis=0)).T)
    worst = int(np.argmax(beside))
    if beside[worst] > tolerance:
        raise Refused(
            "GEO-022",
            f"slice {worst + 1} of {len(depth)} lies {beside[worst]:.4g} mm beside the line of the others",
            f"at most {tolerance:.4g} mm",
            numbers={"slice": worst + 1, "slices": len(depth), "beside_mm": float(beside[worst])},
        )
    slant = math.hypot(*line)
    lean, drift = math.degrees(math.atan(slant)), slant * float(depth[-1] - depth[0])
    limit = min(
        math.tan(math.radians(LEAN_TOLERANCE_DEGREES)) * float(depth[-1] - depth[0]),
        DRIFT_TOLERANCE_PIXELS * pixel_mm,
    )
    if drift > max(limit, STEP_TOLERANCE_MM):
        also = f", and there is a gap of {holes['step_mm']:.4g} mm" if holes else ""
        raise Refused(
            "GEO-023",
            f"the stack leans by {lean:.2f} degrees against its normal (gantry tilt): the last slice is shifted "
            f"by {drift:.4g} mm{also}",
            f"at most {LEAN_TOLERANCE_DEGREES:g} degrees and {DRIFT_TOLERANCE_PIXELS:g} pixels",
            "Ask the source for a reconstruction without tilt",
            numbers={"lean_degrees": lean, "drift_mm": drift, **holes},
        )


def _regular(steps: FloatArray, depth: FloatArray, median: float, tolerance: float) -> None:
    if holes := _holes(steps, median):
        raise Refused(
            "GEO-024",
            f"step {holes['step']} of {len(steps)} is {holes['step_mm']:.4g} mm, the median {median:.4g} mm: "
            "slices are missing, or two acquisitions are mixed",
            f"equal steps within {tolerance:.4g} mm",
            "Send the missing slices, or the acquisitions as series of their own",
            numbers=holes,
        )
    grid = depth[0] + np.arange(len(depth)) * ((depth[-1] - depth[0]) / len(steps))
    off = float(np.abs(depth - grid).max())
    worst = int(np.argmax(np.abs(steps - median)))
    if abs(steps[worst] - median) > tolerance or off > max(STEP_TOLERANCE_MM, DEPTH_TOLERANCE * median):
        raise Refused(
            "GEO-025",
            f"uneven steps: step {worst + 1} of {len(steps)} is {steps[worst]:.4g} mm, the median {median:.4g} mm, "
            f"and a slice lies {off:.4g} mm off its place",
            f"equal steps within {tolerance:.4g} mm",
            numbers={**_step(steps, worst, median), "off_mm": off},
        )


def _holes(steps: FloatArray, median: float) -> dict[str, float | int | str]:
    """Number of the first widest step (from 1), its length and the median, when it is a gap; else nothing."""
    widest = int(np.argmax(steps))
    return _step(steps, widest, median) if steps[widest] >= GAP_FACTOR * median else {}


def _step(steps: FloatArray, index: int, median: float) -> dict[str, float | int | str]:
    return {"step": index + 1, "step_mm": float(steps[index]), "median_mm": median, "steps": len(steps)}


def _vector(values: FloatArray) -> Vector:
    # + 0.0 turns the negative zeros of headers and products into plain ones.
    x, y, z = (float(value) + 0.0 for value in values)
    return x, y, z
