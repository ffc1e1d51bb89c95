"""A heat map on another grid, brought to the grid of its source by linear interpolation.

Its numbers are samples of something smooth, and are often given on a coarser grid than the image's. The nearest
neighbour, right for labels, would move edges by half of its voxels; refusing would lose what is everyday.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.errors import Refused
from bridge.volumes.volume import FloatArray, Geometry


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Interpolated:
    """The numbers on the source's grid, and how much of it they cover."""

    array: NDArray[np.float32]
    """(slices, rows, columns) of the source; 0 where the map has no voxel."""
    covered: float
    """Part of the source's voxels that lie in the map's grid, 0 to 1."""


def interpolated(array: NDArray[Any], affine_lps: FloatArray, geometry: Geometry) -> Interpolated:
    """For each voxel of the source the number at its place, between the eight around it.

    Between the outermost centres of the map and the border of its voxels the outermost numbers hold.

    Args:
        array: (slices, rows, columns) of the map's own grid, finite.
        affine_lps: (4, 4), homogeneous index of `array` -> LPS mm; invertible.
        geometry: the source's.
    Raises:
        Refused: RES-012, the map and the source have no place in common.
    """
    to_map: FloatArray = np.linalg.solve(affine_lps, geometry.affine_lps).astype(np.float64)
    _, rows, columns = geometry.shape
    linear, offset = to_map[:3, :3], to_map[:3, 3]
    in_plane = (
        linear[:, 1, None, None] * np.arange(rows)[:, None]
        + linear[:, 2, None, None] * np.arange(columns)
        + offset[:, None, None]
    )
    taken = np.zeros(geometry.shape, np.float32)
    inside = 0
    for k, plane in enumerate(taken):
        place = in_plane + (linear[:, 0] * k)[:, None, None]
        within = _within(place, array.shape)
        if within.any():
            plane[within] = _between(array, place[:, within])
            inside += int(within.sum())
    if not inside:
        raise Refused(
            "RES-012",
            f"a heat map of {_times(array.shape)} voxels that lies beside its source",
            f"a heat map that overlaps the source's {_times(geometry.shape)} voxels",
            "Look whether the algorithm keeps origin and direction of its input",
            numbers={"covered_percent": 0.0},
        )
    return Interpolated(array=taken, covered=inside / taken.size)


_SLACK = 1e-6
"""Of a voxel: a centre on the border of the grid is inside, whatever the last digit says."""


def _within(place: FloatArray, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    limits = np.array(shape)[:, None, None]
    above, below = place >= -0.5 - _SLACK, place <= limits - 0.5 + _SLACK
    within: NDArray[np.bool_] = np.all(above & below, axis=0)
    return within


def _between(array: NDArray[Any], place: FloatArray) -> FloatArray:
    """The numbers at (3, n) places given as indices."""
    last = np.array(array.shape)[:, None] - 1
    place = np.clip(place, 0, last)
    low = np.minimum(np.floor(place).astype(np.intp), np.maximum(last - 1, 0))
    part = place - low
    found = np.zeros(place.shape[1])
    for corner in product((0, 1), repeat=3):
        step = np.array(corner)[:, None]
        weight = np.where(step == 1, part, 1 - part).prod(axis=0)
        index = np.minimum(low + step, last)
        found += weight * array[tuple(index)].astype(np.float64)
    return found


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
