"""Good real series, broken in one known way: each is refused with its numbers, or repaired as declared."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.property import strategies
from tests.unit.volumes.mended import digests_of, repaired, values_of
from tests.unit.volumes.real import instances_of

from bridge.dicom.instance import Instance
from bridge.dicom.pixels import FileReader
from bridge.errors import Damaged, Refused
from bridge.flow.study.doubts import doubts
from bridge.results.planes import planes_in_space
from bridge.volumes import (
    Candidate,
    Repair,
    Volume,
    candidates_of,
    content_of,
    frame_digests,
    mended,
)

GOOD = ("ct-head-phantom-philips/S2020", "ct-head-phantom-philips/S2010", "mr-brain-t1")
READ = FileReader()


@dataclass(frozen=True, kw_only=True)
class Series:
    """Instances lowest first, and what their headers say of the grid."""

    instances: list[Instance]
    volume: Volume

    @property
    def step(self) -> Any:
        return np.array(self.volume.geometry.slice_step_lps) * self.volume.geometry.spacing_mm[0]

    @property
    def row(self) -> Any:
        return np.array(self.volume.geometry.row_step_lps)


@pytest.fixture(params=GOOD)
def good(request: pytest.FixtureRequest, shared_data: Path) -> Series:
    (candidate,) = candidates_of(instances_of(shared_data / request.param))
    assert candidate.volume is not None
    return Series(instances=[plane.instance for plane in candidate.volume.planes], volume=candidate.volume)


def changed(instance: Instance, **attributes: Any) -> Instance:
    header = deepcopy(instance.header)
    for keyword, value in attributes.items():
        setattr(header, keyword, value)
    return replace(instance, header=header, sop_instance_uid=str(header.SOPInstanceUID))


def moved(instance: Instance, by_mm: Any) -> Instance:
    place = np.array([float(one) for one in instance.header.ImagePositionPatient]) + by_mm
    return changed(instance, ImagePositionPatient=[strategies.decimal(one) for one in place])


def only(instances: list[Instance]) -> Candidate:
    (candidate,) = candidates_of(instances)
    return candidate


def refusal(instances: list[Instance]) -> Refused:
    found = only(instances).refusal
    assert found is not None
    assert found.numbers
    return found


def content(volume: Volume) -> str:
    digests = frame_digests(volume, READ)
    return content_of(volume, [digests[plane.instance.number, plane.frame] for plane in volume.planes])


def drop(good: Series) -> list[Instance]:
    return [*good.instances[:2], *good.instances[3:]]


def duplicate(good: Series) -> list[Instance]:
    twin = changed(good.instances[2], SOPInstanceUID="2.25.99")
    return [*good.instances, replace(twin, number=999)]


def tilt(good: Series) -> list[Instance]:
    lean = math.tan(math.radians(12)) * good.volume.geometry.spacing_mm[0]
    return [moved(one, k * lean * good.row) for k, one in enumerate(good.instances)]


def jitter(good: Series) -> list[Instance]:
    return [moved(one, 0.2 * good.step * (k == 3)) for k, one in enumerate(good.instances)]


def spacing(good: Series) -> list[Instance]:
    return [moved(one, max(0, k - 2) * 0.2 * good.step) for k, one in enumerate(good.instances)]


def sideways(good: Series) -> list[Instance]:
    return [moved(one, 2.0 * good.row * (k == 1)) for k, one in enumerate(good.instances)]


@pytest.mark.parametrize(
    ("mutate", "code"),
    [
        (drop, "GEO-024"),
        (duplicate, "GEO-021"),
        (tilt, "GEO-023"),
        (jitter, "GEO-025"),
        (spacing, "GEO-025"),
        (sideways, "GEO-022"),
    ],
)
def test_a_broken_series_is_refused_with_numbers(
    good: Series, mutate: Callable[[Series], list[Instance]], code: str
) -> None:
    instances = mutate(good)
    assert refusal(instances).code == code
    assert refusal(instances[::-1]).sentence() == refusal(instances).sentence()


def test_a_dropped_slice_is_interpolated_where_declared(good: Series) -> None:
    candidate = only(drop(good))
    assert candidate.stack is not None
    values = values_of(candidate.stack)
    filled = repaired(candidate.stack, values, [Repair.RESAMPLE_GAPS])
    np.testing.assert_allclose(filled.geometry.affine_lps, good.volume.geometry.affine_lps, atol=1e-6)
    assert filled.geometry.shape == good.volume.geometry.shape
    np.testing.assert_array_equal(filled.back(filled.values), values)


def test_a_repeated_slice_is_dropped_where_declared(good: Series) -> None:
    candidate = only(duplicate(good))
    assert candidate.stack is not None
    volume = mended(candidate, [Repair.DROP_DUPLICATES], digests_of(candidate.stack)).volume
    assert volume is not None and volume.mending is not None
    assert len(volume.mending.notes) == 1
    assert volume.geometry == good.volume.geometry
    assert content(volume) == content(good.volume)


def test_a_tilted_stack_is_sheared_where_declared(good: Series) -> None:
    candidate = only(tilt(good))
    assert candidate.stack is not None
    values = values_of(candidate.stack)
    upright = repaired(candidate.stack, values, [Repair.SHEAR])
    assert upright.notes == ("sheared upright by 12.00 degrees",)
    assert upright.geometry.spacing_mm == pytest.approx(good.volume.geometry.spacing_mm, abs=1e-6)
    mask = (values > np.median(values)).astype(np.uint8)
    np.testing.assert_array_equal(upright.back(upright.forth(mask)), mask)


@pytest.mark.parametrize(
    "mutate", [drop, duplicate, tilt, jitter, spacing, sideways], ids=lambda one: one.__name__
)
def test_no_other_repair_mends_it(good: Series, mutate: Callable[[Series], list[Instance]]) -> None:
    mends = {"drop": {Repair.RESAMPLE_GAPS}, "tilt": {Repair.SHEAR}}.get(mutate.__name__, set())
    candidate = only(mutate(good))
    assert candidate.stack is not None and candidate.refusal is not None
    other = mended(candidate, set(Repair) - mends)
    assert other.volume is None and other.refusal is not None
    assert other.refusal.code == candidate.refusal.code


def test_numbers_swapped_between_slices_change_nothing(good: Series) -> None:
    first, *middle, last = good.instances
    swapped = [
        changed(first, InstanceNumber=last.header.InstanceNumber),
        *middle,
        changed(last, InstanceNumber=first.header.InstanceNumber),
    ]
    volume = only(swapped).volume
    assert volume is not None
    assert volume.geometry == good.volume.geometry
    assert content(volume) == content(good.volume)


def test_positions_swapped_between_slices_are_another_content(good: Series) -> None:
    first, *middle, last = good.instances
    swapped = [
        changed(first, ImagePositionPatient=last.header.ImagePositionPatient),
        *middle,
        changed(last, ImagePositionPatient=first.header.ImagePositionPatient),
    ]
    volume = only(swapped).volume
    assert volume is not None
    assert volume.instances[0].number == last.number
    assert content(volume) != content(good.volume)


def test_slices_of_two_patients_wait_for_a_person_and_make_no_result(good: Series) -> None:
    mixed = [
        changed(one, PatientID="another", PatientName="Other^One") if k == 2 else one
        for k, one in enumerate(good.instances)
    ]
    found = doubts(mixed, elsewhere=(), sent_as_another=(), key=b"k" * 32)
    assert "STU-005" in {one.code for one in found}
    volume = only(mixed).volume
    assert volume is not None
    with pytest.raises(Refused) as why:
        planes_in_space(volume)
    assert (why.value.code, why.value.numbers) == ("RES-031", {"patients": 2})


def test_one_slice_that_claims_a_huge_matrix_leaves_a_hole(good: Series) -> None:
    claims = [
        changed(one, Rows=46341, Columns=46341) if k == 2 else one for k, one in enumerate(good.instances)
    ]
    assert sorted(one.refusal.code for one in candidates_of(claims) if one.refusal) == ["GEO-020", "GEO-024"]


def test_a_series_that_claims_a_huge_matrix_gets_no_memory(good: Series) -> None:
    volume = only([changed(one, Rows=46341, Columns=46341) for one in good.instances]).volume
    assert volume is not None
    # What a job is named after is computed frame by frame, before anything of the volume's size is asked for.
    with pytest.raises(Damaged) as damage:
        frame_digests(volume, READ)
    assert damage.value.code == "PIX-001"
    assert damage.value.numbers["found_bytes"] < damage.value.numbers["expected_bytes"]


def test_other_orientation_or_pixels_never_join_a_stack(good: Series) -> None:
    last = good.instances[-1]
    for attributes in ({"PixelSpacing": ["3", "3"]}, {"FrameOfReferenceUID": "2.25.9"}, {"Rows": 77}):
        candidates = candidates_of([*good.instances[:-1], changed(last, **attributes)])
        assert sorted(len(one.instances) for one in candidates) == [1, len(good.instances) - 1]
