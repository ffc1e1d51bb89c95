"""Irregular series that a rule lets mend, from their objects to results: everything compared by positions."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from bridge.flow.acts.rerun import rerun
from bridge.flow.stages.inputs import tolerance_of
from bridge.itk import ItkImage
from bridge.volumes import Tolerance
from made_objects import ct_slice
from prepared import Prepared, frames_of

pytestmark = pytest.mark.filterwarnings("ignore")

TILTED = "ct-head-tilt-philips"
THIN = "ct-head-phantom-philips/S2020"
GAP = f"{THIN} without the third slice"
REPEATED = "ct-small-irregular/made-duplicate-equal-pixels"
INPUT = """
[rules.mask.inputs.ct-image]
volume = {{ Modality = "CT" }}
repair = [{repairs}]
"""
CORRECTED = """
[destinations.research]
ae_title = "RESEARCH"
host = "127.0.0.1"
port = 104
mended = "corrected"
"""

Make = Callable[..., Prepared]


@pytest.fixture
def make(tmp_path: Path, shared_data: Path) -> Make:
    def made(where: str, *repairs: str, **more: Any) -> Prepared:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        bench = Prepared(folder, INPUT.format(repairs=", ".join(f'"{one}"' for one in repairs)), **more)
        files = sorted((shared_data / where.partition(" ")[0]).iterdir())
        if " " in where:
            files.sort(key=lambda file: float(dcmread(file, stop_before_pixels=True).ImagePositionPatient[2]))
            del files[2]
        bench.decide(bench.send(*files))
        return bench

    return made


def index_of(image: ItkImage, points_lps: Any) -> Any:
    """(n, 3) fractional (k, j, i) of points in an image, from what ITK says of it."""
    direction = np.array(image.direction).reshape(3, 3) * np.array(image.spacing_mm)
    return np.linalg.solve(direction, (points_lps - np.array(image.origin_lps)).T).T[:, ::-1]


def points_of(seg: Dataset, position: tuple[float, ...]) -> Any:
    """(rows, columns, 3) LPS mm of a frame's pixels."""
    shared = seg.SharedFunctionalGroupsSequence[0]
    cosines = [float(one) for one in shared.PlaneOrientationSequence[0].ImageOrientationPatient]
    down, right = (float(one) for one in shared.PixelMeasuresSequence[0].PixelSpacing)
    rows, columns = np.mgrid[: seg.Rows, : seg.Columns]
    along, across = np.array(cosines[:3]), np.array(cosines[3:])
    return np.array(position) + columns[..., None] * right * along + rows[..., None] * down * across


def mask_for(image: ItkImage) -> Any:
    """Bone, and a box of another label that touches no symmetry."""
    mask = (image.array > 300).astype(np.uint8)
    slices, rows, columns = mask.shape
    mask[1 : slices - 1, rows // 3 : rows // 2, columns // 4 : columns // 3] = 2
    return mask


def test_a_tilted_stack_comes_back_to_its_images_by_positions(make: Make) -> None:
    bench = make(TILTED, "shear")
    image = bench.convert()
    assert image.spacing_mm[2] == pytest.approx(2.370809, abs=1e-6)
    direction = np.array(image.direction).reshape(3, 3)
    np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-12)
    mask = mask_for(image)
    bench.answer(mask)
    seg, report = bench.encode()
    frames = frames_of(seg)
    files = {
        tuple(float(x) for x in one.header.ImagePositionPatient)
        for one in bench.volumes()["ct-image"].instances
    }
    assert {position for _, position in frames} <= files
    assert (seg.Rows, seg.Columns) == (512, 512)
    checked = 0
    for (number, position), bits in frames.items():
        at = index_of(image, points_of(seg, position).reshape(-1, 3))
        # Half a voxel at most within the plane, none across it; at the half either neighbour may be meant.
        sure = (np.abs(at - np.floor(at) - 0.5) > 1e-4).all(axis=1)
        np.testing.assert_allclose(at[:, 0], np.round(at[:, 0]), atol=1e-4)
        k, j, i = np.round(at[sure]).astype(int).T
        np.testing.assert_array_equal(bits.ravel()[sure], mask[k, j, i] == number)
        checked += int(bits.sum())
    assert checked == sum(int(bits.sum()) for bits in frames.values()) > 10_000
    refers = {
        str(one.ReferencedSOPInstanceUID): one.SpatialLocationsPreserved
        for groups in seg.PerFrameFunctionalGroupsSequence
        for one in groups.DerivationImageSequence[0].SourceImageSequence
    }
    assert set(refers.values()) == {"YES"} and len(refers) == 10
    assert seg.ContentDescription == "2 segments, not verified; sheared"
    # Each number says what the algorithm was given (TID 4019, Algorithm Parameters).
    given = [
        [
            item.TextValue
            for item in number.ContentSequence
            if item.ConceptNameCodeSequence[0].CodeValue == "111002"
        ]
        for number in numbers(report)
    ]
    assert given == [["images sheared upright by 18.50 degrees"]] * 10
    (ours,) = (
        one.ContributionDescription
        for one in report.ContributingEquipmentSequence
        if "images sheared" in one.get("ContributionDescription", "")
    )
    assert ours.endswith("not verified; images sheared upright by 18.50 degrees")


def test_job_says_what_was_done(make: Make) -> None:
    bench = make(TILTED, "shear", "resample-gaps")
    assert "sheared upright by 18.50 degrees" in bench.outcome(bench.sent)[1]
    bench.convert()
    line = bench.line(bench.job().id, "prepare.converted")
    assert line.keys["repaired"] == "sheared upright by 18.50 degrees"
    assert line.keys["shape"] == "10x527x512"


def test_only_what_was_needed_names_the_job(make: Make) -> None:
    names = {
        (where, repairs): make(where, *repairs).job().id
        for where, repairs in (
            (TILTED, ("shear",)),
            (TILTED, ("resample-gaps", "drop-duplicates", "shear")),
            (REPEATED, ("drop-duplicates",)),
            ("multiframe/ct-legacy-pair-24x38x3/image", ("drop-duplicates",)),
            ("multiframe/ct-legacy-pair-24x38x3/image", ()),
        )
    }
    tilted, more, repeated, clean, plain = names.values()
    assert tilted == more
    assert clean == plain != repeated


def test_without_the_repair_it_stays_refused_with_numbers(make: Make) -> None:
    bench = make(TILTED, "resample-gaps", "drop-duplicates")
    outcome, reason = bench.outcome(bench.sent)
    assert outcome == "refused"
    assert "GEO-023" in reason and "18.50 degrees" in reason


def test_a_gap_is_filled_for_the_algorithm_and_left_out_of_the_result(make: Make) -> None:
    bench = make(GAP, "resample-gaps")
    image = bench.convert()
    assert image.array.shape == (6, 512, 512)
    held = {round(float(x.header.ImagePositionPatient[2]), 4) for x in bench.volumes()["ct-image"].instances}
    mask = np.zeros(image.array.shape, np.uint8)
    mask[:, 100:200, 100:300] = 1
    mask[2, 100:200, 100:300] = 2
    bench.answer(mask)
    seg, report = bench.encode()
    frames = frames_of(seg)
    # The interpolated slice, the only one with the second label, is no image: no frame lies there.
    assert {(number, round(position[2], 4)) for number, position in frames} == {(1, one) for one in held}
    assert all(int(bits.sum()) == 20_000 for bits in frames.values())
    assert seg.ContentDescription == "2 segments, not verified; gap-filled"
    notes = bench.line(bench.job().id, "encode.made").keys["notes"]
    assert "20000 of 120000 marked voxels of the mended grid lie on no image" in notes
    # Measured on what the algorithm saw.
    (pixel, _, step) = image.spacing_mm[0], image.spacing_mm[1], image.spacing_mm[2]
    volumes = [
        float(item.MeasuredValueSequence[0].NumericValue)
        for item in numbers(report)
        if item.ConceptNameCodeSequence[0].CodeValue == "118565006"
    ]
    assert volumes == pytest.approx(
        [100_000 * pixel * pixel * step / 1000, 20_000 * pixel * pixel * step / 1000], rel=1e-5
    )


def test_a_repeated_image_is_dropped_and_belongs_to_the_job(make: Make) -> None:
    bench = make(REPEATED, "drop-duplicates")
    image = bench.convert()
    assert image.array.shape == (3, 38, 24)
    assert len(json.loads(bench.job().inputs)["ct-image"]) == 4
    mask = np.zeros(image.array.shape, np.uint8)
    mask[1, 5:20, 3:9] = 1
    bench.answer(mask)
    seg, _ = bench.encode()
    assert seg.ContentDescription == "2 segments, not verified; deduplicated"
    ((number, _),) = frames_of(seg)
    assert number == 1
    named = {
        str(one.ReferencedSOPInstanceUID)
        for one in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    }
    assert len(named) == 3


def test_asking_again_mends_again(make: Make) -> None:
    for where, repair in ((REPEATED, "drop-duplicates"), (TILTED, "shear")):
        bench = make(where, repair)
        old = bench.job()
        new = bench.jobs.get(rerun(bench.parts, old.id))
        assert (new.inputs, new.contents, new.rerun) == (old.inputs, old.contents, 1)
        assert new.id != old.id


def numbers(report: Dataset) -> list[Dataset]:
    """Content items of type NUM, in order."""
    found, rest = [], list(report.ContentSequence)
    while rest:
        item = rest.pop(0)
        if item.ValueType == "NUM":
            found.append(item)
        rest[:0] = list(item.get("ContentSequence", ()))
    return found


@pytest.mark.parametrize("where, repair", [(TILTED, "shear"), (GAP, "resample-gaps")])
def test_a_destination_gets_the_corrected_grid(make: Make, where: str, repair: str) -> None:
    bench = make(where, repair, site=CORRECTED, destinations=("pacs", "research"))
    image = bench.convert()
    mask = mask_for(image)
    bench.answer(mask)
    results = bench.encode()
    seg, report, corrected, report_of_corrected = results
    assert [one.variant for one in bench.jobs.results(bench.job().id)] == ["", "", "corrected", "corrected"]
    assert seg.SOPInstanceUID != corrected.SOPInstanceUID
    assert (corrected.Rows, corrected.Columns) == image.array.shape[1:]
    for (number, position), bits in frames_of(corrected).items():
        at = index_of(image, np.array([position]))[0]
        np.testing.assert_allclose(at, [round(at[0]), 0, 0], atol=1e-3)
        np.testing.assert_array_equal(bits, mask[round(at[0])] == number)
    marked = {(int(k), int(n)) for k in range(len(mask)) for n in np.unique(mask[k]) if n}
    assert len(frames_of(corrected)) == len(marked)
    # No frame lies where an image lies, so none names one; the object names the images it was made from.
    assert not any(groups.DerivationImageSequence for groups in corrected.PerFrameFunctionalGroupsSequence)
    (series,) = corrected.ReferencedSeriesSequence
    (usual,) = seg.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == usual.SeriesInstanceUID
    assert len(series.ReferencedInstanceSequence) == len(usual.ReferencedInstanceSequence)
    assert corrected.FrameOfReferenceUID == seg.FrameOfReferenceUID
    # Two destinations of one job hear the same numbers.
    values = [
        [str(n.MeasuredValueSequence[0].NumericValue) for n in numbers(one)]
        for one in (report, report_of_corrected)
    ]
    assert values[0] == values[1] and len(values[0]) == 10


def test_a_regular_series_is_one_object_for_all_destinations(make: Make) -> None:
    bench = make("mr-brain-t1", site=CORRECTED, destinations=("pacs", "research"))
    assert bench.outcome(bench.sent)[0] == "no-match"
    bench = make(THIN, "shear", site=CORRECTED, destinations=("pacs", "research"))
    image = bench.convert()
    bench.answer(mask_for(image))
    assert len(bench.encode()) == 2
    assert {one.variant for one in bench.jobs.results(bench.job().id)} == {""}


def test_an_empty_mask_of_a_mended_series_is_a_result(make: Make) -> None:
    bench = make(TILTED, "shear", site=CORRECTED, destinations=("pacs", "research"))
    image = bench.convert()
    bench.answer(np.zeros(image.array.shape, np.uint8))
    seg, corrected = bench.encode()
    assert (seg.NumberOfFrames, corrected.NumberOfFrames) == (2, 2)
    assert not any(seg.PixelData) and not any(corrected.PixelData)


def test_pictures_and_heat_maps_lie_on_the_mended_grid_and_name_only_images(make: Make) -> None:
    bench = make(GAP, "resample-gaps", results="picture = true")
    image = bench.convert()
    bench.answer(mask_for(image))
    results = bench.encode()
    (picture,) = [one for one in results if one.Modality == "OT"]
    assert "1 of 6 slices interpolated in gaps" in picture.DerivationDescription
    named = [str(one.ReferencedSOPInstanceUID) for one in picture.SourceImageSequence]
    held = {one.sop_instance_uid for one in bench.volumes()["ct-image"].instances}
    assert set(named) <= held and len(named) == len(set(named))


def test_a_child_that_converts_is_told_no_header(make: Make, shared_data: Path) -> None:
    bench = make(REPEATED, "drop-duplicates")
    told: list[bytes] = []
    run = bench.parts.children.run

    def spy(function: Any, *arguments: Any) -> Any:
        told.append(pickle.dumps(arguments))
        return run(function, *arguments)

    bench.parts.children.run = spy  # type: ignore[method-assign]
    bench.convert()
    (sent,) = told
    name = str(dcmread(next((shared_data / REPEATED).iterdir()), stop_before_pixels=True).PatientName)
    assert name and name.encode() not in sent
    assert b"PatientID" not in sent and len(sent) < 20_000


@pytest.mark.parametrize("where", [TILTED, GAP])
def test_numbers_of_a_heat_map_lie_on_the_images_or_on_the_corrected_grid(make: Make, where: str) -> None:
    bench = make(
        where,
        "shear",
        "resample-gaps",
        results='heat_map = "parametric-map"',
        site=CORRECTED,
        destinations=("pacs", "research"),
    )
    image = bench.convert()
    heat = np.arange(image.array.size, dtype=np.float32).reshape(image.array.shape) % 1013
    bench.answer(heat, heat_map=True)
    usual, corrected = bench.encode()
    for data_set, offset in ((usual, 0.5), (corrected, 1e-3)):
        pixels = np.frombuffer(data_set.FloatPixelData, np.float32).reshape(
            -1, data_set.Rows, data_set.Columns
        )
        for frame, groups in zip(pixels, data_set.PerFrameFunctionalGroupsSequence, strict=True):
            position = np.array([float(x) for x in groups.PlanePositionSequence[0].ImagePositionPatient])
            k, j, i = index_of(image, position[None])[0]
            assert max(abs(k - round(k)), abs(j - np.floor(j + 0.5)), abs(i - np.floor(i + 0.5))) <= offset
            row, column = int(np.floor(j + 0.5)), int(np.floor(i + 0.5))
            np.testing.assert_array_equal(
                frame, heat[round(k), row : row + data_set.Rows, column : column + data_set.Columns]
            )
    assert len(usual.PerFrameFunctionalGroupsSequence) == len(bench.volumes()["ct-image"].planes)
    assert len(corrected.PerFrameFunctionalGroupsSequence) == len(heat)
    assert not any(groups.DerivationImageSequence for groups in corrected.PerFrameFunctionalGroupsSequence)


@pytest.mark.parametrize(("site", "outcome"), [("", "refused"), ("[grid]\nstep_percent = 5\n", "match")])
def test_settings_of_the_site_say_what_is_regular(tmp_path: Path, site: str, outcome: str) -> None:
    bench = Prepared(tmp_path, INPUT.format(repairs=""), site=site)
    for number in range(6):
        one = ct_slice(number=number, study="1.2", series="1.2.1")
        x, y, z = one.ImagePositionPatient
        step = float(ct_slice(number=1).ImagePositionPatient[2]) - float(
            ct_slice(number=0).ImagePositionPatient[2]
        )
        one.ImagePositionPatient = [x, y, float(z) + (0.03 * step if number == 3 else 0)]
        bench.keep(one)
    bench.decide("1.2")
    assert bench.outcome("1.2")[0] == outcome


def test_what_is_usual_is_what_the_settings_say_by_themselves(tmp_path: Path) -> None:
    assert tolerance_of(Prepared(tmp_path, INPUT.format(repairs="")).site) == Tolerance()
