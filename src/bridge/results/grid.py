"""The grid of a mask against the grid of its source, in millimetres.

The same voxels in another order are re-ordered; a grid of its own is resampled. Which slice is which follows from
positions in space, never from an index or a file order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.errors import Refused
from bridge.results.interpolate import interpolated
from bridge.results.resample import resampled
from bridge.volumes.volume import FloatArray, Geometry

TOLERANCE_MM = 1e-3
"""Farthest that a voxel centre may lie from that of the source. Headers of image files keep some six digits."""

_AXES = ("slice", "row", "column")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placed:
    """A mask in the order of the source's voxels."""

    array: NDArray[Any]
    """(slices, rows, columns) of the source."""
    how: str = ""
    """What was done to bring it there, in words; "" when nothing was."""
    resampled: bool = False
    """Its voxels were others than the source's."""


def on_source_grid(array: NDArray[Any], affine_lps: FloatArray, geometry: Geometry) -> Placed:
    """The mask in the order of the source's voxels, and what was done to bring it there.

    Args:
        array: (slices, rows, columns) of the mask's own grid.
        affine_lps: (4, 4), homogeneous index of `array` -> LPS mm.
        geometry: the source's.
    Returns:
        A view of `array` where it has the source's voxels, a new array where it was resampled.
    Raises:
        Refused: RES-010, not three axes, or an affine that is broken or flat; RES-012, RES-013, another place.
    """
    affine = np.asarray(affine_lps, dtype=np.float64)
    same = _same_voxels(array, affine, geometry)
    if same is not None:
        return same
    found = resampled(array, affine, geometry)
    how = f"resampled by nearest neighbour {_from_to(array, affine, geometry)}"
    if found.covered < 1:
        how += f"; {100 * (1 - found.covered):.3g}% of the source's voxels are outside the mask's grid"
    if found.outside:
        how += f"; {found.outside} marked voxels lie outside the source"
    return Placed(array=found.array, how=how, resampled=True)


def values_on_source_grid(array: NDArray[Any], affine_lps: FloatArray, geometry: Geometry) -> Placed:
    """The numbers of a heat map at the source's voxels, and what was done to bring them there.

    Arguments as of `on_source_grid`; on another grid, numbers are interpolated and become float32.

    Raises:
        Refused: RES-010, not three axes, or an affine that is broken or flat; RES-012, another place; RES-073, a map
            that covers a part of the source and in which 0 is no number, so that nothing can stand for the rest.
    """
    affine = np.asarray(affine_lps, dtype=np.float64)
    same = _same_voxels(array, affine, geometry)
    if same is not None:
        return same
    found = interpolated(array, affine, geometry)
    how = f"interpolated {_from_to(array, affine, geometry)}"
    if found.covered < 1:
        outside = 100 * (1 - found.covered)
        low, high = float(array.min()), float(array.max())
        if not low <= 0 <= high:
            raise Refused(
                "RES-073",
                f"a heat map from {low:g} to {high:g} that leaves out {outside:.3g}% of the source",
                "a heat map on all of the source, or one in which 0 is nothing",
                'Use a version of the algorithm that answers on the grid of its input, or heat_map = "off"',
                numbers={"outside_percent": outside, "minimum": low, "maximum": high},
            )
        how += f"; {outside:.3g}% of the source's voxels are outside the map's grid and 0"
    return Placed(array=found.array, how=how, resampled=True)


def has_voxels_of(array: NDArray[Any], affine_lps: FloatArray, geometry: Geometry) -> bool:
    """Whether an array has the voxels of a grid and no others, in any order.

    Raises:
        Refused: RES-010, not three axes, or an affine that is broken or flat.
    """
    return _same_voxels(array, np.asarray(affine_lps, dtype=np.float64), geometry) is not None


def _same_voxels(array: NDArray[Any], affine: FloatArray, geometry: Geometry) -> Placed | None:
    """Without any other voxels, where that can be. Raises Refused: RES-010."""
    if array.ndim != 3 or affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise _no_grid(array, affine)
    source = geometry.affine_lps
    if array.shape == geometry.shape and _distance_mm(affine, source, geometry.shape) <= TOLERANCE_MM:
        return Placed(array=array)
    reordered = _reordered(array, affine, source, geometry.shape)
    if reordered is not None:
        return Placed(array=reordered[0], how=f"re-ordered: {reordered[1]}")
    if np.linalg.matrix_rank(affine[:3, :3]) < 3:
        raise _no_grid(array, affine)
    return None


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


def _from_to(array: NDArray[Any], affine: FloatArray, geometry: Geometry) -> str:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return (
        f"from {_times(array.shape)} voxels of {_times(spacing, '.4g')} mm "
        f"to {_times(geometry.shape)} of {_times(geometry.spacing_mm, '.4g')} mm"
    )


def _times(numbers: Iterable[float], form: str = "") -> str:
    return "x".join(format(number, form) for number in numbers)


def _no_grid(array: NDArray[Any], affine: FloatArray) -> Refused:
    return Refused(
        "RES-010",
        f"a volume with {array.ndim} axes and an affine of shape {affine.shape}",
        "three axes and a finite (4, 4) affine that spans space",
        "Look whether the file is a volume at all",
    )
