from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from tests.unit.results.build import (
    answer,
    made_geometry,
    made_source,
    mask_part,
    read_back,
    wrapping,
)
from tests.unit.results.test_segmentation import ENHANCED_CT, as_frames

from bridge.results import sheet
from bridge.results.encoders import encode
from bridge.results.montage import Sides
from bridge.results.output import Label
from bridge.results.result import Result, Source
from bridge.results.sheet import Entry, Sheet, Tile, draw

pytestmark = pytest.mark.filterwarnings("ignore")

SIDES = Sides(left="R", right="L", top="A", bottom="P", first="F", last="H")
RED, GREEN = (255, 0, 0), (0, 255, 0)


def pictured(
    mask: NDArray[Any], source: Source | None = None, labels: tuple[Label, ...] = (), **other: Any
) -> Result:
    source = source or made_source()
    part = mask_part(mask, source.volume.geometry.affine_lps, labels)
    results = encode(answer(part), source, wrapping(picture=True, **other))
    (picture,) = (one for one in results if one.kind == "SC")
    return picture


def one_voxel(shape: tuple[int, ...] = (4, 5, 6), *at: tuple[int, int, int]) -> NDArray[np.uint8]:
    mask = np.zeros(shape, np.uint8)
    for place in at or ((1, 2, 3),):
        mask[place] = 1
    return mask


def pixels_of(picture: Result) -> NDArray[np.uint8]:
    made = read_back(picture.data)
    count = made.Rows * made.Columns * 3
    return np.frombuffer(made.PixelData, np.uint8)[:count].reshape(made.Rows, made.Columns, 3)


def plain_sheet(*tiles: Tile, size_mm: tuple[float, float] = (100, 100), **other: Any) -> Sheet:
    usual: dict[str, Any] = {
        "title": "Lobe Finder 2.1",
        "warning": "not verified",
        "about": "lung window",
        "tiles": tiles,
        "size_mm": size_mm,
        "sides": SIDES,
        "legend": (Entry(rgb=RED, text="one"), Entry(rgb=GREEN, text="two")),
    }
    return Sheet(**(usual | other))


def tile(labels: NDArray[Any], grey: int = 0) -> Tile:
    return Tile(name="1/9", grey=np.full(labels.shape, grey, np.uint8), labels=labels.astype(np.uint8))


def where(pixels: NDArray[np.uint8], rgb: tuple[int, int, int]) -> NDArray[np.intp]:
    """(n, 2) row and column of the pixels of a colour, above the legend."""
    return np.argwhere((pixels == rgb).all(axis=2)[:-45])


def test_the_object_is_a_secondary_capture_of_the_series_own() -> None:
    picture = pictured(one_voxel())
    made = read_back(picture.data)
    assert made.SOPClassUID == picture.sop_class_uid == "1.2.840.10008.5.1.4.1.1.7"
    assert (made.Modality, made.ConversionType) == ("OT", "WSD")
    assert list(made.ImageType) == ["DERIVED", "SECONDARY"]
    assert made.BurnedInAnnotation == "NO"
    assert made.PatientOrientation is None or made.PatientOrientation == ""
    assert made.SeriesDescription == "Lobe Finder 2.1 not verified"
    assert made.DateOfSecondaryCapture == "20260203"
    assert made.LossyImageCompression == "00"
    assert (made.PatientName, made.PatientID, made.AccessionNumber) == ("Muster^Anna", "P-1", "A-1")
    assert (made.PhotometricInterpretation, made.SamplesPerPixel, made.BitsAllocated) == ("RGB", 3, 8)
    purposes = [i.PurposeOfReferenceCodeSequence[0].CodeValue for i in made.ContributingEquipmentSequence]
    assert purposes == ["109101", "109102"]
    (source,) = made.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == "1.2.3.2"


def test_series_and_uids_are_its_own_and_stay() -> None:
    one, again = pictured(one_voxel()), pictured(one_voxel())
    assert one == again
    source = made_source()
    part = mask_part(one_voxel(), source.volume.geometry.affine_lps)
    results = encode(answer(part), source, wrapping(picture=True))
    assert [result.kind for result in results] == ["SEG", "SR", "SC"]
    assert len({result.series_instance_uid for result in results}) == 3
    numbers = [int(read_back(result.data).SeriesNumber) for result in results]
    assert [number - numbers[0] for number in numbers] == [0, 1, 2]


def test_no_attribute_of_the_patient_is_in_the_pixels() -> None:
    other = made_source(
        PatientName="Zwei^Name", PatientID="Q-9", PatientBirthDate="20010101", StudyDate="20200202"
    )
    one, two = pictured(one_voxel()), pictured(one_voxel(), other)
    assert one.data != two.data
    assert np.array_equal(pixels_of(one), pixels_of(two))


def test_at_most_twenty_slices_over_the_extent_of_the_segments() -> None:
    source = made_source(made_geometry((50, 5, 6)))
    made = read_back(pictured(one_voxel((50, 5, 6), (4, 0, 0), (42, 0, 0)), source).data)
    numbers = [int(one.ReferencedSOPInstanceUID.split(".")[-1]) for one in made.SourceImageSequence]
    # Instance n is slice n - 1.
    assert len(numbers) == 20
    assert (numbers[0], numbers[-1]) == (5, 43)
    assert max(np.diff(numbers)) - min(np.diff(numbers)) <= 1


def test_frames_of_a_multi_frame_source_are_named() -> None:
    source = as_frames(made_source(), ENHANCED_CT, [12, 9, 6, 3])
    (item,) = read_back(pictured(one_voxel(), source).data).SourceImageSequence
    assert (item.ReferencedSOPInstanceUID, item.ReferencedFrameNumber) == ("1.2.3.99", 9)


def test_an_empty_mask_has_no_picture_and_that_is_said() -> None:
    source = made_source()
    part = mask_part(np.zeros((4, 5, 6), np.uint8), source.volume.geometry.affine_lps)
    results = encode(answer(part), source, wrapping(picture=True))
    assert [one.kind for one in results] == ["SEG"]
    assert "lungs: the mask is empty, so there is no picture" in results[0].notes


def test_there_is_a_picture_without_any_other_result() -> None:
    source = made_source()
    part = mask_part(one_voxel(), source.volume.geometry.affine_lps)
    (result,) = encode(
        answer(part), source, wrapping(picture=True, segmentation=False, measurement_report=False)
    )
    assert result.kind == "SC"
    assert any("has no name" in note for note in result.notes)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"BodyPartExamined": "CHEST"}, ("CHEST", None)),
        ({}, (None, "")),
        ({"BodyPartExamined": "KNEE", "Laterality": "L"}, ("KNEE", "L")),
        ({"BodyPartExamined": "KNEE", "Laterality": "X"}, ("KNEE", "")),
        ({"BodyPartExamined": "Brust korb"}, (None, "")),
    ],
)
def test_body_part_and_side_are_the_sources_where_they_are_legal(
    attributes: dict[str, str], expected: tuple[str | None, str | None]
) -> None:
    made = read_back(pictured(one_voxel(), made_source(**attributes)).data)
    assert (text(made, "BodyPartExamined"), text(made, "Laterality")) == expected


def text(data_set: Dataset, keyword: str) -> str | None:
    return str(data_set[keyword].value or "") if keyword in data_set else None


@pytest.mark.parametrize(
    ("steps", "at", "corner"),
    [
        # A voxel at the patient's right front: left and top of an axial picture, however the array lies.
        (((1, 0, 0), (0, 1, 0), (0, 0, 1)), (0, 0), "left top"),
        (((-1, 0, 0), (0, 1, 0), (0, 0, -1)), (0, -1), "left top"),
        (((1, 0, 0), (0, -1, 0), (0, 0, -1)), (-1, 0), "left top"),
        # Coronal: columns to the left, rows to the feet; a voxel at the left foot.
        (((1, 0, 0), (0, 0, -1), (0, 1, 0)), (-1, -1), "right bottom"),
    ],
)
def test_the_patients_right_is_on_the_left(
    steps: tuple[Any, Any, Any], at: tuple[int, int], corner: str
) -> None:
    column, row, slices = (tuple(float(one) for one in step) for step in steps)
    geometry = made_geometry(
        (1, 10, 10),
        column_step_lps=column,
        row_step_lps=row,
        slice_step_lps=slices,
        spacing_mm=(1.0, 1.0, 1.0),
    )
    mask = np.zeros((1, 10, 10), np.uint8)
    mask[0][at] = 1
    source = replace(made_source(geometry), values=np.zeros((1, 10, 10), np.int16))
    pixels = pixels_of(pictured(mask, source, (Label(value=1, name="thing"),)))
    # Okabe and Ito's orange is the colour of segment 1 without a code.
    places = where(pixels, (230, 159, 0))
    assert len(places)
    middle = np.array(pixels.shape[:2]) / 2
    down, across = places.mean(axis=0) - middle
    assert corner == f"{'right' if across > 0 else 'left'} {'bottom' if down > 0 else 'top'}"


def test_pixels_that_are_not_square_are_drawn_in_their_proportions() -> None:
    labels = np.zeros((40, 20))
    labels[10:30, 5:15] = 1
    # 20 rows of 1 mm, 10 columns of 4 mm: 20 mm high and 40 mm wide.
    places = where(draw(plain_sheet(tile(labels), size_mm=(80, 40))), RED)
    height, width = places.max(axis=0) - places.min(axis=0) + 1
    assert width / height == pytest.approx(2, rel=0.02)


def test_segments_are_a_full_outline_and_a_translucent_fill() -> None:
    labels = np.zeros((40, 40))
    labels[10:30, 10:30] = 2
    drawn = draw(plain_sheet(tile(labels, grey=100)))
    outline = where(drawn, GREEN)
    # 96/255 of green over grey 100.
    fill = where(drawn, (62, 158, 62))
    assert len(fill) > 50 * len(outline) > 0
    assert fill.min(axis=0).tolist() > outline.min(axis=0).tolist()


def test_a_structure_of_one_pixel_is_not_lost_in_a_smaller_tile() -> None:
    for row, column in ((0, 0), (511, 511), (100, 301), (257, 33)):
        labels = np.zeros((512, 512))
        labels[row, column] = 1
        drawn = draw(plain_sheet(*[tile(labels)] * 20))
        assert len(where(drawn, RED)) == 20


def test_each_tile_has_its_letters_and_the_head_its_words() -> None:
    empty = tile(np.zeros((40, 40)))
    drawn = draw(plain_sheet(empty, empty))
    for part in ("title", "about", "warning"):
        assert not np.array_equal(drawn, draw(plain_sheet(empty, empty, **{part: "x"})))
    for side in ("left", "right", "top", "bottom"):
        other = draw(plain_sheet(empty, empty, sides=replace(SIDES, **{side: ""})))
        changed = np.argwhere((drawn != other).any(axis=2))
        # Once in each half of the sheet: each tile has its own.
        assert (changed[:, 1] < drawn.shape[1] / 2).any()
        assert (changed[:, 1] > drawn.shape[1] / 2).any()


def test_a_long_legend_is_cut_and_counted() -> None:
    many = tuple(Entry(rgb=RED, text=f"structure {number} " * 5) for number in range(300))
    drawn = draw(plain_sheet(tile(np.zeros((40, 40))), legend=many))
    few = draw(plain_sheet(tile(np.zeros((40, 40))), legend=many[: sheet.MOST_ENTRIES]))
    assert 0 < drawn.shape[0] - few.shape[0] < 60
    assert drawn.shape[0] < 4000


@pytest.mark.parametrize("size_mm", [(1, 1), (400, 400), (500, 20), (20, 500), (0.1, 9000)])
@pytest.mark.parametrize("count", [1, 2, 7, 20])
def test_a_sheet_of_any_shape_fits_a_screen(size_mm: tuple[float, float], count: int) -> None:
    drawn = draw(plain_sheet(*[tile(np.zeros((8, 8)))] * count, size_mm=size_mm))
    height, width, _ = drawn.shape
    assert sheet.NARROWEST <= width <= 2000
    assert height <= 1700


def test_what_is_not_shown_is_said_in_the_legend() -> None:
    """A segment between the slices that are chosen changes nothing but its line in the legend."""
    shape = (60, 5, 6)
    source = made_source(made_geometry(shape))
    labels = (Label(value=1, name="liver"), Label(value=2, name="spleen"))
    mask = one_voxel(shape, (0, 2, 2), (59, 2, 2))
    without = pixels_of(pictured(mask, source, labels))
    mask[1, 2, 2] = 2  # slices 0, 3, 6, ... are shown
    between = pixels_of(pictured(mask, source, labels))
    changed = np.argwhere((without != between).any(axis=2))
    assert changed[:, 0].min() > without.shape[0] - 60
