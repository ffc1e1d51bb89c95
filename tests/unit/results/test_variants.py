"""What destinations may want differently, and what a rule knows of the labels of a mask."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from tests.unit.results.build import (
    LUNGS,
    answer,
    frames_in_space,
    made_geometry,
    made_source,
    mask_part,
    read_back,
    value_part,
    wrapping,
)
from tests.unit.results.test_segmentation import lungs_mask

from bridge.dicom.codes import ANATOMICAL_STRUCTURE, PROPERTY_CATEGORIES, SIDES, Anatomy, Concept
from bridge.dicom.uids import keyed_uid
from bridge.errors import Refused
from bridge.results.encoders import encode
from bridge.results.result import Form, LabelMeaning, Result, Variant

pytestmark = pytest.mark.filterwarnings("ignore")

SHAPE = (4, 5, 6)
LABELMAP = Variant(form=Form.LABELMAP)
USUAL, EMPTY, OTHER_BASE = Variant(), Variant(empty_frames=True), Variant(series_number_base=500)


def encoded(variant: Variant = USUAL, mask: Any = None, **other: Any) -> tuple[Result, ...]:
    """Segmentation, report on the segments, report on the value."""
    mask = lungs_mask(SHAPE) if mask is None else mask
    parts = answer(mask_part(mask, made_geometry().affine_lps, LUNGS), value_part("score", 0.5))
    return encode(parts, made_source(), wrapping(variant=variant, **other))


def segmentation(variant: Variant = USUAL, mask: Any = None, **other: Any) -> Dataset:
    return read_back(encoded(variant, mask, **other)[0].data)


def labels_in_space(labelled: Dataset) -> dict[float, np.ndarray]:
    """Height of each frame -> its numbers. No use of our own code."""
    shape = (int(labelled.NumberOfFrames), labelled.Rows, labelled.Columns)
    dtype = np.uint8 if labelled.BitsAllocated == 8 else np.uint16
    pixels = np.frombuffer(labelled.PixelData, dtype)[: int(np.prod(shape))].reshape(shape)
    heights = [
        float(one.PlanePositionSequence[0].ImagePositionPatient[2])
        for one in labelled.PerFrameFunctionalGroupsSequence
    ]
    return dict(zip(heights, pixels, strict=True))


def test_usual_variant_has_the_uids_that_results_always_had() -> None:
    seg, report, values = encoded()
    key = b"k" * 32
    assert seg.sop_instance_uid == keyed_uid(key, "instance", "job-1", "SEG", "lungs", "")
    assert report.sop_instance_uid == keyed_uid(key, "instance", "job-1", "SR", "lungs", "")
    assert values.sop_instance_uid == keyed_uid(key, "instance", "job-1", "SR", "score", "values")
    assert seg.series_instance_uid == keyed_uid(key, "series", "job-1", "SEG")
    assert report.series_instance_uid == values.series_instance_uid == keyed_uid(key, "series", "job-1", "SR")
    assert {one.variant for one in (seg, report, values)} == {""}


@pytest.mark.parametrize(
    ("variant", "name"),
    [
        (USUAL, ""),
        (LABELMAP, "labelmap"),
        (EMPTY, "empty-frames"),
        (OTHER_BASE, "500"),
        (Variant(form=Form.LABELMAP, empty_frames=True, series_number_base=7), "labelmap-empty-frames-7"),
    ],
)
def test_variants_have_names_of_their_own(variant: Variant, name: str) -> None:
    assert variant.name == name
    assert [one.variant for one in encoded(variant)[:2]] == [name, name]


def test_no_two_variants_share_an_instance_or_a_series_of_masks() -> None:
    every = [USUAL, LABELMAP, EMPTY, OTHER_BASE, replace(LABELMAP, empty_frames=True)]
    made = [encoded(variant) for variant in every]
    for place in (0, 1):
        assert len({one[place].sop_instance_uid for one in made}) == len(every)
        assert len({one[place].series_instance_uid for one in made}) == len(every)


def test_what_no_mask_is_in_is_one_object_for_all_forms_of_the_mask() -> None:
    usual = encoded()[2]
    assert encoded(LABELMAP)[2] == usual
    assert encoded(EMPTY)[2] == usual
    assert encoded(OTHER_BASE)[2].sop_instance_uid != usual.sop_instance_uid
    without = {"segmentation": False}
    assert encoded(LABELMAP, **without) == encoded(**without)


@pytest.mark.parametrize("variant", [LABELMAP, EMPTY, OTHER_BASE])
def test_a_report_refers_to_the_segmentation_of_its_own_variant(variant: Variant) -> None:
    seg, report, _ = encoded(variant)
    document = read_back(report.data)
    referred = {
        (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID)
        for study in document.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        if series.SeriesInstanceUID == seg.series_instance_uid
        for item in series.ReferencedSOPSequence
    }
    assert referred == {(seg.sop_class_uid, seg.sop_instance_uid)}
    text = report.data.decode("latin-1")
    assert encoded()[0].sop_instance_uid not in text
    # Once as evidence, once in each group.
    assert text.count(seg.sop_instance_uid) == 3


def test_a_label_map_holds_the_segment_numbers_in_their_place() -> None:
    (seg, *_) = encoded(LABELMAP)
    made = read_back(seg.data)
    assert seg.sop_class_uid == made.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.7"
    assert (made.SegmentationType, made.Modality, made.BitsAllocated) == ("LABELMAP", "SEG", 8)
    mask = lungs_mask(SHAPE)
    numbers = np.select([mask == 3, mask == 7], [1, 2], 0)
    found = labels_in_space(made)
    assert sorted(found) == [10.0, 13.0]
    for height, frame in found.items():
        assert np.array_equal(frame, numbers[round((height - 7.0) / 3.0)])


def test_segments_are_described_alike_in_every_variant() -> None:
    def described(made: Dataset) -> list[tuple[Any, ...]]:
        return [
            (
                int(one.SegmentNumber),
                one.SegmentLabel,
                one.TrackingUID,
                one.SegmentedPropertyTypeCodeSequence[0].CodeValue,
                tuple(one.RecommendedDisplayCIELabValue),
            )
            for one in made.SegmentSequence
            if one.SegmentNumber
        ]

    assert described(segmentation(LABELMAP)) == described(segmentation())
    assert described(segmentation(EMPTY)) == described(segmentation())


def test_empty_frames_are_kept_where_they_are_wanted() -> None:
    made = segmentation(EMPTY)
    assert made.NumberOfFrames == 3 * SHAPE[0]
    frames, usual = frames_in_space(made), frames_in_space(segmentation())
    for number in (1, 2, 3):
        assert len(frames[number]) == SHAPE[0]
        for position, frame in frames[number].items():
            marked = usual.get(number, {}).get(position)
            assert np.array_equal(frame, np.zeros_like(frame) if marked is None else marked)
    assert segmentation(replace(LABELMAP, empty_frames=True)).NumberOfFrames == SHAPE[0]


@pytest.mark.parametrize(
    ("variant", "frames"), [(LABELMAP, 1), (EMPTY, 12), (Variant(form=Form.LABELMAP, empty_frames=True), 4)]
)
def test_an_empty_mask_has_the_frames_of_its_variant(variant: Variant, frames: int) -> None:
    made = segmentation(variant, np.zeros(SHAPE, np.uint8))
    assert made.NumberOfFrames == frames
    assert not any(made.PixelData)


def test_an_odd_label_map_ends_with_a_nul() -> None:
    geometry = made_geometry((1, 3, 5))
    part = mask_part(np.ones((1, 3, 5), np.uint8), geometry.affine_lps)
    made = read_back(encode(answer(part), made_source(geometry), wrapping(variant=LABELMAP))[0].data)
    assert made.PixelData == b"\x01" * 15 + b"\0"


def test_many_labels_take_two_bytes() -> None:
    geometry = made_geometry((2, 20, 20))
    mask = np.arange(800, dtype=np.uint16).reshape(2, 20, 20) // 2
    part = mask_part(mask, geometry.affine_lps)
    alone = wrapping(variant=LABELMAP, measurement_report=False)
    made = read_back(encode(answer(part), made_source(geometry), alone)[0].data)
    assert made.BitsAllocated == 16
    assert np.array_equal(np.stack([frame for _, frame in sorted(labels_in_space(made).items())]), mask)


def test_series_number_begins_where_the_destination_wants_it() -> None:
    assert segmentation(OTHER_BASE).SeriesNumber == segmentation().SeriesNumber - 9000 + 500


NODULE = LabelMeaning(
    name="Nodule",
    anatomy=Anatomy(
        category=PROPERTY_CATEGORIES["abnormal-structure"],
        type=Concept(scheme="SCT", code="27925004", meaning="Nodule"),
        side=SIDES["left"],
    ),
    rgb=(255, 0, 0),
)


def test_a_rule_names_codes_and_colours_a_label_value() -> None:
    made = segmentation(labels={"lungs": {7: NODULE, 9: LabelMeaning(name="Heart")}, "other": {3: NODULE}})
    right, nodule, heart = made.SegmentSequence
    assert [one.SegmentLabel for one in (right, nodule, heart)] == ["Right lung", "Nodule", "Heart"]
    kind = nodule.SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodeValue, kind.CodingSchemeDesignator, kind.CodeMeaning) == ("27925004", "SCT", "Nodule")
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert nodule.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    # sRGB red in CIELab (D65): L* 53.24, a* 80.09, b* 67.20, each scaled to 16 bits.
    expected = [53.24 / 100 * 65535, (80.09 + 128) / 255 * 65535, (67.20 + 128) / 255 * 65535]
    assert list(nodule.RecommendedDisplayCIELabValue) == pytest.approx(expected, abs=40)
    assert heart.SegmentedPropertyTypeCodeSequence[0].CodeValue == "80891009"
    assert right.SegmentedPropertyTypeCodeSequence[0].CodeValue == "39607008"


def test_a_label_that_only_the_rule_knows_is_described_and_may_be_empty() -> None:
    parts = answer(mask_part(lungs_mask(SHAPE), made_geometry().affine_lps))
    seg = encode(parts, made_source(), wrapping(labels={"lungs": {3: NODULE, 11: NODULE}}))[0]
    made = read_back(seg.data)
    assert [one.SegmentLabel for one in made.SegmentSequence] == ["Nodule", "lungs 7", "Nodule"]
    assert "segment 3 (Nodule) is empty" in seg.notes
    assert "label value 3 has no name: called Nodule" not in seg.notes


def test_a_private_code_of_a_segment_is_explained_in_both_objects() -> None:
    own = Anatomy(
        category=ANATOMICAL_STRUCTURE, type=Concept(scheme="99SITE", code="X1", meaning="Thing of the site")
    )
    seg, report, _ = encoded(labels={"lungs": {3: LabelMeaning(name="Thing", anatomy=own)}})
    for one in (seg, report):
        (scheme,) = read_back(one.data).CodingSchemeIdentificationSequence
        assert scheme.CodingSchemeDesignator == "99SITE"


def test_a_code_that_is_not_legal_is_refused() -> None:
    own = Anatomy(category=ANATOMICAL_STRUCTURE, type=Concept(scheme="SCT", code="1" * 17, meaning="Thing"))
    with pytest.raises(Refused) as caught:
        encoded(labels={"lungs": {3: LabelMeaning(name="Thing", anatomy=own)}})
    assert caught.value.code in {"RES-040", "RES-050"}
