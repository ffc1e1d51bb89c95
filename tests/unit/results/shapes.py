"""Closed surfaces of known volume, and mesh files written by hand, without our own code."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.results.mesh import Mesh
from bridge.results.output import MeshFrame, Output, OutputKind
from bridge.results.result import MeshFile, Part

Array = NDArray[Any]

CORNERS = np.array([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)], np.float64)
CUBE = np.array(
    [
        [0, 2, 1],
        [1, 2, 3],
        [4, 5, 6],
        [5, 7, 6],
        [0, 1, 4],
        [1, 5, 4],
        [2, 6, 3],
        [3, 6, 7],
        [0, 4, 2],
        [2, 4, 6],
        [1, 3, 5],
        [3, 7, 5],
    ]
)
"""Of the unit cube, seen from outside counter-clockwise."""


def box(low: tuple[float, ...] = (0, 0, 0), size: tuple[float, ...] = (1, 1, 1)) -> Mesh:
    return mesh(CORNERS * np.array(size) + np.array(low), CUBE)


def ring(around: int = 24, along: int = 12, wide: float = 3.0, thick: float = 1.0) -> Mesh:
    """A torus of flat faces around the z axis."""
    u, v = np.meshgrid(
        np.arange(around) / around * 2 * np.pi, np.arange(along) / along * 2 * np.pi, indexing="ij"
    )
    far = wide + thick * np.cos(v)
    points = np.stack((far * np.cos(u), far * np.sin(u), thick * np.sin(v)), axis=-1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(around), np.arange(along), indexing="ij")
    a, b = i * along + j, (i + 1) % around * along + j
    c, d = (i + 1) % around * along + (j + 1) % along, i * along + (j + 1) % along
    faces = np.concatenate([np.stack((a, b, c), axis=-1), np.stack((a, c, d), axis=-1)])
    return mesh(points, faces.reshape(-1, 3))


def ball(steps: int = 3, radius: float = 1.0) -> Mesh:
    """A sphere by halving the edges of an octahedron."""
    points = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.float64)
    faces = np.array([[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]])
    for _ in range(steps):
        edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        unique, where = np.unique(edges, axis=0, return_inverse=True)
        a, b, c = where.reshape(-1, 3).T + len(points)
        points = np.concatenate((points, points[unique].mean(axis=1)))
        x, y, z = faces.T
        faces = np.concatenate(
            [np.stack(corners, axis=1) for corners in ((x, a, c), (y, b, a), (z, c, b), (a, b, c))]
        )
    return mesh(points / np.linalg.norm(points, axis=1, keepdims=True) * radius, faces)


def mesh(vertices: Array, faces: Array) -> Mesh:
    return Mesh(vertices=np.asarray(vertices, np.float64), faces=np.asarray(faces, np.int64))


def joined(*some: Mesh) -> Mesh:
    before = np.cumsum([0, *(len(one.vertices) for one in some)])
    return mesh(
        np.concatenate([one.vertices for one in some]),
        np.concatenate([one.faces + start for one, start in zip(some, before, strict=False)]),
    )


def stl(shape: Mesh, head: bytes = b"by hand") -> bytes:
    faces = [
        struct.pack("<12fH", 0, 0, 0, *(float(one) for one in corners.ravel()), 0)
        for corners in shape.vertices[shape.faces]
    ]
    return head.ljust(80, b"\0") + struct.pack("<I", len(faces)) + b"".join(faces)


def ascii_stl(shape: Mesh) -> bytes:
    lines = ["solid by hand"]
    for corners in shape.vertices[shape.faces]:
        lines += [" facet normal 0 0 0", "  outer loop"]
        lines += [f"   vertex {x!r} {y!r} {z:e}" for x, y, z in corners.tolist()]
        lines += ["  endloop", " endfacet"]
    return "\n".join([*lines, "endsolid by hand", ""]).encode()


def obj(shape: Mesh) -> bytes:
    lines = ["# by hand", "mtllib by-hand.mtl", "vt 0 0"]
    lines += [f"v {x!r} {y!r} {z!r}" for x, y, z in shape.vertices.tolist()]
    lines += [f"f {a + 1}/1 {b + 1}/1 {c + 1}/1" for a, b, c in shape.faces.tolist()]
    return "\n".join([*lines, ""]).encode()


def ply(shape: Mesh, order: str = "<") -> bytes:
    """Binary in an order of struct, or with "" as text; with a colour that is of no use."""
    kind = {"<": "binary_little_endian", ">": "binary_big_endian", "": "ascii"}[order]
    head = (
        f"ply\nformat {kind} 1.0\ncomment by hand\nelement vertex {len(shape.vertices)}\nproperty float64 x\n"
        "property float64 y\nproperty double z\nproperty uchar red\n"
        f"element face {len(shape.faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    ).encode()
    if not order:
        lines = [f"{x!r} {y!r} {z!r} 7" for x, y, z in shape.vertices.tolist()]
        lines += [f"3 {a} {b} {c}" for a, b, c in shape.faces.tolist()]
        return head + "\n".join([*lines, ""]).encode()
    rows = [struct.pack(f"{order}3dB", *point, 7) for point in shape.vertices.tolist()]
    rows += [struct.pack(f"{order}B3i", 3, *face) for face in shape.faces.tolist()]
    return head + b"".join(rows)


def mesh_part(
    data: bytes | None, name: str = "mandible", frame: MeshFrame | None = MeshFrame.LPS_MM, **other: Any
) -> Part:
    output = Output(name=name, kind=OutputKind.MESH, media_type="model/stl", ref=name, frame=frame, **other)
    return Part(output=output, content=None if data is None else MeshFile(data=data))
