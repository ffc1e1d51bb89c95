"""Compressed frames without what is no picture: comments, application segments, bytes behind the end.

Devices write names of programs, machines and sometimes patients there, and every decoder passes over them. What is not
understood to its last byte is refused.
"""

from __future__ import annotations

import struct

from pydicom import uid

from bridge.dicom.codestream import JP2_SIGNATURE
from bridge.errors import Refused

JPEG = frozenset(
    {
        str(uid.JPEGBaseline8Bit),
        str(uid.JPEGExtended12Bit),
        str(uid.JPEGLossless),
        str(uid.JPEGLosslessSV1),
        str(uid.JPEGLSLossless),
        str(uid.JPEGLSNearLossless),
    }
)
JPEG_2000 = frozenset(
    {
        str(uid.JPEG2000Lossless),
        str(uid.JPEG2000),
        str(uid.HTJ2KLossless),
        str(uid.HTJ2KLosslessRPCL),
        str(uid.HTJ2K),
    }
)
RLE = str(uid.RLELossless)
CLEANABLE = JPEG | JPEG_2000 | {RLE}
"""Transfer syntaxes whose frames can be cleaned without decoding."""

_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_APPLICATION = range(0xE0, 0xF0)
_RESTARTS = range(0xD0, 0xD8)
_COLOURS = {0xEE: (b"Adobe", 12), 0xE8: (b"mrfx", 5)}
"""APP14 of JPEG and APP8 of JPEG-LS tell the colour transform: by marker the first bytes, and how many there are."""

_J2K_SOC, _J2K_SOT, _J2K_SOD, _J2K_EOC = 0xFF4F, 0xFF90, 0xFF93, 0xFFD9
_J2K_LEFT_OUT = frozenset({0xFF64, 0xFF55, 0xFF57, 0xFF58})
"""COM; and TLM, PLM, PLT, which repeat lengths that change with it (T.800 A.7)."""


def cleaned_frame(frame: bytes, syntax: str, rows: int, columns: int) -> bytes:
    """The same picture to the last bit, in an even number of bytes.

    Raises:
        Refused: DEI-006, a codestream that cannot be followed to its end.
    """
    try:
        if syntax in JPEG:
            clean = _jpeg(frame)
        elif syntax in JPEG_2000:
            clean = _jpeg_2000(frame)
        else:
            clean = _rle(frame, rows * columns)
    except (struct.error, IndexError, ValueError):
        raise Refused(
            "DEI-006",
            f"a compressed frame of {len(frame)} bytes that cannot be followed to its end",
            "a whole codestream of the declared transfer syntax",
            "Let the source send it uncompressed, or send voxels instead of DICOM",
        ) from None
    return clean + b"\0" * (len(clean) % 2)


def _jpeg(frame: bytes) -> bytes:
    """ITU-T T.81 B.1, T.87 C."""
    if frame[:2] != b"\xff\xd8":
        raise ValueError
    out = [frame[:2]]
    at = 2
    while True:
        if frame[at] != 0xFF:
            raise ValueError
        while frame[at + 1] == 0xFF:  # fill bytes
            at += 1
        marker = frame[at + 1]
        if marker == _EOI:
            out.append(b"\xff\xd9")
            return b"".join(out)
        length = int.from_bytes(frame[at + 2 : at + 4], "big")
        end = at + 2 + length
        if length < 2 or end > len(frame) or marker < 0xC0:
            raise ValueError
        if not _is_left_out(marker, frame[at + 4 : end]):
            out.append(frame[at:end])
        at = end
        if marker == _SOS:
            end = _scan_end(frame, at)
            out.append(frame[at:end])
            at = end


def _is_left_out(marker: int, content: bytes) -> bool:
    if marker in _COLOURS:
        name, length = _COLOURS[marker]
        return not (content.startswith(name) and len(content) == length)
    return marker == _COM or marker in _APPLICATION


def _scan_end(frame: bytes, at: int) -> int:
    """Where the marker behind entropy-coded data is: neither a stuffed byte nor a restart."""
    while True:
        at = frame.index(b"\xff", at)
        following = frame[at + 1]
        if following >= 0xC0 and following not in _RESTARTS and following != 0xFF:
            return at
        at += 1 if following == 0xFF else 2


def _jpeg_2000(frame: bytes) -> bytes:
    """ITU-T T.800 A and T.814; of a JP2 file the codestream alone, which is what PS3.5 A.4.4 wants."""
    if frame.startswith(JP2_SIGNATURE):
        frame = _jp2_codestream(frame)
    if frame[:2] != _J2K_SOC.to_bytes(2, "big"):
        raise ValueError
    out = [frame[:2]]
    at = _j2k_segments(frame, 2, out, _J2K_SOT)
    while True:
        marker = int.from_bytes(frame[at : at + 2], "big")
        if marker == _J2K_EOC:
            out.append(frame[at : at + 2])
            return b"".join(out)
        at = _tile_part(frame, at, out)


def _j2k_segments(frame: bytes, at: int, out: list[bytes], last: int) -> int:
    """Copy marker segments up to the marker `last`, without those that are left out; where it stands."""
    while (marker := int.from_bytes(frame[at : at + 2], "big")) != last:
        length = int.from_bytes(frame[at + 2 : at + 4], "big")
        end = at + 2 + length
        if marker < 0xFF01 or length < 2 or end > len(frame):
            raise ValueError
        if marker not in _J2K_LEFT_OUT:
            out.append(frame[at:end])
        at = end
    return at


def _tile_part(frame: bytes, at: int, out: list[bytes]) -> int:
    marker, size, tile, length, part, parts = struct.unpack_from(">HHHIBB", frame, at)
    if marker != _J2K_SOT or size != 10:
        raise ValueError
    # A length of 0: up to the end of the codestream.
    end = at + length if length else frame.rindex(_J2K_EOC.to_bytes(2, "big"))
    header: list[bytes] = []
    data = _j2k_segments(frame, at + 12, header, _J2K_SOD)
    if not at < data < end <= len(frame):
        raise ValueError
    body = b"".join(header) + frame[data:end]
    out.append(struct.pack(">HHHIBB", marker, size, tile, 12 + len(body), part, parts) + body)
    return end


def _jp2_codestream(frame: bytes) -> bytes:
    at = 0
    while True:
        length, kind = struct.unpack_from(">I4s", frame, at)
        head = 8
        if length == 1:
            length, head = struct.unpack_from(">Q", frame, at + 8)[0], 16
        end = at + length if length else len(frame)
        if length and length < head:
            raise ValueError
        if kind == b"jp2c":
            return frame[at + head : end]
        at = end


def _rle(frame: bytes, pixels: int) -> bytes:
    """PS3.5 G: each segment up to the byte with which it has told a byte of every pixel."""
    count, *offsets = struct.unpack_from("<16I", frame)
    if not 1 <= count <= 15:
        raise ValueError
    segments = [_rle_segment(frame, offset, pixels) for offset in offsets[:count]]
    places, at = [], 64
    for segment in segments:
        places.append(at)
        at += len(segment)
    return struct.pack("<16I", count, *places, *[0] * (15 - count)) + b"".join(segments)


def _rle_segment(frame: bytes, start: int, pixels: int) -> bytes:
    at, told = start, 0
    while told < pixels:
        control = frame[at]
        if control < 128:
            told += control + 1
            at += control + 2
        else:
            told += 257 - control if control > 128 else 0
            at += 1 if control == 128 else 2
    if told != pixels or start < 64 or at > len(frame):
        raise ValueError
    segment = frame[start:at]
    return segment + b"\0" * (len(segment) % 2)
