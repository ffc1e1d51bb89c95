"""docs/dependencies.md tells of every package that pyproject.toml names, and of no other."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable

from tests.conftest import ROOT

TABLES = (ROOT / "docs" / "dependencies.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def names(requirements: Iterable[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9._-]", one, maxsplit=1)[0].lower() for one in requirements}


def told() -> dict[str, tuple[str, str]]:
    """Licence and reason by name, from the rows of both tables."""
    rows = [
        re.split(r"\s*\|\s*", line.strip("| \n")) for line in TABLES.splitlines() if line.startswith("| ")
    ]
    return {
        name.strip().lower(): (row[1], row[2])
        for row in rows
        if row[1] != "licence"
        for name in row[0].split(",")
    }


def test_every_package_is_told_with_licence_and_reason_and_no_other() -> None:
    known = told()
    wanted = names(PROJECT["project"]["dependencies"]) | names(PROJECT["dependency-groups"]["dev"])
    wanted |= names(PROJECT["build-system"]["requires"])
    assert set(known) == wanted
    assert all(licence and reason for licence, reason in known.values())
    for name in names(PROJECT["project"]["optional-dependencies"]["sandbox"]):
        assert f"adds {name} (" in TABLES
