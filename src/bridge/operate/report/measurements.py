"""The numbers of the SR files of a job as one table: read from the files that PACS got.

PS3.16 TID 1500 and TID 1411: a container Measurement Group holds NUM items; a modifier Derivation says which figure
of a quantity a number is. Nothing but numbers and their concepts is taken: names of people stand in the same tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from bridge.errors import Damaged

MEASUREMENT_GROUP = "125007"
TRACKING_IDENTIFIER = "112039"
DERIVATION = "121401"
MILLILITRES = {"ml": 1.0, "mL": 1.0, "cm3": 1.0, "mm3": 1e-3, "l": 1e3, "L": 1e3}
UNITLESS = frozenset({"1", "{unitless}", "no units"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What the numbers of one column are."""

    quantity: str
    figure: str
    """`Mean`, `Maximum`; "" for the quantity itself."""
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The numbers of one segment, or of nothing in particular."""

    name: str
    segment: tuple[str, int] | None
    """(SOP Instance UID, Segment Number) that the group is about."""
    values: dict[Column, float]


def read_groups(files: Sequence[Path]) -> tuple[Group, ...]:
    """The groups of all SR files, in their order; numbers outside of groups come as groups of their own.

    Raises:
        Damaged: REP-004, a file that cannot be read as SR.
    """
    groups: list[Group] = []
    for file in files:
        try:
            groups.extend(_groups(dcmread(file, stop_before_pixels=True)))
        except Exception:  # noqa: BLE001 - pydicom raises many kinds, and their texts quote values
            raise Damaged(
                "REP-004", "a result that cannot be read as a structured report", "an SR file of this job"
            ) from None
    return tuple(groups)


def columns_of(groups: Sequence[Group]) -> tuple[Column, ...]:
    """Every column once; those of one quantity side by side, both in the order in which they appear."""
    found = list(dict.fromkeys(column for group in groups for column in group.values))
    quantities = list(dict.fromkeys((column.quantity, column.unit) for column in found))
    return tuple(sorted(found, key=lambda one: quantities.index((one.quantity, one.unit))))


def _groups(item: Dataset) -> Iterator[Group]:
    loose: dict[Column, float] = {}
    for child in item.get("ContentSequence", ()):
        if _code(child, "ConceptNameCodeSequence") == MEASUREMENT_GROUP:
            yield _group(child)
        elif child.get("ValueType") == "NUM":
            loose |= _number(child)
        else:
            yield from _groups(child)
    if loose:
        yield Group(name="other values", segment=None, values=loose)


def _group(container: Dataset) -> Group:
    name, segment = "", None
    values: dict[Column, float] = {}
    for item in container.get("ContentSequence", ()):
        if item.get("ValueType") == "NUM":
            values |= _number(item)
        elif _code(item, "ConceptNameCodeSequence") == TRACKING_IDENTIFIER:
            name = str(item.TextValue)
        elif item.get("ValueType") == "IMAGE":
            reference = item.ReferencedSOPSequence[0]
            number = reference.get("ReferencedSegmentNumber")
            if number is not None:
                segment = (str(reference.ReferencedSOPInstanceUID), int(number))
    return Group(name=name, segment=segment, values=values)


def _number(item: Dataset) -> dict[Column, float]:
    measured = item.get("MeasuredValueSequence")
    if not measured:
        return {}
    unit = str(measured[0].MeasurementUnitsCodeSequence[0].CodeValue)
    value = float(measured[0].NumericValue)
    if unit in MILLILITRES:
        value, unit = value * MILLILITRES[unit], "ml"
    figures = [
        str(child.ConceptCodeSequence[0].CodeMeaning)
        for child in item.get("ContentSequence", ())
        if _code(child, "ConceptNameCodeSequence") == DERIVATION
    ]
    column = Column(
        quantity=str(item.ConceptNameCodeSequence[0].CodeMeaning),
        figure=figures[0] if figures else "",
        unit={"[hnsf'U]": "HU"}.get(unit, "" if unit in UNITLESS else unit),
    )
    return {column: value}


def _code(item: Dataset, sequence: str) -> str:
    codes = item.get(sequence)
    return str(codes[0].get("CodeValue", "")) if codes else ""
