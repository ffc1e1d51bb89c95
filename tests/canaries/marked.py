"""Objects with a mark in every attribute of the dictionary, and the search for marks in bytes that leave."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from io import BytesIO
from typing import Any

from pydicom import config
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian
from tests.made_objects import ct_slice

from bridge.export.verdicts import NUMBERS

TEXT, UID, DATE, FRACTION = "CNRY", "1.2.3.99", "18740203", "926535"
MARKS = (TEXT, UID, DATE, FRACTION)

_STRUCTURE = frozenset(
    {0x00080005, 0x00080016, 0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011}
    | {0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x7FE00008, 0x7FE00009, 0x7FE00010}
)
"""What an object must be to be read as one: character set, class, the shape of its pixels."""

_BINARY = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "UN"})
_LONG_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "AE", "CS"})


def mark_of(tag: int, vr: str) -> Any:
    """A value of that VR that only this attribute has, or as good; None for numbers in text, which stay numbers."""
    match vr:
        case "UI":
            return f"{UID}.{tag}"
        case "DA":
            return DATE
        case "TM":
            return f"031415.{FRACTION}"
        case "DT":
            return f"{DATE}031415.{FRACTION}"
        case "AS":
            return "077Y"
        case _ if vr in _LONG_TEXT:
            return f"{TEXT}{tag:08X}"
        case _ if vr in _BINARY:
            return f"{TEXT}{tag:08X}".encode() * 2
    return None


def element(tag: int, vr: str, value: Any) -> DataElement:
    return DataElement(tag, vr, value, validation_mode=config.IGNORE)


def marked(into: Dataset, *, sequences: bool) -> int:
    """Put a mark into every attribute of the dictionary that is not there yet; returns how many.

    sequences: every sequence of the dictionary gets an item with a name, a UID, a date and a private element.
    """
    planted = 0
    for tag, (vrs, *_) in DicomDictionary.items():
        vr = vrs.split(" or ")[0]
        if tag >> 16 in (0x0000, 0x0002, 0x0004, 0xFFFE) or tag in _STRUCTURE:
            continue
        if vr in NUMBERS:
            words = f"{TEXT}{tag:08X}".encode() * 8
            into._dict[Tag(tag)] = RawDataElement(Tag(tag), vr, len(words), words, 0, False, True, True)
            planted += 1
            continue
        if vr == "SQ" and sequences and tag not in into:
            item = Dataset()
            for inner, inner_vr in (
                (0x00100010, "PN"),
                (0x0008103E, "LO"),
                (0x00081155, "UI"),
                (0x00080020, "DA"),
            ):
                item.add(element(inner, inner_vr, mark_of(inner, inner_vr)))
            private(item)
            into.add(DataElement(tag, "SQ", Sequence([item])))
            planted += 5
        elif (mark := mark_of(tag, vr)) is not None:
            into.add(element(tag, vr, mark))
            planted += 1
    return planted


def private(into: Dataset) -> None:
    """A private creator and elements, one without a creator, and attributes that no dictionary knows."""
    into.add(element(0x00090010, "LO", f"{TEXT} MAKER"))
    into.add(element(0x00091001, "LO", f"{TEXT}09"))
    into.add(element(0x00131001, "UN", TEXT.encode() * 2))
    into.add(element(0x0008FFF0, "LO", f"{TEXT}FF"))
    for overlay in (0x6000, 0x601E):
        into.add(element(overlay << 16 | 0x1500, "LO", f"{TEXT}60"))
        into.add(element(overlay << 16 | 0x3000, "OW", TEXT.encode() * 2))
    into.add(element(0x50003000, "OW", TEXT.encode() * 2))
    into.add(element(0xFFFCFFFC, "OB", TEXT.encode() * 2))


def marked_ct() -> tuple[bytes, int]:
    """A CT slice with marks at the top, three sequences deep, in private ones and around it; and how many."""
    data_set = ct_slice(name=f"{TEXT}^NAME")
    shape = {tag: deepcopy(data_set[tag]) for tag in _STRUCTURE if tag in data_set}
    meta = data_set.file_meta
    planted = marked(data_set, sequences=True)
    for one in shape.values():
        data_set.add(one)
    private(data_set)
    deep = Dataset()
    planted += marked(deep, sequences=False)
    for code in (0x00080100, 0x00080119, 0x00080120):
        # An item whose code no dictionary knows goes as a whole, and nothing in it would be looked at.
        del deep[code]
    private(deep)
    for tag in (0x00209113, 0x00289110, 0x52009229):
        above = Dataset()
        above.add(DataElement(tag, "SQ", Sequence([deep])))
        deep = above
    data_set.add(deep[0x52009229])
    # A sequence that an archive did not know, as PS3.5 6.2.2 has it.
    item = b"\x10\x00\x10\x00\x0a\x00\x00\x00" + f"{TEXT}^UNSQ ".encode()
    unknown = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
    tag = Tag(0x00081199)
    data_set._dict[tag] = RawDataElement(tag, "UN", len(unknown), unknown, 0, False, True, True)
    data_set.PixelData += TEXT.encode() * 4
    meta.SourceApplicationEntityTitle = f"{TEXT}AE"
    meta.PrivateInformationCreatorUID = f"{UID}.1"
    meta.PrivateInformation = TEXT.encode() * 2
    meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    data_set.preamble = TEXT.encode() * 32
    return written(data_set), planted


def written(data_set: Dataset) -> bytes:
    buffer = BytesIO()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    # Not enforced: pydicom would refuse what is wrong on purpose, and write meta information of its own.
    data_set.preamble = getattr(data_set, "preamble", None) or bytes(128)
    data_set.save_as(buffer, enforce_file_format=False, little_endian=True, implicit_vr=False)
    return buffer.getvalue()


def found(encoded: bytes, marks: Iterable[str] = MARKS) -> dict[str, int]:
    """How often each mark occurs, as it was written or as UTF-16."""
    return {
        mark: count
        for mark in marks
        if (count := sum(encoded.count(mark.encode(code)) for code in ("ascii", "utf-16-le", "utf-16-be")))
    }
