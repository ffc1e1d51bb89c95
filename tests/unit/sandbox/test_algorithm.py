from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pydicom
import pytest

from bridge.errors import Refused
from bridge.itk import ItkImage
from bridge.sandbox.grand_challenge.algorithm import lungs_and_airways, soft_tissue

RIGHT, LEFT, AIRWAYS = 1, 2, 3


@pytest.fixture(scope="module")
def chest_labels(chest: ItkImage) -> np.ndarray:
    return lungs_and_airways(chest).labels


def test_drawn_chest_gets_right_left_and_airways(chest: ItkImage, chest_labels: np.ndarray) -> None:
    labels = chest_labels
    _, y, x = np.indices(chest.array.shape)
    body = ((y - 32) / 22) ** 2 + ((x - 32) / 29) ** 2 <= 1
    assert np.array_equal(labels > 0, (chest.array < -400) & body)
    # ITK's x grows to the patient's left, so the patient's right lung lies in the low columns.
    assert labels[10, 32, 18] == RIGHT
    assert labels[10, 32, 46] == LEFT
    assert np.array_equal(labels == AIRWAYS, (chest.array == -1000) & body)
    assert np.count_nonzero(labels == RIGHT) > np.count_nonzero(labels == LEFT)


def _turned(chest: ItkImage, axes: tuple[int, ...], flips: tuple[int, ...]) -> ItkImage:
    """The same chest stored otherwise: array axes permuted, then some reversed, direction to match."""
    world = np.eye(3)[:, ::-1]  # column n: LPS of array axis n, for the chest as drawn
    world = world[:, list(axes)]
    world[:, list(flips)] *= -1
    return replace(
        chest,
        array=np.flip(chest.array.transpose(axes), flips),
        direction=tuple(world[:, ::-1].ravel().tolist()),
    )


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("flips", [(), (0, 2), (1,)])
def test_labels_follow_the_patient_and_not_the_array(
    chest: ItkImage, chest_labels: np.ndarray, axes: tuple[int, ...], flips: tuple[int, ...]
) -> None:
    expected = np.flip(chest_labels.transpose(axes), flips)
    assert np.array_equal(lungs_and_airways(_turned(chest, axes, flips)).labels, expected)


def test_touching_lungs_are_cut_at_the_middle(chest: ItkImage) -> None:
    hu = chest.array.copy()
    hu[5:8, 30:34, 20:46] = -850  # a bridge between both lungs, right across
    labels = lungs_and_airways(replace(chest, array=hu)).labels
    assert set(np.unique(labels[6, 31, 20:30])) == {RIGHT}
    assert set(np.unique(labels[6, 31, 34:46])) == {LEFT}
    assert labels[10, 32, 18] == RIGHT
    assert labels[10, 32, 46] == LEFT


def test_lung_across_the_middle_stays_whole(chest: ItkImage) -> None:
    hu = chest.array.copy()
    hu[12:15, 18:20, 18:36] = -850  # a tongue of the right lung in front, past the middle, touching nothing
    labels = lungs_and_airways(replace(chest, array=hu)).labels
    assert set(np.unique(labels[13, 18, 24:36])) == {RIGHT}


def test_chest_without_trachea_has_no_airways(chest: ItkImage, chest_labels: np.ndarray) -> None:
    hu = np.where((chest.array == -1000) & (chest_labels > 0), 40, chest.array)
    # The bronchi joined the lungs; a bridge keeps them one piece.
    hu[10, 32, 18:47] = -850
    labels = lungs_and_airways(replace(chest, array=hu.astype(np.int16))).labels
    assert set(np.unique(labels)) == {0, RIGHT, LEFT}


def test_airways_that_cannot_be_told_from_lung_are_left_out(
    chest: ItkImage, chest_labels: np.ndarray
) -> None:
    inside = chest_labels > 0
    hu = np.where(inside, -1000, chest.array).astype(np.int16)
    labels = lungs_and_airways(replace(chest, array=hu)).labels
    assert np.array_equal(labels > 0, inside)
    assert AIRWAYS not in labels


def test_low_attenuation_is_a_share_of_lung_without_airways(
    chest: ItkImage, chest_labels: np.ndarray
) -> None:
    lung = np.isin(chest_labels, (RIGHT, LEFT))
    at = np.argwhere(lung & (chest.array == -850))
    hu = chest.array.copy()
    hu[tuple(at[: len(at) // 4].T)] = -951
    found = lungs_and_airways(replace(chest, array=hu))
    lung_hu = hu[np.isin(found.labels, (RIGHT, LEFT))]
    assert found.low_attenuation_percent == pytest.approx(
        100 * (lung_hu < -950).sum() / lung_hu.size, abs=1e-4
    )
    assert 20 < found.low_attenuation_percent < 30


def test_same_input_same_answer(chest: ItkImage) -> None:
    first, second = lungs_and_airways(chest), lungs_and_airways(chest)
    assert np.array_equal(first.labels, second.labels)
    assert first.low_attenuation_percent == second.low_attenuation_percent


@pytest.mark.parametrize("hu", [40, -1000], ids=["tissue only", "air up to the border"])
def test_volume_without_enclosed_air_is_refused(chest: ItkImage, hu: int) -> None:
    with pytest.raises(Refused) as refusal:
        lungs_and_airways(replace(chest, array=np.full((4, 8, 8), hu, dtype=np.int16)))
    assert refusal.value.code == "SBX-011"


def test_soft_tissue_is_everything_above_the_threshold(chest: ItkImage) -> None:
    hu = np.array([[[-401, -400, -399, 0]]], dtype=np.int16)
    assert soft_tissue(replace(chest, array=hu)).tolist() == [[[0, 0, 1, 1]]]


@pytest.mark.slow
def test_real_chest_is_the_published_component(shared_data: Path) -> None:
    slices = [pydicom.dcmread(file) for file in (shared_data / "ct-chest-philips").glob("*.dcm")]
    slices.sort(key=lambda s: float(s.ImagePositionPatient[2]))
    hu = np.stack([s.pixel_array.astype(np.int16) - 1024 for s in slices])
    image = ItkImage(
        array=hu,
        spacing_mm=(0.841797, 0.841797, 5.0),
        origin_lps=(-228.036842, -93.0631599, -439.0),
        direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
    )
    found = lungs_and_airways(image)
    labels = found.labels
    ml = 0.841797**2 * 5.0 / 1000
    # Size and box of the data set's description.
    where = np.nonzero(labels)
    assert where[0].size == 1_520_918
    assert [(int(w.min()), int(w.max())) for w in where] == [(1, 63), (158, 409), (86, 418)]
    # Anatomy: two litres and more on either side, an airway tree of an adult that starts at the top.
    volumes = [np.count_nonzero(labels == label) * ml for label in (RIGHT, LEFT, AIRWAYS)]
    assert volumes[0] > volumes[1] > 1500
    assert 30 < volumes[2] < 80
    columns = [np.nonzero(labels == label)[2].mean() for label in (RIGHT, LEFT)]
    assert columns[0] < 200 < 300 < columns[1]
    lung_hu = hu[(labels == RIGHT) | (labels == LEFT)]
    assert found.low_attenuation_percent == pytest.approx(100 * (lung_hu < -950).mean(), abs=1e-4)
