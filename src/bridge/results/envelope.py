"""What all our objects have alike: identity, series, equipment, time, patient and study; and how they are written.

Nothing here depends on when or where it runs: the same answer in the same wrapping is the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bridge.dicom.charsets import plain
from bridge.dicom.codes import (
    ACQUISITION_EQUIPMENT,
    PRIVATE_SCHEME,
    PROCESSING_EQUIPMENT,
    Concept,
    private_schemes,
)
from bridge.dicom.equipment import MANUFACTURER, MODEL
from bridge.dicom.uids import keyed_uid
from bridge.errors import Refused
from bridge.results.result import Result, Wrapping

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

LIBRARY = "highdicom"
NOT_VERIFIED = "not verified"
_LO = 64
_SERIES_OF_RULES = 99
_SERIES_OFFSET = {"SEG": 1, "SR": 2, "SC": 3, "PM": 4, "FRACTIONAL": 5, "DOC": 6, "M3D": 7}


def variant_of(wrapping: Wrapping, *, masks: bool) -> str:
    """What an object differs by from the usual one. `masks`: whether it is a segmentation or refers to one."""
    return wrapping.variant.name if masks else wrapping.variant.numbering


def uid_of(wrapping: Wrapping, kind: str, output_name: str, part: str = "", *, masks: bool = False) -> str:
    """SOP Instance UID of a result: always the same for the same output of the same job in the same variant."""
    variant = variant_of(wrapping, masks=masks)
    names = ("instance", wrapping.job, kind, output_name, part, *([variant] if variant else []))
    return keyed_uid(wrapping.key, *names, root=wrapping.uid_root)


def identity(wrapping: Wrapping, kind: str, instance_number: int, *, masks: bool = False) -> dict[str, Any]:
    """Arguments that every builder takes: a series of ours for each kind, our equipment, the job's time.

    Each variant has a series of its own. An archive that two variants reach, because another one forwards what it
    got, would else file two classes with two Series Numbers in one series, keep the series attributes of whichever
    came first, and a viewer that opens the series would lay every segment over itself.
    """
    suffix = f" {NOT_VERIFIED}"
    name = plain(f"{wrapping.algorithm} {wrapping.algorithm_version}", _LO - len(suffix))
    variant = variant_of(wrapping, masks=masks)
    series = ("series", wrapping.job, kind, *([variant] if variant else []))
    return {
        "series_instance_uid": keyed_uid(wrapping.key, *series, root=wrapping.uid_root),
        "series_number": series_number(wrapping, kind),
        "instance_number": instance_number,
        "series_description": name + suffix,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": MODEL,
        "software_versions": plain(wrapping.bridge_version),
        "device_serial_number": wrapping.device_uid,
        "content_date": wrapping.at.date(),
        "content_time": wrapping.at.time(),
        "series_date": wrapping.at.date(),
        "series_time": wrapping.at.time(),
        "specific_character_set": None,
    }


def object_of(
    wrapping: Wrapping, kind: str, sop_class_uid: str, output_name: str, instance_number: int
) -> Dataset:
    """What an object that no library builds begins with: SOP, series, equipment, time."""
    from pydicom.dataset import Dataset

    known = identity(wrapping, kind, instance_number)
    data_set = Dataset()
    data_set.SOPClassUID = sop_class_uid
    data_set.SOPInstanceUID = uid_of(wrapping, kind, output_name)
    data_set.SeriesInstanceUID = known["series_instance_uid"]
    data_set.SeriesNumber = known["series_number"]
    data_set.SeriesDescription = known["series_description"]
    data_set.InstanceNumber = instance_number
    data_set.Manufacturer = known["manufacturer"]
    data_set.ManufacturerModelName = known["manufacturer_model_name"]
    data_set.SoftwareVersions = known["software_versions"]
    data_set.DeviceSerialNumber = known["device_serial_number"]
    for what in ("Series", "Content"):
        setattr(data_set, f"{what}Date", wrapping.at.strftime("%Y%m%d"))
        setattr(data_set, f"{what}Time", _time(wrapping.at))
    return data_set


def series_number(wrapping: Wrapping, kind: str) -> int:
    """The base, plus ten for each rule (by a hash of its name), plus the kind. A number for people, no key."""
    digest = hashlib.sha256(wrapping.rule.encode()).digest()
    place = int.from_bytes(digest[:4], "big") % _SERIES_OF_RULES
    wanted = wrapping.variant.series_number_base
    base = wrapping.series_number_base if wanted is None else wanted
    return base + 10 * place + _SERIES_OFFSET[kind]


def code_item(concept: Concept) -> Dataset:
    """An item of a code sequence (PS3.3 8.8)."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue = concept.code
    item.CodingSchemeDesignator = concept.scheme
    item.CodeMeaning = concept.meaning
    return item


def scheme_items(*concepts: Concept) -> list[Dataset]:
    """Items of the Coding Scheme Identification Sequence for the private schemes among `concepts`."""
    from pydicom.dataset import Dataset

    items = []
    for scheme in private_schemes(concepts):
        item = Dataset()
        item.CodingSchemeDesignator = scheme
        item.CodingSchemeName = f"Private codes, {MODEL}" if scheme == PRIVATE_SCHEME else "Private codes"
        items.append(item)
    return items


def seal(data_set: Dataset, context: Dataset, wrapping: Wrapping, tail: Iterable[bytes] = ()) -> bytes:
    """Lay patient and study over a finished object, fix what its library drew from clock and chance, write it.

    `tail`: the last attributes of the object, encoded; they are none of ours to check.

    Raises:
        Refused: RES-040, a value of ours is not legal in its attribute.
    """
    from bridge.dicom.context import stamp

    _fix_time(data_set, context, wrapping)
    _fix_dimensions(data_set, wrapping)
    _check(data_set)
    stamp(data_set, context)
    return _written(data_set, tail)


def sealed(
    data_set: Dataset,
    kind: str,
    output_name: str,
    context: Dataset,
    wrapping: Wrapping,
    notes: Iterable[str] = (),
) -> Result:
    """The result that a finished object is; for objects without a mask, and so of the same form everywhere.

    Raises:
        Refused: RES-040, a value of ours is not legal in its attribute.
    """
    return Result(
        kind=kind,
        output_name=output_name,
        sop_class_uid=str(data_set.SOPClassUID),
        sop_instance_uid=str(data_set.SOPInstanceUID),
        series_instance_uid=str(data_set.SeriesInstanceUID),
        data=seal(data_set, context, wrapping),
        variant=variant_of(wrapping, masks=False),
        notes=tuple(notes),
    )


def _fix_time(data_set: Dataset, context: Dataset, wrapping: Wrapping) -> None:
    data_set.InstanceCreationDate = wrapping.at.strftime("%Y%m%d")
    data_set.InstanceCreationTime = _time(wrapping.at)
    library = [
        item
        for item in data_set.get("ContributingEquipmentSequence", ())
        if item.get("ManufacturerModelName") == LIBRARY
    ]
    items = [*_equipment(context, wrapping), *library]
    for item in items:
        if item.PurposeOfReferenceCodeSequence[0].CodeValue == PROCESSING_EQUIPMENT.code:
            item.ContributionDateTime = (
                wrapping.at.strftime("%Y%m%d") + _time(wrapping.at) + _zone(wrapping.at)
            )
    data_set.ContributingEquipmentSequence = items


def _equipment(context: Dataset, wrapping: Wrapping) -> list[Dataset]:
    from pydicom.dataset import Dataset

    from bridge.dicom.context import equipment_of

    bridge = Dataset()
    bridge.Manufacturer = MANUFACTURER
    bridge.ManufacturerModelName = MODEL
    bridge.DeviceSerialNumber = wrapping.device_uid
    bridge.SoftwareVersions = plain(wrapping.bridge_version)
    bridge.ContributionDescription = plain(
        f"Result of {wrapping.algorithm} {wrapping.algorithm_version}, {NOT_VERIFIED}"
        + (f"; images {wrapping.repaired}" if wrapping.repaired else ""),
        1024,
    )
    bridge.PurposeOfReferenceCodeSequence = [code_item(PROCESSING_EQUIPMENT)]
    scanner = equipment_of(context)
    if scanner is None:
        return [bridge]
    scanner.PurposeOfReferenceCodeSequence = [code_item(ACQUISITION_EQUIPMENT)]
    return [scanner, bridge]


def _fix_dimensions(data_set: Dataset, wrapping: Wrapping) -> None:
    if "DimensionOrganizationSequence" not in data_set:
        return
    uid = keyed_uid(wrapping.key, "dimensions", str(data_set.SOPInstanceUID), root=wrapping.uid_root)
    for item in (*data_set.DimensionOrganizationSequence, *data_set.get("DimensionIndexSequence", ())):
        item.DimensionOrganizationUID = uid


def _check(data_set: Dataset) -> None:
    """Every text that is not the source's own must be legal: pydicom by itself only warns, and writes it."""
    from pydicom.dataelem import RawDataElement

    from bridge.dicom.values import TEXT_VRS, is_valid

    for element in data_set.elements():
        if isinstance(element, RawDataElement):
            continue
        if element.VR == "SQ":
            for item in element.value:
                _check(item)
        elif element.VR in TEXT_VRS and not element.is_empty:
            for value in element.value if element.VM > 1 else [element.value]:
                if not (str(value).isascii() and is_valid(element.keyword, element.VR, "1", str(value))):
                    raise Refused(
                        "RES-040",
                        f"a value of {element.keyword} that is no legal {element.VR}",
                        "a value that every archive takes (PS3.5 6.2)",
                        "Look at the names and codes that the rule gives to this result",
                    )


def _written(data_set: Dataset, tail: Iterable[bytes]) -> bytes:
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import correct_ambiguous_vr, write_dataset
    from pydicom.uid import ExplicitVRLittleEndian

    from bridge.dicom.headers import part10_prefix

    buffer = DicomBytesIO()
    buffer.is_implicit_VR = False
    buffer.is_little_endian = True
    buffer.write(part10_prefix(data_set.SOPClassUID, data_set.SOPInstanceUID, ExplicitVRLittleEndian))
    write_dataset(buffer, correct_ambiguous_vr(data_set, True))
    for piece in tail:
        buffer.write(piece)
    return buffer.getvalue()


def _time(at: datetime) -> str:
    return at.strftime("%H%M%S.%f")


def _zone(at: datetime) -> str:
    return at.strftime("%z")[:5]
