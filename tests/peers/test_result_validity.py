"""Results before other people's eyes: dicom3tools, dcmqi and PixelMed read what we made of real series."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from tests.conftest import data_folder
from tests.peers.pixelmed import ReportValidator
from tests.peers.validators import (
    complaints,
    errors,
    errors_of_ours,
    measurement_groups,
    segmentation_images,
)
from tests.peers.voxels import affine_of
from tests.unit.results.build import (
    LUNGS,
    answer,
    made_source,
    mask_part,
    real_source,
    value_part,
    wrapping,
)
from tests.unit.results.test_segmentation import ENHANCED_CT, as_frames, lungs_mask

from bridge.itk import read_image
from bridge.results.encoders import encode
from bridge.results.result import Source

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]

# Instance numbers against position; oblique with rows unlike columns; a phantom that breaks no rule.
SERIES = ["ct-chest-philips", "mr-brain-t1", "ct-head-phantom-philips/S2010"]


@dataclass(frozen=True)
class Made:
    source: Source
    mask: NDArray[Any]
    files: list[Path]
    """Segmentation, report on the segments, report on the values."""

    @property
    def sources(self) -> list[Path]:
        return [plane.instance.file for plane in self.source.volume.planes]


def speckled(shape: tuple[int, ...]) -> NDArray[np.int16]:
    """Label values 3, 7 and 9 in blocks and single voxels; no symmetry that could hide a mix-up."""
    k, j, i = shape
    rng = np.random.default_rng(20)
    mask = np.zeros(shape, np.int16)
    mask[1 : k // 2, j // 5 : j // 3, i // 6 : i // 2] = 3
    mask[k // 3 : k - 3, j // 2 : j * 3 // 4, i // 3 : i // 2 + 7] = 7
    mask[2 : k - 4][rng.random((k - 6, j, i)) < 0.002] = 9
    return mask


@pytest.fixture(scope="module", params=SERIES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    source = real_source(data_folder(request.param))
    mask = speckled(source.values.shape)
    parts = answer(
        mask_part(mask, source.volume.geometry.affine_lps, LUNGS),
        value_part("score", 0.875),
        value_part("normal", False),
    )
    folder = tmp_path_factory.mktemp("results")
    files = []
    for number, result in enumerate(encode(parts, source, wrapping())):
        files.append(folder / f"{number}.dcm")
        files[-1].write_bytes(result.data)
    yield Made(source, mask, files)


def test_no_validator_finds_an_error_of_ours(made: Made) -> None:
    assert {
        file.name: found for file in made.files if (found := errors_of_ours(file, made.sources[:1]))
    } == {}


def test_results_and_sources_agree_about_patient_and_study(made: Made) -> None:
    assert errors("dcentvfy", *made.files, *made.sources) == []
    # What a tool of its year says of every structured report.
    said = [
        line for line in complaints("dcentvfy", *made.files, *made.sources) if "AccessionNumber" not in line
    ]
    assert all("ReferencedStudySequence" in line or "PatientAge" in line for line in said)


def test_every_voxel_lies_where_the_mask_had_it_for_a_reader_of_others(made: Made, tmp_path: Path) -> None:
    (image_file,) = segmentation_images(made.files[0], tmp_path)
    image = read_image(image_file)
    # (k, j, i) of what dcmqi wrote -> LPS mm -> (k, j, i) of the source.
    to_source = np.linalg.inv(made.source.volume.geometry.affine_lps) @ affine_of(image)
    decoded = np.zeros_like(made.mask)
    index = np.argwhere(image.array)
    places = (np.c_[index, np.ones(len(index))] @ to_source.T)[:, :3]
    nearest = np.rint(places).astype(int)
    assert np.abs(places - nearest).max() < 1e-3
    numbers = image.array[tuple(index.T)]
    decoded[tuple(nearest.T)] = np.array([0, 3, 7, 9])[numbers]
    assert int((decoded != made.mask).sum()) == 0


def test_measurements_are_those_of_the_voxels_for_a_reader_of_others(made: Made, tmp_path: Path) -> None:
    found = measurement_groups(made.files[1], tmp_path)
    assert [int(group["ReferencedSegment"]) for group in found] == [1, 2, 3]
    for group, value in zip(found, (3, 7, 9), strict=True):
        inside = made.source.values[made.mask == value].astype(np.float64)
        expected = [
            inside.size * float(np.prod(made.source.volume.geometry.spacing_mm)) / 1000,
            inside.mean(),
            inside.std(),
            inside.min(),
            inside.max(),
        ]
        numbers = [float(item["value"]) for item in group["measurementItems"]]
        assert numbers == pytest.approx(expected, rel=1e-5)


def test_values_are_read_by_others(made: Made, tmp_path: Path) -> None:
    (group,) = measurement_groups(made.files[2], tmp_path)
    assert [float(item["value"]) for item in group["measurementItems"]] == [0.875]


@pytest.mark.long
def test_reports_fit_their_template(made: Made, report_validator: ReportValidator) -> None:
    assert {file.name: report_validator.complaints(file) for file in made.files[1:]} == {
        file.name: [] for file in made.files[1:]
    }


@pytest.mark.long
def test_a_report_that_does_not_fit_its_template_would_have_been_found(
    made: Made, report_validator: ReportValidator, tmp_path: Path
) -> None:
    report = dcmread(made.files[1])
    (measurements,) = (one for one in report.ContentSequence if "ContentSequence" in one and _is_numbers(one))
    for item in measurements.ContentSequence[0].ContentSequence:
        if item.ConceptNameCodeSequence[0].CodeValue == "121191":
            item.ConceptNameCodeSequence[0].CodeValue = "121190"
    report.save_as(tmp_path / "broken.dcm")
    found = report_validator.complaints(tmp_path / "broken.dcm")
    assert any(line.startswith("Error") and "1411" in line for line in found), found


def _is_numbers(item: Dataset) -> bool:
    return bool(item.ConceptNameCodeSequence[0].CodeValue == "126010")


def test_a_result_on_frames_and_an_empty_one_are_valid(tmp_path: Path) -> None:
    frames = as_frames(made_source(), ENHANCED_CT, [4, 3, 2, 1])
    empty = np.zeros((4, 5, 6), np.uint8)
    for name, source, mask in (("frames", frames, lungs_mask((4, 5, 6))), ("empty", made_source(), empty)):
        part = mask_part(mask, source.volume.geometry.affine_lps, LUNGS)
        for result in encode(answer(part), source, wrapping()):
            file = tmp_path / f"{name}.{result.kind}.dcm"
            file.write_bytes(result.data)
            assert errors("dciodvfy", "-new", file) == []
