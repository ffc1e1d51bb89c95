"""Paths into sequences, parts of names, dates and ages: what a word of a rule reads from a header."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from bridge.rules import Outcome, choose
from bridge.rules.attributes import Subject, attribute
from bridge.rules.conditions import build, holds
from bridge.rules.dates import age_years, day_of
from made_studies import TODAY, header, rule, study, volume

NAME = "Yamada^Tarou^Q^Dr^Jr=山田^太郎=やまだ^たろう"

PARTS = [
    ("FamilyName", NAME, "Yamada"),
    ("GivenName", NAME, "Tarou"),
    ("MiddleName", NAME, "Q"),
    ("NamePrefix", NAME, "Dr"),
    ("NameSuffix", NAME, "Jr"),
    ("Alphabetic.FamilyName", NAME, "Yamada"),
    ("Alphabetic", NAME, "Yamada^Tarou^Q^Dr^Jr"),
    ("Ideographic", NAME, "山田^太郎"),
    ("Ideographic.GivenName", NAME, "太郎"),
    ("Phonetic.FamilyName", NAME, "やまだ"),
    ("FamilyName", " Quimby ^Ann", "Quimby"),
    ("GivenName", "Quimby", None),
    ("FamilyName", "^Ann", None),
    ("Ideographic.FamilyName", "Quimby^Ann", None),
    ("FamilyName", "=山田^太郎", None),
]


@pytest.mark.parametrize(("part", "name", "expected"), PARTS)
def test_parts_of_a_person_name(tmp_path: Path, part: str, name: str, expected: str | None) -> None:
    named = volume(1, PatientName=name)
    wanted = f'"{expected}"' if expected else "{ present = false }"
    fits = rule(tmp_path, '{ Modality = "CT" }', study=f'{{ "PatientName.{part}" = {wanted} }}')
    assert choose(fits, study(named), [named]).explanation.outcome is Outcome.MATCH


def test_a_part_of_one_name_of_several_is_enough(tmp_path: Path) -> None:
    named = volume(1, OperatorsName=["Quimby^Ann", "Roe^Sam"])
    for given, outcome in (("Sam", Outcome.MATCH), ("Roe", Outcome.NO_MATCH)):
        one = rule(tmp_path, '{ Modality = "CT" }', study=f'{{ "OperatorsName.GivenName" = "{given}" }}')
        assert choose(one, study(named), [named]).explanation.outcome is outcome


def of(word: str) -> Subject:
    return Subject(text=word, path=tuple(word.split(".")))


def nested() -> Dataset:
    def step(*values: str) -> Dataset:
        return header(ScheduledProtocolCodeSequence=Sequence([header(CodeValue=one) for one in values]))

    return header(RequestAttributesSequence=Sequence([step("1", "2"), step(), step("2", "3")]))


def test_a_path_reads_every_item_at_any_depth_each_value_once() -> None:
    path = "RequestAttributesSequence.ScheduledProtocolCodeSequence.CodeValue"
    assert list(attribute(nested(), of(path))) == [("1", "2", "3")]


MISSING = [
    "RequestAttributesSequence.ScheduledProcedureStepID",
    "ProcedureCodeSequence.CodeValue",
    "RequestAttributesSequence.RequestedProcedureCodeSequence.CodeValue",
]


@pytest.mark.parametrize("path", MISSING)
def test_a_path_that_leads_nowhere_has_no_value(path: str) -> None:
    assert list(attribute(nested(), of(path))) == [()]


def test_an_element_that_is_no_sequence_where_one_belongs_has_no_items() -> None:
    broken = Dataset()
    broken.add_new(0x00081032, "LO", "no sequence")
    assert list(attribute(broken, of("ProcedureCodeSequence.CodeValue"))) == [()]


def test_a_path_into_the_groups_of_a_multi_frame_object() -> None:
    """PS3.3 C.7.6.16: what a macro holds, and the macro itself."""
    shared = header(PixelMeasuresSequence=Sequence([header(SliceThickness="2.5")]))
    frames = [header(FrameContentSequence=Sequence([header(FrameAcquisitionNumber=n)])) for n in (1, 2)]
    whole = header(
        SharedFunctionalGroupsSequence=Sequence([shared]), PerFrameFunctionalGroupsSequence=Sequence(frames)
    )
    assert list(attribute(whole, of("PixelMeasuresSequence.SliceThickness"))) == [("2.5",)]
    assert list(attribute(whole, of("FrameContentSequence.FrameAcquisitionNumber"))) == [("1",), ("2",)]
    full = "PerFrameFunctionalGroupsSequence.FrameContentSequence.FrameAcquisitionNumber"
    assert list(attribute(whole, of(full))) == [("1", "2")]


AGES: list[tuple[dict[str, Any], str, bool | None]] = [
    ({"within_days": 30}, "20260210", True),
    ({"within_days": 30}, "20260111", True),
    ({"within_days": 30}, "20260110", False),
    ({"within_days": 0}, "20260210", True),
    # clocks run ahead, by no more than a day
    ({"within_days": 30}, "20260211", True),
    ({"within_days": 30}, "20260212", False),
    ({"older_than_days": 30}, "20260111", False),
    ({"older_than_days": 30}, "20260110", True),
    ({"older_than_days": 30}, "20360101", False),
    ({"older_than_days": 7, "within_days": 14}, "20260131", True),
    ({"older_than_days": 7, "within_days": 14}, "20260203", False),
    ({"older_than_days": 7, "within_days": 14}, "20260126", False),
    ({"not": {"within_days": 30}}, "20260110", True),
    # ACR-NEMA, and VR DT with a time and an offset
    ({"within_days": 30}, "2026.02.01", True),
    ({"within_days": 30}, "20260201101500.123456+0100", True),
    ({"older_than_days": 30}, "202501011015", True),
    # what names no day is not known, and neither is its opposite
    ({"within_days": 30}, "202602", None),
    ({"older_than_days": 30}, "20260231", None),
    ({"not": {"within_days": 30}}, "unknown", None),
]


@pytest.mark.parametrize(("written", "text", "expected"), AGES)
def test_the_age_of_a_date(written: dict[str, Any], text: str, expected: bool | None) -> None:
    assert date(2026, 2, 10) == TODAY
    assert holds(build(written), (text,), TODAY) is expected


def test_both_limits_must_fit_the_same_date() -> None:
    written = {"older_than_days": 7, "within_days": 14}
    assert holds(build(written), ("20250101", "20260209"), TODAY) is False
    assert holds(build(written), ("20250101", "20260131"), TODAY) is True


def test_without_a_today_no_date_has_an_age() -> None:
    assert holds(build({"within_days": 30}), ("20260201",)) is None


def test_the_day_that_an_empty_or_foreign_text_names() -> None:
    assert [day_of(text) for text in ("", "2026", "20260201x", "2026020124", "٢٠٢٦٠٢٠١")] == [
        None,
        None,
        None,
        date(2026, 2, 1),
        None,
    ]


YEARS: list[tuple[dict[str, Any], int | None]] = [
    ({"PatientBirthDate": "20080210", "StudyDate": "20260210"}, 18),
    ({"PatientBirthDate": "20080211", "StudyDate": "20260210"}, 17),
    ({"PatientBirthDate": "20080229", "StudyDate": "20260228"}, 17),
    ({"PatientBirthDate": "20080211", "StudyDate": "20260210", "PatientAge": "018Y"}, 17),
    ({"PatientAge": "018Y"}, 18),
    ({"PatientAge": "018M"}, 1),
    ({"PatientAge": "051W"}, 0),
    ({"PatientAge": "366D"}, 1),
    ({"PatientBirthDate": "20270101", "StudyDate": "20260210", "PatientAge": "045Y"}, 45),
    ({"PatientBirthDate": "20080210", "PatientAge": "old"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("attributes", "years"), YEARS)
def test_completed_years(attributes: dict[str, Any], years: int | None) -> None:
    assert age_years(header(**attributes)) == years


UNITS = [
    ('{ spacing_mm = { max = "0.2 cm" } }', 2.0, True),
    ('{ spacing_mm = { max = "0.2 cm" } }', 2.001, False),
    ('{ spacing_mm = { max = "2mm" } }', 2.0, True),
    ('{ spacing_mm = ["0.07 cm", 3] }', 0.7, True),
    ('{ spacing_mm = { not = { min = "0.005 m" } } }', 4.0, True),
    ('{ spacing_mm = { not = { min = "0.005 m" } } }', 5.0, False),
]


@pytest.mark.parametrize(("conditions", "spacing", "fits"), UNITS)
def test_numbers_with_a_unit(tmp_path: Path, conditions: str, spacing: float, fits: bool) -> None:
    made = volume(1, spacing=spacing)
    outcome = choose(rule(tmp_path, conditions), study(made), [made]).explanation.outcome
    assert (outcome is Outcome.MATCH) is fits


@pytest.mark.parametrize(
    ("limit", "fits"), [('"36 hours"', False), ('"2 weeks"', True), ("8", False), ("9", True)]
)
def test_days_and_hours(tmp_path: Path, limit: str, fits: bool) -> None:
    """The study is nine days old."""
    made = volume(1)
    for conditions in (
        f"{{ age_days = {{ max = {limit} }} }}",
        f"{{ StudyDate = {{ within_days = {limit} }} }}",
    ):
        one = rule(tmp_path, '{ Modality = "CT" }', study=conditions)
        assert (choose(one, study(made), [made]).explanation.outcome is Outcome.MATCH) is fits
