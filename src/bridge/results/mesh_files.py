"""Mesh files to meshes: STL in both forms, OBJ, PLY, Draco. Which one a file is, its first bytes say, not its name.

STL: 3D Systems, Stereolithography Interface Specification. A count is checked against the size of the file before
anything of that size is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from typing import Any

import numpy as np

from bridge.errors import Refused
from bridge.results.mesh import MOST_FACES, Mesh, damaged, made_mesh, welded
from bridge.results.mesh_obj import read_obj
from bridge.results.mesh_ply import read_ply


class MeshFormat(StrEnum):
    STL = "binary STL"
    ASCII_STL = "ASCII STL"
    OBJ = "OBJ"
    PLY = "PLY"
    DRACO = "Draco"


_HEAD = 84
"""Bytes before the first face: 80 of any text, and the number of faces."""
_FACE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("spare", "<u2")])
_NUMBER = rb"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)"
_SKIPPED = rb"[^\s]{1,40}"
_VERTEX = rb"vertex\s+" + rb"\s+".join([_NUMBER] * 3) + rb"\s+"
_FACET = re.compile(
    rb"\s*facet\s+normal\s+"
    + rb"\s+".join([_SKIPPED] * 3)
    + rb"\s+outer\s+loop\s+"
    + _VERTEX * 3
    + rb"endloop\s+endfacet",
    re.IGNORECASE,
)
_SOLID = re.compile(rb"\s*solid\b[^\n]*\n", re.IGNORECASE)
_NEXT = re.compile(rb"\s*endsolid\b[^\n]*\n\s*solid\b[^\n]*\n", re.IGNORECASE)
"""Between two solids of one file."""
_PIECE = 1 << 16
"""Facets whose texts are held at once."""
_END = re.compile(rb"\s*endsolid\b[^\n]*\s*", re.IGNORECASE)


def format_of(data: bytes) -> MeshFormat | None:
    """What kind of mesh file the bytes are; None for none of them."""
    if data.startswith(b"DRACO"):
        return MeshFormat.DRACO
    if re.match(rb"ply\r?\n", data):
        return MeshFormat.PLY
    # Before ASCII: many programs begin a binary file with the word "solid" too.
    if len(data) >= _HEAD and len(data) == _HEAD + _FACE.itemsize * _claimed(data):
        return MeshFormat.STL
    if _SOLID.match(data) and (_FACET.search(data[:4096]) or _END.search(data[-4096:])):
        return MeshFormat.ASCII_STL
    if re.search(rb"^\s*v\s+[-+.0-9]", data[: 1 << 16], re.MULTILINE) and b"\0" not in data[: 1 << 16]:
        return MeshFormat.OBJ
    return None


def read_mesh(data: bytes, name: str) -> tuple[Mesh, MeshFormat]:
    """The mesh in a file, in the numbers of the file, and what kind of file it is.

    Args:
        name: of the output, for messages.
    Raises:
        Damaged: RES-091, no such file, cut off, or with numbers that make no mesh.
        Refused: RES-092, a Draco file where no decoder is installed.
    """
    found = format_of(data)
    if found is None:
        raise _no_mesh(data, name)
    return _READERS[found](data, name), found


def write_stl(mesh: Mesh) -> bytes:
    """Binary STL of a mesh: 84 + 50 m bytes, float32, a header of spaces, normals from the corners.

    Corners are rounded to float32 (of 100 mm, to 8 nm): vertices that were one stay one.
    """
    corners = mesh.corners.astype(np.float32)
    edges = np.diff(corners.astype(np.float64), axis=1)
    normals = np.cross(edges[:, 0], edges[:, 1])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    faces = np.zeros(len(corners), _FACE)
    # A face without area has no normal: zeros, which readers take as "from the corners".
    faces["normal"] = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
    faces["corners"] = corners
    return b" " * 80 + len(faces).to_bytes(4, "little") + faces.tobytes()


def _claimed(data: bytes) -> int:
    return int.from_bytes(data[80:84], "little")


def _read_stl(data: bytes, name: str) -> Mesh:
    count = _claimed(data)
    if count > MOST_FACES:
        raise damaged(name, f"is a mesh of {count} faces, the most is {MOST_FACES}", {"faces": count})
    corners = np.frombuffer(data, _FACE, offset=_HEAD)["corners"]
    return made_mesh(*welded(corners), name)


def _read_ascii_stl(data: bytes, name: str) -> Mesh:
    """Strictly facet by facet: what is between two facets, or after the last one, is an error with its place."""
    start = _SOLID.match(data)
    assert start is not None
    at, facets, pieces = start.end(), 0, []
    some: list[tuple[bytes, ...]] = []
    while facet := _FACET.match(data, at) or _NEXT.match(data, at):
        at = facet.end()
        if facet.groups():
            some.append(facet.groups())
            facets += 1
        if len(some) == _PIECE:
            pieces.append(np.array(some, dtype="S").astype(np.float64))
            some.clear()
        if facets > MOST_FACES:
            raise damaged(name, f"is a mesh of more than {MOST_FACES} faces", {"faces": facets})
    if not _END.fullmatch(data, at):
        raise damaged(
            name,
            f"is an ASCII STL that breaks off behind facet {facets}, at byte {at} of {len(data)}",
            {"facets": facets, "byte": at, "bytes": len(data)},
        )
    pieces.append(np.array(some, dtype="S").reshape(-1, 9).astype(np.float64))
    corners = np.concatenate(pieces).reshape(-1, 3, 3)
    return made_mesh(*welded(corners), name)


def _read_draco(data: bytes, name: str) -> Mesh:
    try:
        draco: Any = import_module("DracoPy")
    except ImportError:
        raise Refused(
            "RES-092",
            f"output {name} is a Draco file, and no decoder is installed",
            "STL, OBJ or PLY",
            "Ask for .stl in the rule, or install the package DracoPy beside the bridge",
        ) from None
    try:
        decoded = draco.decode(data)
        vertices, faces = np.asarray(decoded.points, np.float64), np.asarray(decoded.faces)
    except Exception:  # noqa: BLE001 - the library raises several kinds
        raise damaged(name, f"is a Draco file of {len(data)} bytes that cannot be decoded", {}) from None
    return made_mesh(vertices.reshape(-1, 3), faces.reshape(-1, 3).astype(np.int64), name)


def _no_mesh(data: bytes, name: str) -> Exception:
    if len(data) >= _HEAD and not _SOLID.match(data):
        count = _claimed(data)
        return damaged(
            name,
            f"is no STL, OBJ, PLY or Draco file: as a binary STL it claims {count} faces and {_HEAD + 50 * count} "
            f"bytes, and has {len(data)}",
            {"claimed_faces": count, "bytes": len(data)},
        )
    return damaged(name, f"of {len(data)} bytes is no STL, OBJ, PLY or Draco file", {"bytes": len(data)})


_READERS: dict[MeshFormat, Callable[[bytes, str], Mesh]] = {
    MeshFormat.STL: _read_stl,
    MeshFormat.ASCII_STL: _read_ascii_stl,
    MeshFormat.OBJ: read_obj,
    MeshFormat.PLY: read_ply,
    MeshFormat.DRACO: _read_draco,
}
