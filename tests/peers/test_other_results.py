"""Pictures, heat maps, documents and tables before other people's eyes: dicom3tools, dcmqi, PixelMed."""

from __future__ import annotations

import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from tests.conftest import data_folder, peer_tool
from tests.peers.pixelmed import ReportValidator
from tests.peers.test_result_validity import speckled
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
    document_part,
    heat_part,
    made_source,
    mask_part,
    real_source,
    table_part,
    value_part,
    wrapping,
)
from tests.unit.results.test_documents import PDF
from tests.unit.results.test_hostile_headers import ROWS, Row, candidates, results_of
from tests.unit.results.test_segmentation import ENHANCED_CT, as_frames
from tests.unit.results.test_values import GRADE, ML, ORGANS, number

from bridge.itk import read_image
from bridge.results.encoders import encode, encode_for_study
from bridge.results.meaning import ValueMeaning
from bridge.results.result import Answer, HeatMaps, Result, Source

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]

SERIES = ["ct-chest-philips", "mr-brain-t1", "ct-head-phantom-philips/S2010"]
VALUES = (
    ValueMeaning(name="low", output="stats", path=("low",), meaning=number("low", ML), segment="Left lung"),
    ValueMeaning(name="grade", output="stats", path=("grade",), meaning=GRADE),
)


@dataclass(frozen=True)
class Made:
    source: Source
    likelihood: NDArray[np.float32]
    files: dict[str, Path]
    """By kind, and by kind and output for reports."""

    @property
    def sources(self) -> list[Path]:
        return [plane.instance.file for plane in self.source.volume.planes]


def likelihood(source: Source) -> NDArray[np.float32]:
    """Unlike in every slice, row and column."""
    low, high = float(source.values.min()), float(source.values.max())
    return ((source.values.astype(np.float32) - low) / (high - low)).clip(0, 1)


def whole_answer(source: Source, mask: NDArray[Any]) -> Answer:
    affine = source.volume.geometry.affine_lps
    return answer(
        mask_part(mask, affine, LUNGS),
        heat_part(likelihood(source), affine),
        document_part(PDF, title="Bericht über Lungen"),
        table_part(
            "organs", ("organ", "volume", "grade"), ("Left lung", "12.5", "high"), ("Spleen", "150", "low")
        ),
        value_part("stats", {"low": 7.25, "grade": "low"}),
    )


def encoded(source: Source, mask: NDArray[Any], form: HeatMaps) -> tuple[Result, ...]:
    other: dict[str, Any] = {"picture": True, "values": VALUES, "tables": {"organs": ORGANS}}
    return encode(whole_answer(source, mask), source, wrapping(heat_maps=form, **other))


def written(results: tuple[Result, ...], folder: Path) -> dict[str, Path]:
    files = {}
    for result in results:
        name = result.kind if result.kind != "SR" else f"SR {result.output_name}"
        files[name] = folder / f"{name}.dcm"
        files[name].write_bytes(result.data)
    return files


@pytest.fixture(scope="module", params=SERIES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    source = real_source(data_folder(request.param))
    mask = speckled(source.values.shape)
    files: dict[str, Path] = {}
    folder = tmp_path_factory.mktemp("results")
    for form in (HeatMaps.PARAMETRIC_MAP, HeatMaps.FRACTIONAL):
        files |= written(encoded(source, mask, form), folder)
    yield Made(source, likelihood(source), files)


def test_every_kind_is_there(made: Made) -> None:
    assert set(made.files) == {"SEG", "SR lungs", "SC", "SR grade", "SR organs", "PM", "FRACTIONAL", "DOC"}


def test_no_validator_finds_an_error_of_ours(made: Made) -> None:
    found = {name: errors_of_ours(file, made.sources[:1]) for name, file in made.files.items()}
    assert {name: some for name, some in found.items() if some} == {}


def test_results_and_sources_agree_about_patient_and_study(made: Made) -> None:
    assert errors("dcentvfy", *made.files.values(), *made.sources) == []
    said = complaints("dcentvfy", *made.files.values(), *made.sources)
    allowed = ("AccessionNumber", "ReferencedStudySequence", "PatientAge")
    assert [line for line in said if not any(word in line for word in allowed)] == []


def test_numbers_of_a_parametric_map_are_those_of_the_heat_map_for_a_reader_of_others(
    made: Made, tmp_path: Path
) -> None:
    program = Path(sysconfig.get_path("scripts")) / "paramap2itkimage"
    if not program.exists():
        pytest.skip("needs paramap2itkimage (the package dcmqi) in this environment")
    subprocess.run(
        [program, "--inputDICOM", made.files["PM"], "--outputDirectory", tmp_path, "--outputType", "nrrd"],
        capture_output=True,
        timeout=120,
        check=True,
    )
    (file,) = tmp_path.glob("*.nrrd")
    assert np.array_equal(in_place(file, made.source), made.likelihood)


def test_probabilities_are_those_of_the_heat_map_for_a_reader_of_others(made: Made, tmp_path: Path) -> None:
    (file,) = segmentation_images(made.files["FRACTIONAL"], tmp_path)
    found = in_place(file, made.source) / 255
    assert np.abs(found - made.likelihood).max() <= 0.5 / 255 + 1e-6


def in_place(file: Path, source: Source) -> NDArray[Any]:
    """What a reader wrote, on the grid of the source, by positions in space."""
    image = read_image(file)
    to_source = np.linalg.inv(source.volume.geometry.affine_lps) @ affine_of(image)
    # Both ends of the diagonal tell where all voxels are: the readers write no oblique grid of their own.
    first = (to_source @ (0, 0, 0, 1))[:3]
    last = (to_source @ (*(np.array(image.array.shape) - 1), 1))[:3]
    low, high = np.rint(first).astype(int), np.rint(last).astype(int)
    assert max(np.abs(first - low).max(), np.abs(last - high).max()) < 1e-3
    assert (np.abs(high - low) + 1).tolist() == list(image.array.shape)
    placed = np.zeros(source.values.shape, image.array.dtype)
    turned = np.flip(image.array, axis=tuple(np.flatnonzero(high < low)))
    placed[tuple(slice(min(a, b), max(a, b) + 1) for a, b in zip(low, high, strict=True))] = turned
    return placed


def test_values_in_groups_of_segments_are_read_by_others(made: Made, tmp_path: Path) -> None:
    _, left, _ = measurement_groups(made.files["SR lungs"], tmp_path)
    own = {item["quantity"]["CodeMeaning"]: float(item["value"]) for item in left["measurementItems"][5:]}
    assert own == {"low": 7.25, "Volume": 12.5}
    (spleen,) = measurement_groups(made.files["SR organs"], tmp_path)
    assert [float(item["value"]) for item in spleen["measurementItems"]] == [150]


@pytest.mark.long
def test_reports_with_values_fit_their_template(made: Made, report_validator: ReportValidator) -> None:
    found = {
        name: report_validator.complaints(file) for name, file in made.files.items() if name.startswith("SR ")
    }
    assert found == {"SR lungs": [], "SR grade": [], "SR organs": []}


def test_a_document_is_taken_out_again_by_others(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "out.pdf"
    subprocess.run(
        [peer_tool("dcm2pdf"), made.files["DOC"], out], capture_output=True, timeout=60, check=True
    )
    assert out.read_bytes().rstrip(b"\0") == PDF


def test_a_picture_is_the_same_for_a_reader_of_others(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "out.ppm"
    subprocess.run(
        [peer_tool("dcm2pnm"), "+Wm", made.files["SC"], out], capture_output=True, timeout=60, check=False
    )
    if not out.exists():
        pytest.skip("needs a dcm2pnm that writes colour on this machine")
    from PIL import Image

    made_of = dcmread(made.files["SC"])
    pixels = np.asarray(Image.open(out))
    assert pixels.shape == (made_of.Rows, made_of.Columns, 3)
    assert pixels.tobytes() == made_of.PixelData[: pixels.size]


@pytest.mark.parametrize("row", [row for row in ROWS if not row.refused], ids=lambda row: row.name)
def test_a_header_that_breaks_the_standard_gives_valid_results(row: Row, tmp_path: Path) -> None:
    for source, _ in results_of(candidates(row, tmp_path)):
        mask = np.zeros(source.values.shape, np.uint8)
        mask[1:3, 1:3, 2:4] = 3
        first = [source.volume.planes[0].instance.file]
        for form in (HeatMaps.PARAMETRIC_MAP, HeatMaps.FRACTIONAL):
            for name, file in written(encoded(source, mask, form), tmp_path).items():
                assert (name, errors_of_ours(file, first)) == (name, [])


@pytest.mark.parametrize(
    "attributes",
    [
        {"BodyPartExamined": "KNEE", "Laterality": "L"},
        {"BodyPartExamined": "KNEE"},
        {"BodyPartExamined": "CHEST"},
        {"LossyImageCompression": "01", "LossyImageCompressionRatio": "12"},
    ],
)
def test_sources_of_any_body_part_and_compression_give_valid_results(
    attributes: dict[str, Any], tmp_path: Path
) -> None:
    source = made_source(**attributes)
    mask = np.zeros(source.values.shape, np.uint8)
    mask[1:3, 1:3, 2:4] = 3
    for form in (HeatMaps.PARAMETRIC_MAP, HeatMaps.FRACTIONAL):
        for name, file in written(encoded(source, mask, form), tmp_path).items():
            assert (name, errors("dciodvfy", "-new", file)) == (name, [])


def test_results_on_frames_are_valid(tmp_path: Path) -> None:
    source = as_frames(made_source(), ENHANCED_CT, [4, 3, 2, 1])
    mask = np.zeros(source.values.shape, np.uint8)
    mask[1:3, 1:3, 2:4] = 3
    for form in (HeatMaps.PARAMETRIC_MAP, HeatMaps.FRACTIONAL):
        for name, file in written(encoded(source, mask, form), tmp_path).items():
            assert (name, errors("dciodvfy", "-new", file)) == (name, [])


def test_results_without_an_image_are_valid(tmp_path: Path) -> None:
    parts = answer(value_part("stats", {"low": 7.25, "grade": "high"}), document_part(PDF))
    wanted = wrapping(values=VALUES[1:], private_codes=False)
    for result in encode_for_study(parts, made_source().volume.instances[0].header, wanted):
        file = tmp_path / f"{result.kind}.dcm"
        file.write_bytes(result.data)
        assert errors("dciodvfy", "-new", file) == []
