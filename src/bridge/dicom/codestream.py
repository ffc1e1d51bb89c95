"""The size that a compressed frame claims to have, read before a codec allocates it."""

from __future__ import annotations

import struct

FRAME_MARKERS = frozenset(
    {*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7}
)
"""SOFn of ITU-T T.81 table B.1, and SOF55 of JPEG-LS (T.87 table C.1)."""

JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "


def claimed_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) by a JPEG, JPEG-LS or JPEG 2000 codestream; None when no size can be found in it."""
    try:
        if frame[:2] == b"\xff\x4f" or frame.startswith(JP2_SIGNATURE):
            return _jpeg_2000(frame)
        if frame[:2] == b"\xff\xd8":
            return _jpeg(frame)
    except struct.error:
        return None
    return None


def _jpeg_2000(frame: bytes) -> tuple[int, int] | None:
    # SIZ follows SOC at once (T.800 A.5.1), inside a JP2 file as well.
    start = frame.find(b"\xff\x4f\xff\x51")
    if start < 0:
        return None
    width, height, left, top = struct.unpack_from(">4I", frame, start + 8)
    return height - top, width - left


def _jpeg(frame: bytes) -> tuple[int, int] | None:
    at = 2
    while True:
        mark, marker, length = struct.unpack_from(">BBH", frame, at)
        if mark != 0xFF:
            return None
        if marker == 0xFF:  # a fill byte may stand before any marker
            at += 1
            continue
        if marker in FRAME_MARKERS:
            rows, columns = struct.unpack_from(">HH", frame, at + 5)
            return rows, columns
        at += 2 + length
