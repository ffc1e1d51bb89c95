"""Stored values of one frame of a file: the reader that is handed to the pure rooms.

Nothing is allocated because a header claims it: the bytes of the frame, or a codestream of that size, must be there.
Runs in child processes: codecs are native code that meets bytes of strangers.
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder

from bridge.dicom.codestream import claimed_size
from bridge.dicom.headers import number, text
from bridge.dicom.instance import Instance
from bridge.dicom.pixel_data import UNDEFINED, Bytes, data_set, pixel_value
from bridge.errors import Damaged, Refused

Array = NDArray[Any]
FRAME_LIMIT_BYTES = 1 << 28
"""No larger frame is decompressed: 11,585 x 11,585 of 16 bits. Uncompressed frames are bounded by their file."""

RLE_LIMIT = 128
"""A run of 128 takes two bytes per byte plane: no RLE frame of a 16-bit image grows by more (PS3.5 G.3)."""

CODECS = {
    uid.RLELossless: "pydicom",
    uid.JPEGBaseline8Bit: "pillow",
    uid.JPEGLossless: "gdcm",
    uid.JPEGLosslessSV1: "gdcm",
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEGLSNearLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg",
    uid.JPEG2000: "pylibjpeg",
    uid.HTJ2KLossless: "pylibjpeg",
    uid.HTJ2KLosslessRPCL: "pylibjpeg",
    uid.HTJ2K: "pylibjpeg",
}
"""One plugin of pydicom per transfer syntax, so that every machine decodes alike."""

NATIVE = frozenset(
    {
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a frame is stored, by the Image Pixel module (PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric: str

    @property
    def frame_bytes(self) -> int:
        return self.rows * self.columns * self.bits_allocated // 8

    @property
    def stored_range(self) -> tuple[int, int]:
        """Smallest and largest number in Bits Stored."""
        if self.signed:
            return -(1 << self.bits_stored - 1), (1 << self.bits_stored - 1) - 1
        return 0, (1 << self.bits_stored) - 1

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(f"{'i' if self.signed else 'u'}{self.bits_allocated // 8}")


class FileReader:
    """Reads frames from the files of their instances; has no state, so one serves all."""

    def __call__(self, instance: Instance, frame: int) -> Array:
        """Stored values of one frame.

        Args:
            frame: counted from 1 (PS3.3 C.7.6.6).
        Returns:
            (rows, columns), native byte order, 8, 16 or 32 bits, signed by Pixel Representation and extended from
            Bits Stored; bits above High Bit (overlays of old) are gone. May be read-only.
        Raises:
            Damaged: PIX-001, bytes are missing; PIX-002, no Pixel Data; PIX-005, the codec fails; PIX-008, no file.
            Refused: PIX-003, a layout that is no grey image; PIX-004, no codec; PIX-006, too large.

        PS3.5 8.1.1, 8.2, A.4.
        """
        layout = _layout(instance)
        if not 1 <= frame <= layout.frames:
            raise Damaged("PIX-001", f"no frame {frame}", f"1 to {layout.frames}")
        try:
            stream = instance.file.open("rb")
        except OSError:
            raise Damaged(
                "PIX-008", "an instance whose file cannot be opened", "the file it came in"
            ) from None
        with stream:
            if not os.fstat(stream.fileno()).st_size:  # and an empty file cannot be mapped
                raise Damaged("PIX-002", "an empty file", "Pixel Data")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _frame(data, instance.transfer_syntax_uid, layout, frame)


def _frame(file: Bytes, syntax: str, layout: Layout, frame: int) -> Array:
    if syntax not in NATIVE and syntax not in CODECS:
        raise _no_codec()
    data, at = data_set(file, syntax)
    big = syntax == uid.ExplicitVRBigEndian
    start, length = pixel_value(data, at, syntax)
    if length == UNDEFINED:
        stored = _compressed(data, start, syntax, layout, frame)
        return _significant(stored, layout, layout.bits_stored - 1)
    if syntax not in NATIVE:
        raise Damaged("PIX-005", "Pixel Data of defined length in a compressed transfer syntax", "fragments")
    first = start + (frame - 1) * layout.frame_bytes
    there = min(length, len(data) - start) - (first - start)
    if there < layout.frame_bytes:
        raise Damaged(
            "PIX-001",
            f"{max(there, 0)} bytes for frame {frame}",
            f"{layout.frame_bytes} ({layout.rows} x {layout.columns} of {layout.bits_allocated} bits)",
            "Ask the source to send the object again",
            numbers={"found_bytes": max(there, 0), "expected_bytes": layout.frame_bytes, "frame": frame},
        )
    stored = np.frombuffer(
        data[first : first + layout.frame_bytes], layout.dtype.newbyteorder(">" if big else "<")
    )
    stored = stored.astype(layout.dtype, copy=False).reshape(layout.rows, layout.columns)
    return _significant(stored, layout, layout.high_bit)


def _significant(stored: Array, layout: Layout, high_bit: int) -> Array:
    """The stored bits alone, sign-extended: shifted to the top, then down again in the type's own arithmetic."""
    if high_bit == layout.bits_stored - 1:
        # Nearly always there is nothing to do, and looking costs a tenth of doing.
        lowest, highest = layout.stored_range
        if lowest <= stored.min() and stored.max() <= highest:
            return stored
    raised = stored << (layout.bits_allocated - 1 - high_bit)
    raised >>= layout.bits_allocated - layout.bits_stored
    return raised


def _layout(instance: Instance) -> Layout:
    header = instance.header
    found = {
        keyword: int(number(header, keyword) or 0)
        for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation")
    }
    high_bit = number(header, "HighBit")
    stored = found["BitsStored"]
    frames = text(header, "NumberOfFrames") or "1"
    samples = int(number(header, "SamplesPerPixel") or 1)
    layout = Layout(
        rows=found["Rows"],
        columns=found["Columns"],
        frames=int(frames) if frames.isdecimal() else 0,
        bits_allocated=found["BitsAllocated"],
        bits_stored=stored,
        high_bit=stored - 1 if high_bit is None else int(high_bit),
        signed=found["PixelRepresentation"] == 1,
        photometric=text(header, "PhotometricInterpretation") or "",
    )
    whole = (
        layout.rows > 0
        and layout.columns > 0
        and layout.frames > 0
        and layout.bits_allocated in (8, 16, 32)
        and 0 < layout.bits_stored <= layout.high_bit + 1 <= layout.bits_allocated
        and samples == 1
    )
    if not whole:
        raise Refused(
            "PIX-003",
            f"{layout.rows} x {layout.columns} pixels of {samples} samples, {layout.frames} frames, "
            f"{layout.bits_stored} of {layout.bits_allocated} bits up to bit {layout.high_bit}",
            "a grey image of 8, 16 or 32 bits (PS3.3 C.7.6.3)",
        )
    return layout


def _compressed(data: Bytes, start: int, syntax: str, layout: Layout, frame: int) -> Array:
    plugin = CODECS.get(uid.UID(syntax))
    decoder = get_decoder(syntax) if plugin is not None else None
    if decoder is None or plugin not in decoder.available_plugins:
        raise _no_codec()
    if layout.frame_bytes > FRAME_LIMIT_BYTES:
        raise Refused("PIX-006", f"a frame of {layout.frame_bytes} bytes", f"at most {FRAME_LIMIT_BYTES}")
    encoded = _encoded_frame(data, start, layout, frame)
    _plausible(encoded, syntax, layout)
    try:
        values, _ = decoder.as_array(
            encapsulate([encoded]),
            index=0,
            raw=True,
            decoding_plugin=plugin,
            **_options(layout),
        )
    except Exception:  # noqa: BLE001 - every codec raises its own kinds
        raise Damaged(
            "PIX-005",
            f"frame {frame} of {len(encoded)} bytes that its codec cannot decode",
            f"{layout.rows} x {layout.columns} pixels",
            "Ask the source to send the object again, or uncompressed",
            numbers={"frame": frame, "encoded_bytes": len(encoded)},
        ) from None
    return np.asarray(values, layout.dtype).reshape(layout.rows, layout.columns)


def _no_codec() -> Refused:
    return Refused(
        "PIX-004",
        "a transfer syntax that is not decoded here",
        "uncompressed, RLE, JPEG, JPEG-LS or JPEG 2000",
        "Ask the source for another transfer syntax",
    )


def _options(layout: Layout) -> Any:
    return {
        "rows": layout.rows,
        "columns": layout.columns,
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "photometric_interpretation": layout.photometric,
        "pixel_representation": int(layout.signed),
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "pixel_keyword": "PixelData",
    }


def _encoded_frame(data: Bytes, start: int, layout: Layout, frame: int) -> bytes:
    try:
        if not _whole(data, start):
            raise ValueError
        stream: Any = data if isinstance(data, mmap.mmap) else BytesIO(data)
        stream.seek(start)
        return get_frame(stream, frame - 1, number_of_frames=layout.frames)
    except Exception:  # noqa: BLE001 - pydicom raises many kinds
        raise Damaged(
            "PIX-001",
            f"fragments that break off, or do not hold frame {frame}",
            f"{layout.frames} frames up to a delimiter (PS3.5 A.4)",
            "Ask the source to send the object again",
            numbers={"frame": frame, "frames": layout.frames},
        ) from None


def _whole(data: Bytes, at: int) -> bool:
    """Whether the fragments are all there: some codecs make an image of what is left of a frame."""
    while at + 8 <= len(data):
        group, element, length = struct.unpack_from("<HHI", data, at)
        if (group, element) != (0xFFFE, 0xE000):
            return (group, element) == (0xFFFE, 0xE0DD)
        at += 8 + length
    return False


def _plausible(encoded: bytes, syntax: str, layout: Layout) -> None:
    """Before a codec is let loose: does the frame claim the size of the header, and could it hold it?"""
    if syntax == uid.RLELossless:
        if layout.frame_bytes > RLE_LIMIT * len(encoded):
            raise Damaged(
                "PIX-001",
                f"an RLE frame of {len(encoded)} bytes",
                f"enough for {layout.frame_bytes}",
                numbers={"found_bytes": len(encoded), "expected_bytes": layout.frame_bytes},
            )
        return
    claimed = claimed_size(encoded)
    if claimed != (layout.rows, layout.columns):
        size = f"{claimed[0]} x {claimed[1]} pixels" if claimed else "no size"
        raise Damaged("PIX-005", f"a codestream of {size}", f"{layout.rows} x {layout.columns} pixels")
