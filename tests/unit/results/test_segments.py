from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bridge.dicom.codes import ANY_TISSUE
from bridge.errors import Refused
from bridge.results.output import Label
from bridge.results.segments import segmented

LABELS = (
    Label(value=7, name="Left lung"),
    Label(value=3, name="Right lung"),
    Label(value=0, name="Background"),
)


def mask(*values: float, dtype: Any = np.int16) -> np.ndarray:
    return np.array([values], dtype=dtype).reshape(1, 1, -1)


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64, np.uint64, np.float32, np.float64]
)
def test_label_values_of_any_type_become_consecutive_numbers(dtype: Any) -> None:
    found = segmented(mask(0, 7, 3, 3, dtype=dtype), LABELS, "lungs")
    assert found.numbers.ravel().tolist() == [0, 2, 1, 1]
    assert found.numbers.dtype == np.uint8
    assert [(s.number, s.value, s.label, s.voxels) for s in found.segments] == [
        (1, 3, "Right lung", 2),
        (2, 7, "Left lung", 1),
    ]
    assert found.notes == (
        "label value 3 is segment 1 (Right lung)",
        "label value 7 is segment 2 (Left lung)",
    )


def test_a_mask_of_truth_values_is_one_segment() -> None:
    found = segmented(np.array([[[True, False]]]), (), "left-lung")
    assert found.numbers.ravel().tolist() == [1, 0]
    assert found.segments[0].label == "left lung"
    assert found.segments[0].anatomy.side is not None


def test_what_is_described_but_absent_stays_a_segment() -> None:
    found = segmented(mask(0, 7), LABELS, "lungs")
    assert [(s.number, s.voxels) for s in found.segments] == [(1, 0), (2, 1)]
    assert "segment 1 (Right lung) is empty" in found.notes


def test_what_is_present_but_not_described_gets_a_name_and_a_note() -> None:
    found = segmented(mask(0, 3, 5), LABELS, "lung-lobes")
    assert [s.label for s in found.segments] == ["Right lung", "lung lobes 5", "Left lung"]
    assert "label value 5 has no name: called lung lobes 5" in found.notes


def test_a_name_without_code_is_tissue_under_its_own_name() -> None:
    found = segmented(mask(1), (Label(value=1, name="Läsion № 3"),), "x")
    assert found.segments[0].anatomy == ANY_TISSUE
    assert found.segments[0].label == "Lasion No 3"
    assert any("coded as tissue" in note for note in found.notes)


def test_an_empty_mask_without_description_is_one_empty_segment() -> None:
    found = segmented(mask(0, 0), (), "lesions")
    assert found.is_empty
    assert [(s.number, s.label) for s in found.segments] == [(1, "lesions")]


def test_more_than_255_segments_need_a_wider_type() -> None:
    found = segmented(np.arange(301, dtype=np.int32).reshape(1, 7, 43), (), "atlas")
    assert found.numbers.dtype == np.uint16
    assert found.numbers.max() == 300


@pytest.mark.parametrize(
    ("values", "dtype", "code"),
    [
        ((0, 0.5), np.float32, "RES-020"),
        ((0, -1), np.int16, "RES-020"),
        ((0, np.nan), np.float64, "RES-020"),
        ((0, np.inf), np.float64, "RES-020"),
        ((0, 65536), np.int32, "RES-020"),
        ((0, 1j), np.complex128, "RES-020"),
        (range(1002), np.int32, "RES-021"),
    ],
)
def test_what_is_no_mask_is_refused(values: Any, dtype: Any, code: str) -> None:
    with pytest.raises(Refused) as caught:
        segmented(mask(*values, dtype=dtype), (), "x")
    assert caught.value.code == code
    assert caught.value.numbers or dtype == np.complex128


@pytest.mark.parametrize(
    "labels",
    [
        (Label(value=1, name="Liver"), Label(value=1, name="Spleen")),
        (Label(value=-1, name="Liver"),),
        (Label(value=70000, name="Liver"),),
    ],
)
def test_descriptions_that_contradict_are_refused(labels: tuple[Label, ...]) -> None:
    with pytest.raises(Refused) as caught:
        segmented(mask(1), labels, "x")
    assert caught.value.code == "RES-022"
