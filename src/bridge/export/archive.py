"""A zip archive that tells nothing beside its contents: numbered names, one fixed time, no comments, no attributes.

Written forward, entry by entry, into a sink that cannot seek: sizes and checksums stand in front of the data, so that
readers that begin at the start read it too. .ZIP File Format Specification (APPNOTE) 6.3, with ZIP64 where it must be.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

from isal import isal_zlib

from bridge.export.written import LEVEL, Sink, Tally, Written

STORED, DEFLATED = 0, 8
MIDNIGHT_1980 = (0, 0x0021)
"""Time and date of every entry, as MS-DOS writes them: the first that can be written."""
VERSION, VERSION_64 = 20, 45
_MOST = 0xFFFFFFFF
_MOST_ENTRIES = 0xFFFF
_RAW = -15
"""A stream without container, as zlib's `wbits`."""


def write_zip(entries: Iterable[tuple[str, bytes]], sink: Sink) -> Written:
    """Write named contents as an archive; one entry is in memory at a time.

    entries: name in ASCII, and less than 4 GiB of content.
    """
    out = Tally(sink)
    at, count, directory = 0, 0, bytearray()
    for name, content in entries:
        head, packed = _entry(name, content)
        directory += _listed(head, name, at)
        local = struct.pack("<I", 0x04034B50) + head + name.encode("ascii")
        out.write(local)
        out.write(packed)
        at, count = at + len(local) + len(packed), count + 1
    out.write(bytes(directory))
    out.write(_end(count, len(directory), at))
    return out.written()


def _entry(name: str, content: bytes) -> tuple[bytes, bytes]:
    """The header of an entry from its version on, without its name, and its bytes; deflated where that is smaller."""
    stream = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, _RAW)
    packed = stream.compress(content) + stream.flush()
    method = DEFLATED
    if len(packed) >= len(content):
        method, packed = STORED, content
    head = struct.pack(
        "<HHHHHIIIHH",
        VERSION,
        0,
        method,
        *MIDNIGHT_1980,
        zlib.crc32(content),
        len(packed),
        len(content),
        len(name),
        0,
    )
    return head, packed


def _listed(head: bytes, name: str, at: int) -> bytes:
    """The same in the directory at the end."""
    extra = struct.pack("<HHQ", 1, 8, at) if at >= _MOST else b""
    return (
        struct.pack("<IH", 0x02014B50, VERSION_64 if extra else VERSION)
        + head[:-2]
        + struct.pack("<HHHHII", len(extra), 0, 0, 0, 0, min(at, _MOST))
        + name.encode("ascii")
        + extra
    )


def _end(count: int, size: int, at: int) -> bytes:
    end = struct.pack(
        "<IHHHHIIH",
        0x06054B50,
        0,
        0,
        min(count, _MOST_ENTRIES),
        min(count, _MOST_ENTRIES),
        min(size, _MOST),
        min(at, _MOST),
        0,
    )
    if count < _MOST_ENTRIES and size < _MOST and at < _MOST:
        return end
    whole = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, VERSION_64, VERSION_64, 0, 0, count, count, size, at)
    return whole + struct.pack("<IIQI", 0x07064B50, 0, at + size, 1) + end
