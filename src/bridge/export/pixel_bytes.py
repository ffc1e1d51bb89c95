"""Pixel Data with nothing but pixels in it: no trailing bytes, no overlay in unused bits, no comments of a codec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from bridge.errors import Refused
from bridge.export.codestreams import CLEANABLE, cleaned_frame

Array = NDArray[Any]

NATIVE = frozenset(
    str(one)
    for one in (
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
    )
)
"""Transfer syntaxes with pixels as they are."""

_WORD_BYTES = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_FLOATS = {"FloatPixelData": 4, "DoubleFloatPixelData": 8}
_LARGEST_OFFSETS = 0xFFFFFFFE


_AGAIN = "Ask the source to send the object again"
_PLAIN = "Let the source send it uncompressed, send voxels instead of DICOM, or take `mask` out of the rule's privacy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A rectangle of every frame in pixels, counted from 0; the ends are outside it."""

    row: int
    column: int
    end_row: int
    end_column: int

    def check(self, rows: int, columns: int) -> None:
        """Raises Refused: DEI-008, it does not lie in an image of that size."""
        if not (0 <= self.row < self.end_row <= rows and 0 <= self.column < self.end_column <= columns):
            raise Refused(
                "DEI-008",
                f"a region to mask that ends at row {self.end_row}, column {self.end_column}",
                f"within the {rows} rows and {columns} columns of the image",
                "Mend `mask` of the rule's privacy",
            )


def tidy_pixels(out: Dataset, source_syntax: str, regions: tuple[Region, ...] = ()) -> None:
    """Rewrite the pixels of a cleaned data set in place, little endian; `regions` become the smallest value.

    Raises:
        Refused: DEI-005, a transfer syntax whose pixels cannot be cleaned; DEI-006, a broken codestream; DEI-007,
            fewer bytes than the image has; DEI-008, regions in compressed pixels, or beyond the image.
    """
    for keyword, size in _FLOATS.items():
        if keyword in out:
            out[keyword].value = _exactly(
                _swapped(out[keyword].value, size, source_syntax), _values(out) * size
            )
    if source_syntax not in NATIVE | CLEANABLE:
        raise Refused(
            "DEI-005",
            "a transfer syntax whose pixels cannot be cleaned of comments",
            "uncompressed, RLE, JPEG, JPEG-LS or JPEG 2000",
            "Let the source send it uncompressed, or send voxels instead of DICOM",
        )
    if "PixelData" not in out:
        return
    if source_syntax not in NATIVE:
        if regions:
            raise Refused("DEI-008", "regions to mask in compressed pixels", "uncompressed pixels", _PLAIN)
        _encapsulated(out, source_syntax)
    else:
        _native(out, source_syntax, regions)


def words_to_little_endian(out: Dataset, source_syntax: str) -> None:
    """Binary words of a big-endian source, other than pixels, at any depth (PS3.5 7.3)."""
    if source_syntax != ExplicitVRBigEndian:
        return
    for element in out:
        if element.VR == "SQ":
            for item in element.value:
                words_to_little_endian(item, source_syntax)
        elif element.VR in _WORD_BYTES and element.tag.group != 0x7FE0 and element.value:
            element.value = _swapped(element.value, _WORD_BYTES[element.VR], source_syntax)


def _encapsulated(out: Dataset, syntax: str) -> None:
    count = int(out.get("NumberOfFrames") or 1)
    rows, columns = int(out.Rows), int(out.Columns)
    try:
        frames = list(generate_frames(out.PixelData, number_of_frames=count))
    except Exception:  # noqa: BLE001 - pydicom raises many kinds
        raise _broken() from None
    if len(frames) != count:
        raise _broken()
    cleaned = [cleaned_frame(frame, syntax, rows, columns) for frame in frames]
    has_offsets = sum(len(frame) + 8 for frame in cleaned) < _LARGEST_OFFSETS
    out["PixelData"].value = encapsulate(cleaned, has_bot=has_offsets)
    out["PixelData"].VR = "OB"
    out["PixelData"].is_undefined_length = True


def _broken() -> Refused:
    return Refused("DEI-006", "encapsulated pixels that cannot be split into frames", "PS3.5 A.4", _AGAIN)


def _native(out: Dataset, syntax: str, regions: tuple[Region, ...]) -> None:
    allocated = int(out.BitsAllocated)
    bits = _values(out) * allocated
    if out.get("PhotometricInterpretation") in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        bits = bits * 2 // 3
    size = 2 if out["PixelData"].VR == "OW" else 1
    value = _swapped(out.PixelData, max(size, allocated // 8), syntax)
    value = _exactly(value, (bits + 7) // 8)
    if allocated in (8, 16, 32):
        value = _significant(value, out, allocated)
    if regions:
        value = _masked(value, out, regions)
    out["PixelData"].value = value + b"\0" * (len(value) % 2)
    out["PixelData"].VR = "OW" if allocated > 8 else "OB"


def _values(out: Dataset) -> int:
    """How many values all frames have together."""
    try:
        frames = int(out.get("NumberOfFrames") or 1)
        return int(out.Rows) * int(out.Columns) * int(out.get("SamplesPerPixel") or 1) * frames
    except (AttributeError, TypeError, ValueError):
        raise Refused(
            "DEI-007", "pixels without rows and columns", "an image (PS3.3 C.7.6.3)", _AGAIN
        ) from None


def _exactly(value: bytes, size: int) -> bytes:
    if len(value) < size:
        raise Refused("DEI-007", f"{len(value)} bytes of pixels", f"{size}", _AGAIN)
    return value[:size]


def _swapped(value: bytes, size: int, syntax: str) -> bytes:
    if syntax != ExplicitVRBigEndian or size == 1:
        return value
    whole = len(value) // size * size
    return np.frombuffer(value[:whole], f">u{size}").astype(f"<u{size}").tobytes()


def _significant(value: bytes, out: Dataset, allocated: int) -> bytes:
    """Bits that are no part of a value were a place for overlays once (PS3.5 8.1.1): zero, or its sign."""
    stored, high = int(out.BitsStored), int(out.HighBit)
    if stored >= allocated or not 0 < stored <= high + 1 <= allocated:
        return value
    numbers = np.frombuffer(value, f"<u{allocated // 8}")
    shift = high + 1 - stored
    mask = ((1 << stored) - 1) << shift
    clean = numbers & numbers.dtype.type(mask)
    if int(out.get("PixelRepresentation") or 0) and not shift:
        beyond = numbers.dtype.type(((1 << allocated) - 1) ^ mask)
        clean = np.where(clean & numbers.dtype.type(1 << high), clean | beyond, clean)
    return bytes(clean.astype(numbers.dtype).tobytes())


def _masked(value: bytes, out: Dataset, regions: tuple[Region, ...]) -> bytes:
    samples, allocated = int(out.get("SamplesPerPixel") or 1), int(out.BitsAllocated)
    rows, columns = int(out.Rows), int(out.Columns)
    if samples != 1 or allocated not in (8, 16, 32):
        raise Refused(
            "DEI-008",
            "regions to mask in pixels of several samples",
            "one sample of 8, 16 or 32 bits",
            "Let the rule choose other images, or take `mask` out of its privacy",
        )
    signed = bool(int(out.get("PixelRepresentation") or 0))
    frames: Array = np.frombuffer(value, f"<{'i' if signed else 'u'}{allocated // 8}").reshape(
        -1, rows, columns
    )
    frames = frames.copy()
    lowest = frames.min()
    for one in regions:
        one.check(rows, columns)
        frames[:, one.row : one.end_row, one.column : one.end_column] = lowest
    return frames.tobytes()
