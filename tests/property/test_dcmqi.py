"""What dcmqi decodes of a segmentation is the mask, voxel for voxel: any grid, crop, flip, direction and label set.

A few examples in every run; many in `make interop`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.peers.validators import segmentation_images
from tests.peers.voxels import affine_of
from tests.property.test_results import Case, cases, source_of
from tests.unit.results.build import answer, mask_part, wrapping

from bridge.itk import read_image
from bridge.results.encoders import encode
from bridge.results.result import Form, Variant

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]

Array = NDArray[Any]


@st.composite
def cropped(draw: st.DrawFn) -> tuple[Case, Array, Array]:
    """A case, a part of its mask as an algorithm may give it, and where that part lies."""
    case = draw(cases())
    box = []
    for size in case.given.shape:
        first = draw(st.integers(0, size - 1))
        box.append(slice(first, draw(st.integers(first + 1, size))))
    affine = case.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [one.start for one in box]
    part = case.given[tuple(box)]
    return case, part, affine


def voxels_of(array: Array, affine: Array) -> dict[int, Array]:
    """(n, 3) LPS mm of the voxels of each number but 0, sorted."""
    found = {}
    for number in np.unique(array[array > 0]).tolist():
        index = np.argwhere(array == number)
        found[int(number)] = (np.c_[index, np.ones(len(index))] @ affine.T)[:, :3]
    return found


def decoded(segmentation: bytes) -> dict[int, Array]:
    """Segment Number -> (n, 3) LPS mm, by dcmqi."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "seg.dcm"
        file.write_bytes(segmentation)
        images = [read_image(one) for one in segmentation_images(file, Path(name) / "images")]
    found: dict[int, list[Array]] = {}
    for image in images:
        for number, places in voxels_of(image.array, affine_of(image)).items():
            found.setdefault(number, []).append(places)
    return {number: np.concatenate(places) for number, places in found.items()}


def check(case: Case, part: Array, affine: Array, variant: Variant) -> None:
    given = answer(mask_part(part, affine))
    segmentation, *_ = encode(given, source_of(case), wrapping(variant=variant, measurement_report=False))
    expected = voxels_of(part, affine)
    found = decoded(segmentation.data)
    assert sorted(found) == list(range(1, len(expected) + 1))
    for number, value in enumerate(sorted(expected), start=1):
        here, there = found[number], expected[value]
        assert len(here) == len(there)
        apart = np.linalg.norm(here[:, None] - there[None], axis=2)
        assert apart.min(axis=0).max() < 2e-3
        assert apart.min(axis=1).max() < 2e-3
    event("resampled" if any("resampled" in note for note in segmentation.notes) else "same voxels")


def with_marks(drawn: tuple[Case, Array, Array]) -> bool:
    """Of an empty mask there is nothing to compare."""
    return bool(drawn[1].any())


WAYS = st.sampled_from([Variant(), Variant(empty_frames=True), Variant(form=Form.LABELMAP)])


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=cropped().filter(with_marks), variant=WAYS)
def test_dcmqi_finds_each_voxel_of_any_mask_in_its_place(
    drawn: tuple[Case, Array, Array], variant: Variant
) -> None:
    check(*drawn, variant)


@pytest.mark.long
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=cropped().filter(with_marks), variant=WAYS)
def test_dcmqi_finds_each_voxel_of_many_masks_in_its_place(
    drawn: tuple[Case, Array, Array], variant: Variant
) -> None:
    check(*drawn, variant)
