from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from tests.conftest import data_folder
from tests.unit.results.build import (
    LUNGS,
    answer,
    frames_in_space,
    made_geometry,
    made_source,
    mask_part,
    read_back,
    real_source,
    wrapping,
)

from bridge.errors import Refused
from bridge.results.encoders import encode
from bridge.results.output import Label
from bridge.results.result import Result, Source
from bridge.volumes.volume import Plane

pytestmark = pytest.mark.filterwarnings("ignore")

NM = "1.2.840.10008.5.1.4.1.1.20"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"


def segmentation(source: Source, mask: Any, labels: tuple[Label, ...] = LUNGS, **other: Any) -> Result:
    part = mask_part(mask, source.volume.geometry.affine_lps, labels)
    return encode(answer(part), source, wrapping(measurement_report=False, **other))[0]


def lungs_mask(shape: tuple[int, ...]) -> np.ndarray:
    """Label values 3 and 7 in two slices, 9 nowhere; no two frames are alike."""
    mask = np.zeros(shape, np.int16)
    mask[1, 1:3, 2:4] = 3
    mask[2, 0:4, 1] = 3
    mask[2, 3, 3:5] = 7
    return mask


@pytest.fixture(scope="module")
def source() -> Source:
    return made_source()


@pytest.fixture(scope="module")
def made(source: Source) -> Dataset:
    return read_back(segmentation(source, lungs_mask(source.values.shape)).data)


def test_every_voxel_lies_where_the_mask_had_it(source: Source, made: Dataset) -> None:
    mask = lungs_mask(source.values.shape)
    frames = frames_in_space(made)
    assert set(frames) == {1, 2}
    for number, value in ((1, 3), (2, 7)):
        by_height = {position[2]: frame for position, frame in frames[number].items()}
        expected = {7.0 + 3.0 * k: mask[k] == value for k in range(4) if (mask[k] == value).any()}
        assert set(by_height) == set(expected)
        for height, frame in by_height.items():
            assert np.array_equal(frame, expected[height])


def test_segments_are_numbered_from_one_with_names_codes_and_side(made: Dataset) -> None:
    assert [int(s.SegmentNumber) for s in made.SegmentSequence] == [1, 2, 3]
    assert [s.SegmentLabel for s in made.SegmentSequence] == ["Right lung", "left_lung", "Trachea"]
    kinds = [s.SegmentedPropertyTypeCodeSequence[0] for s in made.SegmentSequence]
    assert [k.CodeValue for k in kinds] == ["39607008", "39607008", "44567001"]
    sides = [k.get("SegmentedPropertyTypeModifierCodeSequence", [None])[0] for k in kinds]
    assert [side and side.CodeMeaning for side in sides] == ["Right", "Left", None]
    assert len({tuple(s.RecommendedDisplayCIELabValue) for s in made.SegmentSequence}) == 3
    assert len({s.TrackingUID for s in made.SegmentSequence}) == 3
    for segment in made.SegmentSequence:
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        assert segment.SegmentAlgorithmName == "Lobe Finder"
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("Lobe Finder", "2.1")


def test_object_says_what_it_is_and_who_made_it(made: Dataset) -> None:
    assert made.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert (made.SegmentationType, made.Modality) == ("BINARY", "SEG")
    assert made.SeriesDescription == "Lobe Finder 2.1 not verified"
    assert (made.Manufacturer, made.ManufacturerModelName) == ("bridge", "dicom-cloud-bridge")
    assert made.SoftwareVersions == "0.1.0"
    assert made.ContentLabel == "SEGMENTATION"
    assert made["ContentCreatorName"].is_empty
    assert (made.SeriesDate, made.ContentDate, made.InstanceCreationDate) == ("20260203",) * 3
    assert (made.ContentTime, made.InstanceCreationTime) == ("140506.789000",) * 2
    assert made.SeriesInstanceUID != "1.2.4"
    assert 9000 < made.SeriesNumber < 10000
    purposes = [i.PurposeOfReferenceCodeSequence[0].CodeValue for i in made.ContributingEquipmentSequence]
    assert purposes == ["109101", "109102", "109102"]
    makers = [i.Manufacturer for i in made.ContributingEquipmentSequence]
    assert makers[:2] == ["Maker", "bridge"]
    stamps = {i.get("ContributionDateTime") for i in made.ContributingEquipmentSequence[1:]}
    assert stamps == {"20260203140506.789000+0100"}


def test_patient_and_study_are_the_sources(made: Dataset) -> None:
    assert (made.PatientName, made.PatientID, made.PatientSex) == ("Muster^Anna", "P-1", "F")
    assert (made.StudyInstanceUID, made.AccessionNumber, made.StudyID) == ("1.2.3", "A-1", "S-1")
    assert made.FrameOfReferenceUID == "1.2.5"
    assert made.SpecificCharacterSet == "ISO_IR 100"


def test_each_frame_refers_to_the_image_at_its_position(source: Source, made: Dataset) -> None:
    at = {plane.position_lps[2]: plane.instance.sop_instance_uid for plane in source.volume.planes}
    for groups in made.PerFrameFunctionalGroupsSequence:
        height = float(groups.PlanePositionSequence[0].ImagePositionPatient[2])
        referred = groups.DerivationImageSequence[0].SourceImageSequence[0]
        assert referred.ReferencedSOPInstanceUID == at[height]
        assert referred.SpatialLocationsPreserved == "YES"
    (series,) = made.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == "1.2.4"
    assert len(series.ReferencedInstanceSequence) == 4


def test_slices_against_their_instance_numbers_keep_their_place() -> None:
    source = real_source(data_folder("ct-chest-philips"))
    mask = np.zeros(source.values.shape, np.uint8)
    mask[5, 100:110, 200:220] = 1
    made = read_back(segmentation(source, mask, ()).data)
    (frame,) = made.PerFrameFunctionalGroupsSequence
    uid = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
    (header,) = (p.instance.header for p in source.volume.planes if p.instance.sop_instance_uid == uid)
    # By the data's README: first position z = -439, 5 mm steps, Instance Number 64 is the lowest slice.
    assert float(header.ImagePositionPatient[2]) == -439 + 5 * 5
    assert header.InstanceNumber == 64 - 5
    assert frame.PlanePositionSequence[0].ImagePositionPatient == header.ImagePositionPatient


def test_a_mask_given_upside_down_is_put_right(source: Source) -> None:
    mask = lungs_mask(source.values.shape)
    affine = source.volume.geometry.affine_lps
    flipped = affine.copy()
    flipped[:3, 3] += flipped[:3, 0] * 3
    flipped[:3, 0] *= -1
    straight = encode(answer(mask_part(mask, affine, LUNGS)), source, wrapping())
    turned = encode(answer(mask_part(mask[::-1], flipped, LUNGS)), source, wrapping())
    assert [one.data for one in turned] == [one.data for one in straight]
    assert turned[0].notes[0] == "mask re-ordered: reversed along slice"


def test_order_of_the_planes_in_the_volume_does_not_matter(source: Source) -> None:
    shuffled = replace(source.volume, planes=source.volume.planes[2:] + source.volume.planes[:2])
    mask = lungs_mask(source.values.shape)
    assert segmentation(replace(source, volume=shuffled), mask).data == segmentation(source, mask).data


def test_an_empty_mask_is_an_object_with_empty_frames_and_a_note(source: Source) -> None:
    found = segmentation(source, np.zeros(source.values.shape, np.uint8))
    made = read_back(found.data)
    assert "the mask is empty: no voxel belongs to any segment" in found.notes
    assert len(made.SegmentSequence) == 3
    assert made.NumberOfFrames == 3
    assert not any(made.PixelData)
    assert len(made.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 4


def test_long_names_are_cut_and_still_say_not_verified(source: Source) -> None:
    labels = (Label(value=1, name="L" * 200),)
    mask = np.ones(source.values.shape, np.uint8)
    made = read_back(segmentation(source, mask, labels, algorithm="Ä" + "a" * 200).data)
    assert len(made.SeriesDescription) == 64
    assert made.SeriesDescription.startswith("Aaaa")
    assert made.SeriesDescription.endswith(" not verified")
    assert len(made.SegmentSequence[0].SegmentLabel) == 64


def as_frames(source: Source, sop_class_uid: str, frames: list[int]) -> Source:
    """The same volume, all planes in one multi-frame instance."""
    first = source.volume.planes[0].instance
    whole = replace(first, sop_class_uid=sop_class_uid, sop_instance_uid="1.2.3.99")
    planes = tuple(
        Plane(instance=whole, frame=frame, position_lps=p.position_lps, slope=1.0, intercept=0.0)
        for frame, p in zip(frames, source.volume.planes, strict=True)
    )
    return replace(source, volume=replace(source.volume, planes=planes, sop_class_uid=sop_class_uid))


@pytest.mark.parametrize("kind", [ENHANCED_CT, NM])
def test_frames_of_a_multi_frame_source_are_referred_to_by_their_own_numbers(
    source: Source, kind: str
) -> None:
    whole = as_frames(source, kind, [12, 9, 6, 3])
    made = read_back(segmentation(whole, lungs_mask(source.values.shape)).data)
    by_height = {
        float(groups.PlanePositionSequence[0].ImagePositionPatient[2]): groups
        for groups in made.PerFrameFunctionalGroupsSequence
    }
    for height, frame in ((10.0, 9), (13.0, 6)):
        (referred,) = by_height[height].DerivationImageSequence[0].SourceImageSequence
        assert referred.ReferencedSOPInstanceUID == "1.2.3.99"
        assert referred.ReferencedFrameNumber == frame
    single = read_back(segmentation(source, lungs_mask(source.values.shape)).data)
    assert made.PixelData == single.PixelData


def test_the_only_plane_of_a_multi_frame_source_keeps_its_frame_number() -> None:
    whole = as_frames(made_source(made_geometry((1, 5, 6))), ENHANCED_CT, [7])
    made = read_back(segmentation(whole, np.ones((1, 5, 6), np.uint8), ()).data)
    (frame,) = made.PerFrameFunctionalGroupsSequence
    assert frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber == 7


def test_bits_end_with_a_nul_where_their_number_of_bytes_is_odd() -> None:
    made = read_back(
        segmentation(made_source(made_geometry((1, 3, 6))), np.ones((1, 3, 6), np.uint8), ()).data
    )
    # 18 pixels set: two bytes full, two bits of the third, one byte of padding.
    assert made.PixelData == b"\xff\xff\x03\x00"


def test_frames_that_would_share_a_byte_are_refused() -> None:
    with pytest.raises(Refused) as caught:
        segmentation(made_source(made_geometry((2, 2, 3))), np.ones((2, 2, 3), np.uint8), ())
    assert caught.value.code == "RES-035"


def test_planes_that_share_a_single_frame_image_are_refused(source: Source) -> None:
    with pytest.raises(Refused) as caught:
        segmentation(as_frames(source, "1.2.840.10008.5.1.4.1.1.2", [1, 2, 3, 4]), lungs_mask((4, 5, 6)))
    assert caught.value.code == "RES-033"


def test_a_source_outside_space_is_refused(source: Source) -> None:
    nowhere = replace(source, volume=replace(source.volume, frame_of_reference_uid=""))
    with pytest.raises(Refused) as caught:
        segmentation(nowhere, lungs_mask((4, 5, 6)))
    assert caught.value.code == "RES-032"


def test_planes_that_do_not_fill_the_grid_are_refused(source: Source) -> None:
    doubled = (*source.volume.planes[:3], source.volume.planes[2])
    with pytest.raises(Refused) as caught:
        segmentation(replace(source, volume=replace(source.volume, planes=doubled)), lungs_mask((4, 5, 6)))
    assert caught.value.code == "RES-030"


def test_slices_of_two_patients_are_refused_without_naming_them(source: Source) -> None:
    other = made_source(PatientID="P-2")
    planes = (*source.volume.planes[:3], other.volume.planes[3])
    with pytest.raises(Refused) as caught:
        segmentation(replace(source, volume=replace(source.volume, planes=planes)), lungs_mask((4, 5, 6)))
    assert caught.value.code == "RES-031"
    assert "P-" not in str(caught.value)


def test_a_kind_of_image_that_nobody_knows_is_refused_without_its_text(source: Source) -> None:
    strange = tuple(
        replace(plane, instance=replace(plane.instance, sop_class_uid="1.2.3.4.5"))
        for plane in source.volume.planes
    )
    with pytest.raises(Refused) as caught:
        segmentation(replace(source, volume=replace(source.volume, planes=strange)), lungs_mask((4, 5, 6)))
    assert caught.value.code == "RES-034"
    assert caught.value.__suppress_context__


def test_missing_thickness_is_the_spacing_and_is_said() -> None:
    for thickness in (None, "", "0"):
        found = segmentation(made_source(SliceThickness=thickness), lungs_mask((4, 5, 6)))
        measures = read_back(found.data).SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        assert measures.SliceThickness == 3
        assert any("Slice Thickness" in note for note in found.notes)
    usual = segmentation(made_source(), lungs_mask((4, 5, 6)))
    measures = read_back(usual.data).SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert (measures.SliceThickness, measures.SpacingBetweenSlices) == (2.5, 3)
    assert measures.PixelSpacing == [0.75, 0.5]


def test_an_oblique_grid_with_long_decimals_stays_legal_and_near() -> None:
    turn = np.radians(17.123456789)
    geometry = made_geometry(
        (3, 4, 5),
        column_step_lps=(float(np.cos(turn)), float(np.sin(turn)), 0.0),
        row_step_lps=(float(-np.sin(turn)), float(np.cos(turn)), 0.0),
        spacing_mm=(2 / 3, 0.699987828731537, 0.666666686534882),
        origin_lps=(-1.234567890123e-05, -144.416447374611, -22.2602466211107),
    )
    made = read_back(segmentation(made_source(geometry), np.ones((3, 4, 5), np.uint8), ()).data)
    shared = made.SharedFunctionalGroupsSequence[0]
    texts = [
        *shared.PixelMeasuresSequence[0].PixelSpacing,
        *shared.PlaneOrientationSequence[0].ImageOrientationPatient,
        *(
            x
            for g in made.PerFrameFunctionalGroupsSequence
            for x in g.PlanePositionSequence[0].ImagePositionPatient
        ),
    ]
    assert max(len(str(one)) for one in texts) <= 16
    assert np.allclose(
        [float(one) for one in shared.PlaneOrientationSequence[0].ImageOrientationPatient],
        [*geometry.column_step_lps, *geometry.row_step_lps],
        atol=1e-12,
    )


def test_file_is_one_that_a_reader_takes_from_disk(source: Source, tmp_path: Path) -> None:
    found = segmentation(source, lungs_mask((4, 5, 6)))
    file = tmp_path / "seg.dcm"
    file.write_bytes(found.data)
    from highdicom.seg import segread

    read = segread(file)
    assert read.SOPInstanceUID == found.sop_instance_uid
    assert read.SOPClassUID == found.sop_class_uid
    assert read.SeriesInstanceUID == found.series_instance_uid
    assert read.file_meta.MediaStorageSOPInstanceUID == found.sop_instance_uid
