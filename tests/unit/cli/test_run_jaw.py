"""The jaw phantom through `bridge run` and the engine: each volume comes back as the formula has it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from tests.unit.cli.test_run_meshes import SITE
from typer.testing import CliRunner

from bridge.cli.app import app
from bridge.sandbox.phantom import JawStudy, make_jaw_study, write_study
from bridge.sandbox.virtual_patient_engine import Sandbox

pytestmark = pytest.mark.slow

ONE_PERCENT = 0.01
RULE = """\
[rules.jaw]
mode = "hold"
platform = "vpe"
algorithm = "virtual-patient"
version = "24.06"
destinations = ["pacs"]

[rules.jaw.inputs.cbct]
volume = {{ Modality = "CT", SOPClassUID = "1.2.840.10008.5.1.4.1.1.2" }}

[rules.jaw.values]
inputs = {{ cbct = {{ extension = ".nrrd" }} }}
outputs = {{ meshes = [{{ structures = {structures} }}] }}
"""
CALLED = {
    "mandible": "Mandible",
    "maxillary": "Maxilla",
    "right_nerve": "Right mandibular canal",
    "left_nerve": "Left mandibular canal",
}


@pytest.fixture(scope="module")
def study() -> JawStudy:
    return make_jaw_study(when=datetime(2026, 3, 4, 10, 20, 30, tzinfo=UTC), voxel_mm=0.5)


@pytest.fixture(scope="module")
def results(study: JawStudy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Dataset]]:
    folder = tmp_path_factory.mktemp("jaw")
    write_study(study, folder / "study")
    with Sandbox(folder / "cloud", anatomy="levels") as sandbox:
        (folder / "site.toml").write_text(
            SITE.format(
                base_url=sandbox.base_url,
                token_url=sandbox.token_url,
                client_id=sandbox.client_id,
                token_file=sandbox.token_file,
                ca=sandbox.ca_file,
            )
        )
        structures = [*study.volumes_ml, "tooth38"]
        (folder / "rules.toml").write_text(RULE.format(structures=str(structures).replace("'", '"')))
        words = ["run", "jaw", str(folder / "study"), "--out", str(folder / "out")]
        told = CliRunner().invoke(app, [*words, "--config", str(folder / "site.toml")])
        assert told.exit_code == 0, told.output
    yield [dcmread(file) for file in (folder / "out").glob("*.dcm")]


def expected(study: JawStudy) -> dict[str, float]:
    return {CALLED.get(name, f"Tooth {name[-2:]}"): ml for name, ml in study.volumes_ml.items()}


def test_segments_have_the_known_volumes(study: JawStudy, results: list[Dataset]) -> None:
    found: dict[str, float] = {}
    for seg in (one for one in results if one.Modality == "SEG"):
        labels = {item.SegmentNumber: str(item.SegmentLabel) for item in seg.SegmentSequence}
        frames = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder="little")
        size = seg.Rows * seg.Columns
        measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        voxel_ml = float(np.prod([*measures.PixelSpacing, measures.SpacingBetweenSlices])) / 1000
        for number, groups in enumerate(seg.PerFrameFunctionalGroupsSequence):
            segment = labels[groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber]
            count = int(frames[number * size : (number + 1) * size].sum())
            found[segment] = found.get(segment, 0.0) + count * voxel_ml
    assert found == pytest.approx(expected(study), rel=ONE_PERCENT)


def test_reports_have_the_known_volumes_from_voxels_and_from_the_mesh(
    study: JawStudy, results: list[Dataset]
) -> None:
    reports = [one for one in results if one.Modality == "SR"]
    found = sorted(
        (value for report in reports for value in volumes(report)), key=lambda pair: (pair[0], pair[1])
    )
    known = sorted(expected(study).values())
    for concept in ("Volume", "Volume of Mesh"):
        assert sorted(ml for name, ml in found if name == concept) == pytest.approx(known, rel=ONE_PERCENT)


def test_each_structure_is_an_object_of_its_own_and_a_missing_tooth_is_none(
    study: JawStudy, results: list[Dataset]
) -> None:
    meshes = [one for one in results if one.Modality == "M3D"]
    assert len(meshes) == len(study.volumes_ml) == 32


def volumes(item: Any) -> Iterator[tuple[str, float]]:
    """(concept, ml) of every volume below an item of an SR."""
    if item.get("ValueType") == "NUM":
        name = str(item.ConceptNameCodeSequence[0].CodeMeaning)
        if name in ("Volume", "Volume of Mesh") and item.get("MeasuredValueSequence"):
            measured = item.MeasuredValueSequence[0]
            unit = str(measured.MeasurementUnitsCodeSequence[0].CodeValue)
            yield name, float(measured.NumericValue) * {"mm3": 0.001, "cm3": 1.0, "ml": 1.0}[unit]
    for child in item.get("ContentSequence", ()):
        yield from volumes(child)
