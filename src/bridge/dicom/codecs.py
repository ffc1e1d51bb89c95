"""One frame of a compressed file: permissive decoders behind checks that look before they run.

Codecs are native code that meets bytes of strangers: a frame must be whole and claim the size of the header before one
is let loose, so that nothing is allocated because a header or a codestream says so.
"""

from __future__ import annotations

import mmap
import struct
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder

from bridge.dicom.codestream import claimed_size
from bridge.dicom.layout import Layout
from bridge.dicom.pixel_data import Bytes
from bridge.errors import Damaged, Refused

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


def decoded(data: Bytes, start: int, syntax: str, layout: Layout, frame: int) -> NDArray[Any]:
    """Stored values of one frame.

    Args:
        start: where the fragments begin in `data`: the Basic Offset Table (PS3.5 A.4).
    Returns:
        (rows, columns) in the layout's type; the stored bits as the codec leaves them.
    Raises:
        Damaged: PIX-001, fragments are missing; PIX-005, the codec fails, or its frame is of another size.
        Refused: PIX-004, no codec; PIX-006, too large.
    """
    plugin = CODECS.get(uid.UID(syntax))
    decoder = get_decoder(syntax) if plugin is not None else None
    if decoder is None or plugin not in decoder.available_plugins:
        raise no_codec()
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


def no_codec() -> Refused:
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
