"""Mesh files are read for what they are; what lies about itself is refused before anything is made of it."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest
from tests.unit.results.build import made_geometry
from tests.unit.results.shapes import ascii_stl, ball, box, joined, mesh, obj, ply, stl

from bridge.errors import Damaged, Refused
from bridge.results import mesh as mesh_module
from bridge.results import mesh_files
from bridge.results.mesh import Mesh, placed
from bridge.results.mesh_files import MeshFormat, format_of, read_mesh, write_stl
from bridge.results.output import MeshFrame

SHAPE = box((0.5, -3, 7.25), (1, 2, 4))


def as_set(shape: Mesh) -> set[tuple[tuple[float, ...], ...]]:
    """Faces as they lie, whatever the numbers of the vertices and the first corner."""
    found = set()
    for corners in shape.vertices[shape.faces].tolist():
        first = corners.index(min(corners))
        found.add(tuple(tuple(one) for one in (corners[first:] + corners[:first])))
    return found


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (stl(SHAPE), MeshFormat.STL),
        (stl(SHAPE, b"solid by a program that says so"), MeshFormat.STL),
        (ascii_stl(SHAPE), MeshFormat.ASCII_STL),
        (ascii_stl(SHAPE).replace(b"\n", b"\r\n").upper(), MeshFormat.ASCII_STL),
        (
            ascii_stl(mesh(SHAPE.vertices, SHAPE.faces[:5]))
            + ascii_stl(mesh(SHAPE.vertices, SHAPE.faces[5:])),
            None,
        ),
        (obj(SHAPE), MeshFormat.OBJ),
        (obj(SHAPE).replace(b"\n", b"\r\n"), MeshFormat.OBJ),
        (ply(SHAPE, "<"), MeshFormat.PLY),
        (ply(SHAPE, ">"), MeshFormat.PLY),
        (ply(SHAPE, ""), MeshFormat.PLY),
    ],
)
def test_the_same_shape_is_read_from_every_kind_of_file(data: bytes, expected: MeshFormat | None) -> None:
    found, format = read_mesh(data, "it")
    assert format is (expected or MeshFormat.ASCII_STL)
    assert as_set(found) == as_set(SHAPE)
    assert (len(found.vertices), len(found.faces)) == (8, 12)


def test_a_face_of_more_corners_is_cut_into_triangles() -> None:
    square = b"v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"
    flat = b"ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
    flat += b"element face 1\nproperty list uchar int vertex_index\nend_header\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n4 0 1 2 3\n"
    for data in (square + b"f 1 2 3 4\n", square + b"f -4 -3 -2 -1\n", square + b"f 1 2 \\\n 3 4\n", flat):
        found, _ = read_mesh(data, "it")
        assert found.faces.tolist() == [[0, 1, 2], [0, 2, 3]]


MIXED = (
    b"ply\nformat binary_little_endian 1.0\nelement vertex 4\n"
    b"property float x\nproperty float y\nproperty float z\n"
    b"element face 2\nproperty list uchar int vertex_index\nproperty uchar red\nend_header\n"
    + struct.pack("<12f", *range(12))
    + struct.pack("<B3iB", 3, 0, 1, 2, 9)
    + struct.pack("<B4iB", 4, 0, 1, 2, 3, 9)
)


def test_polygons_of_several_lengths_in_a_binary_file_are_read() -> None:
    found, _ = read_mesh(MIXED, "it")
    assert found.faces.tolist() == [[0, 1, 2], [0, 1, 2], [0, 2, 3]]
    assert found.vertices[3].tolist() == [9, 10, 11]


def broken(data: bytes, at: int, piece: bytes) -> bytes:
    return data[:at] + piece + data[at + len(piece) :]


NAN = struct.pack("<f", float("nan"))
TEXT_PLY = ply(SHAPE, "")
BROKEN = {
    "nothing": b"",
    "no mesh": b"%PDF-1.4 " * 20,
    "STL cut off": stl(SHAPE)[:-1],
    "STL with more behind it": stl(SHAPE) + b"\0",
    "STL that claims more faces": broken(stl(SHAPE), 80, struct.pack("<I", 13)),
    "STL that claims four thousand million faces": broken(stl(SHAPE), 80, b"\xff" * 4),
    "STL without faces": stl(SHAPE)[:80] + bytes(4),
    "STL with a NaN": broken(stl(SHAPE), 84 + 12, NAN),
    "STL with an infinity": broken(stl(SHAPE), 84 + 50 + 12, struct.pack("<f", float("inf"))),
    "text STL cut off": ascii_stl(SHAPE)[:-60],
    "text STL without its end": ascii_stl(SHAPE).replace(b"endsolid by hand", b""),
    "text STL without a corner": ascii_stl(SHAPE).replace(b"   vertex 0.5 -1.0 7.250000e+00\n", b"", 1),
    "text STL with a NaN": ascii_stl(SHAPE).replace(b"vertex 0.5", b"vertex nan", 1),
    "text STL with too large a number": ascii_stl(SHAPE).replace(b"vertex 0.5", b"vertex 1e999", 1),
    "text STL without faces": b"solid x\nendsolid x\n",
    "OBJ without faces": b"v 1 2 3\n",
    "OBJ with a face of two": b"v 0 0 0\nv 1 0 0\nf 1 2\n",
    "OBJ with a word": b"v 0 0 zero\nf 1 1 1\n",
    "OBJ with a vertex that is not there": obj(SHAPE) + b"f 1 2 9\n",
    "OBJ with vertex 0": obj(SHAPE) + b"f 0 1 2\n",
    "OBJ with a NaN": obj(SHAPE).replace(b"v 0.5", b"v nan", 1),
    "PLY cut off": ply(SHAPE)[:-1],
    "PLY of several lengths cut off": MIXED[:-1],
    "PLY of several lengths cut off in a list": MIXED[:-8],
    "PLY text cut off": TEXT_PLY[:-5],
    "PLY without a header's end": b"ply\nformat ascii 1.0\nelement vertex 3\n",
    "PLY that claims more": ply(SHAPE).replace(b"vertex 8", b"vertex 9"),
    "PLY that claims very much": ply(SHAPE).replace(b"vertex 8", b"vertex 99999999999"),
    "PLY with a longer list": broken(ply(SHAPE), len(ply(SHAPE)) - 13, b"\xff"),
    "PLY without x": ply(SHAPE).replace(b"float64 x", b"float64 w"),
    "PLY without faces": ply(SHAPE).replace(b"element face", b"element edge"),
    "PLY of vertex 1.5": TEXT_PLY[:-6] + b"1.5 2\n",
    "PLY of another kind": ply(SHAPE).replace(b"binary_little_endian", b"binary_middle_endian"),
    "PLY with an unknown type": ply(SHAPE).replace(b"uchar red", b"tuple red"),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_refused_and_named(data: bytes) -> None:
    with pytest.raises(Damaged) as caught:
        read_mesh(data, "surface-7")
    assert caught.value.code == "RES-091"
    assert "output surface-7" in caught.value.found
    assert re.search(
        "[0-9]|header|kind|known format|no x|without|x, y and z|no list|whole", caught.value.found
    )


@pytest.mark.parametrize("data", [stl(SHAPE), ascii_stl(SHAPE), obj(SHAPE), ply(SHAPE), TEXT_PLY])
def test_more_faces_than_are_worked_on_are_refused(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    from bridge.results import mesh_obj, mesh_ply

    for module in (mesh_module, mesh_files, mesh_obj, mesh_ply):
        monkeypatch.setattr(module, "MOST_FACES", 11)
    with pytest.raises(Damaged):
        read_mesh(data, "it")


def test_a_draco_file_without_its_decoder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "DracoPy", None)
    assert format_of(b"DRACO\x02\x02") is MeshFormat.DRACO
    with pytest.raises(Refused) as caught:
        read_mesh(b"DRACO\x02\x02", "it")
    assert caught.value.code == "RES-092"


def test_a_draco_file_is_read_by_its_decoder() -> None:
    draco = pytest.importorskip("DracoPy", reason="needs the package DracoPy")
    data = draco.encode(SHAPE.vertices, SHAPE.faces, quantization_bits=20)
    found, format = read_mesh(data, "it")
    assert format is MeshFormat.DRACO
    assert np.allclose(np.sort(found.vertices, axis=0), np.sort(SHAPE.vertices, axis=0), atol=1e-4)
    with pytest.raises(Damaged):
        read_mesh(data[: len(data) // 2], "it")


def test_a_written_file_has_the_shape_and_normals_of_unit_length() -> None:
    shape = joined(ball(2, 5.0), box((20, 0, 0)), mesh(np.zeros((3, 3)), np.array([[0, 1, 2]])))
    data = write_stl(shape)
    assert len(data) == 84 + 50 * len(shape.faces)
    found, format = read_mesh(data, "it")
    assert format is MeshFormat.STL
    assert np.array_equal(found.vertices[found.faces], shape.vertices[shape.faces].astype(np.float32))
    first = struct.unpack_from("<12f", data, 84)
    normal, corners = np.array(first[:3]), np.array(first[3:]).reshape(3, 3)
    assert np.linalg.norm(normal) == pytest.approx(1, abs=1e-6)
    # Of a ball around the origin, the middle of a face looks outwards.
    assert normal @ corners.mean(axis=0) > 0
    assert struct.unpack_from("<3f", data, len(data) - 50) == (0, 0, 0)


@pytest.mark.parametrize(
    ("frame", "there"),
    [
        (MeshFrame.LPS_MM, (1, 2, 3)),
        (MeshFrame.RAS_MM, (-1, -2, 3)),
        (MeshFrame.LPS_M, (1000, 2000, 3000)),
        (MeshFrame.RAS_M, (-1000, -2000, 3000)),
        # Columns run along -y, rows along x here, from (10, 20, 30).
        (MeshFrame.IMAGE_MM, (10 + 2, 20 - 1, 30 + 3)),
    ],
)
def test_each_frame_is_brought_to_lps_mm(frame: MeshFrame, there: tuple[float, ...]) -> None:
    geometry = made_geometry(
        origin_lps=(10, 20, 30), column_step_lps=(0, -1, 0), row_step_lps=(1, 0, 0), slice_step_lps=(0, 0, 1)
    )
    one = mesh(np.array([[1.0, 2, 3], [0, 0, 0], [1, 0, 0]]), np.array([[0, 1, 2]]))
    assert placed(one, frame, geometry).vertices[0].tolist() == list(there)
