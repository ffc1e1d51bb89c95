from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from tests.unit.results.build import (
    answer,
    heat_part,
    made_geometry,
    made_source,
    read_back,
    value_part,
    wrapping,
)
from tests.unit.results.test_segmentation import ENHANCED_CT, as_frames

from bridge.dicom.codes import Concept, ucum
from bridge.errors import Refused
from bridge.results import heat_map
from bridge.results.encoders import encode
from bridge.results.meaning import Meaning, ValueMeaning
from bridge.results.result import HeatMaps, Result, Source
from bridge.volumes.volume import FloatArray

pytestmark = pytest.mark.filterwarnings("ignore")

SHAPE = (4, 5, 6)
AFFINE = made_geometry().affine_lps


def ramp(shape: tuple[int, ...] = SHAPE) -> NDArray[np.float32]:
    count = int(np.prod(shape))
    return (np.arange(count, dtype=np.float32) / (count - 1)).reshape(shape)


def encoded(
    array: NDArray[Any],
    form: HeatMaps,
    affine: FloatArray = AFFINE,
    source: Source | None = None,
    **other: Any,
) -> Result:
    (result,) = encode(
        answer(heat_part(array, affine)), source or made_source(), wrapping(heat_maps=form, **other)
    )
    return result


def numbers_in_space(data_set: Dataset) -> dict[float, NDArray[Any]]:
    """Height of a frame -> its numbers; the frames of the made source are axial."""
    shape = (int(data_set.NumberOfFrames), data_set.Rows, data_set.Columns)
    if "FloatPixelData" in data_set:
        pixels = np.frombuffer(data_set.FloatPixelData, "<f4").reshape(shape)
    else:
        count = int(np.prod(shape))
        pixels = np.frombuffer(data_set.PixelData, np.uint8)[:count].reshape(shape)
    return {
        float(groups.PlanePositionSequence[0].ImagePositionPatient[2]): pixel
        for groups, pixel in zip(data_set.PerFrameFunctionalGroupsSequence, pixels, strict=True)
    }


# By hand: origin z = 7 mm, slices 3 mm apart.
HEIGHTS = [7.0, 10.0, 13.0, 16.0]


def test_a_parametric_map_has_the_numbers_at_their_places() -> None:
    array = ramp() * 8 - 3
    result = encoded(array, HeatMaps.PARAMETRIC_MAP)
    made = read_back(result.data)
    assert (result.kind, made.Modality) == ("PM", "OT")
    assert made.SOPClassUID == result.sop_class_uid == "1.2.840.10008.5.1.4.1.1.30"
    found = numbers_in_space(made)
    assert list(found) == HEIGHTS
    for height, numbers in zip(HEIGHTS, array, strict=True):
        assert np.array_equal(found[height], numbers)
    shared = made.SharedFunctionalGroupsSequence[0]
    (mapping,) = shared.RealWorldValueMappingSequence
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    assert mapping.DoubleFloatRealWorldValueFirstValueMapped == -3
    assert mapping.DoubleFloatRealWorldValueLastValueMapped == 5
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "1"
    assert mapping.LUTExplanation == "Air likelihood"
    assert made.FrameOfReferenceUID == "1.2.5"
    assert made.ContentDescription == "Heat map by Lobe Finder, not verified"
    assert made.PatientName == "Muster^Anna"
    indices = [f.FrameContentSequence[0].DimensionIndexValues for f in made.PerFrameFunctionalGroupsSequence]
    assert indices == [1, 2, 3, 4]


def test_each_frame_of_a_map_refers_to_the_image_below_it() -> None:
    made = read_back(encoded(ramp(), HeatMaps.PARAMETRIC_MAP).data)
    referred = [
        frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for frame in made.PerFrameFunctionalGroupsSequence
    ]
    assert referred == ["1.2.3.1", "1.2.3.2", "1.2.3.3", "1.2.3.4"]


def test_unit_and_quantity_are_those_the_rule_gives_to_the_socket() -> None:
    meaning = Meaning(
        concept=Concept(scheme="99SITE", code="AIR", meaning="Air share"), unit=ucum("%", "percent")
    )
    values = (ValueMeaning(name="air", output="air-likelihood", meaning=meaning),)
    made = read_back(encoded(ramp() * 100, HeatMaps.PARAMETRIC_MAP, values=values).data)
    (mapping,) = made.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "%"
    assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue == "AIR"
    assert made.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99SITE"
    percent = read_back(encoded(ramp() * 100, HeatMaps.FRACTIONAL, values=values).data)
    plain = read_back(encoded(ramp(), HeatMaps.FRACTIONAL).data)
    assert percent.PixelData == plain.PixelData


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.float64])
def test_numbers_of_any_type_become_float32(kind: Any) -> None:
    array = np.arange(120).reshape(SHAPE).astype(kind)
    found = numbers_in_space(read_back(encoded(array, HeatMaps.PARAMETRIC_MAP).data))
    assert np.array_equal(found[HEIGHTS[2]], array[2])


def test_a_fractional_segmentation_has_probabilities_in_255_steps() -> None:
    array = ramp()
    array[1] = 0
    result = encoded(array, HeatMaps.FRACTIONAL)
    made = read_back(result.data)
    assert (result.kind, made.Modality, made.SegmentationType) == ("FRACTIONAL", "SEG", "FRACTIONAL")
    assert (made.SegmentationFractionalType, made.MaximumFractionalValue) == ("PROBABILITY", 255)
    (segment,) = made.SegmentSequence
    assert segment.SegmentLabel == "Air likelihood"
    assert segment.SegmentAlgorithmName == "Lobe Finder"
    found = numbers_in_space(made)
    assert sorted(found) == [7.0, 13.0, 16.0]
    for height, numbers in ((7.0, array[0]), (13.0, array[2]), (16.0, array[3])):
        assert np.abs(found[height] / 255 - numbers).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("there", [0.0, 0.9])
def test_probabilities_below_the_smallest_step_have_no_frame(there: float) -> None:
    array = np.full(SHAPE, 0.4 / 255, np.float32)
    array[2, 1, 1] = there
    result = encoded(array, HeatMaps.FRACTIONAL)
    assert read_back(result.data).NumberOfFrames == 1
    assert any("the heat map is empty" in note for note in result.notes) is not bool(there)


def test_an_empty_heat_map_is_an_object_with_one_empty_frame_and_a_note() -> None:
    result = encoded(np.zeros(SHAPE, np.float32), HeatMaps.FRACTIONAL)
    assert read_back(result.data).NumberOfFrames == 1
    assert any("the heat map is empty" in note for note in result.notes)


def test_the_same_map_in_another_order_is_the_same_object() -> None:
    affine = AFFINE.copy()
    affine[:3, 3] += affine[:3, 0] * 3
    affine[:3, 0] *= -1
    for form in (HeatMaps.PARAMETRIC_MAP, HeatMaps.FRACTIONAL):
        turned = encoded(ramp()[::-1], form, affine)
        assert turned.data == encoded(ramp(), form).data
        assert turned.notes[0] == "heat map re-ordered: reversed along slice"


def test_a_coarse_map_is_interpolated_and_that_is_said() -> None:
    coarse = AFFINE.copy()
    coarse[:3, :3] *= 2
    # The centre of the first of eight joined voxels.
    coarse[:3, 3] = (AFFINE @ (0.5, 0.5, 0.5, 1))[:3]
    result = encoded(np.ones((2, 3, 3), np.float32), HeatMaps.PARAMETRIC_MAP, coarse)
    made = read_back(result.data)
    assert all((numbers == 1).all() for numbers in numbers_in_space(made).values())
    assert (
        result.notes[0] == "heat map interpolated from 2x3x3 voxels of 6x1.5x1 mm to 4x5x6 of 3x0.75x0.5 mm"
    )
    assert made.ContentDescription == "Heat map interpolated, not verified"


def test_what_a_cropped_map_does_not_cover_is_zero_and_said() -> None:
    result = encoded(ramp((2, 5, 6)), HeatMaps.PARAMETRIC_MAP)
    found = numbers_in_space(read_back(result.data))
    assert np.allclose(found[7.0], ramp((2, 5, 6))[0])
    assert not found[13.0].any()
    assert "50% of the source's voxels are outside the map's grid and 0" in result.notes[0]


@pytest.mark.parametrize(
    ("array", "form", "code"),
    [
        (np.full(SHAPE, np.nan), "parametric-map", "RES-070"),
        (np.full(SHAPE, np.inf), "fractional", "RES-070"),
        (np.full(SHAPE, 1j), "parametric-map", "RES-070"),
        (np.full(SHAPE, 2**24 + 1), "parametric-map", "RES-071"),
        (np.full(SHAPE, 1e300), "parametric-map", "RES-071"),
        (np.full(SHAPE, 1.5), "fractional", "RES-074"),
        (np.full(SHAPE, -0.1), "fractional", "RES-074"),
        (np.full(SHAPE, 200, np.uint8), "fractional", "RES-074"),
        (np.full((2, 5, 6), 0.5), "parametric-map", "RES-073"),
        (np.zeros((4, 5, 6, 3)), "parametric-map", "RES-010"),
    ],
)
def test_what_cannot_be_written_truly_is_refused_with_numbers(
    array: NDArray[Any], form: str, code: str
) -> None:
    with pytest.raises(Refused) as caught:
        encoded(array, HeatMaps(form))
    assert caught.value.code == code
    assert caught.value.numbers or code == "RES-010"


def test_a_map_beside_its_source_is_refused() -> None:
    away = AFFINE.copy()
    away[:3, 3] += 500
    with pytest.raises(Refused) as caught:
        encoded(ramp(), HeatMaps.PARAMETRIC_MAP, away)
    assert caught.value.code == "RES-012"


def test_a_map_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heat_map, "MOST_BYTES", 479)
    with pytest.raises(Refused) as caught:
        encoded(ramp(), HeatMaps.PARAMETRIC_MAP)
    assert (caught.value.code, caught.value.numbers["bytes"]) == ("RES-072", 480)


def test_heat_maps_stay_with_the_job_where_they_are_off() -> None:
    (result,) = encode(answer(heat_part(ramp(), AFFINE), value_part("score", 1)), made_source(), wrapping())
    assert result.kind == "SR"
    assert "air-likelihood: heat maps are off in the rule: it stays with the job" in result.notes


def test_frames_of_a_multi_frame_source_are_referred_to_by_their_own_numbers() -> None:
    source = as_frames(made_source(), ENHANCED_CT, [12, 9, 6, 3])
    made = read_back(encoded(ramp(), HeatMaps.PARAMETRIC_MAP, source=source).data)
    frames = [
        frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        for frame in made.PerFrameFunctionalGroupsSequence
    ]
    assert frames == [12, 9, 6, 3]
