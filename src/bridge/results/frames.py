"""The frames of a Segmentation as a stream of bytes: their items from those of a sketch, their pixels from the mask.

The library builds a frame of a few pixels for each plane that is marked, and with it all that describes the object. The
frames of another segment on the same plane differ from it in two numbers of fixed length, and the pixels are packed
here, one frame at a time. A whole object by the library is the same to the byte; it takes several times as long, and
as much memory again for each copy of the pixels.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_SKETCH = (1, 8)
"""Rows and columns of a sketch: whole bytes of bits."""
_INDEX = struct.pack("<HH2sH", 0x0020, 0x9157, b"UL", 8)
"""Dimension Index Values of two dimensions: segment and position (PS3.3 C.7.6.17)."""
_NUMBER = struct.pack("<HH2sH", 0x0062, 0x000B, b"US", 2)
"""Referenced Segment Number (PS3.3 C.8.20.3)."""
_LONG = frozenset({"SQ", "OB", "OW", "UN", "UT", "UC", "UR"})


def sketch_of(numbers: NDArray[Any], *, empty_frames: bool) -> NDArray[np.uint8]:
    """(slices, 1, 8): the first segment on each plane that is to have frames, and nothing else."""
    sketch = np.zeros((len(numbers), *_SKETCH), np.uint8)
    for k, plane in enumerate(numbers):
        sketch[k, 0, 0] = empty_frames or plane.any()
    return sketch


def spread(
    data_set: Dataset,
    numbers: NDArray[Any],
    positions: Sequence[Sequence[float]],
    segments: int,
    *,
    labels: bool,
    empty_frames: bool,
) -> Iterator[bytes]:
    """Take the frames of a sketch out of `data_set`, set its numbers to those of the mask, and give what was taken.

    Args:
        data_set: the library's object of a sketch of `numbers`, frames in the order of positions.
        numbers: (slices, rows, columns) of segment numbers, in the order of the grid; at least one is not 0.
        positions: of each plane, x, y, z in mm.
        segments: how many there are, marked or not.
        labels: a label map: one frame for each plane.
        empty_frames: frames of each segment on each plane.
    Yields:
        The last attributes of the data set, encoded in Explicit VR Little Endian: Per-frame Functional Groups Sequence
        and Pixel Data.
    """
    _, rows, columns = numbers.shape
    items = [_item(item) for item in data_set.PerFrameFunctionalGroupsSequence]
    planes = [k for k, plane in enumerate(numbers) if empty_frames or plane.any()]
    if _runs_down(data_set, positions, planes):
        planes.reverse()
    if labels:
        frames = [(0, place) for place in range(len(planes))]
    else:
        there = [_present(numbers[k], segments) for k in planes]
        frames = [
            (number, place)
            for number in range(1, segments + 1)
            for place in range(len(planes))
            if empty_frames or there[place][number]
        ]
    del data_set.PerFrameFunctionalGroupsSequence, data_set.PixelData
    data_set.NumberOfFrames = len(frames)
    data_set.Rows, data_set.Columns = rows, columns
    bits = data_set.BitsAllocated
    return _encoded(items, frames, [numbers[k] for k in planes], bits, labels=labels)


def _encoded(
    items: list[bytes],
    frames: list[tuple[int, int]],
    planes: list[NDArray[Any]],
    bits: int,
    *,
    labels: bool,
) -> Iterator[bytes]:
    yield _long(0x5200, 0x9230, b"SQ", sum(len(items[place]) for _, place in frames))
    numbered = [] if labels else [_numbered(item) for item in items]
    for number, place in frames:
        yield items[place] if labels else numbered[place](number)
    pixels = (len(frames) * planes[0].size * bits + 7) // 8
    yield _long(0x7FE0, 0x0010, b"OB" if bits <= 8 else b"OW", pixels + pixels % 2)
    if labels:
        for _, place in frames:
            yield np.ascontiguousarray(planes[place], "<u2" if bits == 16 else np.uint8).tobytes()
    else:
        yield from _packed(planes[place] == number for number, place in frames)
    yield bytes(pixels % 2)


def _packed(frames: Iterator[NDArray[np.bool_]]) -> Iterator[bytes]:
    """Bits of frames in one stream, the lowest first: a frame begins within a byte where the last one ended."""
    left = np.empty(0, np.bool_)
    for frame in frames:
        stream = np.concatenate((left, frame.ravel())) if left.size else frame.ravel()
        whole = stream.size - stream.size % 8
        yield np.packbits(stream[:whole], bitorder="little").tobytes()
        left = stream[whole:]
    yield np.packbits(left, bitorder="little").tobytes()


def _present(plane: NDArray[Any], segments: int) -> NDArray[np.bool_]:
    return np.bincount(plane.ravel(), minlength=segments + 1) > 0


def _runs_down(data_set: Dataset, positions: Sequence[Sequence[float]], planes: Sequence[int]) -> bool:
    """Whether the frames run against the grid: the library sorts them along the normal of their plane."""
    first = data_set.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient
    here = np.array([float(one) for one in first])
    to_begin, to_end = (np.linalg.norm(here - positions[planes[end]]) for end in (0, -1))
    return bool(to_end < to_begin)


def _numbered(item: bytes) -> Any:
    """A function that gives the item of the first segment the number of another one."""
    at_index = _place(item, _INDEX)
    at_number = _place(item, _NUMBER) if _NUMBER in item else None

    def with_number(number: int) -> bytes:
        changed = bytearray(item)
        struct.pack_into("<I", changed, at_index, number)
        if at_number is not None:
            struct.pack_into("<H", changed, at_number, number)
        return bytes(changed)

    return with_number


def _place(item: bytes, head: bytes) -> int:
    assert item.count(head) == 1
    return item.index(head) + len(head)


def _item(data_set: Dataset) -> bytes:
    """An item with its tag and length (PS3.5 7.5)."""
    body = b"".join(_element(data_set[tag]) for tag in sorted(data_set.keys()))
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(body)) + body


def _element(element: Any) -> bytes:
    vr = str(element.VR)
    value = _value(element, vr)
    if vr in _LONG:
        return _long(element.tag.group, element.tag.element, vr.encode(), len(value)) + value
    head = struct.pack("<HH2sH", element.tag.group, element.tag.element, vr.encode(), len(value))
    return head + value


def _value(element: Any, vr: str) -> bytes:
    value = element.value
    if vr == "SQ":
        return b"".join(map(_item, value))
    several = value if element.VM > 1 else [value]
    if vr in ("UL", "US"):
        return b"".join(struct.pack("<I" if vr == "UL" else "<H", int(one)) for one in several)
    texts = (getattr(one, "original_string", None) or str(one) for one in several)
    text = "\\".join(texts).encode("ascii")
    return text + (b"\0" if vr == "UI" else b" ") * (len(text) % 2)


def _long(group: int, element: int, vr: bytes, length: int) -> bytes:
    return struct.pack("<HH2s2xI", group, element, vr, length)
