"""The jaw phantom against its own formulas, and against what the standard expects of a CBCT."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from bridge.itk import ItkImage
from bridge.sandbox.phantom import JawStudy, make_jaw_study
from bridge.sandbox.phantom.jaw import Tissue, draw, volumes_mm3
from bridge.sandbox.virtual_patient_engine.levels import Jaws
from bridge.sandbox.virtual_patient_engine.volumes import read_volume

WHEN = datetime(2026, 3, 4, 10, 20, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def study() -> JawStudy:
    return make_jaw_study(when=WHEN, voxel_mm=0.5)


@pytest.fixture(scope="module")
def image(study: JawStudy, tmp_path_factory: pytest.TempPathFactory) -> ItkImage:
    file = tmp_path_factory.mktemp("jaw") / "slices"
    with zipfile.ZipFile(file, "w") as bundle:
        for number, one in enumerate(study.datasets[:-1]):
            data = io.BytesIO()
            one.save_as(data, enforce_file_format=True)
            bundle.writestr(f"{number}.dcm", data.getvalue())
    return read_volume(Path(file), ".zip")


def test_formulas_agree_with_a_fine_count_of_voxels() -> None:
    step = 0.3
    x, y, z = (
        np.arange(low + step / 2, high, step) for low, high in ((-42.0, 42.0), (-40.0, 84.0), (-42.0, 34.0))
    )
    counted = np.bincount(draw(x, y, z).ravel(), minlength=len(Tissue)) * step**3
    formula = volumes_mm3()
    teeth = sum(mm3 for name, mm3 in formula.items() if name.startswith("tooth"))
    assert counted[Tissue.MANDIBLE] == pytest.approx(formula["mandible"], rel=2e-3)
    assert counted[Tissue.MAXILLA] == pytest.approx(formula["maxillary"], rel=2e-3)
    assert counted[Tissue.CANAL] == pytest.approx(formula["left_nerve"] + formula["right_nerve"], rel=5e-3)
    assert counted[Tissue.TOOTH] == pytest.approx(teeth, rel=2e-3)


def test_engine_finds_each_structure_with_its_known_volume(study: JawStudy, image: ItkImage) -> None:
    jaws = Jaws(image)
    voxel_ml = float(np.prod(image.spacing_mm)) / 1000
    found = {name: len(jaws.voxels_of(name)) * voxel_ml for name in study.volumes_ml}
    assert found == pytest.approx(dict(study.volumes_ml), rel=0.01)
    assert len(jaws.voxels_of("tooth18")) == 0, "third molars are not there"


@pytest.mark.parametrize(
    ("name", "to_the_left", "above"),
    [("tooth16", False, True), ("tooth26", True, True), ("tooth36", True, False), ("tooth46", False, False)],
)
def test_quadrants_are_those_of_iso_3950(image: ItkImage, name: str, to_the_left: bool, above: bool) -> None:
    jaws = Jaws(image)
    origin, spacing = np.array(image.origin_lps), np.array(image.spacing_mm)
    tooth, front = ((origin + jaws.voxels_of(one) * spacing).mean(axis=0) for one in (name, f"{name[:-1]}1"))
    assert (tooth[0] > 0, tooth[2] > 0) == (to_the_left, above)
    assert front[1] < tooth[1], "incisors are in front"


def test_grey_values_do_not_claim_to_be_hounsfield_units(study: JawStudy) -> None:
    assert {one.get("RescaleType") for one in study.datasets} == {"US", None}
    assert {one.SOPClassUID.name for one in study.datasets if "RescaleType" not in one} == {
        "Secondary Capture Image Storage"
    }


def test_empty_air_has_no_structures() -> None:
    air = ItkImage(
        array=np.full((4, 5, 6), -900.0),
        spacing_mm=(1.0, 1.0, 1.0),
        origin_lps=(0.0, 0.0, 0.0),
        direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
    )
    assert len(Jaws(air).voxels_of("mandible")) == 0
