"""Segmentations as volumes of labels: their own grid, that of an image, and what is refused."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.volumes.real import instances_of

from bridge.dicom.folder import read_folder
from bridge.dicom.instance import Instance
from bridge.dicom.pixels import FileReader
from bridge.errors import Refused
from bridge.volumes import candidates_of, content_of, frame_digests, read_values
from bridge.volumes.masks import laid_on, mask_of, masks_of
from bridge.volumes.pixels import for_reading, slices_of
from bridge.volumes.volume import Volume

READ = FileReader()
PAIR = "multiframe/ct-legacy-pair-"


def only(where: Path) -> Instance:
    (instance,) = read_folder(where).instances
    return instance


@pytest.mark.parametrize(("name", "marked"), [("23x38x3", 322), ("24x38x3", 315)])
def test_a_mask_has_the_voxels_that_dcmqi_wrote_where_they_lie(
    shared_data: Path, name: str, marked: int
) -> None:
    # Counts by the README of the data. 23 and 24 columns: frames of one of the two begin within a byte.
    volume = mask_of(only(shared_data / f"{PAIR}{name}/seg"))
    labels = read_values(volume, READ)
    assert labels.dtype == np.uint8
    assert int(np.count_nonzero(labels)) == marked
    (image,) = candidates_of(instances_of(shared_data / f"{PAIR}{name}/image"))
    assert image.volume is not None
    laid = laid_on(volume, image.volume)
    assert laid.geometry == image.volume.geometry
    here, there = np.argwhere(labels), np.argwhere(read_values(laid, READ))
    for one, other in zip(here, there, strict=True):
        np.testing.assert_allclose(
            (volume.geometry.affine_lps @ (*one, 1))[:3],
            (laid.geometry.affine_lps @ (*other, 1))[:3],
            atol=1e-3,
        )


def test_a_mask_is_the_same_for_a_child_that_only_reads(shared_data: Path) -> None:
    volume = mask_of(only(shared_data / "multiframe/seg-liver.dcm"))
    labels = read_values(volume, READ)
    assert labels.shape == (3, 512, 512)
    np.testing.assert_array_equal(np.stack(list(slices_of(for_reading(volume), READ))), labels)


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("seg-ct-fractional.dcm", "GEO-030"),
        ("seg-labelmap.dcm", "GEO-008"),  # of a slide, which has no place in a patient
        ("seg-ct-binary-overlap.dcm", ""),
        ("seg-liver.dcm", ""),
    ],
)
def test_only_what_is_marked_without_doubt_is_a_mask(shared_data: Path, file: str, code: str) -> None:
    (candidate,) = masks_of([only(shared_data / "multiframe" / file)])
    assert (candidate.refusal.code if candidate.refusal else "") == code


def test_segments_that_overlap_are_refused_when_they_are_read(shared_data: Path) -> None:
    volume = mask_of(only(shared_data / "multiframe/seg-ct-binary-overlap.dcm"))
    with pytest.raises(Refused) as refusal:
        read_values(volume, READ)
    assert refusal.value.code == "GEO-031"


def changed(instance: Instance, change: Any) -> Instance:
    header = deepcopy(instance.header)
    change(header)
    return replace(instance, header=header)


def moved(by: tuple[float, float, float], frame: int = -1) -> Any:
    def change(header: Any) -> None:
        for n, groups in enumerate(header.PerFrameFunctionalGroupsSequence):
            if frame in (-1, n):
                place = groups.PlanePositionSequence[0]
                place.ImagePositionPatient = [
                    float(a) + b for a, b in zip(place.ImagePositionPatient, by, strict=True)
                ]

    return change


def test_a_mask_that_lies_beside_the_image_keeps_its_own_grid(shared_data: Path) -> None:
    file = shared_data / f"{PAIR}24x38x3/seg"
    (image,) = candidates_of(instances_of(shared_data / f"{PAIR}24x38x3/image"))
    assert image.volume is not None
    for by in ((0.1, 0, 0), (0, 0, 100.0)):
        mask = mask_of(changed(only(file), moved(by)))
        assert laid_on(mask, image.volume) is mask
    other = replace(image.volume, frame_of_reference_uid="2.25.9")
    mask = mask_of(only(file))
    assert laid_on(mask, other) is mask


def test_a_mask_of_slices_beside_a_regular_grid_gets_the_grid_of_its_image(shared_data: Path) -> None:
    (image,) = candidates_of(instances_of(shared_data / f"{PAIR}24x38x3/image"))
    assert image.volume is not None
    mask = mask_of(only(shared_data / f"{PAIR}24x38x3/seg"))

    def beside(volume: Volume) -> Volume:
        """The middle slice lies 0.004 mm beside the grid, which is tolerated."""
        height = image.volume.planes[1].position_lps[2] if image.volume else 0.0
        planes = tuple(
            replace(one, position_lps=(*one.position_lps[:2], height + 0.004))
            if abs(one.position_lps[2] - height) < 0.001
            else one
            for one in volume.planes
        )
        assert planes != volume.planes
        return replace(volume, planes=planes)

    assert laid_on(beside(mask), beside(image.volume)).geometry == image.volume.geometry
    assert laid_on(mask, beside(image.volume)).geometry == image.volume.geometry
    stray = beside(mask)
    assert laid_on(stray, image.volume) is stray


def test_frames_on_no_grid_are_refused(shared_data: Path) -> None:
    seg = only(shared_data / "multiframe/seg-liver.dcm")
    for by in ((5.0, 0, 0), (0, 0, 0.7)):
        (candidate,) = masks_of([changed(seg, moved(by, frame=1))])
        assert candidate.refusal is not None
        assert candidate.refusal.code == "GEO-031"


def test_content_of_a_mask_follows_marks_segments_and_place(shared_data: Path) -> None:
    seg = only(shared_data / "multiframe/seg-liver.dcm")

    def content(instance: Instance) -> str:
        volume = mask_of(instance)
        digests = frame_digests(volume, READ)
        return content_of(volume, [digests[one.instance.number, one.frame] for one in volume.planes])

    def renumber(header: Any) -> None:
        for groups in header.PerFrameFunctionalGroupsSequence:
            groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 9

    assert content(seg) == content(deepcopy_of(seg))
    assert (
        len({content(seg), content(changed(seg, moved((0, 0, 1.0)))), content(changed(seg, renumber))}) == 3
    )


def deepcopy_of(instance: Instance) -> Instance:
    return replace(instance, sop_instance_uid="2.25.5", series_instance_uid="2.25.6")
