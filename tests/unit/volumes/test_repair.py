from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.property import strategies
from tests.unit.volumes.mended import Repaired, digests_of, repaired, values_of
from tests.unit.volumes.real import instances_of

from bridge.config.vocabulary import REPAIRS
from bridge.errors import Refused
from bridge.volumes import Candidate, Repair, Stack, candidates_of, mend, mended, volume_of
from bridge.volumes.repair import MENDS

Array = NDArray[Any]
ODD = "ct-small-irregular"
DIRECTIONS = np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])
PIXEL = (0.7, 0.9)
ROWS, COLUMNS = 14, 12


def refused(instances: Any, code: str) -> Stack:
    (candidate,) = candidates_of(instances)
    assert candidate.refusal is not None
    assert candidate.refusal.code == code
    assert candidate.stack is not None
    return candidate.stack


def real(folder: Path, *repairs: Repair) -> tuple[Stack, Array, Repaired]:
    instances = instances_of(folder)
    for one in instances:
        if "FrameOfReferenceUID" not in one.header:
            one.header.FrameOfReferenceUID = "2.25.4"
    (candidate,) = candidates_of(instances)
    assert candidate.stack is not None
    values = values_of(candidate.stack)
    return candidate.stack, values, repaired(candidate.stack, values, repairs)


def made(slots: list[int], lean: tuple[float, float], beside: float = 0.0) -> tuple[Stack, Array]:
    """Slices 2.5 mm apart at these numbers, leaning by so many mm per mm along columns and rows; values are the
    linear function `linear` of the place."""
    positions = [np.array([-7 + lean[0] * 2.5 * k, 11 + lean[1] * 2.5 * k, 2.5 * k]) for k in slots]
    positions[1][0] += beside
    stored = np.zeros((ROWS, COLUMNS), np.int16)
    instances = [
        strategies.instance(n + 1, position, DIRECTIONS, PIXEL, stored)
        for n, position in enumerate(positions)
    ]
    (candidate,) = candidates_of(instances)
    stack = candidate.stack
    if stack is None:
        assert candidate.volume is not None
        from bridge.volumes.slices import slice_of
        from bridge.volumes.stack import stack_of

        stack = stack_of([slice_of(one) for one in instances])
    rows, columns = np.meshgrid(np.arange(ROWS), np.arange(COLUMNS), indexing="ij")
    values = [linear(p[0] + columns * PIXEL[1], p[1] + rows * PIXEL[0], p[2]) for p in positions]
    return stack, np.array(values)


def linear(x: Any, y: Any, z: Any) -> Any:
    return 1000 + 3.0 * x - 2.0 * y + 0.5 * z


@pytest.mark.parametrize("lean", [(0.0, 0.33), (0.0, -0.33), (0.21, 0.0), (-0.4, 0.17), (0.28, 0.28)])
def test_shear_keeps_every_number_in_its_place(lean: tuple[float, float]) -> None:
    stack, values = made(list(range(9)), lean)
    upright = repaired(stack, values, [Repair.SHEAR])
    assert upright.geometry.spacing_mm == pytest.approx((2.5, *PIXEL), abs=1e-12)
    # Linear interpolation of a linear function is exact, so every number must be that of its place: but for the
    # voxels that no slice reaches, or that lie at a rim and take half of what is outside.
    index = np.argwhere(np.ones(upright.geometry.shape, bool))
    x, y, z = (upright.geometry.affine_lps @ np.c_[index, np.ones(len(index))].T)[:3]
    expected = linear(x, y, z).reshape(upright.geometry.shape)
    right = np.isclose(upright.values, expected, atol=1e-6)
    assert np.count_nonzero(right) >= 9 * (ROWS - 1) * (COLUMNS - 1)
    inside = upright.forth(np.ones(values.shape, np.uint8))
    core = inside.copy()
    for axis in (1, 2):
        core &= np.roll(inside, 1, axis) & np.roll(inside, -1, axis)
    core[:, [0, -1]] = core[:, :, [0, -1]] = 0
    assert right[core.astype(bool)].all()


def test_a_mask_returns_from_the_sheared_grid_voxel_by_voxel() -> None:
    stack, values = made(list(range(9)), (-0.4, 0.17))
    upright = repaired(stack, values, [Repair.SHEAR])
    mask = np.random.default_rng(3).integers(0, 4, values.shape, np.uint8)
    np.testing.assert_array_equal(upright.back(upright.forth(mask)), mask)
    on_grid = np.random.default_rng(4).integers(0, 4, upright.geometry.shape, np.uint8)
    back = upright.back(on_grid)
    assert back.shape == values.shape
    # By position: the label of each voxel is that of the nearest voxel of the grid.
    to_index = np.linalg.inv(upright.geometry.affine_lps)
    for k, plane in enumerate(stack.planes):
        x, y, z = plane.position_lps
        for j in range(ROWS):
            for i in range(COLUMNS):
                place = to_index @ [x + i * PIXEL[1], y + j * PIXEL[0], z, 1]
                assert np.abs(place[:3] - np.round(place[:3])).max() <= 0.5
                if np.abs(np.abs(place[:3] - np.floor(place[:3])) - 0.5).min() > 1e-6:
                    kk, jj, ii = np.round(place[:3]).astype(int)
                    assert back[k, j, i] == on_grid[kk, jj, ii]


def test_tilted_head_is_sheared_by_its_positions(shared_data: Path) -> None:
    stack, values, upright = real(shared_data / "ct-head-tilt-philips", Repair.SHEAR)
    assert upright.notes == ("sheared upright by 18.50 degrees",)
    assert upright.geometry.spacing_mm[0] == pytest.approx(2.370809, abs=1e-6)
    axes = np.array([upright.geometry.slice_step_lps, upright.geometry.row_step_lps])
    assert float(axes[0] @ axes[1]) == pytest.approx(0, abs=1e-15)
    assert upright.values.dtype == values.dtype
    # The first voxel of each slice, from its header, lies on the grid within half a voxel, where the mask says.
    to_index = np.linalg.inv(upright.geometry.affine_lps)
    corner = np.zeros(values.shape, np.uint8)
    corner[:, 0, 0] = np.arange(1, 11)
    placed = upright.forth(corner)
    for k, plane in enumerate(stack.planes):
        kk, jj, ii = (to_index @ (*plane.position_lps, 1))[:3]
        assert kk == pytest.approx(k, abs=1e-6)
        assert placed[k, math.floor(jj + 0.5), math.floor(ii + 0.5)] == k + 1
    mask = (values > 100).astype(np.uint8)
    np.testing.assert_array_equal(upright.back(upright.forth(mask)), mask)


@pytest.mark.parametrize(
    ("where", "repairs", "code", "slices", "step_mm", "notes"),
    [
        (f"{ODD}/tilt-untagged", "shear", "", 4, 4.8514, ("sheared upright by 14.00 degrees",)),
        (f"{ODD}/tilt-untagged", "resample-gaps", "GEO-023", 0, 0, ()),
        (f"{ODD}/tilt-untagged-gap", "shear", "GEO-024", 0, 0, ()),
        (f"{ODD}/tilt-untagged-gap", "resample-gaps", "GEO-023", 0, 0, ()),
        (
            f"{ODD}/tilt-untagged-gap",
            "shear resample-gaps",
            "",
            5,
            0.7497,
            ("sheared upright by 15.50 degrees", "1 of 5 slices interpolated in gaps"),
        ),
        (f"{ODD}/uneven-5-10", "resample-gaps", "", 5, 5, ("1 of 5 slices interpolated in gaps",)),
        (f"{ODD}/uneven-5-10", "shear", "GEO-024", 0, 0, ()),
        (f"{ODD}/uneven-5-10", "", "GEO-024", 0, 0, ()),
        (f"{ODD}/same-position-4-acquisitions", "shear resample-gaps drop-duplicates", "GEO-021", 0, 0, ()),
    ],
)
def test_only_the_declared_repair_mends(
    shared_data: Path,
    where: str,
    repairs: str,
    code: str,
    slices: int,
    step_mm: float,
    notes: tuple[str, ...],
) -> None:
    declared = [Repair(word) for word in repairs.split()]
    if code:
        with pytest.raises(Refused) as refusal:
            real(shared_data / where, *declared)
        assert refusal.value.code == code
        return
    _, values, mended = real(shared_data / where, *declared)
    assert mended.geometry.shape[0] == slices == len(mended.values)
    assert mended.geometry.spacing_mm[0] == pytest.approx(step_mm, abs=1e-4)
    assert mended.notes == notes
    mask = np.arange(values.size).reshape(values.shape) % 5
    np.testing.assert_array_equal(mended.back(mended.forth(mask)), mask)


def test_words_of_rules_are_the_repairs_that_there_are() -> None:
    assert list(REPAIRS) == list(Repair)
    assert set(MENDS.values()) == set(Repair)


def test_a_repair_finds_no_frame_of_reference(shared_data: Path) -> None:
    (candidate,) = candidates_of(instances_of(shared_data / ODD / "tilt-untagged"))
    left = mended(candidate, list(Repair))
    assert left.volume is None and left.refusal is not None
    assert left.refusal.code == "GEO-027"
    # What the headers say of the stack is still there to be asked for.
    assert left.refusal.numbers["lean_degrees"] == pytest.approx(14.0, abs=0.01)


@pytest.mark.parametrize(
    ("slots", "lean"),
    [([0, 1, 2], (0.0, 0.33)), ([0, 1, 2, 4], (0.0, 0.0)), ([0, 1, 2, 4], (0.2, 0.1))],
)
def test_only_a_refusal_that_a_repair_is_for_is_mended(slots: list[int], lean: tuple[float, float]) -> None:
    stack, _ = made(slots, lean)
    for code in ("GEO-020", "GEO-022", "GEO-025", "GEO-028"):
        refused = Candidate(
            series_instance_uid="2.25.1",
            instances=stack.instances,
            refusal=Refused(code, "found", "expected"),
            stack=stack,
        )
        assert mended(refused, list(Repair)) is refused


def test_two_slices_are_no_proof_of_a_tilt() -> None:
    stack, _ = made([0, 1], (0.0, 0.33))
    with pytest.raises(Refused) as refusal:
        mend(stack, [Repair.SHEAR])
    assert (refusal.value.code, refusal.value.numbers["slices"]) == ("GEO-029", 2)


def test_a_filled_gap_keeps_the_slices_that_are_there() -> None:
    stack, values = made([0, 1, 2, 3, 4, 6, 7, 8, 9], (0, 0))
    mended = repaired(stack, values, [Repair.RESAMPLE_GAPS])
    np.testing.assert_array_equal(mended.values[[0, 1, 2, 3, 4, 6, 7, 8, 9]], values)
    np.testing.assert_allclose(mended.values[5], (values[4] + values[5]) / 2)
    assert mended.geometry.affine_lps[:3, 3] == pytest.approx([-7, 11, 0])
    assert mended.geometry.shape == (10, ROWS, COLUMNS)


@pytest.mark.parametrize(
    ("slots", "lean", "beside", "repairs", "code"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15], (0, 0), 0, "resample-gaps", "GEO-029"),
        ([0, 1, 3, 4, 6, 7], (0, 0), 0, "resample-gaps", "GEO-029"),
        (list(range(5)), (0, 1.1), 0, "shear", "GEO-029"),
        (list(range(40)), (0.9, 0.1), 0, "shear", "GEO-029"),  # 88 mm of drift over slices of 11 mm
        (list(range(6)), (0, 0.3), 1.3, "shear", "GEO-022"),
        ([0, 1, 2, 3, 4, 6, 7], (0, 0), 1.3, "resample-gaps", "GEO-022"),
    ],
)
def test_no_repair_invents_much(
    slots: list[int], lean: tuple[float, float], beside: float, repairs: str, code: str
) -> None:
    stack, values = made(slots, lean, beside)
    with pytest.raises(Refused) as refusal:
        repaired(stack, values, [Repair(word) for word in repairs.split()])
    assert refusal.value.code == code
    assert refusal.value.numbers


def test_whole_numbers_stay_whole_and_in_their_range() -> None:
    stack, values = made(list(range(9)), (0, 0.33))
    numbers = np.rint(values).astype(np.int16)
    upright = repaired(stack, numbers, [Repair.SHEAR])
    assert upright.values.dtype == np.int16
    assert (upright.values.min(), upright.values.max()) >= (numbers.min(), numbers.min())
    assert upright.values.max() <= numbers.max()
    assert upright.values[0, -1, -1] == numbers.min()  # where no slice is


def test_a_regular_stack_is_left_alone() -> None:
    stack, values = made(list(range(4)), (0, 0))
    same = repaired(stack, values, list(Repair))
    assert same.values is values
    assert mend(stack, list(Repair)).mending is None
    assert same.geometry == volume_of(stack).geometry


@pytest.mark.parametrize(
    ("folder", "code"), [("made-duplicate-equal-pixels", ""), ("made-duplicate-other-pixels", "GEO-021")]
)
def test_only_equal_pixels_at_an_equal_position_are_a_duplicate(
    shared_data: Path, folder: str, code: str
) -> None:
    stack = refused(instances_of(shared_data / ODD / folder), "GEO-021")
    digests = digests_of(stack)
    if code:
        with pytest.raises(Refused) as refusal:
            mend(stack, [Repair.DROP_DUPLICATES], digests)
        assert (refusal.value.code, refusal.value.numbers["images"]) == (code, 4)
        return
    volume = mend(stack, [Repair.DROP_DUPLICATES], digests)
    assert volume.mending is not None
    assert volume.mending.repairs == ("drop-duplicates",)
    assert volume.mending.notes == ("1 of 4 images dropped: equal pixels at an equal position",)
    assert len(volume.instances) == 3 and set(volume.chosen) == set(stack.instances)
    (twin,) = candidates_of(instances_of(shared_data / "multiframe/ct-legacy-pair-24x38x3/image"))
    assert twin.volume is not None
    assert volume.geometry == twin.volume.geometry


def test_four_times_one_slice_are_no_duplicates(shared_data: Path) -> None:
    stack = refused(instances_of(shared_data / ODD / "same-position-4-acquisitions"), "GEO-021")
    with pytest.raises(Refused, match="4 images at 1 position"):
        mend(stack, [Repair.DROP_DUPLICATES], digests_of(stack))


def test_a_candidate_keeps_its_stack_only_where_it_is_no_volume(shared_data: Path) -> None:
    def only(where: str) -> Candidate:
        (candidate,) = candidates_of(instances_of(shared_data / where))
        return candidate

    assert only(f"{ODD}/uneven-5-10").stack is not None
    assert only("ct-head-phantom-philips/S2020").stack is None
