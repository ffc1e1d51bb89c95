"""The `Instance` value: one SOP Instance as it came, with the header that stands before its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instance:
    """One version of one SOP Instance.

    The bytes in `file` are those of the sender behind a Part 10 header of ours (PS3.10 7.1). `header` is the
    data set before Pixel Data and must not be changed: it is shared by every rule that looks at the study.
    Compared by identity: a data set has no hash.
    """

    number: int
    """Our own number of this version; the only identifier that may be logged."""
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    file: Path
    header: Dataset
    own: bool = False
    """Made by this bridge: noted, and never an input."""
    dropped_at: float | None = None
    """When retention removed the file; Unix time. The header stays."""

    def __repr__(self) -> str:
        return f"Instance(number={self.number})"
