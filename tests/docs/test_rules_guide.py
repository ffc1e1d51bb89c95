"""The guide to rules: its five examples on studies that they are about; and the page of explanations is up to date."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.dicom.folder import read_folder
from bridge.rules import Choice, Outcome, Rule, Study, choose
from bridge.rules.facts import Prior, PriorStudy
from bridge.volumes import candidates_of
from bridge.volumes.volume import Candidate
from conftest import data_folder
from made_studies import SECONDARY_CAPTURE, TODAY, refused, rules, study, volume

ROOT = Path(__file__).resolve().parents[2]
TOML = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def example(folder: Path, name: str) -> Rule:
    """The first example of the guide with a rule of that name."""
    every = TOML.findall((ROOT / "docs" / "rules.md").read_text(encoding="utf-8"))
    (found,) = rules(folder, next(text for text in every if f"[rules.{name}]" in text))
    return found


def taken(rule: Rule, *came: Candidate) -> dict[str, str]:
    return series(choose(rule, study(*came), came))


def series(choice: Choice) -> dict[str, str]:
    """By input the number of the series."""
    return {name: str(one.instances[0].header.SeriesNumber) for name, one in (choice.volumes or {}).items()}


def chest(number: int, *, spacing: float = 1.0, slices: int = 300, **attributes: object) -> Candidate:
    return volume(number, spacing=spacing, slices=slices, **{"BodyPartExamined": "CHEST", **attributes})  # type: ignore[arg-type]


SCOUT = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def test_thin_chest_takes_the_soft_kernel_and_never_the_scout_or_the_bolus_images(tmp_path: Path) -> None:
    rule = example(tmp_path, "lungs")
    came = (
        volume(1, ImageType=SCOUT, BodyPartExamined="CHEST"),
        refused(2, slices=12, BodyPartExamined="CHEST"),
        chest(3, spacing=5.0, slices=60),
        chest(4, ConvolutionKernel="B70f"),
        chest(5, ConvolutionKernel="B30f"),
        volume(9, sop_class=SECONDARY_CAPTURE),
    )
    assert taken(rule, *came) == {"ct-image": "5"}
    assert taken(rule, *came[:3]) == {"ct-image": "3"}, "or else the thick one"
    assert taken(rule, chest(4, BodyPartExamined="HEAD")) == {}


def test_a_thin_series_with_a_hole_is_not_passed_over(tmp_path: Path) -> None:
    rule = example(tmp_path, "lungs")
    came = (refused(2, slices=60, BodyPartExamined="CHEST"), chest(3, spacing=5.0, slices=60))
    choice = choose(rule, study(*came), came)
    assert choice.explanation.outcome is Outcome.REFUSED
    assert choice.explanation.reason.endswith("any-chest-ct is not looked at")


REAL = [
    ("ct-chest-philips", "lungs", {"ct-image": "2"}),
    ("mr-dual-echo-philips", "first-echo", {"mr-image": "1301"}),
    ("mr-feet-first-ge", "first-echo", {}),
]


@pytest.mark.parametrize(("where", "name", "expected"), REAL)
def test_examples_on_real_series(tmp_path: Path, where: str, name: str, expected: dict[str, str]) -> None:
    held = read_folder(data_folder(where)).instances
    seen = Study(study_instance_uid=held[0].study_instance_uid, instances=held, today=TODAY)
    choice = choose(example(tmp_path, name), seen, candidates_of(held))
    assert series(choice) == expected
    if where == "mr-dual-echo-philips" and choice.volumes:
        chosen = choice.volumes["mr-image"].instances
        assert {(str(one.header.EchoTime), one.header.ImageType[3]) for one in chosen} == {("7.001", "M")}


def test_each_phase_goes_to_its_socket(tmp_path: Path) -> None:
    def phase(number: int, name: str, spacing: float = 1.0) -> Candidate:
        return volume(number, spacing=spacing, SeriesDescription=name, StudyDescription="CT Liver 3 phases")

    rule = example(tmp_path, "liver")
    came = (
        phase(2, "native"),
        phase(3, "ART 1.0"),
        phase(4, "ART 5.0", 5.0),
        phase(5, "portal ven 1.0"),
        phase(6, "cart. 1.0"),
    )
    assert taken(rule, *came) == {"arterial": "3", "venous": "5"}
    assert taken(rule, *came[:3]) == {}, "one phase alone is no match"


def test_cone_beam_is_known_by_its_device(tmp_path: Path) -> None:
    def scan(model: str, spacing_mm: tuple[float, float, float] = (0.3, 0.3, 0.3)) -> Candidate:
        made = volume(2, slices=120, ManufacturerModelName=model)
        assert made.volume is not None
        geometry = replace(made.volume.geometry, spacing_mm=spacing_mm)
        return replace(made, volume=replace(made.volume, geometry=geometry))

    rule = example(tmp_path, "teeth")
    assert taken(rule, scan("NewTom VGi")) == {"cbct-image": "2"}
    assert taken(rule, scan("NewTom VGi", (0.7, 0.3, 0.3))) == {}, "not isotropic"
    assert taken(rule, scan("NewTom VGi", (0.7, 0.7, 0.7))) == {}, "too coarse"
    assert taken(rule, scan("Ingenuity CT")) == {}
    came = (scan("unknown"),)
    assert series(choose(rule, study(*came, calling=("CBCT1",)), came)) == {"cbct-image": "2"}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"RequestingService": "Emergency Dept"}, {"ct-image": "2"}),
        ({"InstitutionalDepartmentName": "EMERGENCY"}, {"ct-image": "2"}),
        ({"RequestingService": "Neurology"}, {}),
        ({"RequestingService": "Emergency Dept", "StudyDate": "20260101"}, {}),
    ],
    ids=["by service", "by department", "another department", "an old study"],
)
def test_only_for_emergency(tmp_path: Path, attributes: dict[str, str], expected: dict[str, str]) -> None:
    given = {"BodyPartExamined": "HEAD", "StudyDate": f"{TODAY:%Y%m%d}", **attributes}
    head = volume(2, spacing=5.0, slices=30, **given)  # type: ignore[arg-type]
    assert taken(example(tmp_path, "bleeding"), head) == expected


def test_every_thin_volume_has_its_job_the_thinnest_first(tmp_path: Path) -> None:
    rule = example(tmp_path, "every-thin-ct")
    came = (
        volume(1, ImageType=SCOUT),
        chest(2, spacing=1.5),
        chest(3, spacing=5.0, slices=60),
        chest(4, spacing=0.8),
        refused(5, slices=60),
        refused(6, slices=3),
    )
    choice = choose(rule, study(*came), came)
    assert [str(one.volumes["ct-image"].instances[0].header.SeriesNumber) for one in choice.matches] == [
        "4",
        "2",
    ]
    assert "; no job for 1 that fit by their headers, series 5, CT, 60 images: " in choice.explanation.reason


def test_follow_up_takes_the_newest_thin_prior_between_a_month_and_two_years_old(tmp_path: Path) -> None:
    rule = example(tmp_path, "follow-up")
    current = chest(1, StudyDate="20260210")

    def before(days: int, number: int, spacing: float = 1.0) -> Prior:
        one = chest(number, spacing=spacing)
        return Prior(days=days, place=days, look=lambda: PriorStudy(study=study(one), candidates=(one,)))

    def moving(*priors: Prior) -> str | None:
        choice = choose(rule, replace(study(current), priors=priors), [current])
        return series(choice).get("moving-image")

    thick = before(40, 3, spacing=5.0)
    assert moving(before(7, 2), thick, before(412, 4), before(600, 5)) == "4"
    assert moving(before(7, 2), thick, before(801, 6)) is None


def test_the_page_of_explanations_is_what_the_rules_say() -> None:
    data_folder()
    told = subprocess.run([sys.executable, str(ROOT / "scripts" / "explained.py"), "--check"], check=False)
    assert told.returncode == 0, "run scripts/explained.py, and read what has changed"
