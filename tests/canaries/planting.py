"""Puts marks into data sets: every attribute of the dictionary, private ones, sequences, and what lies around them."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

from pydicom import config
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from tests.canaries.marks import Marks

NUMBERS = frozenset({"US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT", "DS", "IS"})
"""They hold no text; some devices write it into them all the same, and so do marks."""
BINARY = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "UN"})
NO_ATTRIBUTES = frozenset({0x0000, 0x0002, 0x0004, 0xFFFE})
"""Groups that stand outside a data set, or build it."""
CODES = (0x00080100, 0x00080119, 0x00080120)
ITEM = ((0x00080020, "DA"), (0x0008103E, "LO"), (0x00081155, "UI"), (0x00100010, "PN"))
DEEP = (0x52009229, 0x00289110, 0x00209113)
"""Shared Functional Groups > Pixel Measures > Plane Position."""
DEEP_BESIDE = (0x00400275, 0x00400008, 0x0040E025)
"""For objects that need their functional groups: Request Attributes > ..., where nothing of it belongs."""
ICON, UNKNOWN, PADDING = 0x00880200, 0x00081199, 0xFFFCFFFC
PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
CHARACTER_SET = 0x00080005
WELL_KNOWN = "1.2.840.10008."


def everywhere(
    into: Dataset, marks: Marks, keep: frozenset[int] = frozenset(), *, numbers: bool = True
) -> None:
    """A mark in every attribute of the dictionary but those of `keep`, whose values the object needs to be one.

    Every sequence gets an item with a date, a text, a UID, a name and private elements; one path of three sequences
    holds the whole dictionary again. numbers: also in attributes that should hold numbers.
    """
    if not numbers:
        keep = keep | {tag for tag, (vrs, *_) in DicomDictionary.items() if vrs.split(" or ")[0] in NUMBERS}
    path = DEEP_BESIDE if set(DEEP) & keep else DEEP
    _dictionary(into, marks, keep | {ICON, UNKNOWN, PADDING, path[0]}, sequences=True)
    private(into, marks, "")
    groups(into, marks)
    _deep(into, marks, path, keep if not numbers else frozenset())
    _unknown_sequence(into, marks)


def _dictionary(
    into: Dataset, marks: Marks, keep: frozenset[int], *, sequences: bool, path: str = ""
) -> None:
    for number, (vrs, *_) in DicomDictionary.items():
        vr = vrs.split(" or ")[0]
        if number >> 16 in NO_ATTRIBUTES or number in keep or number == CHARACTER_SET or number in PIXELS:
            continue
        where = f"{path}{keyword_for_tag(number)}"
        if vr == "SQ":
            if sequences:
                into.add(DataElement(number, "SQ", Sequence([_item(marks, where)])))
        else:
            put(into, number, vr, marks, where)


def put(into: Dataset, number: int, vr: str, marks: Marks, where: str) -> None:
    """One mark, in the form that the VR asks for; numbers and bytes hold its text."""
    mark = marks.at(where, vr)
    if mark is None:
        return
    if vr in NUMBERS or vr in BINARY:
        words = mark.encode().ljust(16, b" ")
        tag = Tag(number)
        into._dict[tag] = RawDataElement(tag, vr, len(words), words, 0, False, True, True)
    else:
        into.add(element(number, vr, mark))


def element(number: int, vr: str, value: Any) -> DataElement:
    return DataElement(number, vr, value, validation_mode=config.IGNORE)


def _item(marks: Marks, path: str) -> Dataset:
    item = Dataset()
    for number, vr in ITEM:
        put(item, number, vr, marks, f"{path}.{keyword_for_tag(number)}")
    private(item, marks, f"{path}.")
    return item


def private(into: Dataset, marks: Marks, path: str) -> None:
    """A creator with elements, elements without one, a private sequence, and what no dictionary knows."""
    into.add(element(0x00090010, "LO", marks.text(f"{path}(0009,0010)")))
    for number, vr in (
        (0x00091001, "LO"),
        (0x00091002, "PN"),
        (0x00091003, "DA"),
        (0x00091004, "UI"),
        (0x00091005, "OB"),
        (0x00131001, "UN"),
        (0x0008FFF0, "LO"),
    ):
        put(into, number, vr, marks, f"{path}({number >> 16:04X},{number & 0xFFFF:04X})")
    inner = Dataset()
    put(inner, 0x00100010, "PN", marks, f"{path}(0009,1006).PatientName")
    into.add(DataElement(0x00091006, "SQ", Sequence([inner])))


def groups(into: Dataset, marks: Marks) -> None:
    """Overlays and curves from the first group to the last, an icon with pixels, and padding behind the end."""
    for group in (0x6000, 0x6002, 0x601E, 0x5000, 0x501E):
        for number, vr in ((0x0022, "LO"), (0x1500, "LO"), (0x3000, "OW"), (0x4000, "LT")):
            put(into, group << 16 | number, vr, marks, f"({group:04X},{number:04X})")
    icon = _item(marks, "IconImageSequence")
    icon.Rows = icon.Columns = 4
    icon.SamplesPerPixel, icon.PhotometricInterpretation = 1, "MONOCHROME2"
    icon.BitsAllocated = icon.BitsStored = 8
    icon.HighBit, icon.PixelRepresentation = 7, 0
    icon.PixelData = marks.text("IconImageSequence.PixelData").encode().ljust(16)
    icon["PixelData"].VR = "OB"
    into.IconImageSequence = Sequence([icon])
    put(into, PADDING, "OB", marks, "DataSetTrailingPadding")


def _deep(into: Dataset, marks: Marks, path: tuple[int, ...], keep: frozenset[int]) -> None:
    deep = Dataset()
    _dictionary(deep, marks, frozenset(CODES) | keep, sequences=False, path="3 deep: ")
    private(deep, marks, "3 deep: ")
    for number in reversed(path[1:]):
        above = Dataset()
        above.add(DataElement(number, "SQ", Sequence([deep])))
        deep = above
    into.add(DataElement(path[0], "SQ", Sequence([deep])))


def _unknown_sequence(into: Dataset, marks: Marks) -> None:
    """A sequence that an archive did not know, as PS3.5 6.2.2 has it: UN, with implicit VR inside."""
    value = marks.text("UN sequence").encode().ljust(12)
    item = b"\x10\x00\x10\x00" + len(value).to_bytes(4, "little") + value
    words = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
    tag = Tag(UNKNOWN)
    into._dict[tag] = RawDataElement(tag, "UN", len(words), words, 0, False, True, True)


def around(data_set: Dataset, marks: Marks) -> None:
    """Preamble, meta information, and bytes behind the last pixel."""
    meta = data_set.file_meta
    meta.SourceApplicationEntityTitle = marks.text("SourceApplicationEntityTitle")
    meta.SendingApplicationEntityTitle = marks.text("SendingApplicationEntityTitle")
    meta.ImplementationVersionName = marks.text("ImplementationVersionName")
    meta.PrivateInformationCreatorUID = marks.uid("PrivateInformationCreatorUID")
    meta.PrivateInformation = marks.text("PrivateInformation").encode().ljust(12)
    data_set.preamble = marks.text("preamble").encode().ljust(128, b"\0")
    if "PixelData" in data_set and not meta.TransferSyntaxUID.is_compressed:
        data_set.PixelData += marks.text("behind the pixels").encode().ljust(12)


def overwrite(
    data_set: Dataset,
    marks: Marks,
    keep: frozenset[int],
    told: dict[tuple[str, str], DataElement | RawDataElement],
    path: str = "",
) -> None:
    """A mark in the place of every text, date, time, name and UID that a real object has, private ones among them.

    told: what stood for which value so far; equal values get equal marks, so that a study stays one.
    """
    for tag in list(data_set.keys()):
        number = int(tag)
        is_creator = tag.is_private and tag.element < 0x0100
        if number in keep or number in PIXELS or number == CHARACTER_SET or is_creator or not tag.element:
            continue
        one = data_set[tag]
        where = f"{path}{one.keyword or f'({number >> 16:04X},{number & 0xFFFF:04X})'}"
        if one.VR == "SQ":
            for item in one.value:
                overwrite(item, marks, keep, told, f"{where}.")
        elif one.VR in NUMBERS or (one.VR in BINARY and not tag.is_private) or one.value in (None, "", b""):
            continue
        elif not (one.VR == "UI" and str(one.value).startswith(WELL_KNOWN)):
            said = (one.VR, str(one.value))
            if said not in told:
                place = Dataset()
                put(place, number, one.VR, marks, where)
                if tag not in place:
                    continue
                told[said] = place._dict[tag]
            data_set._dict[tag] = (
                told[said]._replace(tag=tag)
                if _is_raw(told[said])
                else element(number, one.VR, told[said].value)
            )


def _is_raw(one: DataElement | RawDataElement) -> bool:
    return isinstance(one, RawDataElement)


def in_comments(frames: Iterator[bytes], marks: Marks) -> list[bytes]:
    """JPEG frames with a comment and an application segment behind their first marker (T.81 B.2.4)."""

    def segment(marker: int, where: str) -> bytes:
        words = marks.text(where).encode()
        return bytes((0xFF, marker)) + (len(words) + 2).to_bytes(2, "big") + words

    return [
        frame[:2] + segment(0xFE, f"JPEG COM {n}") + segment(0xE5, f"JPEG APP5 {n}") + frame[2:]
        for n, frame in enumerate(frames)
    ]


def written(data_set: Dataset) -> bytes:
    """Part 10 as it stands: pydicom would refuse what is wrong on purpose, and write meta information of its own."""
    buffer = BytesIO()
    syntax = data_set.file_meta.TransferSyntaxUID
    data_set.save_as(
        buffer,
        enforce_file_format=False,
        little_endian=syntax.is_little_endian,
        implicit_vr=syntax.is_implicit_VR,
    )
    return buffer.getvalue()
