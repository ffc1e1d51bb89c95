"""The grid of a mask against the grid of its source, in millimetres.

Only re-ordering of axes is done here: the same voxels, addressed another way. Which slice is which follows from
positions in space, never from an index or a file order.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.errors import Refused
from bridge.volumes.volume import FloatArray, Geometry

TOLERANCE_MM = 1e-3
"""Farthest that a voxel centre may lie from that of the source. Headers of image files keep some six digits."""

_AXES = ("slice", "row", "column")


def on_source_grid(
    array: NDArray[Any], affine_lps: FloatArray, geometry: Geometry
) -> tuple[NDArray[Any], str]:
    """The mask in the order of the source's voxels, and how it was re-ordered ("" when it was not).

    Args:
        array: (slices, rows, columns) of the mask's own grid.
        affine_lps: (4, 4), homogeneous index of `array` -> LPS mm.
        geometry: the source's.
    Returns:
        A view of `array` with the shape of `geometry`.
    Raises:
        Refused: RES-010 not three axes or a broken affine; RES-011 another grid.
    """
    affine = np.asarray(affine_lps, dtype=np.float64)
    if array.ndim != 3 or affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise Refused(
            "RES-010",
            f"a mask with {array.ndim} axes and an affine of shape {affine.shape}",
            "three axes and a finite (4, 4) affine",
        )
    source = geometry.affine_lps
    if array.shape == geometry.shape and _distance_mm(affine, source, geometry.shape) <= TOLERANCE_MM:
        return array, ""
    reordered = _reordered(array, affine, source, geometry.shape)
    if reordered is not None:
        return reordered
    raise _another_grid(array, affine, geometry)


def _reordered(
    array: NDArray[Any], affine: FloatArray, source: FloatArray, shape: tuple[int, int, int]
) -> tuple[NDArray[Any], str] | None:
    """Flip and permute axes so that the grids agree; None where that cannot be."""
    # Row s, column m: how many source voxels along axis s one step along mask axis m makes.
    steps = np.rint(np.linalg.solve(source[:3, :3], affine[:3, :3]))
    magnitude = np.abs(steps)
    if not ((magnitude.sum(axis=0) == 1).all() and (magnitude.sum(axis=1) == 1).all()):
        return None
    order = [int(axis) for axis in magnitude.argmax(axis=1)]
    turned = np.transpose(array, order)
    if turned.shape != shape:
        return None
    flipped = [axis for axis in range(3) if steps[axis, order[axis]] < 0]
    back = np.zeros((4, 4))
    back[3, 3] = 1.0
    for axis in range(3):
        back[order[axis], axis] = -1.0 if axis in flipped else 1.0
        back[order[axis], 3] = shape[axis] - 1 if axis in flipped else 0.0
    if _distance_mm(affine @ back, source, shape) > TOLERANCE_MM:
        return None
    how = []
    if order != [0, 1, 2]:
        how.append("axes permuted to " + ", ".join(_AXES[axis] for axis in order))
    if flipped:
        how.append("reversed along " + ", ".join(_AXES[axis] for axis in flipped))
    return np.flip(turned, axis=tuple(flipped)), "; ".join(how)


def _distance_mm(one: FloatArray, other: FloatArray, shape: tuple[int, ...]) -> float:
    """Largest distance between equal indices of two grids; affine maps differ most at a corner."""
    corners = np.array([(*corner, 1.0) for corner in product(*((0.0, n - 1.0) for n in shape))])
    return float(np.linalg.norm((corners @ (one - other).T)[:, :3], axis=1).max())


def _another_grid(array: NDArray[Any], affine: FloatArray, geometry: Geometry) -> Refused:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    same_shape = array.shape == geometry.shape
    numbers: dict[str, float | int | str] = {
        "mask_shape": "x".join(map(str, array.shape)),
        "source_shape": "x".join(map(str, geometry.shape)),
        "mask_spacing_mm": "x".join(f"{step:.4g}" for step in spacing),
        "source_spacing_mm": "x".join(f"{step:.4g}" for step in geometry.spacing_mm),
        "origin_distance_mm": round(
            float(np.linalg.norm(affine[:3, 3] - np.asarray(geometry.origin_lps))), 4
        ),
    }
    if same_shape:
        numbers["largest_distance_mm"] = round(_distance_mm(affine, geometry.affine_lps, geometry.shape), 4)
    off = f", up to {numbers['largest_distance_mm']} mm away from it" if same_shape else ""
    return Refused(
        "RES-011",
        f"a mask of {numbers['mask_shape']} voxels of {numbers['mask_spacing_mm']} mm{off}",
        f"the grid of its source: {numbers['source_shape']} voxels of {numbers['source_spacing_mm']} mm, "
        f"within {TOLERANCE_MM} mm",
        "Use a version of the algorithm that answers on the grid of its input",
        numbers=numbers,
    )
