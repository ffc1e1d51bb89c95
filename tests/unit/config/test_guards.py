"""Budgets, purposes and test patients in the two files: what cannot be is said with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.rules.test_guards import site

from bridge.config import check_rules, load_rules
from bridge.config.rules import RuleModel
from bridge.errors import ConfigError
from bridge.flow.study.rulebook import rules_of

RULES = """\
[defaults]
max_study_age_days = 30
jobs_per_day = 5

[rules.lungs]
mode = "live"
platform = "gc"
algorithm = "lungs"
destinations = ["pacs"]
{more}
inputs.ct.volume = {{ Modality = "CT" }}
"""


def rules(folder: Path, more: str = "") -> Path:
    file = folder / "rules.toml"
    file.write_text(RULES.format(more=more))
    return file


def test_guards_are_inherited_and_can_be_changed(tmp_path: Path) -> None:
    made = load_rules(rules(tmp_path, "jobs_per_day = 7"))
    lungs = made.rules["lungs"]
    assert (lungs.max_study_age_days, lungs.jobs_per_day, lungs.jobs_per_month) == (30, 7, None)
    assert "max_study_age_days" in made.inherited["lungs"]


@pytest.mark.parametrize(
    "more",
    [
        "jobs_per_day = 0",
        "jobs_per_month = -1",
        "failures_in_a_row = 0",
        "max_study_age_days = 1.5",
        'test_patients = "never"',
        'purpose = "fun"',
        "jobs_per_day = true",
    ],
)
def test_value_that_cannot_be_has_its_line(tmp_path: Path, more: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_rules(rules(tmp_path, more))
    if "jobs_per_day" not in more:
        assert caught.value.line == 10


@pytest.mark.parametrize(
    ("more", "accepts", "wrong"),
    [
        ('purpose = "research"', "", False),
        ('purpose = "research"', 'accepts = ["research"]', False),
        ('purpose = "research"', 'accepts = ["clinical"]', True),
        ("", 'accepts = ["clinical"]', False),
        ("", 'accepts = ["research"]', True),
    ],
)
def test_results_go_only_where_their_purpose_is_accepted(
    tmp_path: Path, more: str, accepts: str, wrong: bool
) -> None:
    problems = check_rules(load_rules(rules(tmp_path, more)), site(tmp_path, destination=accepts))
    assert [one.code for one in problems] == ["CFG-015"] * wrong
    if wrong:
        assert (problems[0].line, problems[0].key) == (9, "rules.lungs.destinations[0]")


def test_nobody_waits_for_test_patients_that_are_not_named(tmp_path: Path) -> None:
    file = load_rules(rules(tmp_path, 'test_patients = "only"'))
    (problem,) = check_rules(file, site(tmp_path))
    assert (problem.code, problem.line) == ("CFG-016", 10)
    named = site(tmp_path, more='[test_patients]\nPatientID = "TEST"')
    assert check_rules(file, named) == []
    assert len(rules_of(file, named).test_patients) == 1


def test_frozen_rule_of_an_earlier_release_is_clinical_and_without_a_budget() -> None:
    old = (
        '{"mode":"live","platform":"gc","algorithm":"a","destinations":["p"],'
        '"inputs":{"i":{"volume":{"Modality":"CT"}}}}'
    )
    frozen = RuleModel.model_validate_json(old)
    assert (frozen.purpose, frozen.test_patients, frozen.jobs_per_day) == ("clinical", "skip", None)
