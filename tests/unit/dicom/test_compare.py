"""Two versions of one SOP Instance, from real encodings of one image and from headers that were changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian
from tests.conftest import data_folder

from bridge.dicom.compare import Change, change_of_header, change_of_pixels
from bridge.dicom.headers import read_file
from bridge.dicom.instance import Instance
from made_objects import ct_slice


def instance(file: Path) -> Instance:
    header, syntax = read_file(file)
    return Instance(
        number=1,
        sop_class_uid=header.uid("SOPClassUID"),
        sop_instance_uid=header.uid("SOPInstanceUID"),
        series_instance_uid=header.uid("SeriesInstanceUID"),
        study_instance_uid=header.uid("StudyInstanceUID"),
        transfer_syntax_uid=syntax,
        file=file,
        header=header.data_set,
    )


def written(folder: Path, name: str, data_set: Dataset) -> Instance:
    file = folder / f"{name}.dcm"
    data_set.save_as(file, enforce_file_format=True)
    return instance(file)


def change(older: Instance, newer: Instance) -> Change:
    return change_of_header(older.header, newer.header) or change_of_pixels(older, newer)


def small_mr() -> list[Path]:
    """The real files that README.md of the data names as one image in several encodings."""
    files = [file for file in data_folder().rglob("*MR_small*") if file.suffix == ".dcm"]
    return sorted(files)


def test_encodings_of_one_image_are_re_encoded_and_of_one_syntax_coerced() -> None:
    files = [instance(file) for file in small_mr()]
    assert len({one.transfer_syntax_uid for one in files}) >= 5
    for older in files:
        for newer in files:
            same = older.transfer_syntax_uid == newer.transfer_syntax_uid
            expected = {Change.HEADER_COERCED, Change.RE_ENCODED} if same else {Change.RE_ENCODED}
            assert change(older, newer) in expected, (older.file.name, newer.file.name)


def test_one_voxel_is_other_pixels() -> None:
    odd = data_folder("odd-files")
    a, b = (instance(odd / f"made-same-uid-pixels-{letter}.dcm") for letter in "ab")
    assert change(a, b) is Change.OTHER_PIXELS


@pytest.mark.parametrize(("one", "other"), [("GH178", "GH179A"), ("GH223", "GH487")])
def test_unlike_objects_without_pixels_under_one_uid_are_told_apart(one: str, other: str) -> None:
    odd = data_folder("odd-files")
    assert change(instance(odd / f"{one}.dcm"), instance(odd / f"{other}.dcm")) is Change.OTHER_CONTENT


Alter = Callable[[Dataset], None]


def put(**values: object) -> Alter:
    def alter(data_set: Dataset) -> None:
        for keyword, value in values.items():
            setattr(data_set, keyword, value)

    return alter


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (put(), put(StudyDescription="Thorax"), Change.HEADER_COERCED),
        (put(), put(ImagePositionPatient=[1.0, 2.0, 3.0]), Change.HEADER_COERCED),
        (put(), put(PatientID="C-2"), Change.OTHER_IDENTITY),
        (put(), put(PatientID=" C-1 "), Change.HEADER_COERCED),
        (put(), put(PatientID=""), Change.HEADER_COERCED),
        (put(), put(PatientName="Other^Person"), Change.OTHER_IDENTITY),
        (put(), put(PatientName="CANARY^YELLOW^^Dr"), Change.HEADER_COERCED),
        (put(), put(IssuerOfPatientID="HOSPITAL"), Change.HEADER_COERCED),
        (put(IssuerOfPatientID="A"), put(IssuerOfPatientID="B"), Change.OTHER_IDENTITY),
        (put(PatientBirthDate="19700101"), put(PatientBirthDate="1970.01.01"), Change.HEADER_COERCED),
        (put(PatientBirthDate="19700101"), put(PatientBirthDate="19710101"), Change.OTHER_IDENTITY),
        (put(), put(PixelData=b"\1" + bytes(127)), Change.OTHER_PIXELS),
        (put(), put(PatientID="C-2", PixelData=b"\1" + bytes(127)), Change.OTHER_IDENTITY),
        (put(), put(Rows=4, PixelData=bytes(64)), Change.OTHER_PIXELS),
    ],
)
def test_change_of_an_image(tmp_path: Path, before: Alter, after: Alter, expected: Change) -> None:
    data_set = ct_slice()
    before(data_set)
    older = written(tmp_path, "older", data_set)
    after(data_set)
    assert change(older, written(tmp_path, "newer", data_set)) is expected


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_uncompressed_syntax_is_re_encoded(tmp_path: Path, syntax: str) -> None:
    data_set = ct_slice()
    data_set.PixelData = bytes(range(128))
    older = written(tmp_path, "older", data_set)
    if syntax == ExplicitVRBigEndian:
        data_set.PixelData = bytes(byte for pair in range(64) for byte in (2 * pair + 1, 2 * pair))
    data_set.file_meta.TransferSyntaxUID = syntax
    file = tmp_path / "newer.dcm"
    data_set.save_as(file, enforce_file_format=True)
    assert change(older, instance(file)) is Change.RE_ENCODED


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (put(StudyDescription="Thorax", AccessionNumber="7"), Change.HEADER_COERCED),
        (put(InstanceCreationTime="101112"), Change.HEADER_COERCED),
        (put(ContentTime="101112"), Change.OTHER_CONTENT),
        (put(TextString="other words"), Change.OTHER_CONTENT),
        (put(PatientID="C-2", TextString="other words"), Change.OTHER_IDENTITY),
    ],
)
def test_change_of_an_object_without_pixels(tmp_path: Path, after: Alter, expected: Change) -> None:
    data_set = ct_slice()
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(data_set, keyword)
    data_set.TextString = "words"
    older = written(tmp_path, "older", data_set)
    after(data_set)
    assert change(older, written(tmp_path, "newer", data_set)) is expected


def test_report_in_another_syntax_is_the_same_report(tmp_path: Path) -> None:
    from pydicom import dcmread

    reports = sorted(data_folder("non-image").glob("sr-*.dcm"))
    reports = [file for file in reports if "-seg" not in file.name]  # its neighbour is the segmentation
    assert len(reports) >= 3
    for report in reports:
        data_set = dcmread(report)
        data_set.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        file = tmp_path / "newer.dcm"
        data_set.save_as(file, enforce_file_format=True)
        assert change(instance(report), instance(file)) is Change.HEADER_COERCED, report.name


def test_pixels_that_are_gone_cannot_be_compared(tmp_path: Path) -> None:
    data_set = ct_slice()
    older = written(tmp_path, "older", data_set)
    data_set.StudyDescription = "Thorax"
    newer = written(tmp_path, "newer", data_set)
    older.file.unlink()
    assert change(older, newer) is Change.NOT_COMPARABLE
    data_set.PatientID = "C-2"
    assert change(older, written(tmp_path, "third", data_set)) is Change.OTHER_IDENTITY


def test_image_without_its_pixels_is_another(tmp_path: Path) -> None:
    data_set = ct_slice()
    older = written(tmp_path, "older", data_set)
    del data_set.PixelData
    assert change(older, written(tmp_path, "newer", data_set)) is Change.OTHER_PIXELS


def test_colour_that_is_encoded_anew_cannot_be_compared_here() -> None:
    files = [instance(file) for file in sorted(data_folder("compressed").glob("*SC_rgb*.dcm"))]
    by_syntax = {one.transfer_syntax_uid: one for one in files}
    assert len(by_syntax) >= 2
    one, other, *_ = by_syntax.values()
    assert change_of_pixels(one, other) in {Change.NOT_COMPARABLE, Change.OTHER_PIXELS}
    assert change_of_pixels(one, one) is Change.HEADER_COERCED
