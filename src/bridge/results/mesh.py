"""A surface of triangles, and where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from bridge.errors import Damaged
from bridge.results.output import MeshFrame
from bridge.volumes.volume import FloatArray, Geometry

IndexArray = NDArray[np.int64]

MOST_FACES = 8_000_000
"""A jaw from a scan of 0.1 mm voxels has two million."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mesh:
    """Triangles on shared vertices, in the frame that its output states until `placed` brings it to LPS mm."""

    vertices: FloatArray
    """(n, 3) float64, x, y, z."""
    faces: IndexArray
    """(m, 3), indices of vertices; counter-clockwise as seen from outside."""

    @property
    def corners(self) -> FloatArray:
        """(m, 3, 3): face, corner, x y z."""
        return np.asarray(self.vertices[self.faces])


def made_mesh(vertices: FloatArray, faces: NDArray[np.integer], name: str) -> Mesh:
    """The mesh of what a file holds.

    Args:
        name: of the output, for messages.
    Raises:
        Damaged: RES-091, no face, too many, an index of no vertex, or a number that is none.
    """
    if not len(faces):
        raise damaged(name, "is a mesh without a face", {"vertices": len(vertices)})
    if len(faces) > MOST_FACES:
        raise damaged(
            name, f"is a mesh of {len(faces)} faces, the most is {MOST_FACES}", {"faces": len(faces)}
        )
    low, high = int(faces.min()), int(faces.max())
    if low < 0 or high >= len(vertices):
        raise damaged(
            name,
            f"has faces on vertices {low} to {high} of {len(vertices)}",
            {"lowest": low, "highest": high, "vertices": len(vertices)},
        )
    wrong = len(vertices) - int(np.isfinite(vertices).all(axis=1).sum())
    if wrong:
        raise damaged(name, f"has {wrong} of {len(vertices)} vertices that are no point", {"wrong": wrong})
    return Mesh(
        vertices=np.ascontiguousarray(vertices, dtype=np.float64) + 0.0,
        faces=np.ascontiguousarray(faces, dtype=np.int64),
    )


def welded(corners: NDArray[np.float32] | FloatArray) -> tuple[FloatArray, IndexArray]:
    """Vertices and faces of triangles that a file gives one by one: corners of equal numbers are one vertex.

    Args:
        corners: (m, 3, 3): face, corner, x y z.
    """
    points = corners.reshape(-1, 3) + 0  # negative zeros are zeros
    order = np.lexsort(points.T)
    in_order = points[order]
    is_new = np.ones(len(points), np.bool_)
    np.any(in_order[1:] != in_order[:-1], axis=1, out=is_new[1:])
    index = np.empty(len(points), np.int64)
    index[order] = np.cumsum(is_new) - 1
    return in_order[is_new].astype(np.float64), index.reshape(-1, 3)


def placed(mesh: Mesh, frame: MeshFrame, geometry: Geometry) -> Mesh:
    """The mesh in LPS mm; the same object where it is so already."""
    flip = np.array([-1.0, -1.0, 1.0])
    match frame:
        case MeshFrame.LPS_MM:
            return mesh
        case MeshFrame.RAS_MM:
            vertices = mesh.vertices * flip
        case MeshFrame.LPS_M:
            vertices = mesh.vertices * 1000.0
        case MeshFrame.RAS_M:
            vertices = mesh.vertices * flip * 1000.0
        case MeshFrame.IMAGE_MM:
            axes = [geometry.column_step_lps, geometry.row_step_lps, geometry.slice_step_lps]
            vertices = mesh.vertices @ np.array(axes) + np.array(geometry.origin_lps)
        case _:
            assert_never(frame)
    # Each of these is a rotation, a scaling, or both: the outside of a face stays its outside.
    return Mesh(vertices=vertices + 0.0, faces=mesh.faces)


def damaged(name: str, found: str, numbers: dict[str, float | int | str]) -> Damaged:
    return Damaged(
        "RES-091",
        f"output {name} {found}",
        "a whole mesh of triangles",
        "Look at the file in the job; ask the platform for the result again",
        numbers=numbers,
    )
