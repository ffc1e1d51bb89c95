"""A volume of an earlier study of the same patient: from which study it comes, and why not from the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from bridge.config.priors import NO_PRIOR
from bridge.rules import Choice, Explanation, Outcome, Rule, choose
from bridge.rules.facts import Prior, PriorStudy
from bridge.volumes.volume import Candidate
from made_studies import HEAD, SEGMENTATION, refused, rules, study, volume

PAIR = f"""{HEAD}
[rules.x.inputs.fixed]
volume = {{ Modality = "CT", spacing_mm = {{ max = 2.0 }} }}
[rules.x.inputs.moving]
study = "prior"
volume = {{ Modality = "CT", spacing_mm = {{ max = 2.0 }} }}
"""


def pair(folder: Path, more: str = "") -> Rule:
    return rules(folder, PAIR + more)[0]


def prior(
    days: int,
    *candidates: Candidate,
    place: int | None = None,
    kept_from: str = "",
    arriving: bool = False,
    masks: tuple[Candidate, ...] = (),
) -> Prior:
    seen = PriorStudy(study=study(*candidates), candidates=candidates, masks=masks, kept_from=kept_from)
    return Prior(days=days, place=days if place is None else place, look=lambda: seen, arriving=arriving)


def unread() -> PriorStudy:
    raise AssertionError("the headers of this study were read for nothing")


def judged(rule: Rule, *priors: Prior, current: tuple[Candidate, ...] = (), undated: str = "") -> Choice:
    current = current or (volume(1),)
    return choose(rule, replace(study(*current), priors=priors, undated=undated), current)


def taken(choice: Choice) -> dict[str, str]:
    return {name: one.series_instance_uid for name, one in (choice.volumes or {}).items()}


THICK, GAP = volume(8, spacing=5.0), refused(9)
ROWS: dict[str, tuple[tuple[Prior, ...], str, str, str]] = {
    "the newest that fits": (
        (prior(30, THICK), prior(412, volume(2)), prior(800, volume(3))),
        "match",
        "1.2.2",
        "",
    ),
    "none is here": ((), "no-match", "", "moving: no earlier study of this patient is here"),
    "the only one does not fit": (
        (prior(1, THICK),),
        "no-match",
        "",
        "moving: the study 1 day before: moving: series 8, CT, 4 images, 5.0 mm: spacing_mm 5.0 is above 2.0",
    ),
    "another patient is passed over": (
        (prior(7, volume(2), kept_from="the studies have different birth dates"), prior(90, volume(3))),
        "match",
        "1.2.3",
        "",
    ),
    "a newer one that still arrives is waited for": (
        (prior(7, volume(2), arriving=True), prior(90, volume(3))),
        "no-match",
        "",
        "moving: the study 7 days before: objects of it arrive still; the rules look again when it is decided",
    ),
    "one that still arrives may come to fit": (
        (prior(7, THICK, arriving=True), prior(90, volume(3))),
        "no-match",
        "",
        "moving: the study 7 days before: objects of it arrive still; the rules look again when it is decided",
    ),
    "an older one that still arrives is not": (
        (prior(7, volume(2)), prior(90, volume(3), arriving=True)),
        "match",
        "1.2.2",
        "",
    ),
    "nobody waits for another patient's": (
        (
            prior(7, volume(2), arriving=True, kept_from="the studies have different names"),
            prior(9, volume(3)),
        ),
        "match",
        "1.2.3",
        "",
    ),
    "two in the newest hold the rule": (
        (prior(7, volume(2), volume(4)), prior(90, volume(3))),
        "held",
        "",
        "moving: in the study 7 days before: series 2 and 4 fit, and the rule does not say which to prefer",
    ),
    "what is no volume in the newest is not passed over": (
        (prior(7, GAP), prior(90, volume(3))),
        "refused",
        "",
        "moving: in the study 7 days before: series 9, CT, 4 images: not a volume, ",
    ),
    "two of one day without times": (
        (prior(7, volume(2), place=0), prior(7, volume(3), place=0)),
        "held",
        "",
        "moving: two studies 7 days before fit, and their Study Times do not say which is newer",
    ),
    "of two of one day without times one fits": (
        (prior(7, THICK, place=0), prior(7, volume(3), place=0)),
        "match",
        "1.2.3",
        "",
    ),
}


@pytest.mark.parametrize(("priors", "outcome", "moving", "reason"), ROWS.values(), ids=ROWS.keys())
def test_prior_that_is_taken(
    tmp_path: Path, priors: tuple[Prior, ...], outcome: str, moving: str, reason: str
) -> None:
    choice = judged(pair(tmp_path), *priors)
    assert choice.explanation.outcome == outcome
    assert taken(choice) == ({"fixed": "1.2.1", "moving": moving} if moving else {})
    assert choice.explanation.reason.startswith(reason)
    assert choice.code == ("" if moving else NO_PRIOR)


WINDOWS = [
    ("prior_min_days = 90", 412, "1.2.3"),
    ("prior_min_days = 412", 412, "1.2.3"),
    ("prior_min_days = 413", None, ""),
    ("prior_max_days = 60", 30, "1.2.2"),
    ("prior_max_days = 30", 30, "1.2.2"),
    ("prior_max_days = 29", None, ""),
    ("prior_min_days = 31\nprior_max_days = 411", None, ""),
]


@pytest.mark.parametrize(("window", "days", "moving"), WINDOWS)
def test_days_of_an_input_bound_the_search(
    tmp_path: Path, window: str, days: int | None, moving: str
) -> None:
    choice = judged(pair(tmp_path, window), prior(30, volume(2)), prior(412, volume(3)))
    assert taken(choice).get("moving", "") == moving
    assert [one.name for one in choice.explanation.priors if one.chosen] == (
        [f"the study {days} days before"] if days else []
    )


def test_explanation_says_which_was_taken_and_why_the_others_were_not(tmp_path: Path) -> None:
    priors = (prior(30, THICK), prior(412, volume(2)), prior(800, volume(3)))
    explanation = judged(pair(tmp_path), *priors).explanation
    assert explanation.reason == (
        "fixed is series 1, CT, 4 images, 1.0 mm; "
        "moving is series 2, CT, 4 images, 1.0 mm, of the study 412 days before"
    )
    assert [(one.name, one.chosen, one.reason) for one in explanation.priors] == [
        (
            "the study 30 days before",
            False,
            "moving: series 8, CT, 4 images, 5.0 mm: spacing_mm 5.0 is above 2.0",
        ),
        ("the study 412 days before", True, "the newest that fits"),
        ("the study 800 days before", False, "not looked at: a newer one fits"),
    ]
    assert [one.prior_days for one in explanation.inputs] == [None, 412]
    adapter = TypeAdapter(Explanation)
    assert adapter.validate_json(adapter.dump_json(explanation)) == explanation
    assert explanation.masked().priors == explanation.priors


def test_no_header_is_read_of_a_study_that_cannot_matter(tmp_path: Path) -> None:
    older = Prior(days=900, place=9, look=unread)
    judged(pair(tmp_path), prior(30, volume(2)), older)
    judged(pair(tmp_path, "prior_max_days = 600"), older)
    hopeless = judged(pair(tmp_path), older, current=(THICK,))
    assert hopeless.explanation.reason.startswith("fixed: ")
    assert hopeless.code == "", "no earlier study would change it"


def test_a_study_without_a_date_has_no_earlier_ones(tmp_path: Path) -> None:
    choice = judged(pair(tmp_path), undated="the study has no Study Date that can be read")
    assert (choice.explanation.outcome, choice.explanation.reason) == (
        Outcome.NO_MATCH,
        "moving: the study has no Study Date that can be read, so no other is earlier",
    )


def test_one_place_in_two_studies_is_not_one_volume_taken_twice(tmp_path: Path) -> None:
    assert taken(judged(pair(tmp_path), prior(5, volume(1, uid="9.9")))) == {
        "fixed": "1.2.1",
        "moving": "9.9",
    }


THREE = f"""{HEAD}
[rules.x.inputs.fixed]
volume = {{ Modality = "CT" }}
[rules.x.inputs.moving]
study = "prior"
volume = {{ Modality = "CT" }}
[rules.x.inputs.lesion]
mask = "study"
volume = {{ Modality = "SEG" }}
{{lesion}}
"""
MASK = volume(20, sop_class=SEGMENTATION, Modality="SEG")


def test_a_mask_comes_from_the_study_of_its_image(tmp_path: Path) -> None:
    (one,) = rules(tmp_path, THREE.replace("{lesion}", 'study = "prior"'))
    older = prior(90, volume(3), masks=(volume(21, sop_class=SEGMENTATION, Modality="SEG"),))
    choice = judged(one, prior(7, volume(2), masks=(MASK,)), older)
    assert taken(choice) == {"fixed": "1.2.1", "moving": "1.2.2", "lesion": "1.2.20"}
    without = judged(one, prior(7, volume(2)), older)
    assert (without.explanation.outcome, without.code) == (Outcome.NO_MATCH, NO_PRIOR)
    assert without.explanation.reason == "lesion: in the study 7 days before: the study has no segmentation"


def test_current_mask_is_not_looked_for_in_the_prior(tmp_path: Path) -> None:
    (one,) = rules(tmp_path, THREE.replace("{lesion}", ""))
    choice = judged(one, prior(7, volume(2), masks=(MASK,)))
    assert choice.explanation.reason == "lesion: the study has no segmentation"
    assert choice.code == ""


def test_a_rule_without_prior_inputs_never_looks_back(tmp_path: Path) -> None:
    (one,) = rules(tmp_path, f'{HEAD}[rules.x.inputs.ct]\nvolume = {{ Modality = "CT" }}\n')
    choice = judged(one, Prior(days=1, place=0, look=unread))
    assert choice.volumes and choice.explanation.priors == ()
