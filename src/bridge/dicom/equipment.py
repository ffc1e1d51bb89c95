"""The device that this bridge is in its results, and how a result is recognised by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.dicom.codes import ARTIFICIAL_INTELLIGENCE, PROCESSING_EQUIPMENT, Concept
from bridge.dicom.headers import text, texts

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MANUFACTURER = "bridge"
MODEL = "dicom-cloud-bridge"


def made_by_a_bridge(header: Dataset) -> bool:
    """Whether its Contributing Equipment Sequence (PS3.3 C.12.1) says that a bridge processed it: any bridge.

    The item stays when an archive coerces the object, and when another system adds an item of its own.
    """
    try:
        items = list(header.get("ContributingEquipmentSequence") or ())
        return any(_is_bridge(item) for item in items)
    except Exception:  # noqa: BLE001 - pydicom raises many kinds at a sequence that is none, or breaks off
        return False


def made_by_software(header: Dataset) -> str:
    """How an image says that software made or changed it after the scanner; "" when it does not.

    By Synthetic Data (PS3.3 C.12.1); by an algorithm of the family Artificial Intelligence (PS3.3 10.16); by a derived
    image (Value 1 of Image Type) to which Processing Equipment contributed (PS3.16 CID 7005). The standard has no other
    place for it, and nobody is obliged to say it.
    """
    try:
        if texts(header, "SyntheticData")[:1] == ("YES",):
            return "synthetic data, not what a scanner measured"
        if _names_ai(header):
            return "made by artificial intelligence"
        items = list(header.get("ContributingEquipmentSequence") or ())
        if texts(header, "ImageType")[:1] == ("DERIVED",) and any(_is_processing(item) for item in items):
            return "derived by other software"
    except Exception:  # noqa: BLE001 - a sequence that breaks off says nothing, like one that is not there
        return ""
    return ""


WITH_ALGORITHM = ("ContributingEquipmentSequence", "DerivationAlgorithmSequence")
"""Where an image can name the algorithm that made it, beside its top."""


def _names_ai(header: Dataset) -> bool:
    inside = (item for keyword in WITH_ALGORITHM for item in header.get(keyword) or ())
    return any(
        _is(code, ARTIFICIAL_INTELLIGENCE)
        for one in (header, *inside)
        for code in one.get("AlgorithmFamilyCodeSequence") or ()
    )


def _is_processing(item: Dataset) -> bool:
    return any(_is(code, PROCESSING_EQUIPMENT) for code in item.get("PurposeOfReferenceCodeSequence") or ())


def _is(item: Dataset, code: Concept) -> bool:
    return (text(item, "CodingSchemeDesignator"), text(item, "CodeValue")) == (code.scheme, code.code)


def _is_bridge(item: Dataset) -> bool:
    named = (text(item, "Manufacturer"), text(item, "ManufacturerModelName"))
    return named == (MANUFACTURER, MODEL) and _is_processing(item)
