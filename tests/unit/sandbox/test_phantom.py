"""The phantom against what a radiologist, a threshold algorithm and the standard expect of a thorax CT."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK
from pydicom import Dataset, dcmread

from bridge.sandbox.phantom import PhantomStudy, make_study, write_study

WHEN = datetime(2024, 3, 5, 14, 30, 15, tzinfo=UTC)
SMALL = 0.35


@pytest.fixture(scope="module")
def study() -> PhantomStudy:
    return make_study(when=WHEN, scale=SMALL)


@pytest.fixture(scope="module")
def tiny() -> PhantomStudy:
    return make_study(when=WHEN, scale=0.2)


def series(study: PhantomStudy, name: str) -> list[Dataset]:
    return [ds for ds in study.datasets if ds.SeriesInstanceUID == study.truth.series[name]]


def volume_hu(study: PhantomStudy, name: str) -> npt.NDArray[np.int32]:
    """(slice, row, column) from feet to head, decoded without the project's own code."""
    slices = sorted(series(study, name), key=lambda ds: float(ds.ImagePositionPatient[2]))
    planes = [np.frombuffer(ds.PixelData, "<u2").reshape(ds.Rows, ds.Columns) for ds in slices]
    return np.stack(planes).astype(np.int32) + int(slices[0].RescaleIntercept)


def around(study: PhantomStudy, point: tuple[float, float, float]) -> float:
    """Median HU of the 3 x 3 pixels of the thin series about a point in mm."""
    slices = sorted(series(study, "thin"), key=lambda ds: float(ds.ImagePositionPatient[2]))
    x, y, z = (float(value) for value in slices[0].ImagePositionPatient)
    pixel, step = float(slices[0].PixelSpacing[0]), float(slices[0].SliceThickness)
    column, row = round((point[0] - x) / pixel), round((point[1] - y) / pixel)
    plane = volume_hu(study, "thin")[round((point[2] - z) / step)]
    return float(np.median(plane[row - 1 : row + 2, column - 1 : column + 2]))


def air_inside(hu: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.bool_], list[int]]:
    """Largest 6-connected component of [-2000, -400] HU off the in-plane border, and the sizes of all such."""
    mask = SimpleITK.GetImageFromArray(((hu >= -2000) & (hu <= -400)).astype(np.uint8))
    labels = SimpleITK.GetArrayFromImage(SimpleITK.ConnectedComponent(mask, False))
    border = np.concatenate([labels[:, [0, -1], :].ravel(), labels[:, :, [0, -1]].ravel()])
    sizes = np.bincount(labels.ravel())
    sizes[np.unique(border)] = 0
    sizes[0] = 0
    return labels == int(sizes.argmax()), sorted(sizes[sizes > 0].tolist(), reverse=True)


def test_study_has_four_series_of_one_person_in_one_frame_of_reference(study: PhantomStudy) -> None:
    found = {name: len(series(study, name)) for name in study.truth.series}
    assert found == {"scout": 1, "thin": 49, "thick": 19, "page": 1}
    assert sum(found.values()) == len(study.datasets)
    assert {ds.StudyInstanceUID for ds in study.datasets} == {study.truth.study_instance_uid}
    assert {(str(ds.PatientName), ds.PatientID) for ds in study.datasets} == {("Phantom^Thorax", "PHANTOM-1")}
    frames = {ds.FrameOfReferenceUID for name in ("scout", "thin", "thick") for ds in series(study, name)}
    assert len(frames) == 1


def test_every_instance_has_a_uid_of_its_own_below_2_25(study: PhantomStudy) -> None:
    uids = [ds.SOPInstanceUID for ds in study.datasets]
    assert len(set(uids)) == len(uids)
    assert all(uid.startswith("2.25.") and uid.is_valid for uid in uids)


@pytest.mark.parametrize(
    ("name", "description"), [("thin", "Thorax 5.7 lung"), ("thick", "Thorax 14.3 soft")]
)
def test_axial_slices_touch_each_other_and_count_from_head_to_feet(
    study: PhantomStudy, name: str, description: str
) -> None:
    images = sorted(series(study, name), key=lambda ds: int(ds.InstanceNumber))
    heights = [float(ds.ImagePositionPatient[2]) for ds in images]
    np.testing.assert_allclose(-np.diff(heights), float(images[0].SliceThickness), atol=2e-3)
    assert {tuple(map(float, ds.ImageOrientationPatient)) for ds in images} == {(1, 0, 0, 0, 1, 0)}
    assert {ds.SeriesDescription for ds in images} == {description}
    assert {tuple(ds.ImageType) for ds in images} == {("ORIGINAL", "PRIMARY", "AXIAL")}


def test_thick_slice_averages_the_thin_ones_it_covers(study: PhantomStudy) -> None:
    thin, thick = volume_hu(study, "thin").astype(float), volume_hu(study, "thick").astype(float)
    # 2.5 thin slices each: the third is shared by halves.
    # Air is left out: its noise is cut off at the lowest value that can be stored.
    body = thin[:5].min(axis=0) > -900
    assert body.sum() > 1000
    for mean, got in (
        ((thin[0] + thin[1] + thin[2] / 2) / 2.5, thick[0]),
        ((thin[2] / 2 + thin[3] + thin[4]) / 2.5, thick[1]),
    ):
        np.testing.assert_allclose(got[body], mean[body], atol=1.01)


@pytest.mark.parametrize(
    ("tissue", "point", "low", "high"),
    [
        ("right lung", (-105, -30, 10), -910, -780),
        ("left lung", (110, -20, 10), -910, -780),
        ("heart", (25, -35, -40), 10, 80),
        ("liver", (-60, 0, -110), 20, 90),
        ("vertebral body", (0, 43, 7), 250, 700),
        ("fat below the skin of the back", (0, 110, 0), -200, 0),
        ("trachea", (0, 8, 90), -1024, -870),
        ("air in front", (0, -150, 0), -1024, -950),
    ],
)
def test_tissue_has_its_hounsfield_units(
    study: PhantomStudy, tissue: str, point: tuple[float, float, float], low: float, high: float
) -> None:
    assert low < around(study, point) < high, tissue


@pytest.mark.parametrize(("seed", "scale"), [(0, 0.35), (1, 0.2), (7, 0.25)])
@pytest.mark.parametrize("name", ["thin", "thick"])
def test_lungs_and_airways_are_one_air_space_closed_to_the_outside(
    seed: int, scale: float, name: str
) -> None:
    study = make_study(when=WHEN, seed=seed, scale=scale)
    inside, sizes = air_inside(volume_hu(study, name))
    first = series(study, name)[0]
    voxel_ml = float(first.PixelSpacing[0]) ** 2 * float(first.SliceThickness) / 1000
    expected = study.truth.lung_ml + study.truth.airway_ml
    # The threshold takes the blurred rims of vessels and walls along; nothing else of size is left over.
    assert inside.sum() * voxel_ml == pytest.approx(expected, rel=0.09)
    assert all(size < 0.01 * sizes[0] for size in sizes[1:])
    halves = np.array_split(inside, 2, axis=2)
    right, left = (int(half.sum()) for half in halves)
    assert left < right < 1.3 * left
    # The trachea leaves at the top, open as in any thorax.
    assert inside[-1].any()


@pytest.mark.slow
def test_full_size_study_is_that_of_an_adult() -> None:
    study = make_study(when=WHEN)
    hu = volume_hu(study, "thin")
    assert hu.shape == (140, 256, 256)
    first = series(study, "thin")[0]
    assert (list(map(float, first.PixelSpacing)), float(first.SliceThickness)) == ([1.4, 1.4], 2.0)
    assert len(series(study, "thick")) == 56
    inside, sizes = air_inside(hu)
    assert inside.sum() * study.truth.voxel_ml == pytest.approx(
        study.truth.lung_ml + study.truth.airway_ml, rel=0.03
    )
    assert 3000 < study.truth.lung_ml < 5000
    assert study.truth.right_lung_voxels > study.truth.left_lung_voxels
    assert len(sizes) == 1
    # Air in the windpipe is darker than the lung beside it.
    assert around(study, (0, 8, 90)) < -950 < -900 < around(study, (-80, 0, 90)) < -800


def test_noise_is_that_of_a_lung_kernel(study: PhantomStudy) -> None:
    # Measured in a corner of air in front of the chest, far from any edge.
    corner = volume_hu(study, "thin")[:, 2:12, 2:40]
    assert corner.std() == pytest.approx(22.0, rel=0.15)


def test_scout_is_a_coronal_projection_that_only_image_type_tells_apart(study: PhantomStudy) -> None:
    (scout,) = series(study, "scout")
    assert scout.SOPClassUID == series(study, "thin")[0].SOPClassUID
    assert list(scout.ImageType) == ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    assert list(map(float, scout.ImageOrientationPatient)) == [1, 0, 0, 0, 0, -1]
    picture = scout.pixel_array.astype(float)
    row = picture[picture.shape[0] // 2]
    spine, right_lung, outside = row[len(row) // 2], row[round(len(row) * 0.24)], row[1]
    assert spine > right_lung > outside


def test_page_is_an_8_bit_secondary_capture_with_something_on_it(study: PhantomStudy) -> None:
    (page,) = series(study, "page")
    assert page.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert (page.BitsAllocated, page.Modality) == (8, "CT")
    assert "ImagePositionPatient" not in page
    assert len(np.unique(page.pixel_array)) > 2


def test_same_arguments_give_the_same_files(tiny: PhantomStudy, tmp_path: Path) -> None:
    again = make_study(when=WHEN, scale=0.2)
    first, second = write_study(tiny, tmp_path / "first"), write_study(again, tmp_path / "second")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize(
    ("other", "same_pixels"),
    [({"variant": "again"}, True), ({"when": datetime(2024, 3, 6, tzinfo=UTC)}, True), ({"seed": 1}, False)],
)
def test_another_argument_gives_other_uids(
    tiny: PhantomStudy, other: dict[str, Any], same_pixels: bool
) -> None:
    changed = make_study(**({"when": WHEN, "scale": 0.2} | other))

    def uids(study: PhantomStudy) -> set[str]:
        found = {str(element.value) for ds in study.datasets for element in ds if element.VR == "UI"}
        return {uid for uid in found if uid.startswith("2.25.")}

    # Study, frame of reference, four series, 41 instances.
    assert len(uids(tiny)) == 1 + 1 + 4 + (1 + 28 + 11 + 1)
    assert not uids(tiny) & uids(changed)
    pixels, others = ([ds.PixelData for ds in study.datasets] for study in (tiny, changed))
    assert (pixels == others) is same_pixels


def test_dates_are_those_asked_for(study: PhantomStudy) -> None:
    assert {(ds.StudyDate, ds.StudyTime) for ds in study.datasets} == {("20240305", "143015.000000")}
    assert {ds.AcquisitionDate for ds in series(study, "thin")} == {"20240305"}


def test_files_are_part_10_with_neutral_names_and_read_back_equal(
    study: PhantomStudy, tmp_path: Path
) -> None:
    paths = write_study(study, tmp_path / "new")
    assert [path.name for path in paths[:2]] == ["000001.dcm", "000002.dcm"]
    for path, made in zip(paths, study.datasets, strict=True):
        read = dcmread(path)
        assert read == made
        assert read.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
