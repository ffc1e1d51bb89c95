"""`bridge privacy audit`: what would leave, by attribute, without a value unless asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from site_bench import RULES, SITE
from typer.testing import CliRunner

from bridge.cli.app import app
from made_objects import ct_slice

NAME, HOSPITAL = "Kanarienvogel^Gelb", "Haus am See"


def study(folder: Path, **attributes: Any) -> Path:
    folder.mkdir()
    for number in range(4):
        one = ct_slice(number=number, study="1.2.3", series="1.2.3.4", name=NAME)
        one.InstitutionName, one.StudyDate = HOSPITAL, "20240301"
        for keyword, value in attributes.items():
            setattr(one, keyword, value)
        one.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site.toml").write_text(SITE.format(port=1, cloud=1, destination=""))
    (tmp_path / "rules.toml").write_text(RULES)
    (tmp_path / "token").write_text("x")
    return tmp_path / "site.toml"


def audit(site: Path, folder: Path, *more: str) -> Any:
    return CliRunner().invoke(
        app, ["privacy", "audit", str(folder), "--rule", "lungs", "--config", str(site), *more]
    )


def attributes(said: Any) -> dict[str, Any]:
    (one,) = json.loads(said.stdout)["inputs"]
    return {line["path"]: line for line in one["attributes"]}


def test_each_attribute_is_told_with_what_happens_to_it(site: Path, tmp_path: Path) -> None:
    told = attributes(audit(site, study(tmp_path / "study"), "--json", "--show-values"))
    assert told["InstitutionName"] == {
        "path": "InstitutionName",
        "objects": 4,
        "actions": ["removed"],
        "before": [HOSPITAL],
        "after": [],
    }
    assert told["Rows"]["actions"] == ["leaves as it is"]
    assert told["Rows"]["after"] == ["8"]
    assert told["StudyInstanceUID"]["actions"] == ["UID mapped"]
    assert told["StudyInstanceUID"]["before"] == ["1.2.3"]
    assert told["StudyInstanceUID"]["after"][0].startswith("2.25.")
    assert told["PatientIdentityRemoved"]["after"] == ["YES"]


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_no_value_of_the_patient_is_shown_unless_asked(
    site: Path, tmp_path: Path, more: tuple[str, ...]
) -> None:
    said = audit(site, study(tmp_path / "study"), *more)
    assert said.exit_code == 0
    assert [one for one in (NAME, HOSPITAL, "1.2.3", "20240301") if one in said.output] == []
    assert "YES" in said.output


def test_of_a_bare_format_no_attribute_leaves(site: Path, tmp_path: Path) -> None:
    said = audit(site, study(tmp_path / "study"), "--format", "mha")
    assert "no attribute leaves" in said.stdout
    assert attributes(audit(site, tmp_path / "study", "--format", "mha", "--json")) == {}


def test_pixels_that_show_a_person_are_told_and_end_with_1(site: Path, tmp_path: Path) -> None:
    said = audit(site, study(tmp_path / "study", RecognizableVisualFeatures="YES"))
    assert said.exit_code == 1
    assert "visual-features: Recognizable Visual Features is YES (4 objects)" in said.stdout


@pytest.mark.parametrize(
    ("rule", "more", "code"),
    [("lnugs", (), "PRV-001"), ("lungs", ("--format", "mhb"), "PRV-002")],
)
def test_a_rule_or_format_that_is_not_there_is_said(
    site: Path, tmp_path: Path, rule: str, more: tuple[str, ...], code: str
) -> None:
    said = audit(site, study(tmp_path / "study"), "--rule", rule, *more)
    assert getattr(said.exception, "code", "") == code


def test_a_study_that_the_rule_does_not_take_is_refused_with_its_reason(site: Path, tmp_path: Path) -> None:
    said = audit(site, study(tmp_path / "study", Modality="MR"))
    assert getattr(said.exception, "code", "") == "PRV-004"
    (tmp_path / "empty").mkdir()
    assert getattr(audit(site, tmp_path / "empty").exception, "code", "") == "PRV-003"
