"""A closed mesh to the voxels inside it, by scan conversion along the slices of the grid.

Through each pixel of the grid goes a line along the slices. Where it crosses a face, all voxels beyond change sides;
a voxel is inside when the number of faces before it is odd. Faces are cut row by row as polygons are drawn: an edge
belongs to the rows from its lower end up to, but without, its upper one; a face to the pixels from its left cut up to,
but without, its right one; a crossing to the voxels from its depth on. The cut of an edge is computed from its lower to
its upper end whichever face asks, so that the two faces of an edge agree to the last bit, and a pixel on an edge or a
corner is counted once: each line of a closed mesh crosses an even number of faces, whatever the rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bridge.results.mesh import Mesh
from bridge.results.mesh_checks import to_index
from bridge.volumes.volume import FloatArray, Geometry

_AT_ONCE = 1 << 16
"""Faces, and crossings, that are worked on at a time: some 50 MB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Voxels:
    """Voxels inside a mesh, in the smallest box of the grid that holds them."""

    place: tuple[slice, slice, slice]
    """Slices, rows, columns of the grid."""
    inside: NDArray[np.bool_]
    """Of that box."""
    doubtful: int
    """Voxels that lie in the mesh more than once, or inside out: there it crosses itself, or parts of it overlap. Only
    overlaps that hold the centre of a voxel are found."""

    @property
    def count(self) -> int:
        return int(np.count_nonzero(self.inside))


def voxelise(mesh: Mesh, geometry: Geometry) -> Voxels:
    """The voxels whose centres lie in a closed mesh, by parity: what lies in it twice is outside.

    Args:
        mesh: in LPS mm, closed (`MeshChecks.is_closed`); of an open one the result means nothing.
        geometry: of the grid, at any angle.
    Memory: one byte for each voxel of the box, and some 50 MB.
    """
    index = to_index(mesh.vertices, geometry)
    low = np.clip(np.ceil(index.min(axis=0)), 0, geometry.shape).astype(np.int64)
    high = np.clip(np.floor(index.max(axis=0)) + 1, low, geometry.shape).astype(np.int64)
    slices, rows, columns = (int(one) for one in high - low)
    place = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    turns = np.zeros((slices, rows, columns), np.int8)
    if turns.size:
        flat = turns.reshape(-1)
        for at, ways in _crossings(index - low, mesh.faces, (slices, rows, columns)):
            # Wraps round at 128 faces on one line between two voxels, which leaves the parity as it is.
            np.add.at(flat, at, ways)
        for before, here in pairwise(turns):
            here += before
    outward = np.sign(int(turns.sum(dtype=np.int64))) or 1
    doubtful = sum(int(np.count_nonzero(plane)) - int((plane == outward).sum()) for plane in turns)
    turns &= 1
    return Voxels(place=(place[0], place[1], place[2]), inside=turns.view(np.bool_), doubtful=doubtful)


def _crossings(
    index: FloatArray, faces: NDArray[np.int64], shape: tuple[int, int, int]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int8]]]:
    """Flat index of the first voxel beyond each crossing of a line with a face, and +1 (in) or -1 (out)."""
    slices, rows, columns = shape
    for start in range(0, len(faces), _AT_ONCE):
        corners = index[faces[start : start + _AT_ONCE]]
        first, many = _from_to(corners[:, :, 1].min(axis=1), corners[:, :, 1].max(axis=1), rows)
        for some in _pieces(many):
            face, step = _spread(many[some])
            face += some.start
            row = first[face] + step
            left, right, way = _cut(corners[face], row)
            begin, width = _from_to(left[:, 1], right[:, 1], columns)
            for part in _pieces(width):
                line, step = _spread(width[part])
                line += part.start
                column = begin[line] + step
                depth = _depth(left[line], right[line], column)
                beyond = np.clip(np.ceil(depth), 0, slices).astype(np.int64)
                kept = beyond < slices
                at = (beyond * rows + row[line]) * columns + column
                yield at[kept], way[line][kept]


def _from_to(low: FloatArray, high: FloatArray, end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first whole number >= low and not below 0, and how many there are from it that are < high and < end."""
    first = np.clip(np.ceil(low), 0, end)
    return first.astype(np.int64), np.maximum(np.clip(np.ceil(high), 0, end) - first, 0).astype(np.int64)


def _cut(corners: FloatArray, row: NDArray[np.int64]) -> tuple[FloatArray, FloatArray, NDArray[np.int8]]:
    """Both ends, slice and column, of the cut of a face with a row, left one first, and whether one goes in or out.

    Args:
        corners: (n, 3, 3) of faces that the row cuts: slice, row, column.
    """
    ends = np.empty((2, len(row), 2))
    for corner in range(3):
        a, b = corners[:, corner], corners[:, (corner + 1) % 3]
        up = a[:, 1] < b[:, 1]
        lower, upper = np.where(up[:, None], a, b), np.where(up[:, None], b, a)
        hit = np.flatnonzero((lower[:, 1] <= row) & (row < upper[:, 1]))
        low, high = lower[hit], upper[hit]
        share = (row[hit] - low[:, 1]) / (high[:, 1] - low[:, 1])
        # One edge of a cut face goes up and one goes down.
        ends[up[hit].astype(np.intp), hit] = low[:, ::2] + share[:, None] * (high[:, ::2] - low[:, ::2])
    down, up_end = ends
    is_left = down[:, 1] <= up_end[:, 1]
    left, right = np.where(is_left[:, None], down, up_end), np.where(is_left[:, None], up_end, down)
    return left, right, np.where(is_left, 1, -1).astype(np.int8)


def _depth(left: FloatArray, right: FloatArray, column: NDArray[np.int64]) -> FloatArray:
    """Where along the slices the cut from `left` to `right` passes a column that lies between them."""
    share = (column - left[:, 1]) / (right[:, 1] - left[:, 1])
    return np.asarray(left[:, 0] + share * (right[:, 0] - left[:, 0]))


def _pieces(many: NDArray[np.int64]) -> Iterator[slice]:
    """Runs of entries that together spread to `_AT_ONCE` at most, and one entry at least."""
    ends = np.cumsum(many)
    start = done = 0
    while start < len(many):
        stop = max(start + 1, int(np.searchsorted(ends, done + _AT_ONCE, side="right")))
        yield slice(start, stop)
        start, done = stop, int(ends[stop - 1])


def _spread(many: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(0, 0, 0, 1, 2, 2) and (0, 1, 2, 0, 0, 1) for (3, 1, 2)."""
    which = np.repeat(np.arange(len(many)), many)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(many) - many, many)
