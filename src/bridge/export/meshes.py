"""A mesh out of its DICOM object, as a bare file: its numbers as they are, and no word that somebody wrote into it.

STL has 80 bytes of any text in front, or names of solids; OBJ has comments, names of objects, groups and materials, and
files beside it. All of that may name a person, and none of it is shape. What is no statement of a shape is refused.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import numpy as np

from bridge.errors import Refused

HEAD, FACE = 84, np.dtype([("numbers", "<f4", 12), ("spare", "<u2")])
"""Of a binary STL: 80 bytes of any text and the number of faces; normal, three corners, and two bytes for any use."""
_NUMBER = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_CORNER = re.compile(rb"-?[0-9]+(?:/-?[0-9]+|/-?[0-9]*/-?[0-9]+)?")
_FACET = (b"facet", b"outer", b"vertex", b"vertex", b"vertex", b"endloop", b"endfacet")
_NUMBERS = {b"facet": 3, b"vertex": 3}
_WORDS = {b"facet": b"normal", b"outer": b"loop"}
_OF_NUMBERS = MappingProxyType({b"v": (3, 8), b"vn": (3, 3), b"vt": (1, 3), b"vp": (1, 3)})
"""Statements of an OBJ with how many numbers each has: a vertex may have a weight or a colour behind its place."""
_OF_CORNERS = MappingProxyType({b"f": 3, b"l": 2, b"p": 1})
_NAMES = frozenset({b"o", b"g"})
_DROPPED = frozenset({b"mtllib", b"usemtl", b"usemap", b"maplib"})
_SMOOTHING = re.compile(rb"off|[0-9]{1,9}")


def bare_mesh(document: bytes, length: int | None, format: str) -> bytes:
    """The file that an Encapsulated STL or OBJ object holds, without its texts.

    Args:
        document: Encapsulated Document, with the byte that may stand behind it.
        length: Encapsulated Document Length; None where the object does not say.
        format: `stl` or `obj`.
    Raises:
        Refused: EXP-011, the document is not as long as the object says; EXP-012, it is no such mesh.
    """
    if length is None:
        length = len(document) - (format != "stl" and document.endswith(b"\0"))
    if not 0 < length <= len(document) <= length + 1:
        raise Refused(
            "EXP-011",
            f"an encapsulated document of {len(document)} bytes, and a length of {length}",
            "the length of the document, or one less (PS3.3 C.24.2)",
            "Have the object exported again",
            {"bytes": len(document), "length": length},
        )
    return _BARE[format](document[:length])


def _stl(data: bytes) -> bytes:
    count = struct.unpack_from("<I", data, HEAD - 4)[0] if len(data) >= HEAD else 0
    # Before ASCII: many programs begin a binary file with the word "solid" too.
    if count and len(data) == HEAD + FACE.itemsize * count:
        faces = np.frombuffer(data, FACE, offset=HEAD).copy()
        if not np.isfinite(faces["numbers"]).all():
            raise _no_mesh("STL", "numbers that are none")
        faces["spare"] = 0
        return bytes(HEAD - 4) + struct.pack("<I", count) + faces.tobytes()
    if not data.lstrip()[:5].lower() == b"solid":
        raise _no_mesh("STL", f"{len(data)} bytes that are neither {count} faces nor text")
    return b"".join(_ascii_stl(data))


def _ascii_stl(data: bytes) -> Iterator[bytes]:
    expected, is_open, faces = 0, False, 0
    for number, line in enumerate(data.splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        word = words[0].lower()
        if word in (b"solid", b"endsolid") and expected == 0 and is_open == (word == b"endsolid"):
            is_open = not is_open
            yield word + b"\n"
            continue
        if not is_open or word != _FACET[expected]:
            raise _no_mesh("STL", f"another statement in line {number}")
        rest = words[1:]
        if word in _WORDS and (rest[:1] == [] or rest.pop(0).lower() != _WORDS[word]):
            raise _no_mesh("STL", f"another statement in line {number}")
        if len(rest) != _NUMBERS.get(word, 0) or not all(map(_NUMBER.fullmatch, rest)):
            raise _no_mesh("STL", f"no numbers in line {number}")
        yield b" ".join([word, *([_WORDS[word]] if word in _WORDS else []), *rest]) + b"\n"
        faces += expected == 0
        expected = (expected + 1) % len(_FACET)
    if is_open or expected or not faces:
        raise _no_mesh("STL", f"a text that breaks off behind {faces} faces")


def _obj(data: bytes) -> bytes:
    return b"".join(_statements(data))


def _statements(data: bytes) -> Iterator[bytes]:
    names: dict[tuple[bytes, bytes], int] = {}
    vertices = faces = 0
    for number, line in enumerate(re.sub(rb"\\\r?\n", b" ", data).splitlines(), start=1):
        words = line.partition(b"#")[0].split()
        if not words or words[0] in _DROPPED:
            continue
        word, rest = words[0], words[1:]
        if word in _NAMES:
            place = names.setdefault((word, b" ".join(rest)), 1 + sum(kind == word for kind, _ in names))
            yield b"%b %d\n" % (word, place)
            continue
        if word in _OF_NUMBERS:
            least, most = _OF_NUMBERS[word]
            fits = least <= len(rest) <= most and all(map(_NUMBER.fullmatch, rest))
        elif word in _OF_CORNERS:
            fits = len(rest) >= _OF_CORNERS[word] and all(map(_CORNER.fullmatch, rest))
        else:
            fits = word == b"s" and len(rest) == 1 and _SMOOTHING.fullmatch(rest[0]) is not None
        if not fits:
            raise _no_mesh("OBJ", f"a statement that is no shape in line {number}")
        vertices += word == b"v"
        faces += word == b"f"
        yield b" ".join([word, *rest]) + b"\n"
    if not vertices or not faces:
        raise _no_mesh("OBJ", f"{vertices} vertices and {faces} faces")


def _no_mesh(kind: str, found: str) -> Refused:
    return Refused(
        "EXP-012",
        f"an Encapsulated {kind} object with {found}",
        "a mesh, and nothing that is no part of its shape",
        "Have the object exported again, or leave the input out",
    )


_BARE: Mapping[str, Callable[[bytes], bytes]] = MappingProxyType({"stl": _stl, "obj": _obj})
