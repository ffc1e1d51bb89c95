"""DICOM formats: what was chosen leaves, one object after the other, and nothing tells whose it was."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from tests.conftest import data_folder
from tests.unit.volumes.real import instance_of, instances_of

from bridge.dicom.pixels import FileReader
from bridge.dicom.uncompressed import uncompressed
from bridge.errors import Refused
from bridge.export import Objects, Option, Profile, Pseudonyms, Scope, Terms, check_whole, format_named
from bridge.export.archive import write_zip
from bridge.export.formats import ObjectFormat
from bridge.export.masking import Masked
from bridge.export.pixel_bytes import Region
from bridge.volumes import Volume, candidates_of, read_values
from bridge.volumes.masks import masks_of
from bridge.volumes.volume import Mending

NAMES = Pseudonyms(b"k" * 32, Scope.of_job("job-1"))
TERMS = Terms(names=NAMES)
PAIR = "multiframe/ct-legacy-pair-23x38x3"
SEG = "multiframe/ct-legacy-pair-23x38x3/seg"


def volume(where: str) -> Volume:
    (found,) = (one.volume for one in candidates_of(instances_of(data_folder(where))) if one.volume)
    return found


def written(name: str, chosen: Volume, terms: Terms = TERMS) -> dict[int, bytes]:
    format = format_named(name)
    assert isinstance(format, ObjectFormat)
    files: dict[int, io.BytesIO] = {}

    @contextmanager
    def sinks(place: int) -> Iterator[io.BytesIO]:
        files[place] = io.BytesIO()
        yield files[place]

    objects = Objects(instances=chosen.instances, read=lambda one: one.file.read_bytes(), terms=terms)
    told = format.write(objects, sinks)
    assert [one.size_bytes for one in told] == [len(one.getvalue()) for one in files.values()]
    return {place: one.getvalue() for place, one in files.items()}


def again(folder: Path, files: dict[int, bytes]) -> Volume:
    """What a platform makes of them."""
    for place, content in files.items():
        (folder / f"{place}.dcm").write_bytes(content)
    (found,) = candidates_of(instances_of(folder))
    assert found.volume is not None
    return found.volume


@pytest.mark.parametrize(
    ("name", "where"), [("dicom", "mr-brain-t1"), ("dicom-multi-frame", f"{PAIR}/multiframe")]
)
def test_the_volume_is_the_same_and_its_names_are_not(tmp_path: Path, name: str, where: str) -> None:
    chosen = volume(where)
    files = written(name, chosen)
    there = again(tmp_path, files)
    assert len(files) == len(chosen.instances)
    np.testing.assert_array_equal(read_values(there, FileReader()), read_values(chosen, FileReader()))
    assert there.geometry == chosen.geometry
    assert there.study_instance_uid == NAMES.uid(chosen.study_instance_uid)
    together = b"".join(files.values())
    header = chosen.instances[0].header
    told = [
        header.StudyInstanceUID,
        header.SeriesInstanceUID,
        header.SOPInstanceUID,
        header.FrameOfReferenceUID,
    ]
    assert [one for one in told if one.encode() in together] == []
    outside = there.instances[0].header
    assert outside.PatientID == outside.PatientName == NAMES.patient() != header.PatientID


def test_objects_leave_in_the_order_of_the_planes() -> None:
    chosen = volume("mr-brain-t1")
    places = [dcmread(io.BytesIO(one)).ImagePositionPatient for one in written("dicom", chosen).values()]
    assert [tuple(map(float, place)) for place in places] == [plane.position_lps for plane in chosen.planes]


def test_the_archive_holds_numbers_and_one_time(tmp_path: Path) -> None:
    chosen = volume("mr-brain-t1")
    (content,) = written("dicom-zip", chosen).values()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        told = archive.infolist()
        assert [one.filename for one in told] == [f"{n:05d}.dcm" for n in range(1, len(chosen.planes) + 1)]
        assert {one.date_time for one in told} == {(1980, 1, 1, 0, 0, 0)}
        assert {(one.comment, one.extra, one.external_attr, one.create_system) for one in told} == {
            (b"", b"", 0, 0)
        }
        assert archive.comment == b""
        entries = {place: archive.read(one) for place, one in enumerate(told)}
    assert entries == written("dicom", chosen)


@pytest.mark.parametrize("name", ["dicom", "dicom-zip"])
def test_the_same_job_gives_the_same_bytes_and_another_job_others(name: str) -> None:
    chosen = volume(f"{PAIR}/image")
    other = Terms(names=Pseudonyms(b"k" * 32, Scope.of_job("job-2")))
    assert written(name, chosen) == written(name, chosen)
    assert written(name, chosen) != written(name, chosen, other)


def test_an_option_keeps_what_it_says() -> None:
    chosen = volume("mr-brain-t1")
    day = chosen.instances[0].header.StudyDate
    kept = Terms(names=NAMES, profile=Profile(options=frozenset({Option.RETAIN_FULL_DATES})))
    assert dcmread(io.BytesIO(written("dicom", chosen, kept)[0])).StudyDate == day
    assert dcmread(io.BytesIO(written("dicom", chosen)[0])).StudyDate != day


def test_regions_are_blackened_in_objects_and_in_voxels() -> None:
    chosen = volume("mr-brain-t1")
    region = Region(row=100, column=105, end_row=140, end_column=130)
    objects = dcmread(
        io.BytesIO(written("dicom", chosen, Terms(names=NAMES, regions=(region,)))[0])
    ).pixel_array
    voxels = Masked(FileReader(), (region,))(chosen.planes[0].instance, 1)
    whole = FileReader()(chosen.planes[0].instance, 1)
    assert len(np.unique(whole[100:140, 105:130])) > 1
    for seen in (objects, voxels):
        assert (seen[100:140, 105:130] == whole.min()).all()
        outside = np.ones(whole.shape, bool)
        outside[100:140, 105:130] = False
        np.testing.assert_array_equal(seen[outside], whole[outside])


def test_a_compressed_object_is_masked_where_it_leaves_decoded() -> None:
    source = instance_of(data_folder() / "compressed/4.80_jpegls_lossless_MR_small.dcm")
    terms = Terms(names=NAMES, regions=(Region(row=0, column=0, end_row=20, end_column=20),))
    objects = Objects(instances=(source,), read=lambda one: one.file.read_bytes(), terms=terms)
    with pytest.raises(Refused) as told:
        list(objects.encoded())
    assert (told.value.code, "uncompressed" in told.value.remedy) == ("DEI-008", True)
    (left,) = replace(objects, decoded=uncompressed).encoded()
    seen, whole = dcmread(io.BytesIO(left)).pixel_array, FileReader()(source, 1)
    assert len(np.unique(whole[:20, :20])) > 1
    assert (seen[:20, :20] == whole.min()).all()
    np.testing.assert_array_equal(seen[20:], whole[20:])


def test_a_region_beyond_the_image_is_refused_for_voxels_too() -> None:
    chosen = volume("mr-brain-t1")
    far = Region(row=0, column=0, end_row=1, end_column=chosen.geometry.shape[2] + 1)
    with pytest.raises(Refused) as refusal:
        Masked(FileReader(), (far,))(chosen.planes[0].instance, 1)
    assert refusal.value.code == "DEI-008"


def test_slices_are_no_multi_frame_object() -> None:
    with pytest.raises(Refused) as refusal:
        check_whole(volume(f"{PAIR}/image"), multi_frame=True)
    assert (refusal.value.code, refusal.value.numbers) == ("EXP-009", {"objects": 3})


def test_an_object_with_more_frames_than_were_chosen_stays() -> None:
    chosen = volume(f"{PAIR}/multiframe")
    check_whole(chosen, multi_frame=True)
    with pytest.raises(Refused) as refusal:
        check_whole(replace(chosen, planes=chosen.planes[1:]))
    assert (refusal.value.code, refusal.value.numbers) == ("EXP-008", {"frames": 3, "chosen": 2})


def test_a_mended_volume_and_a_mask_leave_as_voxels_only() -> None:
    chosen = volume(f"{PAIR}/image")
    mended = replace(chosen, mending=Mending(repairs=("tilt",), notes=(), ways=(object(),)))  # type: ignore[arg-type]
    with pytest.raises(Refused) as refusal:
        check_whole(mended)
    assert refusal.value.code == "EXP-006"
    masks = [one.volume for one in masks_of(instances_of(data_folder(SEG))) if one.volume]
    with pytest.raises(Refused) as refusal:
        check_whole(masks[0])
    assert refusal.value.code == "EXP-007"


def test_an_archive_of_many_entries_is_read_to_its_end() -> None:
    """More than 65,535: the end of the directory is that of ZIP64."""
    sink = io.BytesIO()
    write_zip(((f"{n:05d}", b"") for n in range(70_000)), sink)
    with zipfile.ZipFile(sink) as archive:
        assert len(archive.namelist()) == 70_000
        assert archive.namelist()[-1] == "69999"
    content = sink.getvalue()
    # APPNOTE 4.3.14: the number of entries stands 32 bytes behind the start of the record.
    assert struct.unpack_from("<Q", content, content.rindex(b"PK\x06\x06") + 32) == (70_000,)
