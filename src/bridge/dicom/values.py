"""Whether a text is a legal value of its VR (PS3.5 6.2), and what an illegal one clearly meant."""

from __future__ import annotations

import math
import re
from datetime import date

TEXT_VRS = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)
"""VRs whose bytes are the same in every byte order."""

ONE_TEXT = frozenset({"LT", "ST", "UR", "UT"})
"""VRs in which a backslash is a character like any other."""

ENUMERATED: dict[str, frozenset[str]] = {
    "PatientSex": frozenset({"M", "F", "O"}),
    "PatientIdentityRemoved": frozenset({"YES", "NO"}),
    "QualityControlSubject": frozenset({"YES", "NO"}),
    "SmokingStatus": frozenset({"YES", "NO", "UNKNOWN"}),
    "PregnancyStatus": frozenset({"1", "2", "3", "4"}),
    "PatientSexNeutered": frozenset({"ALTERED", "UNALTERED"}),
    "LossyImageCompression": frozenset({"00", "01"}),
    "ConsentForDistributionFlag": frozenset({"NO", "YES", "WITHDRAWN"}),
}
"""Enumerated Values of PS3.3; an attribute that is not here has none or Defined Terms, which may be extended."""

_TIME = r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?"
_PATTERNS = {
    "AE": r"[ -\[\]-~]{1,16}",
    "AS": r"\d{3}[DWMY]",
    "CS": r"[A-Z0-9_ ]{1,16}",
    "DA": r"\d{8}",
    "DS": r" *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)? *",
    "DT": r"\d{4}(\d{2}(\d{2}(\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?)?)?)?([+-]\d{4})?",
    "IS": r" *[+-]?\d{1,10} *",
    "TM": _TIME,
    "UI": r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*",
}
_LONGEST = {"DS": 16, "IS": 12, "LO": 64, "LT": 10240, "SH": 16, "ST": 1024, "UI": 64}
_NAME_GROUPS, _NAME_COMPONENTS, _NAME_GROUP_LENGTH = 3, 5, 64

_DATE_WITH_MARKS = re.compile(r"(\d{4})[.\-/](\d{2})[.\-/](\d{2})")
_TIME_WITH_COLONS = re.compile(r"(\d{2}):(\d{2})(?::(\d{2}(?:\.\d{1,6})?))?")


def is_valid(keyword: str, vr: str, multiplicity: str, text: str) -> bool:
    """Whether decoded `text` may stand in the attribute; empty values may.

    multiplicity: as in PS3.6, for example "1" or "1-n".
    """
    if text == "":
        return True
    values = [text] if vr in ONE_TEXT else text.split("\\")
    if len(values) > 1 and not multiplicity.endswith("n"):
        return False
    return all(_is_one_valid(keyword, vr, value) for value in values)


def mended(keyword: str, vr: str, text: str) -> str | None:
    """What an illegal value clearly meant: ACR-NEMA dates and times, a sex in small letters. Else None."""
    meant: str | None = None
    if vr == "DA" and (found := _DATE_WITH_MARKS.fullmatch(text.strip())):
        meant = "".join(found.groups())
    elif vr == "TM" and (found := _TIME_WITH_COLONS.fullmatch(text.strip())):
        meant = "".join(part or "" for part in found.groups())
    elif keyword in ENUMERATED:
        meant = text.strip().upper()
    return meant if meant and is_valid(keyword, vr, "1", meant) else None


def _is_one_valid(keyword: str, vr: str, value: str) -> bool:
    if value == "":
        return True
    if keyword in ENUMERATED and value.strip() not in ENUMERATED[keyword]:
        return False
    if len(value) > _LONGEST.get(vr, len(value)):
        return False
    if vr in _PATTERNS and not re.fullmatch(_PATTERNS[vr], value, re.ASCII):
        return False
    match vr:
        case "DA":
            return _is_date(value)
        case "DS":
            return math.isfinite(float(value))
        case "PN":
            groups = value.split("=")
            return len(groups) <= _NAME_GROUPS and all(
                len(group) <= _NAME_GROUP_LENGTH and group.count("^") < _NAME_COMPONENTS and _printable(group)
                for group in groups
            )
        case "LO" | "SH" | "UC":
            return _printable(value)
        case _:
            return True


def _is_date(value: str) -> bool:
    try:
        date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        return False
    return True


def _printable(value: str) -> bool:
    return not any(ord(character) < 32 for character in value)
