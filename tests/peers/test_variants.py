"""Variants of results before other people's eyes. The validators are older than label maps, and say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.conftest import data_folder
from tests.peers.pixelmed import ReportValidator
from tests.peers.test_result_validity import speckled
from tests.peers.validators import complaints, errors, errors_of_ours, measurement_groups, segmentation_images
from tests.peers.voxels import affine_of
from tests.unit.results.build import LUNGS, answer, mask_part, real_source, wrapping

from bridge.itk import read_image
from bridge.results.encoders import encode
from bridge.results.result import Form, Source, Variant

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]

LABELMAP = Variant(form=Form.LABELMAP)
EMPTY = Variant(empty_frames=True)
AGE = ("Information Object Not found", "SegmentNumber", "Error - not in IOD")
"""What dicom3tools of 2022 says of a class of 2024 and its segment 0, the background."""


@pytest.fixture(scope="module")
def source() -> Source:
    return real_source(data_folder("ct-head-phantom-philips/S2010"))


def files(source: Source, variant: Variant, folder: Path) -> list[Path]:
    part = mask_part(speckled(source.values.shape), source.volume.geometry.affine_lps, LUNGS)
    written = []
    for number, result in enumerate(encode(answer(part), source, wrapping(variant=variant))):
        written.append(folder / f"{number}.dcm")
        written[-1].write_bytes(result.data)
    return written


@pytest.mark.parametrize("variant", [LABELMAP, EMPTY], ids=["labelmap", "empty-frames"])
def test_every_voxel_is_read_where_the_mask_had_it(source: Source, variant: Variant, tmp_path: Path) -> None:
    segmentation, report = files(source, variant, tmp_path)
    mask = speckled(source.values.shape)
    (found,) = segmentation_images(segmentation, tmp_path / "images")
    image = read_image(found)
    numbers, counts = np.unique(image.array[image.array > 0], return_counts=True)
    assert dict(zip(numbers.tolist(), counts.tolist(), strict=True)) == {
        number: int((mask == value).sum()) for number, value in ((1, 3), (2, 7), (3, 9))
    }
    to_source = np.linalg.inv(source.volume.geometry.affine_lps) @ affine_of(image)
    index = np.argwhere(image.array)
    places = (np.c_[index, np.ones(len(index))] @ to_source.T)[:, :3]
    nearest = np.rint(places).astype(int)
    assert np.abs(places - nearest).max() < 1e-3
    values = np.array([0, 3, 7, 9])[image.array[tuple(index.T)]]
    assert np.array_equal(mask[tuple(nearest.T)], values)
    groups = measurement_groups(report, tmp_path / "numbers")
    assert [int(group["ReferencedSegment"]) for group in groups] == [1, 2, 3]


@pytest.mark.long
@pytest.mark.parametrize("variant", [LABELMAP, EMPTY], ids=["labelmap", "empty-frames"])
def test_reports_of_variants_fit_their_template(
    source: Source, variant: Variant, tmp_path: Path, report_validator: ReportValidator
) -> None:
    _, report = files(source, variant, tmp_path)
    assert report_validator.complaints(report) == []


def test_empty_frames_break_no_rule(source: Source, tmp_path: Path) -> None:
    sources = [source.volume.planes[0].instance.file]
    for file in files(source, EMPTY, tmp_path):
        assert errors_of_ours(file, sources) == []


def test_a_label_map_breaks_no_rule_that_its_validator_knows(source: Source, tmp_path: Path) -> None:
    segmentation, report = files(source, LABELMAP, tmp_path)
    first = source.volume.planes[0].instance.file
    # A reference to a segment of a class that it does not know for one.
    told = [line for line in errors_of_ours(report, [first]) if "that is not segmentation" not in line]
    assert told == []
    said = complaints("dciodvfy", "-new", segmentation)
    assert any("Information Object Not found" in line for line in said) or said == []
    assert [
        line for line in errors("dciodvfy", "-new", segmentation) if not any(a in line for a in AGE)
    ] == []
