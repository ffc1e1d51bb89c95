"""What a rule says that values mean: numbers get a concept and a unit, words a coded answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.dicom.codes import Concept


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """The meaning of one value."""

    concept: Concept
    unit: Concept | None = None
    """UCUM; a number without one is not written."""
    answers: Mapping[str, Concept] = field(default_factory=dict)
    """The coded answer for a text, a whole number, `true` or `false`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueMeaning:
    """Where a value is found, and what it means."""

    name: str
    output: str
    """Name of the output that holds it."""
    meaning: Meaning
    path: tuple[str, ...] = ()
    """Keys, and numbers of list entries from 0, that lead to it; empty where the output is the value."""
    segment: str = ""
    """Label of the segment that it is about; "" where it is about none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMeaning:
    """Which columns of a table mean what."""

    columns: Mapping[str, Meaning]
    row: str = ""
    """The column that names the structure of each row; "" where the table has one row."""
