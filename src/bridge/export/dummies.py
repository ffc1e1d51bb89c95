"""What stands where a value must stand and may not be told: legal by its VR, the same for everyone (PS3.5 6.2)."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

from bridge.export.known_codes import UNKNOWN

_BY_VR: dict[str, Any] = {
    "AE": "ANONYMIZED",
    "AS": "000Y",
    "CS": "UNKNOWN",
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "IS": "0",
    "LO": "ANONYMIZED",
    "LT": "ANONYMIZED",
    "OB": b"\x00\x00",
    "OW": b"\x00\x00",
    "PN": "Anonymized",
    "SH": "ANONYMIZED",
    "ST": "ANONYMIZED",
    "TM": "000000",
    "UC": "ANONYMIZED",
    "UN": b"\x00\x00",
    "UR": "urn:anonymized",
    "UT": "ANONYMIZED",
}


def dummy(vr: str) -> Any:
    """A value of that VR; None where none can be made up without a wrong statement (numbers, sequences, UIDs)."""
    return _BY_VR.get(vr)


def unknown_code() -> Dataset:
    """An item of a code sequence that says that it is not told."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = UNKNOWN[1], UNKNOWN[0], UNKNOWN[2]
    return item
