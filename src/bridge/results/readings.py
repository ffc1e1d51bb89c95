"""Single values and cells of tables become readings: a number with its quantity, or a question with its answer."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from bridge.dicom import codes
from bridge.dicom.charsets import plain
from bridge.dicom.codes import Concept, Quantity
from bridge.errors import Refused
from bridge.results.meaning import Meaning, TableMeaning, ValueMeaning
from bridge.results.result import Document, HeatMap, Json, LabelMap, MeshFile, Part, Table

MOST_ROWS = 200
"""Rows of a table that become groups of a report; a longer table is data for machines."""

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_NO_VALUE = frozenset({"", "na", "n/a", "nan", "none", "null", "-"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    quantity: Quantity
    value: int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    concept: Concept
    answer: Concept


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """One value and what it says."""

    name: str
    """Of the value, or of the column."""
    output: str
    says: Number | Coded
    structure: str = ""
    """What it is about, in the words of the algorithm or the rule; "" for the whole image."""
    row: int = 0
    """Row of a table, from 1."""


def readings_of_values(
    parts: Iterable[Part], meanings: Iterable[ValueMeaning], *, private: bool
) -> tuple[list[Reading], list[str]]:
    """What single values say, and notes on those that say nothing that a report can hold.

    Args:
        private: a value without a meaning gets a private code.
    """
    readings: list[Reading] = []
    notes: list[str] = []
    meanings = list(meanings)
    for part in parts:
        if isinstance(part.content, (LabelMap, HeatMap, Table, Document, MeshFile)):
            continue
        name = part.output.name
        asked = [meaning for meaning in meanings if meaning.output == name]
        if not asked and not private:
            notes.append(f"{name} has no configured concept: it stays with the job")
        elif not asked:
            concept = codes.private_code(name, plain(name.replace("-", " ").replace("_", " ")) or "value")
            says = _said(part.content, Meaning(concept=concept, unit=codes.NO_UNITS))
            if isinstance(says, str):
                notes.append(f"{name}: {says}")
                continue
            readings.append(Reading(name=name, output=name, says=says))
            notes.append(f"{name} has no configured concept: written with a private code")
        for one in asked:
            found, value = _at(part.content, one.path)
            says = _said(value, one.meaning) if found else "nothing stands at its path in the answer"
            if isinstance(says, str):
                notes.append(f"{one.name}: {says}")
            else:
                readings.append(Reading(name=one.name, output=name, says=says, structure=one.segment))
    return readings, notes


def readings_of_table(table: Table, output: str, meaning: TableMeaning) -> tuple[list[Reading], list[str]]:
    """What the configured columns of a table say, row by row, and notes on the rest.

    Raises:
        Refused: RES-080, without a column for structures and not one row; RES-081, too many rows; RES-082, no such
            column, or two of one name.
    """
    for column in (*meaning.columns, *([meaning.row] if meaning.row else ())):
        if (count := table.columns.count(column)) != 1:
            raise Refused(
                "RES-082",
                f"output {output} has {count} columns of a name that the rule gives: {column[:64]}",
                "one",
                "Mend the columns in the rule, or look whether the algorithm has a new version",
                numbers={"columns": len(table.columns)},
            )
    if not meaning.row and len(table.rows) != 1:
        raise Refused(
            "RES-080",
            f"output {output} is a table of {len(table.rows)} rows, and no column says what a row is about",
            "one row",
            "Give the rule row = { column = ... } for this table",
            numbers={"rows": len(table.rows)},
        )
    if len(table.rows) > MOST_ROWS:
        raise Refused(
            "RES-081",
            f"output {output} is a table of {len(table.rows)} rows",
            f"at most {MOST_ROWS}",
            "Take the table out of the rule: it stays with the job",
            numbers={"rows": len(table.rows)},
        )
    readings: list[Reading] = []
    notes: list[str] = []
    left = [name for name in table.columns if name not in meaning.columns and name != meaning.row]
    if left:
        notes.append(f"{output}: {len(left)} of {len(table.columns)} columns have no configured concept")
    empty: Counter[str] = Counter()
    for number, cells in enumerate(table.rows, start=1):
        row = dict(zip(table.columns, cells, strict=True))
        for column, means in meaning.columns.items():
            if row[column].casefold() in _NO_VALUE and row[column] not in means.answers:
                empty[column] += 1
                continue
            says = _said(_parsed(row[column], means), means)
            if isinstance(says, str):
                notes.append(f"{output}, row {number}, {column}: {says}")
                continue
            structure = row[meaning.row] if meaning.row else ""
            readings.append(Reading(name=column, output=output, says=says, structure=structure, row=number))
    notes += [f"{output}, {column}: no value in {count} rows" for column, count in empty.items()]
    return readings, notes


def _at(value: Json, path: tuple[str, ...]) -> tuple[bool, Json]:
    """Whether there is something at a path, and what."""
    for key in path:
        match value:
            case dict() if key in value:
                value = value[key]
            case list() if key.isdecimal() and int(key) < len(value):
                value = value[int(key)]
            case _:
                return False, None
    return True, value


def _said(value: Json, meaning: Meaning) -> Number | Coded | str:
    """What a value says in its meaning; or why a report cannot hold it, without the value itself."""
    if meaning.answers and isinstance(value, (str, int)):
        word = str(value).lower() if isinstance(value, bool) else str(value)
        if word in meaning.answers:
            return Coded(concept=meaning.concept, answer=meaning.answers[word])
        if not isinstance(value, bool):
            return "a value without a configured code stays with the job"
    if isinstance(value, bool):
        return Coded(concept=meaning.concept, answer=codes.YES if value else codes.NO)
    if isinstance(value, (int, float)) and math.isfinite(value):
        if meaning.unit is None:
            return "a number without a configured unit stays with the job"
        return Number(quantity=Quantity(concept=meaning.concept, unit=meaning.unit), value=value)
    return f"a {_kind(value)} has no place in a measurement report"


def _parsed(cell: str, meaning: Meaning) -> Json:
    """The value in a cell. A comma is no decimal point: it may as well part thousands."""
    if meaning.answers:
        return cell
    if _NUMBER.fullmatch(cell):
        return int(cell) if _WHOLE.fullmatch(cell) else float(cell)
    return {"true": True, "false": False}.get(cell.casefold(), cell)


def _kind(value: Json) -> str:
    match value:
        case str():
            return "text"
        case list():
            return "list"
        case dict():
            return "structure"
        case None:
            return "missing value"
        case _:
            return "number without a size"
