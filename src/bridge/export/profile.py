"""What the confidentiality profile says about an attribute: Table E.1-1 of PS3.15 as data, and the options chosen.

The table is `confidentiality.json`; `scripts/confidentiality.py` writes it and tells where it comes from.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import cache
from importlib.resources import files

from bridge.errors import ConfigError


class Option(StrEnum):
    """Options of PS3.15 E.3 that are offered. Clean graphics and retain safe private are not."""

    CLEAN_DESCRIPTORS = "clean_descriptors"
    CLEAN_STRUCTURED_CONTENT = "clean_structured_content"
    RETAIN_DEVICE_IDENTITY = "retain_device_identity"
    RETAIN_FULL_DATES = "retain_full_dates"
    RETAIN_INSTITUTION_IDENTITY = "retain_institution_identity"
    RETAIN_MODIFIED_DATES = "retain_modified_dates"
    RETAIN_PATIENT_CHARACTERISTICS = "retain_patient_characteristics"
    RETAIN_UIDS = "retain_uids"


METHODS = {
    Option.CLEAN_STRUCTURED_CONTENT: ("113104", "Clean Structured Content Option"),
    Option.CLEAN_DESCRIPTORS: ("113105", "Clean Descriptors Option"),
    Option.RETAIN_FULL_DATES: ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    Option.RETAIN_MODIFIED_DATES: (
        "113107",
        "Retain Longitudinal Temporal Information Modified Dates Option",
    ),
    Option.RETAIN_PATIENT_CHARACTERISTICS: ("113108", "Retain Patient Characteristics Option"),
    Option.RETAIN_DEVICE_IDENTITY: ("113109", "Retain Device Identity Option"),
    Option.RETAIN_UIDS: ("113110", "Retain UIDs Option"),
    Option.RETAIN_INSTITUTION_IDENTITY: ("113112", "Retain Institution Identity Option"),
}
"""Code Value and Code Meaning in CID 7050, scheme DCM; the basic profile itself is 113100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The basic profile with the options that a site has chosen. Nothing chosen is the strictest.

    words: of the site, small letters; added to those of which a description may consist (clean descriptors).

    Raises:
        ConfigError: DEI-002, dates both in full and modified.
    """

    options: frozenset[Option] = frozenset()
    words: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if {Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES} <= self.options:
            raise ConfigError("DEI-002", "retain_full_dates and retain_modified_dates", "at most one of them")

    @property
    def method(self) -> str:
        """The value of De-identification Method, at most 64 characters."""
        codes = "/".join(METHODS[option][0][-3:] for option in METHODS if option in self.options)
        return "PS3.15 E.2 basic 113100" + (f", options 113-{codes}" if codes else "")

    @property
    def dates(self) -> str:
        """The value of Longitudinal Temporal Information Modified (PS3.3 C.7.1.1, 0028,0303)."""
        if Option.RETAIN_FULL_DATES in self.options:
            return "UNMODIFIED"
        return "MODIFIED" if Option.RETAIN_MODIFIED_DATES in self.options else "REMOVED"


class Action(Enum):
    """A cell of the table, after options: what happens to an attribute."""

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    UID = "U"
    KEEP = "K"
    CLEAN = "C"
    REMOVE_OR_EMPTY = "X/Z"
    REMOVE_OR_DUMMY = "X/D"
    EMPTY_OR_DUMMY = "Z/D"
    REMOVE_EMPTY_OR_DUMMY = "X/Z/D"
    REMOVE_EMPTY_OR_UIDS = "X/Z/U*"


@dataclass(frozen=True, slots=True)
class Rule:
    """What the profile wants of an attribute, and what its row of the table says without options."""

    action: Action
    basic: Action


def rule_for(tag: int, options: frozenset[Option]) -> Rule | None:
    """The row of an attribute under the options; None for one that the table does not name.

    Where two options speak of a row, modified dates win over keeping. A row without option columns is the basic one.
    """
    row = _rows().get(tag)
    if row is None:
        return None
    basic, offered = row
    asked = {action for option, action in offered if option in options}
    action = Action.CLEAN if Action.CLEAN in asked else Action.KEEP if Action.KEEP in asked else basic
    return Rule(action, basic)


@cache
def _rows() -> dict[int, tuple[Action, tuple[tuple[Option, Action], ...]]]:
    written = json.loads(files("bridge.export").joinpath("confidentiality.json").read_text("ascii"))
    return {
        int(tag, 16): (
            Action(row[0]),
            tuple(
                (Option(name), Action(action)) for name, action in (row[1] if len(row) > 1 else {}).items()
            ),
        )
        for tag, row in written["rows"].items()
    }


def table_tags() -> frozenset[int]:
    """Every attribute that the table names by itself, without the patterns."""
    return frozenset(_rows())
