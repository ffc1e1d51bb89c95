"""What each operator means for attributes with none, one and several values."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.datadict import keyword_dict

from bridge.config.facts import FACTS, HARMLESS, Scope
from bridge.config.vocabulary import OPERATORS, PREFERENCES
from bridge.rules.conditions import BUILDERS, build, holds, shortfall, wanted
from bridge.rules.facts import STUDY_FACTS, VOLUME_FACTS
from bridge.rules.preference import FIGURES

TYPE = ("ORIGINAL", "PRIMARY", "AXIAL")

HOLDS: list[tuple[Any, tuple[str, ...], bool | None]] = [
    # equal
    ("CT", ("CT",), True),
    ("CT", ("ct",), False),
    (" CT ", ("CT",), True),
    ("PRIMARY", TYPE, True),
    ("SECONDARY", TYPE, False),
    ("CT", (), None),
    (3, ("3",), True),
    (3, ("3.0",), True),
    (3, ("003",), True),
    ("3", ("3.0",), False),
    (0.5, ("5e-1",), True),
    (3, ("three",), False),
    (3, ("nan", "inf"), False),
    # one of
    (["MR", "CT"], ("CT",), True),
    (["MR", "PT"], ("CT",), False),
    (["L", 70], ("70.0",), True),
    (["MR"], (), None),
    # regex: found anywhere, unless tied to the ends
    ({"regex": "THIN"}, ("CHEST THIN 1.0",), True),
    ({"regex": "^THIN"}, ("CHEST THIN 1.0",), False),
    ({"regex": "(?i)thin"}, ("x", "Thin"), True),
    ({"regex": "^X"}, TYPE, False),
    ({"regex": "."}, (), None),
    # range: both ends belong to it, and one value must be inside both
    ({"max": 2.0}, ("2.0",), True),
    ({"max": 2.0}, ("2.001",), False),
    ({"min": 200}, ("200",), True),
    ({"min": 200}, ("199.999",), False),
    ({"min": 1, "max": 3}, ("0", "4"), False),
    ({"min": 1, "max": 3}, ("0", "2"), True),
    ({"max": 2}, ("-inf",), False),
    ({"min": 0}, ("many",), False),
    ({"min": 0}, (), None),
    # contains
    ({"contains": "PRIM"}, TYPE, True),
    ({"contains": "SEC"}, TYPE, False),
    ({"contains": "x"}, (), None),
    # present
    ({"present": True}, ("x",), True),
    ({"present": True}, (), False),
    ({"present": False}, (), True),
    ({"present": False}, ("x",), False),
    # not: what is unknown fits neither a condition nor its opposite
    ({"not": "FFS"}, ("HFS",), True),
    ({"not": "FFS"}, ("FFS",), False),
    ({"not": "PRIMARY"}, TYPE, False),
    ({"not": "FFS"}, (), None),
    ({"not": {"present": True}}, (), True),
    ({"not": {"not": "FFS"}}, ("FFS",), True),
    # several operators: all of them
    ({"contains": "A", "regex": "L$"}, ("AXIAL",), True),
    ({"contains": "A", "regex": "M$"}, ("AXIAL",), False),
    ({"contains": "A", "present": True}, (), False),
    ({"contains": "A", "present": False}, (), None),
]


@pytest.mark.parametrize(("written", "found", "expected"), HOLDS)
def test_operator(written: Any, found: tuple[str, ...], expected: bool | None) -> None:
    assert holds(build(written), found) is expected


WORDS = [
    ({"max": 2.0}, ("5.0",), "at most 2.0", "5.0 is above 2.0"),
    ({"min": 200}, ("31.5",), "at least 200", "31.5 is below 200"),
    ({"min": 1, "max": 2}, ("3",), "from 1 to 2", "3 is above 2"),
    (["CT", 3], ("MR",), '"CT" or 3', 'MR where the rule wants "CT" or 3'),
    ({"not": "FFS"}, ("FFS",), 'anything but "FFS"', 'FFS where the rule wants anything but "FFS"'),
    ({"regex": "^B"}, ("L",), "text with /^B/", "L where the rule wants text with /^B/"),
    (
        {"contains": "SEC"},
        TYPE,
        'text with "SEC"',
        'ORIGINAL\\PRIMARY\\AXIAL where the rule wants text with "SEC"',
    ),
    ({"present": False}, ("x",), "no value", "x where the rule wants no value"),
    ("CT", (), '"CT"', "is absent"),
]


@pytest.mark.parametrize(("written", "found", "condition", "why"), WORDS)
def test_a_condition_can_be_said_and_so_can_its_failure(
    written: Any, found: tuple[str, ...], condition: str, why: str
) -> None:
    assert wanted(build(written)) == condition
    assert shortfall(build(written), found) == why


def test_a_long_text_is_searched_no_further_than_its_beginning_and_shown_shortened() -> None:
    assert holds(build({"regex": "x"}), ("a" * 1023 + "x",)) is True
    assert holds(build({"regex": "x"}), ("a" * 1024 + "x",)) is False
    assert len(shortfall(build("b"), ("a" * 5000,))) < 120


def test_every_word_of_the_vocabulary_is_implemented_and_none_besides() -> None:
    assert set(BUILDERS) | {"any_item"} == set(OPERATORS)
    assert set(FIGURES) == set(PREFERENCES)
    assert set(STUDY_FACTS) == {name for scope, name in FACTS if scope is Scope.STUDY}
    assert set(VOLUME_FACTS) == {name for scope, name in FACTS if scope is Scope.VOLUME}


def test_no_fact_hides_a_dicom_keyword_and_every_harmless_word_exists() -> None:
    facts = {name for _, name in FACTS}
    assert not facts & set(keyword_dict)
    assert set(keyword_dict) | facts >= HARMLESS


def test_no_attribute_of_a_person_or_a_visit_is_harmless() -> None:
    private = ("Patient", "Study", "Accession", "Date", "Time", "Physician", "Description", "Comments", "UID")
    allowed = {"PatientPosition", "SOPClassUID", "EchoTime", "RepetitionTime", "InversionTime"}
    assert not [word for word in HARMLESS - allowed if any(part in word for part in private)]
