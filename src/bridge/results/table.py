"""CSV (RFC 4180) as a table of texts; commas, semicolons or tabs between the cells."""

from __future__ import annotations

import csv
from io import StringIO

from bridge.errors import Damaged
from bridge.results.result import Table

_BETWEEN = ",;\t"


def read_table(data: bytes, name: str) -> Table:
    """The table in a CSV file whose first line names the columns. Cells lose the spaces around them.

    Args:
        name: of the output, for messages.
    Raises:
        Damaged: RES-083, no UTF-8, no header, or a row of another length.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _damaged(name, "is no text in UTF-8", {}) from None
    first = text.split("\n", 1)[0]
    between = max(_BETWEEN, key=first.count)
    try:
        lines = [
            line for line in csv.reader(StringIO(text, newline=""), delimiter=between, strict=True) if line
        ]
    except csv.Error:
        raise _damaged(name, "breaks the rules of quoting", {}) from None
    if not lines:
        raise _damaged(name, "is empty", {})
    rows = [tuple(cell.strip() for cell in line) for line in lines]
    width = len(rows[0])
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != width:
            raise _damaged(
                name,
                f"has {len(row)} cells in row {number} under {width} columns",
                {"row": number, "cells": len(row), "columns": width},
            )
    return Table(columns=rows[0], rows=tuple(rows[1:]))


def _damaged(name: str, found: str, numbers: dict[str, float | int | str]) -> Damaged:
    return Damaged(
        "RES-083",
        f"output {name} {found}",
        "a CSV file with a line of column names and rows of as many cells",
        "Look at the file in the job; take the table out of the rule if the algorithm writes it so",
        numbers=numbers,
    )
