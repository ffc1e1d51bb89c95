"""The header of a MetaImage file, without its voxels.

https://itk.org/Wiki/ITK/MetaIO/Documentation: lines of `key = value`, ended by ElementDataFile.
"""

from __future__ import annotations

from typing import BinaryIO

from bridge.errors import Damaged

LONGEST_HEADER = 16 * 1024
LAST_KEY = "ElementDataFile"


def read_header(stream: BinaryIO) -> dict[str, str]:
    """Raises Damaged: GC-251, the file does not begin with such a header."""
    return parse_header(stream.read(LONGEST_HEADER))


def parse_header(head: bytes) -> dict[str, str]:
    """Keys and values of the first bytes of a file. Raises Damaged: GC-251."""
    header: dict[str, str] = {}
    for line in head.split(b"\n"):
        key, equals, value = line.decode("ascii", "replace").partition("=")
        if not equals:
            break
        header[key.strip()] = value.strip()
        if key.strip() == LAST_KEY:
            return header
    raise Damaged("GC-251", "the file does not begin with the header of a MetaImage", "lines of key = value")
