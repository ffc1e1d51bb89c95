"""What is known of a mesh before anything is made of it: closed, oriented, how large, whether it lies on the images.

Volume and area are those of polyhedra: the sum of signed tetrahedra with the origin (divergence theorem), and of
triangles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bridge.errors import Refused
from bridge.results.mesh import IndexArray, Mesh, placed
from bridge.results.output import MeshFrame
from bridge.volumes.volume import FloatArray, Geometry

_INSIDE = 0.5
"""Share of vertices that must lie on the images: a face scan may reach beyond them, a jaw cut from them cannot."""
_LIKELY = 0.95
_MARGIN = 1.0
"""Voxels beyond the outermost centres that still count as on the images: smoothing moves a surface so far."""

_CAUSES = {
    MeshFrame.RAS_MM: "axes to the right and front (RAS) instead of left and back (LPS)",
    MeshFrame.LPS_M: "metres instead of millimetres",
    MeshFrame.RAS_M: "metres, and axes to the right and front (RAS)",
    MeshFrame.IMAGE_MM: "millimetres from the first voxel instead of the patient's",
    MeshFrame.LPS_MM: "millimetres to the left and back (LPS), as in DICOM",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshChecks:
    """Numbers of a mesh in LPS mm."""

    faces: int
    flat_faces: int
    """Those with two corners in one place: they bound nothing, and do not count for what follows."""
    border_edges: int
    """Edges with an odd number of faces: the rims of holes."""
    crowded_edges: int
    """Edges with more than two faces."""
    turned_edges: int
    """Edges along which not as many faces run one way as the other: some of them are inside out."""
    components: int
    signed_volume_mm3: float
    """Negative where faces are clockwise as seen from outside. Means nothing of an open mesh."""
    area_mm2: float
    extent_mm: tuple[float, float, float]
    """Right to left, front to back, foot to head: of the box along the axes of the patient."""

    @property
    def is_closed(self) -> bool:
        """Each edge has an even number of faces, so that each line goes out as often as in."""
        return self.border_edges == 0

    @property
    def is_oriented(self) -> bool:
        return self.is_closed and self.turned_edges == 0

    @property
    def volume_mm3(self) -> float | None:
        """None where there is none: of an open mesh, or one of which some faces are inside out."""
        return abs(self.signed_volume_mm3) if self.is_oriented else None


def check(mesh: Mesh) -> MeshChecks:
    """Edges, parts and size of a mesh in LPS mm. Vertices in one place count as one."""
    faces = _in_one_place(mesh)
    flat = (faces[:, 0] == faces[:, 1]) | (faces[:, 1] == faces[:, 2]) | (faces[:, 2] == faces[:, 0])
    faces = faces[~flat]
    border, crowded, turned = _edges(faces)
    # From the middle of the mesh: far from the origin of the patient, small differences would be lost.
    low, high = mesh.vertices[mesh.faces].min(axis=(0, 1)), mesh.vertices[mesh.faces].max(axis=(0, 1))
    a, b, c = ((mesh.vertices - (low + high) / 2)[mesh.faces[:, corner]] for corner in range(3))
    x, y, z = (float(one) for one in high - low)
    return MeshChecks(
        faces=len(mesh.faces),
        flat_faces=int(flat.sum()),
        border_edges=border,
        crowded_edges=crowded,
        turned_edges=turned,
        components=_components(faces),
        signed_volume_mm3=float(np.einsum("ij,ij->", a, np.cross(b, c))) / 6,
        area_mm2=float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()) / 2,
        extent_mm=(x, y, z),
    )


def check_fit(mesh: Mesh, geometry: Geometry, name: str, frame: MeshFrame = MeshFrame.LPS_MM) -> str:
    """A word on a mesh that lies partly beside the images; "" for one that lies on them.

    Args:
        mesh: in the numbers of its file.
        name: of the output, for messages.
        frame: what its numbers mean.
    Raises:
        Refused: RES-093, less than half of the mesh lies on the images, or it is smaller than a voxel.
    """
    here = placed(mesh, frame, geometry)
    inside, size = _inside(here, geometry), float(np.ptp(here.vertices, axis=0).max())
    voxel = max(geometry.spacing_mm)
    if inside >= _INSIDE and size >= voxel:
        outside = 1 - inside
        return f"{100 * outside:.2g}% of its vertices lie outside the images" if outside > 0 else ""
    likely = [
        f"{words} (mesh_frame = {other.value})"
        for other, words in _CAUSES.items()
        if other is not frame and _would_fit(placed(mesh, other, geometry), geometry)
    ]
    raise Refused(
        "RES-093",
        f"output {name} is a mesh of {size:.3g} mm of which {100 * inside:.3g}% lies on the images, taken as "
        f"{frame.value}" + (f"; it would lie there as {' or as '.join(likely)}" if likely else ""),
        "a mesh on the images that it was made from",
        "Mend mesh_frame of the account, or look whether the platform made the mesh from other images: usual causes "
        "are RAS for LPS, metres for millimetres, and a frame of the platform's own",
        numbers={"inside_percent": round(100 * inside, 2), "size_mm": size, "voxel_mm": voxel},
    )


def _would_fit(mesh: Mesh, geometry: Geometry) -> bool:
    return _inside(mesh, geometry) >= _LIKELY and np.ptp(mesh.vertices, axis=0).max() >= max(
        geometry.spacing_mm
    )


def _inside(mesh: Mesh, geometry: Geometry) -> float:
    """Share of vertices within the box of the voxels."""
    index = to_index(mesh.vertices, geometry)
    last = np.array(geometry.shape) - 1
    return float(((index >= -_MARGIN) & (index <= last + _MARGIN)).all(axis=1).mean())


def to_index(points_lps: FloatArray, geometry: Geometry) -> FloatArray:
    """(n, 3) float64: slice, row, column of points in LPS mm; whole numbers are centres of voxels."""
    back = np.linalg.inv(geometry.affine_lps)
    return np.asarray(points_lps @ back[:3, :3].T + back[:3, 3])


def _in_one_place(mesh: Mesh) -> IndexArray:
    """Faces on vertices of which each place has one, whatever the file did at seams."""
    order = np.lexsort(mesh.vertices.T)
    in_order = mesh.vertices[order]
    is_new = np.zeros(len(order), np.int64)
    is_new[1:] = (in_order[1:] != in_order[:-1]).any(axis=1)
    place = np.empty(len(order), np.int64)
    place[order] = np.cumsum(is_new)
    return np.asarray(place[mesh.faces])


def _edges(faces: IndexArray) -> tuple[int, int, int]:
    """How many edges have an odd number of faces, more than two, and faces that do not run both ways alike."""
    if not len(faces):
        return 1, 0, 0  # nothing that bounds anything
    starts, ends = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    many = int(faces.max()) + 1
    # Both directions of an edge are neighbours in order, told apart by the last bit.
    keys = np.sort((np.minimum(starts, ends) * many + np.maximum(starts, ends)) * 2 + (starts > ends))
    first = np.flatnonzero(np.concatenate(([True], keys[1:] >> 1 != keys[:-1] >> 1)))
    counts = np.diff(first, append=len(keys))
    back = np.add.reduceat(keys & 1, first)
    return (
        int((counts % 2 == 1).sum()),
        int((counts > 2).sum()),
        int(((counts % 2 == 0) & (2 * back != counts)).sum()),
    )


def _components(faces: IndexArray) -> int:
    """Parts that share no vertex: each vertex takes the lowest number that it reaches (Shiloach and Vishkin 1982)."""
    if not len(faces):
        return 0
    part = np.arange(int(faces.max()) + 1)
    while True:
        lowest = part[faces].min(axis=1)
        before = part.copy()
        for corner in range(3):
            np.minimum.at(part, before[faces[:, corner]], lowest)
        part = part[part]
        if np.array_equal(part, before):
            break
    return len(np.unique(part[faces]))
