"""Closed surfaces around voxels, and the files that hold them.

A surface runs along the sides of voxels: closed and oriented by construction, and its volume is that of the voxels.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHIFT_MM = 500.0
OPEN_SHARE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """points: (n, 3) LPS, mm. triangles: (m, 3) numbers of points, counter-clockwise seen from outside."""

    points: Floats
    triangles: Ints


def surface_of(voxels: Ints, matrix: Floats, origin_lps: Floats) -> Surface:
    """The surface of a set of voxels.

    Args:
        voxels: (n, 3) index of each, in ITK's order (column, row, slice); no one twice.
        matrix: (3, 3) from index to LPS, mm.
    """
    if not len(voxels):
        return Surface(points=np.zeros((0, 3)), triangles=np.zeros((0, 3), dtype=np.int64))
    low = voxels.min(axis=0) - 1
    filled = np.zeros(tuple(voxels.max(axis=0) - low + 2), dtype=bool)
    filled[tuple((voxels - low).T)] = True
    corners = []
    for axis in range(3):
        across, along = (axis + 1) % 3, (axis + 2) % 3
        step = np.diff(filled.astype(np.int8), axis=axis)
        for sign in (-1, 1):
            # A step down is the upper side of a voxel, whose outside lies in the direction of the axis.
            cells = np.argwhere(step == sign)
            square = np.repeat(cells[:, None, :], 4, axis=1)
            square[:, :, axis] += 1
            square[:, (1, 2), across] += 1
            square[:, (2, 3), along] += 1
            corners.append(square if sign < 0 else square[:, ::-1])
    squares = np.concatenate(corners)
    if np.linalg.det(matrix) < 0:
        squares = squares[:, ::-1]
    shape = np.asarray(filled.shape) + 1
    numbers = np.ravel_multi_index(tuple(squares.reshape(-1, 3).T), tuple(shape))
    unique, index = np.unique(numbers, return_inverse=True)
    grid = np.stack(np.unravel_index(unique, tuple(shape)), axis=1)
    points = origin_lps + (grid + low - 0.5) @ matrix.T
    quads = index.reshape(-1, 4)
    return Surface(
        points=points, triangles=np.concatenate([quads[:, (0, 1, 2)], quads[:, (0, 2, 3)]]).astype(np.int64)
    )


def spoiled(surface: Surface, how: str) -> Surface:
    """The surface, wrong in one way on purpose."""
    points, triangles = surface.points, surface.triangles
    match how:
        case "ras":
            points = points * (-1.0, -1.0, 1.0)
        case "metres":
            points = points / 1000.0
        case "shifted":
            points = points + SHIFT_MM
        case "open":
            triangles = triangles[len(triangles) // OPEN_SHARE + 1 :]
        case "inside-out":
            triangles = triangles[:, ::-1]
        case "empty":
            points, triangles = points[:0], triangles[:0]
    return replace(surface, points=points, triangles=triangles)


def joined(surfaces: list[Surface]) -> Surface:
    """All of them as one."""
    starts = np.cumsum([0, *(len(one.points) for one in surfaces)])
    return Surface(
        points=np.concatenate([one.points for one in surfaces]),
        triangles=np.concatenate(
            [one.triangles + start for one, start in zip(surfaces, starts[:-1], strict=True)]
        ),
    )


def stl(surface: Surface) -> bytes:
    """Binary STL: 80 bytes, a count, 50 bytes for each triangle, little endian."""
    corners = surface.points[surface.triangles].astype("<f4")
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    records = np.zeros(
        len(corners), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("rest", "<u2")]
    )
    records["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    records["corners"] = corners
    return b"sandbox".ljust(80, b"\0") + struct.pack("<I", len(corners)) + records.tobytes()


def ply(surface: Surface) -> bytes:
    head = (
        "ply\nformat binary_little_endian 1.0\n"
        f"element vertex {len(surface.points)}\nproperty float x\nproperty float y\nproperty float z\n"
        f"element face {len(surface.triangles)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    faces = np.zeros(len(surface.triangles), dtype=[("count", "u1"), ("points", "<i4", 3)])
    faces["count"], faces["points"] = 3, surface.triangles
    return head.encode() + surface.points.astype("<f4").tobytes() + faces.tobytes()


def obj(surface: Surface) -> bytes:
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in surface.points]
    lines += [f"f {a} {b} {c}\n" for a, b, c in surface.triangles + 1]
    return "".join(lines).encode()


WRITERS: Mapping[str, Callable[[Surface], bytes]] = {".stl": stl, ".ply": ply, ".obj": obj}
"""By extension; the platform knows `.drc` (Draco) as well."""
