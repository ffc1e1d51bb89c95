"""A result on its way to a destination."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A complete Part 10 file in Explicit VR Little Endian, and what it is."""

    sop_class_uid: str
    sop_instance_uid: str
    file: Path
    kind: str = ""
    """One word, as `Result.kind`: SEG, SR, SC, PM, FRACTIONAL, DOC, M3D."""
    output_name: str = ""
    """The output of the platform from which it was made; "" where it is of none alone."""
