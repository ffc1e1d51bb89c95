"""Volumes with a name: which of several an input takes, and why a second choice is not taken too easily."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataelem import DataElement

from bridge.errors import Refused
from bridge.rules import Choice, Outcome, choose
from bridge.volumes.volume import Candidate
from made_studies import HEAD, SECONDARY_CAPTURE, header, refused, rule, rules, study, volume

THIN_OR_ANY = (
    HEAD
    + """
[rules.x.inputs.ct]
volume = ["thin", "any-ct"]
[volumes.thin]
where = { Modality = "CT", spacing_mm = { max = 2.0 } }
[volumes.any-ct]
where = { Modality = "CT" }
prefer = ["thinnest"]
"""
)


def applied(folder: Path, *candidates: Candidate, text: str = THIN_OR_ANY) -> Choice:
    return choose(rules(folder, text)[0], study(*candidates), candidates)


def series(choice: Choice) -> str | None:
    return choice.volumes["ct"].series_instance_uid.split(".")[-1] if choice.volumes else None


# (what came, outcome, series taken, what the input says)
ALTERNATIVES = {
    "the first fits": (
        [volume(1), volume(2, spacing=5.0)],
        Outcome.MATCH,
        "1",
        "thin: series 1, CT, 4 images, 1.0 mm: the only one that fits",
    ),
    "nothing is the first": (
        [volume(2, spacing=5.0), volume(3, spacing=3.0)],
        Outcome.MATCH,
        "3",
        "any-ct: series 3, CT, 4 images, 3.0 mm: the first by thinnest; thin: none of 2 candidates fits",
    ),
    "what can never be an input is not the first": (
        [volume(1, sop_class=SECONDARY_CAPTURE), volume(2, spacing=5.0)],
        Outcome.MATCH,
        "2",
        "any-ct: series 2, CT, 4 images, 5.0 mm: the only one that fits; thin: none of 2 candidates fits",
    ),
    "two are the first": (
        [volume(1), volume(2), volume(3, spacing=5.0)],
        Outcome.HELD,
        None,
        "thin: series 1 and 2 fit, and the rule does not say which to prefer; any-ct is not looked at",
    ),
    "what may be the first is no volume": (
        [refused(1), volume(3, spacing=5.0)],
        Outcome.REFUSED,
        None,
        (
            "thin: series 1, CT, 4 images: not a volume, GEO-022: a slice is missing (hole_mm 10, after 3); "
            "any-ct is not looked at"
        ),
    ),
    "another is no volume, and the first fits": (
        [refused(1), volume(3)],
        Outcome.MATCH,
        "3",
        "thin: series 3, CT, 4 images, 1.0 mm: the only one that fits",
    ),
    "nothing is any of them": (
        [volume(1, Modality="MR")],
        Outcome.NO_MATCH,
        None,
        (
            'thin: series 1, MR, 4 images, 1.0 mm: Modality MR where the rule wants "CT"; '
            'any-ct: series 1, MR, 4 images, 1.0 mm: Modality MR where the rule wants "CT"'
        ),
    ),
}


@pytest.mark.parametrize(
    ("came", "outcome", "taken", "reason"), ALTERNATIVES.values(), ids=ALTERNATIVES.keys()
)
def test_a_second_choice_is_looked_at_only_where_nothing_is_the_first(
    tmp_path: Path, came: list[Candidate], outcome: Outcome, taken: str | None, reason: str
) -> None:
    choice = applied(tmp_path, *came)
    assert (choice.explanation.outcome, series(choice)) == (outcome, taken)
    (told,) = choice.explanation.inputs
    assert told.reason == reason
    assert applied(tmp_path, *reversed(came)).explanation == choice.explanation


def test_the_rule_says_by_which_definition_and_keeps_the_reasons_of_the_others(tmp_path: Path) -> None:
    choice = applied(tmp_path, volume(2, spacing=5.0))
    assert choice.explanation.reason == "ct is series 2, CT, 4 images, 5.0 mm, by any-ct (no thin)"
    (told,) = choice.explanation.inputs
    assert (told.definition, [one.definition for one in told.earlier]) == ("any-ct", ["thin"])
    assert told.earlier[0].candidates[0].reason == "spacing_mm 5.0 is above 2.0"
    assert [one.definition for one in choice.explanation.every] == ["thin", "any-ct"]


def test_a_single_definition_is_named_too(tmp_path: Path) -> None:
    choice = applied(tmp_path, volume(1), text=THIN_OR_ANY.replace('["thin", "any-ct"]', '"thin"'))
    assert choice.explanation.reason == "ct is series 1, CT, 4 images, 1.0 mm, by thin"


def test_hidden_values_of_a_passed_definition_stay_hidden(tmp_path: Path) -> None:
    text = THIN_OR_ANY.replace("spacing_mm = { max = 2.0 }", 'PatientComments = "secret"')
    told = applied(tmp_path, volume(2, PatientComments="somebody"), text=text).explanation.masked()
    assert "somebody" not in repr(told)
    assert "secret" not in repr(told)


KERNELS = '[{ ConvolutionKernel = ["B30f", "B31f"] }, "thinnest"]'


@pytest.mark.parametrize(
    ("kernels", "taken"),
    [
        (["B31f", "B30f", "B70f"], "2"),
        (["B70f", "B31f", "B80f"], "2"),
        (["B70f", ["B30f", "3"], "B31f"], "2"),
        ([None, "B70f", "B31f"], "3"),
    ],
)
def test_the_value_that_stands_first_in_the_list_wins(
    tmp_path: Path, kernels: list[str | list[str] | None], taken: str
) -> None:
    came = [volume(number, ConvolutionKernel=kernel) for number, kernel in enumerate(kernels, start=1)]
    assert series(choose(rule(tmp_path, prefer=KERNELS), study(*came), came)) == taken


def test_kernels_outside_the_list_are_equal_and_the_next_preference_decides(tmp_path: Path) -> None:
    came = [volume(1, ConvolutionKernel="B70f", spacing=2.0), volume(2, ConvolutionKernel="B80f")]
    choice = choose(rule(tmp_path, prefer=KERNELS), study(*came), came)
    assert series(choice) == "2"
    assert choice.explanation.inputs[0].candidates[0].reason == "fits, but thinnest puts another before it"


def test_a_series_of_two_kernels_has_none_of_them(tmp_path: Path) -> None:
    mixed = volume(1, ConvolutionKernel="B30f")
    mixed.instances[0].header.ConvolutionKernel = "B70f"
    came = [mixed, volume(2, ConvolutionKernel="B31f")]
    assert series(choose(rule(tmp_path, prefer=KERNELS), study(*came), came)) == "2"


@pytest.mark.parametrize(
    ("attributes", "shown"),
    [
        ({"ConvolutionKernel": "B31f"}, "ConvolutionKernel (B31f), thinnest (1.0 mm)"),
        ({"ConvolutionKernel": "B70f"}, "ConvolutionKernel (not in the list), thinnest (1.0 mm)"),
    ],
)
def test_a_tie_that_kernels_leave_is_held(tmp_path: Path, attributes: dict[str, str], shown: str) -> None:
    came = [volume(1, **attributes), volume(2, **attributes)]
    choice = choose(rule(tmp_path, prefer=KERNELS), study(*came), came)
    assert choice.explanation.outcome is Outcome.HELD
    assert choice.explanation.reason == f"ct: series 1 and 2 fit and are equal by {shown}"


def test_a_preferred_value_that_may_name_a_person_is_not_repeated(tmp_path: Path) -> None:
    came = [volume(1, SeriesDescription="for Ann"), volume(2, SeriesDescription="for Ann")]
    choice = choose(rule(tmp_path, prefer='[{ SeriesDescription = ["for Ann"] }]'), study(*came), came)
    assert choice.explanation.reason.endswith("SeriesDescription (value 1 of the list)")


def test_numbers_and_facts_can_be_ranked_with_their_units(tmp_path: Path) -> None:
    came = [volume(1, spacing=3.0), volume(2, spacing=10.0), volume(3, spacing=1.0)]
    choice = choose(rule(tmp_path, prefer='[{ spacing_mm = ["1 cm", 3] }]'), study(*came), came)
    assert series(choice) == "2"


def _code(value: str, keyword: str = "PurposeOfReferenceCodeSequence") -> dict[str, object]:
    return {keyword: [header(CodeValue=value, CodingSchemeDesignator="DCM")]}


@pytest.mark.parametrize(("code", "outcome"), [("GEO-005", Outcome.NO_MATCH), ("GEO-024", Outcome.REFUSED)])
def test_what_is_no_slice_by_its_own_words_is_not_what_a_rule_asks_for(
    tmp_path: Path, code: str, outcome: Outcome
) -> None:
    one = replace(refused(1), refusal=Refused(code, "a curved plane by its Volumetric Properties"))
    choice = choose(rule(tmp_path), study(one), [one])
    assert choice.explanation.outcome is outcome
    assert "a curved plane by its Volumetric Properties" in choice.explanation.reason


OTHER = {
    "synthetic data, not what a scanner measured": {"SyntheticData": "YES"},
    "made by artificial intelligence": {
        "ContributingEquipmentSequence": [header(**_code("123110", "AlgorithmFamilyCodeSequence"))]
    },
    "derived by other software": {
        "ImageType": ["DERIVED", "SECONDARY"],
        "ContributingEquipmentSequence": [header(**_code("109101")), header(**_code("109102"))],
    },
}


@pytest.mark.parametrize(("reason", "attributes"), OTHER.items(), ids=OTHER.keys())
def test_what_other_software_made_is_no_input_where_the_rule_says_so(
    tmp_path: Path, reason: str, attributes: dict[str, object]
) -> None:
    text = f'{HEAD}other_ai = false\n[rules.x.inputs.ct]\nvolume = {{ Modality = "CT" }}\n'
    made = volume(1)
    for keyword, value in attributes.items():
        setattr(made.instances[2].header, keyword, value)
    without = applied(tmp_path, made, text=text)
    assert [one.reason for one in without.explanation.inputs[0].candidates] == [reason]
    assert series(applied(tmp_path, made, text=text.replace("other_ai = false", ""))) == "1"


@pytest.mark.parametrize(
    "attributes",
    [
        {"ImageType": ["DERIVED", "SECONDARY"]},
        {"ContributingEquipmentSequence": [header(**_code("109102"))]},
        {
            "ImageType": ["DERIVED", "SECONDARY"],
            "ContributingEquipmentSequence": [header(**_code("109104"))],
        },
        {"ContributingEquipmentSequence": None, "SyntheticData": "NO"},
    ],
    ids=["derived alone", "an original that was processed", "de-identified", "nothing"],
)
def test_what_a_scanner_or_a_gateway_made_stays_an_input(
    tmp_path: Path, attributes: dict[str, object]
) -> None:
    text = f'{HEAD}other_ai = false\n[rules.x.inputs.ct]\nvolume = {{ Modality = "CT" }}\n'
    assert series(applied(tmp_path, volume(1, **attributes), text=text)) == "1"


def test_a_sequence_that_is_none_says_nothing(tmp_path: Path) -> None:
    text = f'{HEAD}other_ai = false\n[rules.x.inputs.ct]\nvolume = {{ Modality = "CT" }}\n'
    made = volume(1)
    made.instances[0].header[0x0018A001] = DataElement(0x0018A001, "LO", "no sequence")
    assert series(applied(tmp_path, made, text=text)) == "1"
