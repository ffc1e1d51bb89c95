"""Whose study is it? What contradicts holds it; what is absent, spelt otherwise or our own does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bridge.dicom.instance import Instance
from bridge.flow.study.doubts import Doubt, doubts
from made_studies import instance

KEY = b"k" * 32
WHO = {
    "PatientID": "C-1",
    "IssuerOfPatientID": "HOSP-A",
    "PatientBirthDate": "19700102",
    "PatientName": "Canary^Yellow",
}
REPORT: dict[str, Any] = {"Modality": "SR", "Rows": None, "Columns": None, "ImageType": None}


def study(*others: Instance, **attributes: Any) -> list[Instance]:
    """Three slices of one patient, and what else there is."""
    return [*(numbered(n, **{**WHO, **attributes}) for n in (1, 2, 3)), *others]


def numbered(number: int, series: int = 3, **attributes: Any) -> Instance:
    return replace(instance(series, number, **attributes), number=100 * series + number)


def found(
    instances: list[Instance], elsewhere: tuple[str, ...] = (), again: tuple[int, ...] = ()
) -> tuple[Doubt, ...]:
    return doubts(instances, elsewhere=elsewhere, sent_as_another=again, key=KEY)


def codes(instances: list[Instance]) -> list[str]:
    return [one.code for one in found(instances)]


HOLDS = [
    ("another Patient ID in a series of its own", {"PatientID": "C-2"}, 4, ["STU-001"]),
    ("a slice of another patient", {"PatientID": "C-2"}, 3, ["STU-001", "STU-005"]),
    ("another issuer", {"IssuerOfPatientID": "HOSP-B"}, 4, ["STU-002"]),
    ("another birth date", {"PatientBirthDate": "19800304"}, 4, ["STU-003"]),
    ("another name", {"PatientName": "Canary^Blue"}, 4, ["STU-004"]),
    ("a slice with another name", {"PatientName": "Canary^Blue"}, 3, ["STU-004", "STU-005"]),
    ("case of a Patient ID", {"PatientID": "c-1"}, 4, ["STU-001"]),
]
GOES_ON = [
    ("the same", {}),
    ("no identity at all", dict.fromkeys(WHO)),
    ("empty values", dict.fromkeys(WHO, "")),
    ("no issuer", {"IssuerOfPatientID": None}),
    ("padding", {"PatientID": "C-1 ", "IssuerOfPatientID": " HOSP-A"}),
    ("a date with marks", {"PatientBirthDate": "1970.01.02"}),
    ("a date that is none", {"PatientBirthDate": "00000000"}),
    ("the name in capitals with a middle name", {"PatientName": "CANARY^YELLOW^FEATHER"}),
    ("a name that says nothing", {"PatientName": "^"}),
]


@pytest.mark.parametrize(
    ("change", "series", "expected"), [row[1:] for row in HOLDS], ids=[row[0] for row in HOLDS]
)
def test_second_identity_is_a_doubt(change: dict[str, Any], series: int, expected: list[str]) -> None:
    assert codes(study(numbered(9, series, **{**WHO, **change}))) == expected


@pytest.mark.parametrize("change", [row[1] for row in GOES_ON], ids=[row[0] for row in GOES_ON])
def test_dose_report_that_says_less_or_says_it_otherwise_is_none(change: dict[str, Any]) -> None:
    assert codes(study(numbered(9, 4, **{**WHO, **REPORT, **change}))) == []


def test_own_results_do_not_count() -> None:
    ours = replace(numbered(9, 4, **{**WHO, "PatientID": "C-2"}), own=True)
    assert codes(study(ours)) == []
    assert found([ours], elsewhere=(ours.series_instance_uid,), again=(ours.number,)) == ()


def test_empty_patient_id_is_a_doubt() -> None:
    assert codes(study(PatientID="")) == ["STU-007"]
    assert codes(study(PatientID=None)) == ["STU-007"]


def test_images_without_patient_id_beside_others_with_one_are_a_doubt_and_a_single_slice_is_none() -> None:
    assert codes(study(numbered(9, 4, **{**WHO, "PatientID": ""}))) == ["STU-007"]
    assert codes(study(numbered(9, 3, **{**WHO, "PatientID": ""}))) == []


def test_series_that_another_study_has_too_is_a_doubt() -> None:
    (doubt,) = found(study(), elsewhere=("1.2.3",))
    assert (doubt.code, doubt.reason) == (
        "STU-006",
        "series 3 (3 objects) has the Series Instance UID of a series in another study",
    )


def test_object_that_came_again_as_another_patients_is_a_doubt() -> None:
    (doubt,) = found(study(), again=(302, 999))
    assert (doubt.code, doubt.reason) == ("STU-008", "1 of 3 objects came again as another patient's")


def test_mark_stands_for_exactly_what_was_found() -> None:
    def mark(*ids: str) -> str:
        others = [numbered(n, 4, **{**WHO, "PatientID": one}) for n, one in enumerate(ids)]
        return found(study(*others))[0].mark

    assert mark("C-2") == mark("C-2", "C-2", "C-1")
    assert mark("C-2") != mark("C-3")
    assert mark("C-2") != mark("C-2", "C-3")


def test_no_sentence_and_no_mark_holds_a_value() -> None:
    other = {
        "PatientID": "Z-77",
        "IssuerOfPatientID": "HOSP-B",
        "PatientBirthDate": "19800304",
        "PatientName": "Robin^Red",
    }
    every = found(study(numbered(9, 3, **other)), elsewhere=("1.2.3",), again=(301,))
    assert len(every) == 7
    for value in ("Z-77", "C-1", "HOSP", "1980", "1970", "Robin", "Canary", "1.2.3"):
        assert not any(value in one.reason or value in one.mark for one in every)
