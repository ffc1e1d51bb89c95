"""Bare meshes: every number as it was, no word that somebody wrote, and nothing that is no mesh."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import Refused
from bridge.export.meshes import bare_mesh

CANARY = b"Canary^Yellow"
FACES = np.array(
    [
        [0, 0, -1, 0, 0, 0, 0, 1, 0, 1, 0, 0],
        [0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
    ],
    "<f4",
)


def binary(faces: np.ndarray = FACES, head: bytes = b"", spare: int = 0) -> bytes:
    body = b"".join(one.tobytes() + struct.pack("<H", spare) for one in faces)
    return head.ljust(80, b" ")[:80] + struct.pack("<I", len(faces)) + body


TEXT = b"""solid Canary^Yellow 1960-01-02
facet normal 0 0 -1
 outer loop
  vertex 0 0 0.50
  vertex 0 1e0 0
  vertex 1 -0.0 0
 endloop
endfacet
endsolid Canary^Yellow
"""
OBJ = b"""# scanned for Canary^Yellow
mtllib Canary^Yellow.mtl
o Canary^Yellow
v 0 0 0.50 0.1 0.2 0.3
v 0 1 0   # Canary^Yellow
v 1.250 -0.0 0
vt 0.5 0.5
vn 0 0 1
g upper Canary^Yellow
usemtl Canary^Yellow
s off
f 1/1/1 \\
  2/1/1 3/1/1
g lower
f 1//1 3//1 2//1
g upper Canary^Yellow
f -1 -2 -3
"""


def test_binary_stl_keeps_its_faces_and_nothing_else() -> None:
    found = bare_mesh(binary(head=b"solid " + CANARY, spare=0x4343), None, "stl")
    assert found == bytes(80) + binary()[80:]


def test_ascii_stl_keeps_its_numbers_as_they_are_written() -> None:
    found = bare_mesh(TEXT, len(TEXT), "stl")
    assert found.split(b"\n") == [
        b"solid",
        b"facet normal 0 0 -1",
        b"outer loop",
        b"vertex 0 0 0.50",
        b"vertex 0 1e0 0",
        b"vertex 1 -0.0 0",
        b"endloop",
        b"endfacet",
        b"endsolid",
        b"",
    ]


def test_obj_keeps_numbers_and_groups_and_no_name() -> None:
    found = bare_mesh(OBJ, len(OBJ), "obj")
    assert found.decode().splitlines() == [
        "o 1",
        "v 0 0 0.50 0.1 0.2 0.3",
        "v 0 1 0",
        "v 1.250 -0.0 0",
        "vt 0.5 0.5",
        "vn 0 0 1",
        "g 1",
        "s off",
        "f 1/1/1 2/1/1 3/1/1",
        "g 2",
        "f 1//1 3//1 2//1",
        "g 1",
        "f -1 -2 -3",
    ]


@pytest.mark.parametrize("document", [binary(head=CANARY), TEXT, OBJ], ids=["binary", "ascii", "obj"])
def test_bare_mesh_is_its_own_bare_mesh_and_names_nobody(document: bytes) -> None:
    kind = "obj" if document is OBJ else "stl"
    found = bare_mesh(document, len(document), kind)
    assert b"Canary" not in found and b"Yellow" not in found
    assert bare_mesh(found, len(found), kind) == found


WRONG = {
    "a PDF": (b"%PDF-1.7 " + CANARY, "stl"),
    "nothing": (b"", "stl"),
    "a face less than it says": (binary()[:-50], "stl"),
    "a byte more than it says": (binary() + CANARY, "stl"),
    "a number that is none": (binary(np.full((1, 12), np.nan, "<f4")), "stl"),
    "no face": (binary(FACES[:0]), "stl"),
    "a text that breaks off": (TEXT[: TEXT.index(b"endloop")], "stl"),
    "a word among numbers": (TEXT.replace(b"0.50", CANARY), "stl"),
    "words behind a number": (TEXT.replace(b"0.50", b"0.50 " + CANARY), "stl"),
    "a statement of its own": (TEXT.replace(b"endsolid", b"color " + CANARY + b"\nendsolid"), "stl"),
    "a word where a loop is": (TEXT.replace(b"outer loop", b"outer " + CANARY), "stl"),
    "a face without a solid": (TEXT.split(b"\n", 1)[1], "stl"),
    "OBJ in an STL object": (OBJ, "stl"),
    "STL in an OBJ object": (binary(), "obj"),
    "a statement that is no shape": (OBJ + b"call " + CANARY + b"\n", "obj"),
    "a corner that is none": (OBJ.replace(b"f -1 -2 -3", b"f -1 -2 " + CANARY), "obj"),
    "a vertex that is none": (OBJ.replace(b"v 0 1 0", b"v 0 1 " + CANARY), "obj"),
    "a smoothing group with a name": (OBJ.replace(b"s off", b"s " + CANARY), "obj"),
    "vertices alone": (b"v 0 0 0\n", "obj"),
    "comments alone": (b"# " + CANARY, "obj"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_mesh_is_refused_without_a_word_of_it(name: str) -> None:
    document, kind = WRONG[name]
    with pytest.raises(Refused) as refusal:
        bare_mesh(document, None, kind)
    assert refusal.value.code == ("EXP-011" if name == "nothing" else "EXP-012")
    assert "Canary" not in str(refusal.value)


@pytest.mark.parametrize(
    ("document", "length", "is_right"),
    [
        (OBJ + b"\0", len(OBJ), True),
        (OBJ + b"\0", None, True),
        (OBJ, len(OBJ), True),
        (OBJ, len(OBJ) + 1, False),
        (OBJ, len(OBJ) - 2, False),
        (OBJ, 0, False),
    ],
)
def test_document_is_as_long_as_the_object_says(document: bytes, length: int | None, is_right: bool) -> None:
    if is_right:
        assert bare_mesh(document, length, "obj") == bare_mesh(OBJ, len(OBJ), "obj")
        return
    with pytest.raises(Refused) as refusal:
        bare_mesh(document, length, "obj")
    assert refusal.value.code == "EXP-011"


words = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\\\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), max_size=30
)
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@unhurried
@given(
    head=st.binary(max_size=80),
    rows=st.lists(st.lists(floats, min_size=12, max_size=12), min_size=1, max_size=5),
)
def test_any_head_is_blanked_and_any_face_stays(head: bytes, rows: list[list[float]]) -> None:
    faces = np.array(rows, "<f4")
    found = bare_mesh(binary(faces, head, spare=7), None, "stl")
    assert found == bytes(80) + binary(faces)[80:]


@unhurried
@given(
    names=st.lists(words, min_size=4, max_size=4),
    rows=st.lists(st.lists(floats, min_size=3, max_size=3), min_size=3, max_size=6),
)
def test_any_name_is_dropped_and_any_number_stays(names: list[str], rows: list[list[float]]) -> None:
    numbers = [" ".join(repr(one) for one in row) for row in rows]
    comment, object_name, material, group = names
    text = [f"#{comment}", f"o {object_name}", f"usemtl {material}", *(f"v {one}" for one in numbers)]
    document = "\n".join([*text, f"g {group}", "f 1 2 3"]).encode()
    found = bare_mesh(document, len(document), "obj").decode().splitlines()
    assert found == ["o 1", *(f"v {one}" for one in numbers), "g 1", "f 1 2 3"]
    assert all(re.fullmatch(r"[ogvf](?: [-+.0-9e]+)+", line) for line in found)
