"""Encoded bytes of an instance and the header in front of its pixels.

The receiver keeps what it was sent; nothing here changes a byte. `header` of an instance is everything before Pixel
Data (PS3.3 C.7.6.3), read once at reception and kept past the retention of the pixels.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset, read_preamble
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from bridge.errors import Refused

PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float Pixel Data, Double Float Pixel Data, Pixel Data: where a header ends."""

IMPLEMENTATION_CLASS_UID = "2.25.244139806530862306921374218375428351347"
IMPLEMENTATION_VERSION_NAME = "BRIDGE_0_1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The encoded bytes before the pixels, and what identifies the instance."""

    encoded: bytes
    """In `syntax`; inflated where the sender deflated."""
    syntax: str
    """Explicit or Implicit VR Little Endian, or Explicit VR Big Endian."""
    data_set: Dataset

    def uid(self, keyword: str) -> str:
        """A UID of the data set, "" when absent. Trailing NULs and spaces are padding (PS3.5 9.1)."""
        return text(self.data_set, keyword) or ""


def part10_prefix(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble and File Meta Information for a data set that arrived by network (PS3.10 7.1)."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=True)
    return bytes(128) + b"DICM" + buffer.getvalue()


def read_header(encoded_data_set: bytes, transfer_syntax_uid: str) -> Header:
    """Split the header from the encoded bytes of a data set.

    Raises Refused (RCV-001) when the bytes cannot be framed as a data set of that transfer syntax.
    """
    try:
        if transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
            encoded_data_set = zlib.decompress(encoded_data_set, -zlib.MAX_WBITS)
        implicit = transfer_syntax_uid == ImplicitVRLittleEndian
        little = transfer_syntax_uid != ExplicitVRBigEndian
        buffer = BytesIO(encoded_data_set)
        data_set = _read(buffer, implicit=implicit, little=little)
        encoded = encoded_data_set[: buffer.tell()]
    except Refused:
        raise
    except Exception:  # noqa: BLE001 - pydicom raises many kinds, and their texts quote values
        raise Refused(
            "RCV-001",
            f"{len(encoded_data_set)} bytes that are no DICOM data set in the negotiated transfer syntax",
            "a data set (PS3.5 7)",
            "Send the object again, or ask the sender for another transfer syntax",
        ) from None
    syntax = "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2"
    return Header(encoded=encoded, syntax=syntax, data_set=data_set)


def parse_header(encoded: bytes, syntax: str) -> Dataset:
    """Read back what `read_header` kept. `syntax` is that of the `Header`, never a compressed one."""
    return _read(
        BytesIO(encoded), implicit=syntax == ImplicitVRLittleEndian, little=syntax != ExplicitVRBigEndian
    )


def read_body(path: Path) -> tuple[bytes, str]:
    """Encoded data set and transfer syntax of a Part 10 file.

    Raises Refused (RCV-002) for a file that is none.
    """
    try:
        with path.open("rb") as stream:
            return body_of(stream)
    except OSError:
        raise _no_part10() from None


def body_of(stream: BinaryIO) -> tuple[bytes, str]:
    """As `read_body`, of an open file that can be read from its beginning to its end."""
    try:
        read_preamble(stream, force=False)
        # Always Explicit VR Little Endian; the group length may be missing, so stop at the next group.
        meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
        return stream.read(), str(meta["TransferSyntaxUID"].value)
    except Exception:  # noqa: BLE001 - as above
        raise _no_part10() from None


def _no_part10() -> Refused:
    return Refused("RCV-002", "a file without DICOM File Meta Information", "a Part 10 file (PS3.10 7.1)")


def read_file(path: Path) -> tuple[Header, str]:
    """Header and transfer syntax of a Part 10 file.

    Raises Refused (RCV-002) for a file that is none, RCV-001 for one whose data set cannot be framed.
    """
    encoded, syntax = read_body(path)
    return read_header(encoded, syntax), syntax


def _read(buffer: BytesIO, *, implicit: bool, little: bool) -> Dataset:
    def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        return int(tag) in PIXELS

    data_set = read_dataset(buffer, implicit, little, stop_when=at_pixels)
    if not len(data_set):
        raise Refused("RCV-001", "an empty data set", "at least the UIDs of an instance")
    return data_set


def text(data_set: Dataset, keyword: str) -> str | None:
    """First value of an attribute as text without padding; None when absent, empty or unreadable."""
    values = texts(data_set, keyword)
    return values[0] if values else None


def texts(data_set: Dataset, keyword: str) -> tuple[str, ...]:
    """All values of an attribute as text without padding; () when absent, empty or unreadable."""
    value = _value(data_set, keyword)
    if value is None or value == "":
        return ()
    many = value if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue" else [value]
    return tuple(str(one).rstrip("\x00 ") for one in many)


def numbers(data_set: Dataset, keyword: str) -> tuple[float, ...] | None:
    """All values of a numeric attribute; None when absent, empty, or when any of them is no number."""
    found = texts(data_set, keyword)
    try:
        return tuple(float(one) for one in found) or None
    except ValueError:
        return None


def number(data_set: Dataset, keyword: str) -> float | None:
    """First value of a numeric attribute, or None."""
    found = numbers(data_set, keyword)
    return found[0] if found else None


def _value(data_set: Dataset, keyword: str) -> Any:
    # By tag: asking by keyword goes through the attributes of the object, and costs half as much again.
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in data_set:
        return None
    try:
        return data_set[tag].value
    except Exception:  # noqa: BLE001 - a value that its VR forbids is as good as absent here
        return None


def is_part10(path: Path) -> bool:
    """Whether a file begins with a preamble and the letters DICM."""
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"
