"""One series in many forms: renamed, in another order, by another codec, as one multi-frame object."""

from __future__ import annotations

import random
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from highdicom.legacy import LegacyConvertedEnhancedCTImage
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from tests.property import strategies
from tests.unit.volumes.mended import repaired
from tests.unit.volumes.real import instances_of

from bridge.dicom.instance import Instance
from bridge.dicom.pixels import FileReader
from bridge.errors import Refused
from bridge.volumes import (
    Repair,
    Volume,
    candidates_of,
    content_of,
    frame_digests,
    read_values,
)

few = settings(deadline=None, max_examples=12)
usual = settings(deadline=None, max_examples=40)

SYNTAXES = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.RLELossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
)


def only_volume(instances: Iterable[Instance]) -> Volume:
    (candidate,) = candidates_of(list(instances))
    assert candidate.volume is not None, candidate.refusal
    return candidate.volume


def content(volume: Volume, reader: Any) -> str:
    digests = frame_digests(volume, reader)
    return content_of(volume, [digests[plane.instance.number, plane.frame] for plane in volume.planes])


def enlarged(series: strategies.Series) -> strategies.Series:
    """With frames of 32 times the rows and columns: encoders fail at a handful of pixels."""
    stored = {number: np.tile(one, (32, 32)) for number, one in series.stored.items()}
    instances = []
    for one in series.instances:
        header = deepcopy(one.header)
        header.Rows, header.Columns = stored[one.number].shape
        instances.append(replace(one, header=header))
    return replace(series, stored=stored, instances=tuple(instances))


def data_sets(series: strategies.Series) -> list[Dataset]:
    """Whole objects with pixels, as a scanner would write them."""
    found = []
    for one in series.instances:
        whole = deepcopy(one.header)
        whole.PatientName, whole.PatientID, whole.PatientBirthDate, whole.PatientSex = "A^B", "7", "", ""
        whole.StudyDate = whole.StudyTime = whole.StudyID = whole.AccessionNumber = ""
        whole.ReferringPhysicianName = whole.Manufacturer = whole.PositionReferenceIndicator = ""
        whole.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        whole.InstanceNumber = one.number
        whole.SliceThickness = "1"
        whole.KVP = whole.PatientPosition = ""
        whole.AcquisitionNumber = 1
        whole.PixelData = series.stored[one.number].astype("<i2").tobytes()
        whole["PixelData"].VR = "OW"
        found.append(whole)
    return found


def write(data_set: Dataset, syntax: str, file: Path) -> None:
    written = deepcopy(data_set)
    written.file_meta = FileMetaDataset()
    written.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    if uid.UID(syntax).is_compressed and syntax != uid.DeflatedExplicitVRLittleEndian:
        written.compress(syntax, generate_instance_uid=False)
    else:
        written.file_meta.TransferSyntaxUID = uid.UID(syntax)
        if syntax == uid.ExplicitVRBigEndian:
            written.PixelData = np.frombuffer(data_set.PixelData, "<i2").astype(">i2").tobytes()
    written.save_as(file, enforce_file_format=True)


@few
@given(
    series=strategies.regular_series(),
    syntaxes=st.lists(st.sampled_from(SYNTAXES), min_size=7, max_size=7),
)
def test_another_codec_is_the_same_volume(series: strategies.Series, syntaxes: list[str]) -> None:
    series = enlarged(series)
    before = only_volume(series.instances)
    with TemporaryDirectory() as name:
        for n, (whole, syntax) in enumerate(zip(data_sets(series), syntaxes, strict=False)):
            write(whole, syntax, Path(name, f"{n}.dcm"))
        volume = only_volume(instances_of(Path(name)))
        assert volume.geometry == before.geometry
        assert content(volume, FileReader()) == content(before, series.read)
        np.testing.assert_array_equal(read_values(volume, FileReader()), read_values(before, series.read))


@few
@given(series=strategies.regular_series(), order=st.randoms(use_true_random=False))
def test_a_multi_frame_twin_is_the_same_volume(series: strategies.Series, order: random.Random) -> None:
    before = only_volume(series.instances)
    wholes = data_sets(series)
    order.shuffle(wholes)
    for whole in wholes:
        whole.file_meta = FileMetaDataset()
        whole.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    twin = LegacyConvertedEnhancedCTImage(
        wholes, "2.25.81", 9, "2.25.82", 1, transfer_syntax_uid=uid.ExplicitVRLittleEndian
    )
    with TemporaryDirectory() as name:
        twin.save_as(Path(name, "twin.dcm"))
        volume = only_volume(instances_of(Path(name)))
        assert len(volume.instances) == 1
        assert volume.geometry == before.geometry
        assert content(volume, FileReader()) == content(before, series.read)
        np.testing.assert_array_equal(read_values(volume, FileReader()), read_values(before, series.read))


@usual
@given(series=strategies.regular_series(), order=st.randoms(use_true_random=False))
def test_renamed_and_sent_in_portions_it_is_the_same_volume(
    series: strategies.Series, order: random.Random
) -> None:
    before = only_volume(series.instances)
    renamed = []
    for one in order.sample(series.instances, len(series.instances)):
        header = deepcopy(one.header)
        header.InstanceNumber = order.randint(1, 10**6)
        header.SeriesNumber, header.AcquisitionNumber = 70, order.randint(1, 4)
        fresh = f"2.25.{order.randint(10**20, 10**21)}"
        renamed.append(replace(one, sop_instance_uid=fresh, series_instance_uid="2.25.6", header=header))
    volume = only_volume(renamed)
    assert volume.geometry == before.geometry
    assert content(volume, series.read) == content(before, series.read)


@usual
@given(series=strategies.regular_series(), flip=st.tuples(*[st.booleans()] * 2))
def test_reversed_directions_move_no_voxel(series: strategies.Series, flip: tuple[bool, bool]) -> None:
    """Rows or columns stored the other way round, as another scanner would: every voxel stays where it was."""
    before = only_volume(series.instances)
    rows, columns = next(iter(series.stored.values())).shape
    directions, stored = series.directions.copy(), dict(series.stored)
    shift = np.zeros(3)
    for axis, turned, length in ((0, flip[0], rows), (1, flip[1], columns)):
        if turned:
            shift = shift + (length - 1) * series.spacing[1 + axis] * series.directions[1 + axis]
            directions[1 + axis] *= -1
            stored = {number: np.flip(one, axis) for number, one in stored.items()}
    again = [
        strategies.instance(
            one.number,
            series.origin + k * series.spacing[0] * series.directions[0] + shift,
            directions,
            series.spacing[1:],
            stored[one.number],
            RescaleSlope=str(series.slope),
            RescaleIntercept=str(series.intercept),
        )
        for k, one in enumerate(series.instances)
    ]
    volume = only_volume(again)
    values, old = read_values(volume, lambda i, f: stored[i.number]), read_values(before, series.read)
    to_old = np.linalg.inv(before.geometry.affine_lps) @ volume.geometry.affine_lps
    index = np.argwhere(np.ones(values.shape, bool))
    at = (to_old @ np.c_[index, np.ones(len(index))].T)[:3].T
    np.testing.assert_allclose(at, np.round(at), atol=1e-4)
    np.testing.assert_array_equal(old[tuple(np.round(at).astype(int).T)], values.ravel())


@usual
@given(
    series=strategies.regular_series(min_slices=4),
    degrees=st.floats(1, 30),
    around=st.floats(0, 360),
    seed=st.integers(0, 2**32),
)
def test_shear_and_its_inverse_return_every_label(
    series: strategies.Series, degrees: float, around: float, seed: int
) -> None:
    step = series.spacing[0]
    along = (
        np.cos(np.radians(around)) * series.directions[1] + np.sin(np.radians(around)) * series.directions[2]
    )
    slant = np.tan(np.radians(degrees)) * step * along
    (candidate,) = candidates_of(strategies.moved(series, lambda k: k * slant).instances)
    stack = candidate.stack
    assert stack is not None
    values = np.stack([series.read(one.instance, one.frame) for one in stack.slices])
    try:
        upright = repaired(stack, values, [Repair.SHEAR])
    except Refused as refusal:
        # Of slices as small as these a lean can need a grid of many times their size.
        assert refusal.code == "GEO-029"
        return
    mask = np.random.default_rng(seed).integers(0, 9, values.shape, np.uint8)
    np.testing.assert_array_equal(upright.back(upright.forth(mask)), mask)
    # By positions: the first voxel of each slice is within half a voxel of where its label stands.
    to_index = np.linalg.inv(upright.geometry.affine_lps)
    marks = np.zeros(values.shape, np.uint8)
    marks[:, 0, 0] = 1
    for k, (plane, placed) in enumerate(zip(stack.planes, upright.forth(marks), strict=True)):
        at = (to_index @ (*plane.position_lps, 1))[:3]
        (where,) = np.argwhere(placed)
        assert np.abs(at - [k, *where]).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEGLSLossless])
def test_a_real_series_by_another_codec_is_the_same_volume(
    shared_data: Path, tmp_path: Path, syntax: str
) -> None:
    from pydicom import dcmread

    folder = shared_data / "ct-head-phantom-philips/S2020"
    for n, file in enumerate(sorted(folder.iterdir())):
        data_set = dcmread(file)
        data_set.compress(syntax, generate_instance_uid=False)
        data_set.save_as(tmp_path / f"{9 - n}.dcm")
    one, other = only_volume(instances_of(folder)), only_volume(instances_of(tmp_path))
    assert content(one, FileReader()) == content(other, FileReader())
