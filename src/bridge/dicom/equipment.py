"""The device that this bridge is in its results, and how a result is recognised by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.dicom.codes import PROCESSING_EQUIPMENT
from bridge.dicom.headers import text

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


def _is_bridge(item: Dataset) -> bool:
    if (text(item, "Manufacturer"), text(item, "ManufacturerModelName")) != (MANUFACTURER, MODEL):
        return False
    purpose = item.get("PurposeOfReferenceCodeSequence") or ()
    return any(
        (text(code, "CodingSchemeDesignator"), text(code, "CodeValue"))
        == (PROCESSING_EQUIPMENT.scheme, PROCESSING_EQUIPMENT.code)
        for code in purpose
    )
