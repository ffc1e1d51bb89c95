"""Meshes before other people's eyes: dicom3tools, dcmqi, PixelMed, and an Orthanc that gives them back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from tests.conftest import data_folder, peer_tool
from tests.peers.namespace import run_in_namespace
from tests.peers.pixelmed import ReportValidator
from tests.peers.test_other_results import in_place
from tests.peers.validators import (
    complaints,
    errors,
    errors_of_ours,
    measurement_groups,
    segmentation_images,
)
from tests.unit.results.build import real_source, wrapping
from tests.unit.results.shapes import ball, mesh, mesh_part, obj, ring, stl
from tests.unit.results.test_meshes import missing

from bridge.results.encoders import encode
from bridge.results.mesh import Mesh
from bridge.results.result import Answer, Result, Source
from bridge.results.voxelise import voxelise

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]

SERIES = ["mr-brain-t1", "ct-head-phantom-philips/S2010"]


@dataclass(frozen=True)
class Made:
    source: Source
    shapes: dict[str, Mesh]
    bytes_of: dict[str, bytes]
    results: dict[str, Result]
    files: dict[str, Path]

    @property
    def sources(self) -> list[Path]:
        return [plane.instance.file for plane in self.source.volume.planes]


def around_the_middle(shape: Mesh, source: Source, share: float, aside: float) -> Mesh:
    """The shape, as large as a share of the images, `aside` of them away from their middle along the columns."""
    geometry = source.volume.geometry
    affine, size = geometry.affine_lps, np.array(geometry.shape) - 1
    middle = affine[:3, :3] @ (size * [0.5, 0.5, 0.5 + aside]) + affine[:3, 3]
    extent = float(np.min(size * np.array(geometry.spacing_mm)))
    return mesh(shape.vertices * extent * share + middle, shape.faces)


@pytest.fixture(scope="module", params=SERIES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    source = real_source(data_folder(request.param))
    shapes = {
        "mandible": around_the_middle(ring(60, 30, 1.0, 0.5), source, 0.25, 0.0),
        "left_nerve": around_the_middle(ring(60, 30, 1.0, 0.1), source, 0.25, 0.0),
        "tooth36": around_the_middle(ball(3), source, 0.08, 0.0),
    }
    # Numbers as an STL holds them.
    shapes = {name: mesh(one.vertices.astype(np.float32), one.faces) for name, one in shapes.items()}
    bytes_of = {name: stl(one) if name != "tooth36" else obj(one) + b"#" for name, one in shapes.items()}
    parts = tuple(mesh_part(bytes_of[name], name) for name in shapes)
    results = encode(Answer(parts=parts, absent=(missing("tooth18"),)), source, wrapping())
    folder = tmp_path_factory.mktemp("meshes")
    named, files = {}, {}
    for number, result in enumerate(results):
        name = f"{number} {result.kind} {result.output_name}"
        named[name], files[name] = result, folder / f"{name}.dcm"
        files[name].write_bytes(result.data)
    yield Made(source, shapes, bytes_of, named, files)


def of(made: Made, kind: str) -> dict[str, Path]:
    return {made.results[name].output_name: file for name, file in made.files.items() if f" {kind} " in name}


def test_no_validator_finds_an_error_of_ours(made: Made) -> None:
    found = {name: errors_of_ours(file, made.sources[:1]) for name, file in made.files.items()}
    # dicom3tools of 2022 does not know the class of OBJ.
    unknown = ["Error - Information Object Not found"]
    assert {name: some for name, some in found.items() if some} in (
        {},
        {name: unknown for name in found if name.endswith("M3D tooth36")},
    )


def test_results_and_sources_agree_about_patient_and_study(made: Made) -> None:
    # dicom3tools of 2022 does not know the class of OBJ.
    known = [file for name, file in made.files.items() if not name.endswith("M3D tooth36")]
    assert errors("dcentvfy", *known, *made.sources) == []
    said = complaints("dcentvfy", *known, *made.sources)
    allowed = ("AccessionNumber", "ReferencedStudySequence", "PatientAge")
    assert [line for line in said if not any(word in line for word in allowed)] == []


def test_voxels_are_where_the_mesh_is_for_a_reader_of_others(made: Made, tmp_path: Path) -> None:
    segmentations = of(made, "SEG")
    assert len(segmentations) == 2
    found = {}
    for name, file in segmentations.items():
        (image,) = segmentation_images(file, tmp_path / name)
        numbers = in_place(image, made.source)
        for segment in dcmread(file).SegmentSequence:
            found[segment.SegmentLabel] = numbers == segment.SegmentNumber
    called = {"mandible": "Mandible", "left_nerve": "Left mandibular canal", "tooth36": "Tooth 36"}
    assert set(found) == set(called.values())
    for name, shape in made.shapes.items():
        voxels = voxelise(shape, made.source.volume.geometry)
        whole = np.zeros(made.source.values.shape, np.bool_)
        whole[voxels.place] = voxels.inside
        assert voxels.count >= 8
        assert np.array_equal(found[called[name]], whole)


def test_reports_fit_their_template_and_are_read_by_others(
    made: Made, tmp_path: Path, report_validator: ReportValidator
) -> None:
    reports = of(made, "SR")
    said = {name: report_validator.complaints(file) for name, file in reports.items()}
    # The template is open for evaluations of any concept; the tool wants each listed.
    found = {name: [one for one in some if "(121052," not in one] for name, some in said.items()}
    assert found == {name: [] for name in reports}
    seen = {}
    for number, file in enumerate(reports.values()):
        for group in measurement_groups(file, tmp_path / str(number)):
            numbers = [item["quantity"]["CodeMeaning"] for item in group.get("measurementItems", ())]
            seen[group["Finding"]["CodeMeaning"]] = "Volume of Mesh" in numbers
    assert seen == {
        "Mandible": True,
        "Mandibular canal": True,
        "Mandibular left first molar tooth": True,
        "Permanent maxillary right third molar tooth": False,
    }


def test_an_archive_gives_each_mesh_back_byte_for_byte(made: Made) -> None:
    folder = next(iter(made.files.values())).parent
    run_in_namespace("meshes_in_namespace", peer_tool("Orthanc"), peer_tool("storescu"), folder, within_s=180)
    fetched = {file.stem: dcmread(file) for file in (folder / "fetched").glob("*.dcm")}
    assert set(fetched) == {one.sop_instance_uid for one in made.results.values()}
    meshes = {
        one.output_name: fetched[one.sop_instance_uid] for one in made.results.values() if one.kind == "M3D"
    }
    back = {name: one.EncapsulatedDocument[: one.EncapsulatedDocumentLength] for name, one in meshes.items()}
    assert back == made.bytes_of
