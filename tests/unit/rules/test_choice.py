"""Which volume a rule takes, and the reasons for all the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from bridge.rules import Choice, Explanation, Outcome, Rule, choose
from bridge.volumes.volume import Candidate
from made_studies import HEAD, SECONDARY_CAPTURE, SEGMENTATION, instance, refused, rule, rules, study, volume


def reasons(choice: Choice) -> list[str]:
    return [verdict.reason for verdict in choice.explanation.inputs[0].candidates]


def chosen(choice: Choice) -> str | None:
    return choice.volumes["ct"].series_instance_uid if choice.volumes else None


def applied(to: Rule, *candidates: Candidate) -> Choice:
    return choose(to, study(*candidates), candidates)


def test_the_volume_that_fits_becomes_the_input_and_the_others_say_why_not(tmp_path: Path) -> None:
    thin = rule(tmp_path, '{ Modality = "CT", spacing_mm = { max = 2.0 }, length_mm = { min = 5 } }')
    choice = applied(
        thin,
        volume(4, spacing=1.5, slices=3),
        volume(3, spacing=5.0),
        volume(2, spacing=2.0),
        volume(5, Modality="MR"),
        volume(6, Modality=None),
    )
    assert choice.explanation.outcome is Outcome.MATCH
    assert choice.explanation.reason == "ct is series 2, CT, 4 images, 2.0 mm"
    assert chosen(choice) == "1.2.2"
    assert reasons(choice) == [
        "every condition holds",
        "spacing_mm 5.0 is above 2.0",
        "length_mm 4.5 is below 5",
        'Modality MR where the rule wants "CT"',
        "Modality is absent",
    ]
    told = choice.explanation.inputs[0]
    assert told.chosen == 0
    assert [verdict.chosen for verdict in told.candidates] == [True, False, False, False, False]
    assert told.candidates[1].label == "series 3, CT, 4 images, 5.0 mm"
    assert [(check.found, check.ok) for check in told.candidates[1].checks] == [
        ("CT", True),
        ("5.0", False),
        ("20.0", True),
    ]


NEVER = {
    "a localizer": {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
    "secondary capture, not a volume": {"sop_class": SECONDARY_CAPTURE},
    "a segmentation, not an image": {"sop_class": SEGMENTATION},
    "not an image": {"Rows": None},
    "made by this bridge": {"own": True},
    "text burned into the pixels": {"BurnedInAnnotation": "YES"},
}


@pytest.mark.parametrize(("reason", "given"), NEVER.items(), ids=NEVER.keys())
def test_some_objects_are_never_an_input_by_accident(
    tmp_path: Path, reason: str, given: dict[str, object]
) -> None:
    anything = rule(tmp_path, "{ instances = { min = 1 } }")
    choice = applied(anything, volume(1, **given))  # type: ignore[arg-type]
    assert (choice.explanation.outcome, reasons(choice)) == (Outcome.NO_MATCH, [reason])


def test_one_struck_image_strikes_its_whole_candidate(tmp_path: Path) -> None:
    scout = instance(7, 9, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    whole = volume(7)
    mixed = Candidate(series_instance_uid="1.2.7", instances=(*whole.instances, scout), volume=whole.volume)
    assert reasons(applied(rule(tmp_path), mixed)) == ["a localizer"]


def test_derived_images_and_unstated_annotations_are_not_struck(tmp_path: Path) -> None:
    plain = volume(1, ImageType=["DERIVED", "SECONDARY"], BurnedInAnnotation="NO")
    assert chosen(applied(rule(tmp_path), plain)) == "1.2.1"


TIES = [
    ("[]", "series 2 and 3 fit, and the rule does not say which to prefer"),
    ('["thinnest"]', "series 2 and 3 fit and are equal by thinnest (1.0 mm)"),
    (
        '["thickest", "most-instances", "newest"]',
        (
            "series 2 and 3 fit and are equal by thickest (1.0 mm), most-instances (4 instances), "
            "newest (the same date and time)"
        ),
    ),
]


@pytest.mark.parametrize(("prefer", "reason"), TIES)
def test_a_tie_is_held_with_series_numbers_and_the_figure_they_share(
    tmp_path: Path, prefer: str, reason: str
) -> None:
    choice = applied(rule(tmp_path, prefer=prefer), volume(3), volume(2))
    assert choice.explanation.outcome is Outcome.HELD
    assert choice.explanation.reason == f"ct: {reason}"
    assert choice.volumes is None
    assert reasons(choice) == ["fits as well as another"] * 2


def test_two_volumes_of_one_series_are_a_tie_too(tmp_path: Path) -> None:
    choice = applied(
        rule(tmp_path, prefer='["lowest-series-number"]'),
        volume(3, EchoTime=7.0),
        volume(3, EchoTime=10.0),
    )
    assert choice.explanation.reason == (
        "ct: 2 volumes of series 3 fit and are equal by lowest-series-number (number 3)"
    )


A, B = "1.2.1", "1.2.2"
PREFERENCES = [
    ('["thinnest"]', {"spacing": 2.0}, {"spacing": 1.0}, B),
    ('["thinnest"]', {"spacing": 1.0004}, {"spacing": 1.0}, None),
    ('["thickest"]', {"spacing": 2.0}, {"spacing": 1.0}, A),
    ('["most-instances"]', {"slices": 3}, {"slices": 4}, B),
    ('["lowest-series-number"]', {}, {}, A),
    ('["lowest-series-number"]', {"SeriesNumber": None}, {}, B),
    ('["newest"]', {"SeriesDate": "20260203"}, {"SeriesDate": "20260202", "SeriesTime": "235959"}, A),
    (
        '["newest"]',
        {"SeriesDate": "20260203", "SeriesTime": "101500.5"},
        {"SeriesDate": "20260203", "SeriesTime": "101500"},
        A,
    ),
    ('["newest"]', {}, {"AcquisitionDate": "20260203"}, B),
    ('["newest"]', {"SeriesDate": "rubbish"}, {"ContentDate": "19990101"}, B),
    ('["thinnest", "most-instances"]', {"slices": 3}, {"slices": 4}, B),
    ('["most-instances", "thinnest"]', {"slices": 3, "spacing": 0.5}, {"slices": 4}, B),
]


@pytest.mark.parametrize(("prefer", "first", "second", "expected"), PREFERENCES)
def test_preferences_decide_in_their_order(
    tmp_path: Path, prefer: str, first: dict[str, object], second: dict[str, object], expected: str | None
) -> None:
    one, other = volume(1, **first), volume(2, **second)  # type: ignore[arg-type]
    assert chosen(applied(rule(tmp_path, prefer=prefer), one, other)) == expected


def test_each_loser_names_the_preference_that_put_it_aside(tmp_path: Path) -> None:
    wish = rule(tmp_path, prefer='["thinnest", "lowest-series-number"]')
    choice = applied(wish, volume(1, spacing=5.0), volume(2, spacing=1.0), volume(3, spacing=1.0))
    assert reasons(choice) == [
        "fits, but thinnest puts another before it",
        "every condition holds",
        "fits, but lowest-series-number puts another before it",
    ]


def test_what_lost_by_a_preference_says_by_which(tmp_path: Path) -> None:
    choice = applied(rule(tmp_path, prefer='["thinnest"]'), volume(1, spacing=2.0), volume(2, spacing=1.0))
    assert reasons(choice) == ["fits, but thinnest puts another before it", "every condition holds"]
    assert choice.explanation.inputs[0].reason == "series 2, CT, 4 images, 1.0 mm: the first by thinnest"


def test_what_is_no_volume_but_fits_is_refused_with_its_numbers(tmp_path: Path) -> None:
    thin = rule(tmp_path, '{ Modality = "CT", spacing_mm = { max = 2.0 } }')
    choice = applied(thin, refused(3), volume(2, spacing=5.0))
    assert choice.explanation.outcome is Outcome.REFUSED
    assert choice.explanation.reason == (
        "ct: series 3, CT, 4 images: not a volume, GEO-022: a slice is missing (hole_mm 10, after 3)"
    )


def test_a_refusal_counts_only_when_headers_fit_and_nothing_else_does(tmp_path: Path) -> None:
    thin = rule(tmp_path, '{ Modality = "CT", instances = { min = 4 } }')
    assert applied(thin, refused(3), volume(2)).explanation.outcome is Outcome.MATCH
    assert applied(thin, refused(3, Modality="MR")).explanation.outcome is Outcome.NO_MATCH
    short = applied(thin, refused(3, slices=3))
    assert short.explanation.outcome is Outcome.NO_MATCH
    assert short.explanation.reason == "ct: series 3, CT, 3 images: instances 3 is below 4"


def test_a_condition_on_a_volume_must_hold_for_every_image(tmp_path: Path) -> None:
    one, other = volume(1, ConvolutionKernel="L"), volume(1, ConvolutionKernel="B")
    mixed = Candidate(
        series_instance_uid="1.2.1",
        instances=(*one.instances[:3], other.instances[3]),
        volume=one.volume,
    )
    kernel = rule(tmp_path, '{ ConvolutionKernel = "L" }')
    assert reasons(applied(kernel, mixed)) == ['ConvolutionKernel B where the rule wants "L"']
    other_than = rule(tmp_path, '{ ConvolutionKernel = { not = "B" } }')
    assert reasons(applied(other_than, mixed)) == [
        'ConvolutionKernel B where the rule wants anything but "B"'
    ]


def test_a_multi_frame_object_is_asked_in_its_functional_groups(tmp_path: Path) -> None:
    def groups(**macros: str) -> Sequence:
        frame = Dataset()
        macro = Dataset()
        for keyword, value in macros.items():
            setattr(macro, keyword, value)
        frame.CTReconstructionSequence = Sequence([macro])
        return Sequence([frame])

    kernel = rule(tmp_path, '{ ConvolutionKernel = "L" }')
    shared = volume(1, slices=1, SharedFunctionalGroupsSequence=groups(ConvolutionKernel="L"))
    assert chosen(applied(kernel, shared)) == "1.2.1"
    frames = Sequence([*groups(ConvolutionKernel="L"), *groups(ConvolutionKernel="B")])
    differing = volume(
        1, slices=1, SharedFunctionalGroupsSequence=groups(), PerFrameFunctionalGroupsSequence=frames
    )
    assert reasons(applied(kernel, differing)) == ['ConvolutionKernel B where the rule wants "L"']


STUDIES = [
    ("{ age_days = { max = 9 } }", True),
    ("{ age_days = { max = 8 } }", False),
    ('{ calling_ae_title = "CT1" }', True),
    ('{ calling_ae_title = "CT" }', False),
    ('{ called_ae_title = "BRIDGE_ER" }', True),
    ('{ called_ae_title = "CT1" }', False),
    ("{ series = 2, instances = 8 }", True),
    ("{ series = 3 }", False),
    ('{ Modality = "PT" }', True),
    ('{ Modality = { not = "PT" } }', False),
    ("{ AccessionNumber = { present = false } }", True),
    ('{ AccessionNumber = { not = "1" } }', False),
    ('{ PatientName = "Quimby^Joe" }', True),
]


@pytest.mark.parametrize(("written", "fits"), STUDIES)
def test_study_conditions_ask_all_its_objects_but_our_own(tmp_path: Path, written: str, fits: bool) -> None:
    candidates = (
        volume(1, PatientName="Quimby^Joe^^^"),
        volume(2, Modality="PT"),
        volume(9, own=True, Modality="SR"),
    )
    choice = applied(rule(tmp_path, '{ Modality = "CT" }', study=written), *candidates)
    assert (choice.explanation.outcome is Outcome.MATCH) is fits
    if not fits:
        assert choice.explanation.outcome is Outcome.NO_MATCH
        assert choice.explanation.inputs == ()


def test_candidates_are_told_by_series_number_and_those_without_one_last(tmp_path: Path) -> None:
    choice = applied(rule(tmp_path), volume(10), volume(None, uid="1.1"), volume(9), volume(2, Modality="MR"))
    labels = [verdict.label.split(",")[0] for verdict in choice.explanation.inputs[0].candidates]
    assert labels == ["series 2", "series 9", "series 10", "series without number"]
    assert choice.explanation.reason.startswith("ct: series 9, 10 and without number fit")


def test_a_study_without_images_matches_nothing(tmp_path: Path) -> None:
    choice = applied(rule(tmp_path))
    assert (choice.explanation.outcome, choice.explanation.reason) == (
        Outcome.NO_MATCH,
        "ct: the study has no images",
    )


TWO = (
    HEAD + '[rules.x.inputs.ct]\nvolume = {{ Modality = "CT" }}\n[rules.x.inputs.second]\nvolume = {{ {} }}\n'
)


def test_two_inputs_take_two_volumes(tmp_path: Path) -> None:
    (both,) = rules(tmp_path, TWO.format('Modality = "PT"'))
    choice = applied(both, volume(1), volume(2, Modality="PT"))
    assert choice.volumes is not None
    assert {name: one.series_instance_uid for name, one in choice.volumes.items()} == {
        "ct": "1.2.1",
        "second": "1.2.2",
    }


def test_two_inputs_never_take_the_same_volume(tmp_path: Path) -> None:
    (both,) = rules(tmp_path, TWO.format("slices = 4"))
    choice = applied(both, volume(1))
    assert choice.explanation.outcome is Outcome.HELD
    assert choice.explanation.reason == "ct and second both choose series 1, CT, 4 images, 1.0 mm"
    assert choice.volumes is None


def test_an_input_without_hope_speaks_before_one_that_waits_for_a_person(tmp_path: Path) -> None:
    (both,) = rules(tmp_path, TWO.format('Modality = "PT"'))
    choice = applied(both, volume(1), volume(2))
    assert choice.explanation.outcome is Outcome.NO_MATCH
    assert choice.explanation.reason == "second: none of 2 candidates fits"


def test_reasons_and_masked_explanations_hold_no_value_of_a_person(tmp_path: Path) -> None:
    secrets = {"PatientName": "Quimby^Joe", "PatientID": "QJ-77", "StudyDate": "20260101"}
    careful = rule(
        tmp_path,
        '{ PatientName = "Other", PatientID = { regex = "^X" }, SeriesDescription = { present = true } }',
        study="{ age_days = { min = 1 } }",
    )
    choice = applied(careful, volume(1, **secrets), volume(2, Modality="QUIMBY^JOE", **secrets))
    shown = TypeAdapter(Explanation).dump_json(choice.explanation.masked()).decode()
    for value in ("Quimby", "QUIMBY", "QJ-77", "2026", "Other", "^X", "1.2.1", '"40"'):
        assert value not in shown
    assert reasons(choice) == ["PatientName does not fit"] * 2
    whole = TypeAdapter(Explanation).dump_json(choice.explanation).decode()
    assert "Quimby^Joe" in whole


def test_an_explanation_survives_json(tmp_path: Path) -> None:
    adapter = TypeAdapter(Explanation)
    for candidates in ((volume(1), refused(2), volume(3, Modality=None)), (volume(1), volume(2))):
        told = applied(rule(tmp_path), *candidates).explanation
        assert adapter.validate_json(adapter.dump_json(told)) == told
