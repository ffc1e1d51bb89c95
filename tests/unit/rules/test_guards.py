"""What keeps a rule from a study that fits it: its age, a test patient, a wish to be left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.config.opt_out import OptOut, read_opt_out
from bridge.config.site import Site, load_site
from bridge.errors import ConfigError
from bridge.rules import Guards, Rule, choose
from bridge.rules.choice import Choice
from bridge.rules.guards import named_test_patients, patients
from bridge.volumes.volume import Candidate
from made_studies import instance, rule, study, volume

SITE = """
[bridge]
ae_title = "BRIDGE"
data = "data"
rules = "rules.toml"
{bridge}
[destinations.pacs]
ae_title = "PACS"
host = "127.0.0.1"
port = 104
{destination}
[accounts.gc]
platform = "grand-challenge"
base_url = "https://cloud.example/api/v1/"
token_file = "token"
{more}
"""


def site(folder: Path, *, bridge: str = "", destination: str = "", more: str = "") -> Site:
    file = folder / "site.toml"
    file.write_text(SITE.format(bridge=bridge, destination=destination, more=more))
    return load_site(file)


def chosen(one: Rule, *candidates: Candidate, guards: Guards | None = None) -> Choice:
    return choose(one, study(*candidates), candidates, guards=guards or Guards())


@pytest.mark.parametrize(
    ("date", "limit", "reason"),
    [
        ("20260201", 9, ""),
        ("20260201", 8, "the study is older than 8 days (max_study_age_days)"),
        ("20260201", 1, "the study is older than 1 day (max_study_age_days)"),
        ("20260210", 0, ""),
        ("20260209", 0, "the study is older than 0 days (max_study_age_days)"),
        ("20260211", 0, ""),
        ("20260212", 30, "the Study Date lies in the future"),
        ("2026.02.01", 9, ""),
        ("20261301", 9, "the study has no Study Date that can be read"),
        ("", 9, "the study has no Study Date that can be read"),
        (None, 36500, "the study has no Study Date that can be read"),
    ],
)
def test_study_older_than_the_rule_takes_makes_no_match(
    tmp_path: Path, date: str | None, limit: int, reason: str
) -> None:
    aged = replace(rule(tmp_path), max_study_age_days=limit)
    told = chosen(aged, volume(StudyDate=date)).explanation
    assert told.outcome == ("no-match" if reason else "match")
    assert not reason or told.reason.startswith(reason)
    (check,) = told.study
    assert (check.keyword, check.ok) == ("max_study_age_days", not reason)


def test_the_oldest_of_several_dates_counts(tmp_path: Path) -> None:
    aged = replace(rule(tmp_path), max_study_age_days=9)
    told = chosen(aged, volume(1), volume(2, StudyDate="20200101", Modality="MR")).explanation
    assert told.outcome == "no-match"


def test_age_stands_in_no_sentence_and_is_masked_in_the_check(tmp_path: Path) -> None:
    aged = replace(rule(tmp_path), max_study_age_days=30)
    told = chosen(aged, volume(StudyDate="20250101")).explanation
    assert told.study[0].found == "405"
    assert "405" not in repr(told.masked())


def test_rule_without_a_limit_says_nothing_of_age(tmp_path: Path) -> None:
    told = chosen(rule(tmp_path), volume(StudyDate=None)).explanation
    assert (told.outcome, told.study) == ("match", ())


def test_what_a_guard_keeps_away_calls_nobody_even_where_a_tie_would(tmp_path: Path) -> None:
    tied = replace(rule(tmp_path), max_study_age_days=1)
    assert chosen(tied, volume(1), volume(2)).explanation.outcome == "no-match"
    assert chosen(rule(tmp_path), volume(1), volume(2)).explanation.outcome == "held"


@pytest.mark.parametrize(
    ("wanted", "patient", "outcome"),
    [
        ("skip", "TEST-1", "no-match"),
        ("skip", "C-1", "match"),
        ("run", "TEST-1", "match"),
        ("run", "C-1", "match"),
        ("only", "TEST-1", "match"),
        ("only", "C-1", "no-match"),
        ("only", None, "no-match"),
        ("skip", None, "match"),
    ],
)
def test_rule_says_what_becomes_of_test_patients(
    tmp_path: Path, wanted: Any, patient: str | None, outcome: str
) -> None:
    there = site(tmp_path, more='[test_patients]\nPatientID = { regex = "^TEST" }')
    guards = Guards(test_patients=named_test_patients(there))
    told = chosen(replace(rule(tmp_path), test_patients=wanted), volume(PatientID=patient), guards=guards)
    assert told.explanation.outcome == outcome
    assert "TEST-1" not in told.explanation.reason
    assert "TEST-1" not in repr(told.explanation.study)


def test_one_object_of_a_test_patient_makes_a_study_of_one(tmp_path: Path) -> None:
    there = site(tmp_path, more='[test_patients]\nPatientID = { regex = "^TEST" }')
    guards = Guards(test_patients=named_test_patients(there))
    told = chosen(rule(tmp_path), volume(1), volume(2, PatientID="TEST", Modality="MR"), guards=guards)
    assert told.explanation.outcome == "no-match"


@pytest.mark.parametrize(
    ("line", "issuer", "patient", "out"),
    [
        ("P-1", "", "P-1", True),
        ("P-1", "HOUSE", "P-1", True),
        ("  p-1 ", "", "P-1 ", True),
        ("P-1", "", "P-11", False),
        ("HOUSE|P-1", "HOUSE", "P-1", True),
        ("HOUSE|P-1", "", "P-1", True),
        ("HOUSE|P-1", "OTHER", "P-1", False),
        ("HOUSE | P-1", "house", "P-1", True),
        ("A|B", "", "A|B", True),
        ("P-1 # asked in March", "", "P-1", True),
        ("P #1", "", "P #1", True),
        ("# P-1", "", "P-1", False),
        ("#P-1", "", "#P-1", False),
        ("HOUSE|", "HOUSE", "", False),
        ("", "", "", False),
    ],
)
def test_line_of_the_opt_out_list(tmp_path: Path, line: str, issuer: str, patient: str, out: bool) -> None:
    file = tmp_path / "out.txt"
    file.write_text(f"\ufeff# a comment\n\nZ-9\n{line}\n", encoding="utf-8")
    assert read_opt_out(file).names([(issuer, patient)] if patient else []) is out


def test_patient_on_the_list_makes_no_match_and_is_named_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "out.txt"
    file.write_text("HOUSE|P-1\n")
    guards = Guards(opt_out=read_opt_out(file))
    ct = volume(PatientID="P-1", IssuerOfPatientID="HOUSE")
    told = chosen(rule(tmp_path), ct, guards=guards).explanation
    assert told.outcome == "no-match"
    assert told.reason == "the patient is on the opt-out list of this site (opt_out_file)"
    assert "P-1" not in repr(told)
    assert "P-1" not in repr(guards)
    assert chosen(rule(tmp_path), volume(PatientID="P-2"), guards=guards).explanation.outcome == "match"


def test_every_identity_of_a_study_is_looked_for(tmp_path: Path) -> None:
    every = patients(
        [instance(PatientID="A "), instance(2, PatientID="B", IssuerOfPatientID="H"), instance(3)]
    )
    assert every == {("", "A"), ("H", "B")}
    assert not OptOut().names(every)


def test_list_that_cannot_be_read_holds_what_fits_and_nothing_else(tmp_path: Path) -> None:
    guards = Guards(unreadable="the opt-out list cannot be read")
    fits = chosen(rule(tmp_path), volume(), guards=guards)
    assert (fits.explanation.outcome, fits.code, fits.volumes) == ("held", "RUL-004", None)
    other = chosen(rule(tmp_path), volume(Modality="MR"), guards=guards)
    assert (other.explanation.outcome, other.code) == ("no-match", "")


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_list_that_cannot_be_read_is_an_error_without_a_name(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "out.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match="the opt-out list cannot be read") as caught:
        read_opt_out(file)
    assert caught.value.code == "RUL-004"
    assert read_opt_out(None).names([("", "P-1")]) is False


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("[test_patients]\nPatientId = 'X'", "CFG-010"),
        ("[test_patients]\nPatientID = { regexp = '^X' }", "CFG-009"),
        ("[test_patients]\nPatientID = { regex = '(' }", "CFG-011"),
        ("[test_patients]\nspacing_mm = 1", "CFG-010"),
    ],
)
def test_mistake_in_test_patients_has_its_line(tmp_path: Path, table: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        named_test_patients(site(tmp_path, more=table))
    assert caught.value.code == expected
    assert caught.value.line == len(SITE.format(bridge="", destination="", more="").splitlines()) + 1
    assert caught.value.file.endswith("site.toml")
