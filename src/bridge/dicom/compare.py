"""Two versions of one SOP Instance: what has changed between them.

Pure but for the two files, which are mapped, never read whole. Compressed pixels are decoded frame by frame, so the
last question belongs into a child process.
"""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import ExitStack
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.uid import ExplicitVRBigEndian

from bridge.dicom.headers import PIXELS, number, text
from bridge.dicom.instance import Instance
from bridge.dicom.modules import PATIENT_AND_STUDY
from bridge.dicom.names import are_alike
from bridge.dicom.pixel_data import UNDEFINED, Bytes, data_set, pixel_value
from bridge.dicom.pixels import NATIVE, FileReader
from bridge.dicom.values import is_valid, mended
from bridge.errors import BridgeError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


class Change(StrEnum):
    """How a version differs from the one it replaces."""

    OTHER_IDENTITY = "other-identity"
    """It bears another patient: Patient ID, its issuer, birth date or name contradict."""
    HEADER_COERCED = "header-coerced"
    """The same bytes of pixels under another header; of an object without pixels, nothing but patient and study."""
    RE_ENCODED = "re-encoded"
    """Other bytes that decode to equal pixels."""
    OTHER_PIXELS = "other-pixels"
    OTHER_CONTENT = "other-content"
    """Of an object without pixels: more than patient and study."""
    NOT_COMPARABLE = "not-comparable"
    """The pixels of one of them are gone, or no codec here decodes them."""


WITHOUT_MEANING = frozenset(
    tag
    for keyword in (
        *PATIENT_AND_STUDY,
        *("SpecificCharacterSet", "TimezoneOffsetFromUTC", "InstanceCreationDate", "InstanceCreationTime"),
        *(
            "InstanceCreatorUID",
            "InstanceAvailability",
            "RetrieveAETitle",
            "RetrieveURL",
            "QueryRetrieveLevel",
        ),
        *("ContributingEquipmentSequence", "DigitalSignaturesSequence", "MACParametersSequence"),
        *("OriginalAttributesSequence", "InstanceOriginStatus", "SOPInstanceStatus"),
        *("StationName", "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName"),
        "DataSetTrailingPadding",
    )
    if (tag := tag_for_keyword(keyword)) is not None
)
"""Of an object without pixels: attributes that an archive may write anew and that change nothing it says.
PS3.3 C.7.1, C.7.2, C.12.1."""

_CHUNK = 1 << 20


def change_of_header(older: Dataset, newer: Dataset) -> Change | None:
    """What the headers alone tell; None when the pixels must be compared."""
    if not same_patient(older, newer):
        return Change.OTHER_IDENTITY
    if "Rows" in older or "Rows" in newer:
        return None
    return _change_of_content(older, newer)


def same_patient(older: Dataset, newer: Dataset) -> bool:
    """False when the two contradict each other; what is absent contradicts nothing."""
    for keyword in ("PatientID", "IssuerOfPatientID", "PatientBirthDate"):
        before, after = _stated(older, keyword), _stated(newer, keyword)
        if before and after and before != after:
            return False
    before, after = _stated(older, "PatientName"), _stated(newer, "PatientName")
    return not (before and after) or are_alike(before, after)


def _stated(header: Dataset, keyword: str) -> str:
    value = (text(header, keyword) or "").strip()
    if keyword == "PatientBirthDate":
        value = mended(keyword, "DA", value) or value
        return value if is_valid(keyword, "DA", "1", value) else ""
    if keyword == "PatientName":
        return value if any(character.isalnum() for character in value) else ""
    return value


def change_of_pixels(older: Instance, newer: Instance) -> Change:
    """Compare the pixels of two versions of one patient's object; decodes them where the bytes differ."""
    with ExitStack() as stack:
        try:
            found = [_pixel_bytes(one, stack) for one in (older, newer)]
        except (OSError, ValueError, BridgeError):
            return Change.NOT_COMPARABLE
        before, after = found
        if before is None and after is None:
            return _change_of_content(older.header, newer.header)
        if before is None or after is None:
            return Change.OTHER_PIXELS
        if _equal(before, after):
            same = older.transfer_syntax_uid == newer.transfer_syntax_uid
            return Change.HEADER_COERCED if same else Change.RE_ENCODED
        shapes = [
            tuple(number(one.header, keyword) for keyword in ("Rows", "Columns")) for one in (older, newer)
        ]
        if shapes[0] != shapes[1] or _frames(older) != _frames(newer):
            return Change.OTHER_PIXELS
    return _change_of_decoded(older, newer)


def _change_of_decoded(older: Instance, newer: Instance) -> Change:
    read = FileReader()
    try:
        equal = all(
            np.array_equal(read(older, frame), read(newer, frame)) for frame in range(1, _frames(older) + 1)
        )
    except BridgeError:
        # Colour is not decoded here. Uncompressed bytes of one syntax need no codec to be told apart.
        plain = older.transfer_syntax_uid == newer.transfer_syntax_uid in NATIVE
        return Change.OTHER_PIXELS if plain else Change.NOT_COMPARABLE
    return Change.RE_ENCODED if equal else Change.OTHER_PIXELS


def _frames(instance: Instance) -> int:
    count = text(instance.header, "NumberOfFrames") or "1"
    return max(int(count), 1) if count.isdecimal() else 1


def _change_of_content(older: Dataset, newer: Dataset) -> Change:
    try:
        same = _content(older) == _content(newer)
    except Exception:  # noqa: BLE001 - pydicom raises many kinds at a value that its VR forbids
        return Change.NOT_COMPARABLE
    return Change.HEADER_COERCED if same else Change.OTHER_CONTENT


def _content(header: Dataset) -> list[object]:
    # Element 0 of a group is its length: retired, and another one in each transfer syntax (PS3.5 7.2).
    kept = [header[tag] for tag in sorted(header.keys()) if tag not in WITHOUT_MEANING and tag.element != 0]
    return [(one.tag, _private(one.value)) if one.tag.is_private and one.VR != "SQ" else one for one in kept]


def _private(value: object) -> object:
    """A private value without its VR, which Implicit VR does not tell: texts as the bytes they were."""
    if isinstance(value, bytes):
        return value.rstrip(b"\0 ")
    if isinstance(value, str):
        return value.encode("latin-1", "replace").rstrip(b"\0 ")
    return value


def _pixel_bytes(instance: Instance, stack: ExitStack) -> tuple[Bytes, int, int] | None:
    """The file and where the value of its pixels begins and ends; None when there are none.

    Raises OSError or ValueError (no file, an empty one), or BridgeError (PIX-...).
    """
    stream = stack.enter_context(instance.file.open("rb"))
    file = stack.enter_context(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    size = os.fstat(stream.fileno()).st_size
    data, at = data_set(file, instance.transfer_syntax_uid)
    try:
        start, length = pixel_value(data, at, instance.transfer_syntax_uid)
    except BridgeError as error:
        if error.code == "PIX-002" and _has_no_pixels(data, instance):
            return None
        raise
    end = len(data) if isinstance(data, bytes) else size
    return data, start, end if length == UNDEFINED else min(start + length, end)


def _has_no_pixels(data: Bytes, instance: Instance) -> bool:
    """Pixels of any kind would be the last thing in the file that its header does not hold."""
    order = ">" if instance.transfer_syntax_uid == ExplicitVRBigEndian else "<"
    return all(data.find(struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)) < 0 for tag in PIXELS)


def _equal(one: tuple[Bytes, int, int], other: tuple[Bytes, int, int]) -> bool:
    (data, start, end), (theirs, from_, to) = one, other
    if end - start != to - from_:
        return False
    return all(
        data[start + offset : min(start + offset + _CHUNK, end)]
        == theirs[from_ + offset : min(from_ + offset + _CHUNK, to)]
        for offset in range(0, end - start, _CHUNK)
    )
