"""Text as the sender encoded it (PS3.5 6.1), so that a name passes through the bridge without being read.

Decoding and encoding again damages what is declared wrongly, and some declarations that are right. Whoever copies a
value therefore copies bytes; decoding is only for judging a length or comparing a word.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.valuerep import TEXT_VR_DELIMS

CHARSET_TAG = 0x00080005
_REPLACED = "\ufffd"


def item_of(data_set: Dataset, tag: int) -> DataElement | RawDataElement | None:
    """An element as it was read, not decoded; None when absent."""
    return data_set.get_item(tag) if tag in data_set else None


def encodings_of(data_set: Dataset, inherited: Sequence[str] = ("iso8859",)) -> list[str]:
    """Python codecs for the declared Specific Character Set; those of the enclosing data set when it has none."""
    declared = data_set.get(CHARSET_TAG)
    if declared is None or declared.value in (None, "", []):
        return list(inherited)
    return list(convert_encodings(declared.value))


def encoded_value(
    element: DataElement | RawDataElement, encodings: Sequence[str], vr: str = ""
) -> bytes | None:
    """The bytes of a text element without padding, untouched if nobody has read the element before.

    `vr`: what the dictionary says, for elements that came as UN. None when an earlier reader replaced characters
    that did not fit the declared character set: the original is lost.
    """
    if isinstance(element, RawDataElement):
        return (element.value or b"").rstrip(b"\x00 ")
    if element.is_empty:
        return b""
    if _REPLACED in str(element.value) and element.VR != "PN":
        return None
    if isinstance(element.value, bytes):
        return element.value.rstrip(b"\x00 ")
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = True
    buffer.is_little_endian = True
    # A person name keeps the bytes it was read from, and the writer prefers them.
    write_data_element(buffer, element, list(encodings))
    return buffer.getvalue()[8:].rstrip(b"\x00 ")


def decoded(value: bytes, encodings: Sequence[str]) -> str | None:
    """Text for judging, never for writing; None when the bytes do not fit the declared character set."""
    text = decode_bytes(value, list(encodings), set(TEXT_VR_DELIMS))
    return None if _REPLACED in text else text


def plain(text: str, limit: int = 64) -> str:
    """Our own words in the repertoire that every character set contains: accents dropped, the rest as "?".

    At most `limit` characters. A backslash would split the value and becomes a slash.
    """
    parts = unicodedata.normalize("NFKD", text)
    ascii_only = "".join(c for c in parts if not unicodedata.combining(c)).encode("ascii", "replace").decode()
    printable = "".join(c if c.isprintable() else " " for c in ascii_only)
    return " ".join(printable.replace("\\", "/").split())[:limit].strip()
