"""Whether binary numbers are numbers: a field for one value that holds hundreds of bytes of text is none."""

from __future__ import annotations

import struct
from functools import cache
from typing import Any

from pydicom._dicom_dict import DicomDictionary

_CODES = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d", "AT": "I"}
_SHORTEST_TEXT = 8
_PRINTABLE = frozenset((*range(0x20, 0x7F), 0x09, 0x0A, 0x0D))


def are_numbers(tag: int, vr: str, value: Any) -> bool:
    """Whether there are no more values than the dictionary allows, and they do not read as a text together.

    Seen: a Pixel Padding Value of 1436 bytes in which a scanner had written a report of its dose.
    """
    many = list(value) if isinstance(value, list) or type(value).__name__ == "MultiValue" else [value]
    most = _most(tag)
    if most is not None and len(many) > most:
        return False
    try:
        return not is_text(struct.pack(f"<{len(many)}{_CODES[vr]}", *_words(vr, many)))
    except (struct.error, TypeError):
        return False


def is_text(encoded: bytes) -> bool:
    """Whether bytes are printable ASCII from the first to the last but padding, and long enough to say something."""
    told = encoded.rstrip(b"\0")
    return len(told) >= _SHORTEST_TEXT and _PRINTABLE.issuperset(told)


def _words(vr: str, many: list[Any]) -> list[Any]:
    if vr != "AT":
        return many
    # Group first, each of them little endian (PS3.5 6.2).
    return [(int(one) & 0xFFFF) << 16 | int(one) >> 16 for one in many]


@cache
def _most(tag: int) -> int | None:
    """How many values an attribute may have (PS3.6); None where there is no limit."""
    last = DicomDictionary[tag][1].rpartition("-")[2]
    return int(last) if last.isdigit() else None
