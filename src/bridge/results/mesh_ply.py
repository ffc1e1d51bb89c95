"""PLY, the Stanford polygon format, in text and both byte orders: vertices and faces; all else is passed over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.results.mesh import MOST_FACES, Mesh, damaged, made_mesh

_MOST_HEADER = 1 << 16
_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_INDICES = ("vertex_indices", "vertex_index")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Property:
    name: str
    type: str
    count_type: str = ""
    """Of a list: the type of its length; "" for a single number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Element:
    name: str
    count: int
    properties: tuple[_Property, ...]


class _Broken(Exception):
    """Why a file is none, in words."""


def read_ply(data: bytes, name: str) -> Mesh:
    """The mesh of a PLY file. Faces of more corners are cut into triangles around their first corner.

    Args:
        name: of the output, for messages.
    Raises:
        Damaged: RES-091, a broken header, a count that the file is too short for, or what `made_mesh` finds.
    """
    try:
        order, elements, body = _header(data)
        found = _text(elements, data[body:]) if not order else _binary(elements, data, body, order)
        if "vertex" not in found or "face" not in found:
            raise _Broken("without vertices or faces")
        vertices, faces = found["vertex"], _triangles(found["face"])
    except _Broken as problem:
        raise damaged(name, f"is a PLY file {problem}", {"bytes": len(data)}) from None
    return made_mesh(vertices, faces, name)


def _header(data: bytes) -> tuple[str, list[_Element], int]:
    end = re.search(rb"\nend_header\r?\n", data[:_MOST_HEADER])
    if end is None:
        raise _Broken("without the end of its header")
    order = None
    elements: list[_Element] = []
    for line in data[: end.start()].decode("latin-1").splitlines()[1:]:
        match line.split():
            case ["format", word, _] if word in _ORDERS:
                order = _ORDERS[word]
            case ["element", word, count] if count.isdecimal() and len(count) < 12:
                elements.append(_Element(name=word, count=int(count), properties=()))
            case ["property", "list", length, type, word] if elements and {length, type} <= _TYPES.keys():
                if _TYPES[length][0] == "f":
                    raise _Broken("with a list whose length is no whole number")
                one = _Property(name=word, type=_TYPES[type], count_type=_TYPES[length])
                elements[-1] = _with(elements[-1], one)
            case ["property", type, word] if elements and type in _TYPES:
                elements[-1] = _with(elements[-1], _Property(name=word, type=_TYPES[type]))
            case [] | ["comment" | "obj_info", *_]:
                pass
            case _:
                raise _Broken("with an unreadable line in its header")
    if order is None:
        raise _Broken("of no known format")
    for element in elements:
        # Each entry is a byte at least: what cannot be there is not made room for.
        if element.count > len(data) or (element.name == "face" and element.count > MOST_FACES):
            raise _Broken(f"that claims {element.count} {_word(element)} in {len(data)} bytes")
    return order, elements, end.end()


def _with(element: _Element, one: _Property) -> _Element:
    return _Element(name=element.name, count=element.count, properties=(*element.properties, one))


def _binary(elements: list[_Element], data: bytes, at: int, order: str) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for element in elements:
        if not element.properties or not element.count:
            continue
        lengths = _lengths(element, data, at, order)
        kind = np.dtype(_fields(element, lengths, order))
        if at + element.count * kind.itemsize > len(data):
            raise _short(element, len(data))
        rows: Any = np.frombuffer(data, kind, element.count, at)
        if any((rows[f"n{place}"] != length).any() for place, length in lengths.items()):
            # Lists of several lengths: entry by entry.
            rows, at = _entries(element, data, at, order)
        else:
            at += element.count * kind.itemsize
        _keep(found, element, rows)
    return found


def _fields(element: _Element, lengths: dict[int, int], order: str) -> list[tuple[Any, ...]]:
    fields: list[tuple[Any, ...]] = []
    for place, one in enumerate(element.properties):
        if one.count_type:
            fields.append((f"n{place}", order + one.count_type))
            fields.append((f"p{place}", order + one.type, (lengths[place],)))
        else:
            fields.append((f"p{place}", order + one.type))
    return fields


def _lengths(element: _Element, data: bytes, at: int, order: str) -> dict[int, int]:
    """Of the lists of one entry, by place of the property."""
    lengths = {}
    for place, one in enumerate(element.properties):
        if one.count_type:
            kind = np.dtype(order + one.count_type)
            if at + kind.itemsize > len(data):
                raise _short(element, len(data))
            lengths[place] = int(np.frombuffer(data, kind, 1, at)[0])
            at += kind.itemsize
            if lengths[place] < 0 or lengths[place] > len(data) - at:
                raise _short(element, len(data))
        at += np.dtype(one.type).itemsize * lengths.get(place, 1)
    return lengths


def _entries(element: _Element, data: bytes, at: int, order: str) -> tuple[list[Any], int]:
    rows = []
    for _ in range(element.count):
        kind = np.dtype(_fields(element, _lengths(element, data, at, order), order))
        if at + kind.itemsize > len(data):
            raise _short(element, len(data))
        rows.append(np.frombuffer(data, kind, 1, at)[0])
        at += kind.itemsize
    return rows, at


def _keep(found: dict[str, Any], element: _Element, rows: Any) -> None:
    places = {one.name: f"p{place}" for place, one in enumerate(element.properties)}
    if element.name == "vertex":
        if not {"x", "y", "z"} <= places.keys() or isinstance(rows, list):
            raise _Broken("whose vertices have no x, y and z")
        found["vertex"] = np.stack([rows[places[axis]].astype(np.float64) for axis in "xyz"], axis=1)
    elif element.name == "face":
        (where,) = [places[word] for word in _INDICES if word in places][:1] or [""]
        if not where:
            raise _Broken("whose faces have no list of vertices")
        found["face"] = [row[where] for row in rows] if isinstance(rows, list) else rows[where]


def _text(elements: list[_Element], body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    words = iter(body.split())
    for element in elements:
        rows = [_row(element, words) for _ in range(element.count)]
        names = [one.name for one in element.properties]
        if element.name == "vertex":
            if not {"x", "y", "z"} <= set(names):
                raise _Broken("whose vertices have no x, y and z")
            places = [names.index(axis) for axis in "xyz"]
            found["vertex"] = np.array([[row[place][0] for place in places] for row in rows]).reshape(-1, 3)
        elif element.name == "face":
            there = [names.index(word) for word in _INDICES if word in names]
            if not there:
                raise _Broken("whose faces have no list of vertices")
            found["face"] = [np.array(row[there[0]]) for row in rows]
    return found


def _row(element: _Element, words: Iterator[bytes]) -> list[list[float]]:
    try:
        return [
            [float(next(words)) for _ in range(int(next(words)) if one.count_type else 1)]
            for one in element.properties
        ]
    except (ValueError, StopIteration, OverflowError):
        raise _Broken(f"that breaks off, or has no number, in its {_word(element)}") from None


def _triangles(polygons: Any) -> NDArray[np.int64]:
    """(m, 3) of an array of polygons with equally many corners, or of a list of polygons."""
    if isinstance(polygons, np.ndarray):
        around = _whole(polygons)
        corners = range(1, max(1, around.shape[1] - 1))
        return np.concatenate(
            [around[:, [0, one, one + 1]] for one in corners] or [np.empty((0, 3), np.int64)]
        )
    cut = [(one[0], one[k], one[k + 1]) for one in polygons for k in range(1, len(one) - 1)]
    return _whole(np.array(cut).reshape(-1, 3))


def _whole(numbers: NDArray[Any]) -> NDArray[np.int64]:
    if numbers.dtype.kind == "f" and not ((np.abs(numbers) < 2**53) & (np.floor(numbers) == numbers)).all():
        raise _Broken("with a face on a vertex whose number is not whole")
    return numbers.astype(np.int64)


def _word(element: _Element) -> str:
    return element.name if element.name in ("vertex", "face") else "other entries"


def _short(element: _Element, size: int) -> _Broken:
    return _Broken(f"that claims {element.count} {_word(element)} and breaks off after {size} bytes")
