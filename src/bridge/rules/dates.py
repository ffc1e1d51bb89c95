"""Dates and ages as DICOM writes them (PS3.5 6.2): VR DA, DT and AS."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from bridge.dicom.headers import text

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_DATE_TIME = re.compile(r"(\d{8})(\d\d(\d\d(\d\d(\.\d{1,6})?)?)?)?([+-]\d{4})?", re.ASCII)
_TIME = re.compile(r"((?:[01]\d|2[0-3])[0-5]\d)(?:([0-5]\d|60)(?:\.(\d{1,6}))?)?", re.ASCII)
_AGE = re.compile(r"(\d{3})([DWMY])", re.ASCII)
_IN_A_YEAR = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}


def as_date(text: str) -> date | None:
    """VR DA, also as ACR-NEMA wrote it: 2026.01.31."""
    digits = text.replace(".", "")
    if len(digits) != 8 or not (digits.isascii() and digits.isdigit()):
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


def as_time(text: str) -> str:
    """VR TM to the minute or finer, also as ACR-NEMA wrote it: 10:30:59. As "HHMMSS.FFFFFF", "" for anything else."""
    written = _TIME.fullmatch(text.replace(":", ""))
    if written is None:
        return ""
    return f"{written[1]}{written[2] or '00'}.{(written[3] or ''):0<6}"


def day_of(text: str) -> date | None:
    """The day of a DA or DT, as it stands there: where its writer was. None for one that names no day."""
    written = _DATE_TIME.fullmatch(text)
    return as_date(written[1] if written else text)


def age_years(header: Dataset) -> int | None:
    """Completed years at Study Date, by Patient's Birth Date; without these, by Patient's Age (PS3.3 C.7.2.2)."""
    birth = as_date(text(header, "PatientBirthDate") or "")
    day = as_date(text(header, "StudyDate") or "")
    if birth is not None and day is not None and birth <= day:
        return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
    said = _AGE.fullmatch(text(header, "PatientAge") or "")
    return int(int(said[1]) / _IN_A_YEAR[said[2]]) if said else None
