"""A mask on another grid, brought to the grid of its source by nearest neighbour.

Each voxel of the source takes the label of the mask's voxel in which its centre lies, and none outside the mask's
grid. Labels are never mixed. What that costs is counted and told: voxels of the source that the mask does not cover,
and marked voxels of the mask that lie outside the source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.errors import Refused
from bridge.volumes.volume import FloatArray, Geometry

_TIE = 1e-6
"""A centre on the border of two voxels goes to the upper one in every slice, whatever the last digit says."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resampled:
    """The mask on the source's grid, and how well it fits."""

    array: NDArray[Any]
    """(slices, rows, columns) of the source."""
    covered: float
    """Part of the source's voxels that lie in the mask's grid, 0 to 1."""
    outside: int
    """Marked voxels of the mask whose centres lie outside the source."""


def resampled(array: NDArray[Any], affine_lps: FloatArray, geometry: Geometry) -> Resampled:
    """Take for each voxel of the source the mask's voxel at its place.

    Args:
        array: (slices, rows, columns) of the mask's own grid.
        affine_lps: (4, 4), homogeneous index of `array` -> LPS mm; invertible.
        geometry: the source's.
    Raises:
        Refused: RES-012, the mask and the source have no place in common; RES-013, nothing that is marked lies in
            the source.
    """
    to_mask: FloatArray = np.linalg.solve(affine_lps, geometry.affine_lps).astype(np.float64)
    taken = np.zeros(geometry.shape, dtype=array.dtype)
    inside = _take(array, to_mask, taken)
    covered = inside / max(taken.size, 1)
    if not inside:
        raise Refused(
            "RES-012",
            f"a mask of {_times(array.shape)} voxels that lies beside its source",
            f"a mask that overlaps the source's {_times(geometry.shape)} voxels",
            "Look whether the algorithm keeps origin and direction of its input",
            numbers={"covered_percent": 0.0},
        )
    marked, outside = _marked_outside(array, affine_lps, geometry)
    if marked and not taken.any():
        raise Refused(
            "RES-013",
            f"a mask of which none of {marked} marked voxels falls into the source",
            "marked voxels within the source, not smaller than its voxels",
            "Look whether the algorithm keeps origin, direction and spacing of its input",
            numbers={"marked": marked, "outside": outside},
        )
    return Resampled(array=taken, covered=covered, outside=outside)


def _take(array: NDArray[Any], to_mask: FloatArray, taken: NDArray[Any]) -> int:
    """Fill `taken` slice by slice, which keeps the memory flat; returns how many voxels lie inside."""
    slices, rows, columns = taken.shape
    linear, offset = to_mask[:3, :3], to_mask[:3, 3]
    in_plane = (
        linear[:, 1, None, None] * np.arange(rows)[:, None]
        + linear[:, 2, None, None] * np.arange(columns)
        + offset[:, None, None]
    )
    limits = np.array(array.shape)[:, None, None]
    inside = 0
    for k in range(slices):
        index = np.floor(in_plane + (linear[:, 0] * k)[:, None, None] + 0.5 + _TIE).astype(np.intp)
        within = ((index >= 0) & (index < limits)).all(axis=0)
        count = int(within.sum())
        if count:
            taken[k][within] = array[tuple(index[:, within])]
            inside += count
    return inside


def _marked_outside(array: NDArray[Any], affine_lps: FloatArray, geometry: Geometry) -> tuple[int, int]:
    """Marked voxels of the mask, and how many of them have their centre outside the source."""
    to_source = np.linalg.solve(geometry.affine_lps, affine_lps)
    shape = np.array(geometry.shape)[:, None]
    marked = outside = 0
    for k, plane in enumerate(array):
        rows, columns = np.nonzero(plane)
        if not rows.size:
            continue
        index = np.stack([np.full(rows.shape, k), rows, columns, np.ones(rows.shape)])
        place = np.floor((to_source @ index)[:3] + 0.5 + _TIE)
        marked += rows.size
        outside += int((~((place >= 0) & (place < shape)).all(axis=0)).sum())
    return marked, outside


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
