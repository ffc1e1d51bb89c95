"""A rule that takes every volume: what makes a job, what makes none, and how that is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.rules import Choice, Outcome, Rule, choose
from bridge.volumes.volume import Candidate
from made_studies import HEAD, refused, rule, rules, study, volume


def each(folder: Path, volume: str = '{ Modality = "CT" }', prefer: str = "[]", more: str = "") -> Rule:
    text = (
        f'{HEAD}for_each = "ct"\n[rules.x.inputs.ct]\nvolume = {volume}\n'
        + (f"prefer = {prefer}\n" if prefer != "[]" else "")
        + more
    )
    return rules(folder, text)[0]


def applied(to: Rule, *came: Candidate) -> Choice:
    return choose(to, study(*came), came)


def taken(choice: Choice, socket: str = "ct") -> list[str]:
    return [one.volumes[socket].series_instance_uid.split(".")[-1] for one in choice.matches]


def test_every_volume_that_fits_makes_a_job(tmp_path: Path) -> None:
    choice = applied(each(tmp_path), volume(3), volume(1, spacing=5.0), volume(2, Modality="MR"))
    assert choice.explanation.outcome is Outcome.MATCH
    assert taken(choice) == ["1", "3"]
    assert choice.explanation.reason == (
        "ct is each of 2 volumes: series 1, CT, 4 images, 5.0 mm; series 3, CT, 4 images, 1.0 mm"
    )
    (told,) = choice.explanation.inputs
    assert (told.chosen, [one.chosen for one in told.candidates]) == (0, [True, False, True])


def test_preferences_order_them_and_no_tie_holds(tmp_path: Path) -> None:
    to = each(tmp_path, prefer='["thinnest", "most-instances"]')
    came = (volume(1, spacing=5.0), volume(2), volume(3), volume(4, slices=9))
    assert taken(applied(to, *came)) == ["4", "2", "3", "1"]
    assert taken(applied(to, *reversed(came))) == ["4", "2", "3", "1"]


def test_each_job_says_why_it_takes_its_own(tmp_path: Path) -> None:
    choice = applied(each(tmp_path, prefer='["thinnest"]'), volume(1, spacing=5.0), volume(2))
    first, second = (one.explanation for one in choice.matches)
    assert first.reason == "ct is series 2, CT, 4 images, 1.0 mm, one of 2 that make a job each"
    assert second.reason == "ct is series 1, CT, 4 images, 5.0 mm, one of 2 that make a job each"
    assert [one.inputs[0].chosen for one in (first, second)] == [1, 0]
    assert [one.chosen for one in first.inputs[0].candidates] == [False, True]
    assert first.inputs[0].candidates[0].reason == "fits, and makes a job of its own"


def test_one_volume_is_told_as_by_any_rule(tmp_path: Path) -> None:
    choice = applied(each(tmp_path), volume(1))
    assert choice.explanation.reason == "ct is series 1, CT, 4 images, 1.0 mm"
    assert [one.explanation for one in choice.matches] == [choice.explanation]


def test_what_fits_and_is_no_volume_makes_no_job_and_is_told(tmp_path: Path) -> None:
    choice = applied(each(tmp_path), volume(1), refused(2), refused(3), refused(4, Modality="MR"))
    assert (choice.explanation.outcome, taken(choice)) == (Outcome.MATCH, ["1"])
    assert choice.explanation.reason == (
        "ct is series 1, CT, 4 images, 1.0 mm; no job for 2 that fit by their headers, series 2, CT, 4 images: "
        "not a volume, GEO-022: a slice is missing (hole_mm 10, after 3) (and 1 more)"
    )


def test_rule_that_takes_one_says_nothing_of_what_fits_and_is_no_volume(tmp_path: Path) -> None:
    choice = applied(rule(tmp_path, prefer='["thinnest"]'), volume(1), refused(2))
    assert choice.explanation.reason == "ct is series 1, CT, 4 images, 1.0 mm"


@pytest.mark.parametrize(
    ("came", "outcome"),
    [
        ((refused(1), refused(2)), Outcome.REFUSED),
        ((volume(1, Modality="MR"),), Outcome.NO_MATCH),
        ((), "no-match"),
    ],
)
def test_without_a_volume_there_is_no_match(
    tmp_path: Path, came: tuple[Candidate, ...], outcome: Outcome
) -> None:
    choice = applied(each(tmp_path), *came)
    assert (choice.explanation.outcome, choice.matches, choice.volumes) == (outcome, (), None)


PET = '[rules.x.inputs.a]\nvolume = { spacing_mm = { max = 2 } }\nprefer = ["lowest-series-number"]\n'


@pytest.mark.parametrize("name", ["a", "z"])
def test_what_another_input_takes_is_not_taken_by_it(tmp_path: Path, name: str) -> None:
    to = each(tmp_path, more=PET.replace("inputs.a", f"inputs.{name}"))
    choice = applied(to, volume(1), volume(2), volume(3, spacing=5.0))
    assert taken(choice) == ["2", "3"]
    assert taken(choice, name) == ["1", "1"]
    told = next(one for one in choice.explanation.inputs if one.input == "ct")
    assert told.candidates[0].reason == f"{name} takes it"


def test_alone_with_what_another_input_takes_it_has_nothing(tmp_path: Path) -> None:
    choice = applied(each(tmp_path, more=PET), volume(1))
    assert choice.explanation.outcome is Outcome.NO_MATCH
    assert choice.explanation.reason == "ct: series 1, CT, 4 images, 1.0 mm: a takes it"


def test_other_inputs_are_chosen_as_ever(tmp_path: Path) -> None:
    to = each(tmp_path, more=PET.replace("lowest-series-number", "thinnest"))
    choice = applied(to, volume(1), volume(2))
    assert choice.explanation.outcome is Outcome.HELD
    assert choice.matches == ()


DEFINITIONS = """
[volumes.thin]
where = { spacing_mm = { max = 2 } }
[volumes.any]
where = { Modality = "CT" }
"""


@pytest.mark.parametrize(
    ("came", "series", "reason"),
    [
        ((volume(1, spacing=5.0), volume(2), volume(3)), ["2", "3"], "ct is each of 2 volumes, by thin: "),
        (
            (volume(1, spacing=5.0), volume(2, spacing=3.0)),
            ["1", "2"],
            "ct is each of 2 volumes, by any (no thin): ",
        ),
    ],
)
def test_only_the_first_definition_that_finds_any_is_asked(
    tmp_path: Path, came: tuple[Candidate, ...], series: list[str], reason: str
) -> None:
    text = f'{HEAD}for_each = "ct"\n[rules.x.inputs.ct]\nvolume = ["thin", "any"]\n{DEFINITIONS}'
    choice = applied(rules(tmp_path, text)[0], *came)
    assert taken(choice) == series
    assert choice.explanation.reason.startswith(reason)
    told = {one.definition for match in choice.matches for one in match.explanation.inputs}
    assert told == {"thin" if series == ["2", "3"] else "any"}


def test_of_many_the_first_few_are_named(tmp_path: Path) -> None:
    choice = applied(each(tmp_path), *(volume(number) for number in range(1, 7)))
    assert len(choice.matches) == 6
    assert choice.explanation.reason.endswith("series 3, CT, 4 images, 1.0 mm; and 3 more")
