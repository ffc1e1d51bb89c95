"""Results in a folder: whole, once, never over somebody's file, and never in another patient's folder."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid
from tests.unit.results.build import made_source, wrapping
from tests.unit.results.shapes import box, mesh_part, obj, stl
from tests.unit.results.test_meshes import GEOMETRY

from bridge.deliver import folder as folder_room
from bridge.deliver.folder import Beside, Case, Share, store
from bridge.deliver.outgoing import Outgoing
from bridge.deliver.receipt import Receipt
from bridge.dicom.statuses import Outcome
from bridge.results.encoders import encode
from bridge.results.result import Answer
from made_objects import ct_slice

STL, PICTURE, SEG = (
    "1.2.840.10008.5.1.4.1.1.104.3",
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.66.4",
)
MESH = b"binary stl \x00\x01\x02"[:13]  # an odd number of bytes: the value in the object is padded
JAW, TOOTH = box((-1.75, 31.5, 7.75), (3, 4, 6)), box((-1.75, 36.5, 7.75), (1, 1, 3))
CASE = Case(study="3f2a9c01be77", rule="jaw", job="ab12cd34" * 4, algorithm="segment", key=b"k" * 32)


def result(
    where: Path,
    kind: str = "SEG",
    output: str = "lobes",
    sop_class: str = SEG,
    patient: str = "C-1",
    **values: Any,
) -> Outgoing:
    """A result with the identity of a patient, in a file of its own."""
    data_set = ct_slice(study="2.25.77")
    data_set.SOPClassUID = data_set.file_meta.MediaStorageSOPClassUID = sop_class
    data_set.PatientID, data_set.StudyDate = patient, "20260301"
    if sop_class == STL:
        del data_set.PixelData
        data_set.EncapsulatedDocument = MESH + bytes(len(MESH) % 2)
        data_set.EncapsulatedDocumentLength = len(MESH)
    if sop_class == PICTURE:
        data_set.Rows, data_set.Columns, data_set.SamplesPerPixel = 2, 3, 3
        data_set.PixelData = bytes(range(18))
    for keyword, value in values.items():
        setattr(data_set, keyword, value)
    file = where / f"{generate_uid()}.dcm"
    data_set.save_as(file, enforce_file_format=True)
    return Outgoing(
        sop_class_uid=sop_class,
        sop_instance_uid=str(data_set.SOPInstanceUID),
        file=file,
        kind=kind,
        output_name=output,
    )


@pytest.fixture
def made(tmp_path: Path) -> Path:
    (tmp_path / "made").mkdir()
    return tmp_path / "made"


@pytest.fixture
def share(tmp_path: Path) -> Share:
    (tmp_path / "share").mkdir()
    return Share(name="share", folder=tmp_path / "share")


def other(share: Share, **values: Any) -> Share:
    fields = {name: getattr(share, name) for name in ("name", "folder", "files", "case", "marker")}
    return Share(**{**fields, **values})


def put(share: Share, *results: Outgoing, case: Case = CASE, **more: Any) -> tuple[Receipt, ...]:
    return store(share, case, results, results, **more)


def names(share: Share) -> list[str]:
    return sorted(str(file.relative_to(share.folder)) for file in share.folder.rglob("*") if file.is_file())


def inside(share: Share, *files: str, case: str = CASE.study) -> list[str]:
    return sorted(f"{case}/{file}" for file in (*files, "case.json"))


FILES = {
    "plain": ["mandible.stl", "picture.png", "segmentation.dcm"],
    "dicom": ["mandible.dcm", "picture.dcm", "segmentation.dcm"],
    "both": ["mandible.dcm", "mandible.stl", "picture.dcm", "picture.png", "segmentation.dcm"],
}


@pytest.mark.parametrize("files", FILES)
def test_files_are_plain_or_dicom_as_the_destination_says(made: Path, share: Share, files: Any) -> None:
    mesh = result(made, "M3D", "mandible", STL)
    receipts = put(other(share, files=files), mesh, result(made, "SC", "lobes", PICTURE), result(made))
    assert [one.outcome for one in receipts] == [Outcome.DELIVERED] * 3
    assert names(share) == inside(share, *FILES[files])
    if files != "dicom":
        assert (share.folder / CASE.study / "mandible.stl").read_bytes() == MESH
    if files != "plain":
        assert (share.folder / CASE.study / "mandible.dcm").read_bytes() == mesh.file.read_bytes()


def test_meshes_as_they_are_encoded_come_out_as_they_came(made: Path, share: Share) -> None:
    came = {"mandible": stl(JAW, b"solid, of a program"), "tooth36": obj(TOOTH) + b"\n"}
    answer = Answer(parts=tuple(mesh_part(data, name=name) for name, data in came.items()))
    results = []
    for number, one in enumerate(encode(answer, made_source(GEOMETRY), wrapping())):
        file = made / f"{number}.dcm"
        file.write_bytes(one.data)
        results.append(
            Outgoing(
                sop_class_uid=one.sop_class_uid,
                sop_instance_uid=one.sop_instance_uid,
                file=file,
                kind=one.kind,
                output_name=one.output_name,
            )
        )
    put(share, *results)
    case, came_as = share.folder / CASE.study, ("mandible.stl", "tooth36.obj")
    assert names(share) == inside(share, *came_as, "segmentation.dcm", "report.dcm")
    assert (case / "mandible.stl").read_bytes() == came["mandible"]
    assert (case / "tooth36.obj").read_bytes() == came["tooth36"]


def test_picture_has_the_pixels_of_the_object(made: Path, share: Share) -> None:
    from PIL import Image

    put(share, result(made, "SC", "lobes", PICTURE))
    with Image.open(share.folder / CASE.study / "picture.png") as image:
        assert (image.mode, image.size, image.tobytes()) == ("RGB", (3, 2), bytes(range(18)))


def test_written_again_it_is_there_once(made: Path, share: Share) -> None:
    one = result(made, "M3D", "tooth36", STL)
    first, again = put(share, one), put(share, one)
    assert first == again
    assert names(share) == inside(share, "tooth36.stl")


def test_a_file_that_is_there_is_never_overwritten(made: Path, share: Share) -> None:
    put(share, result(made))
    theirs = share.folder / CASE.study / "segmentation.dcm"
    theirs.write_bytes(b"drawn by a person")
    one = result(made)
    (receipt,) = put(share, one)
    assert receipt.reason == "written as segmentation-2.dcm"
    assert theirs.read_bytes() == b"drawn by a person"
    assert (share.folder / CASE.study / "segmentation-2.dcm").read_bytes() == one.file.read_bytes()


def test_a_name_that_is_taken_in_the_last_moment_stays_whose_it_is(made: Path, share: Share) -> None:
    def between(point: str) -> None:
        if point == "folder:written":
            (share.folder / CASE.study / "segmentation.dcm").write_bytes(b"theirs")

    (receipt,) = put(share, result(made), passing=between)
    assert receipt.reason == "written as segmentation-2.dcm"
    assert (share.folder / CASE.study / "segmentation.dcm").read_bytes() == b"theirs"


def test_a_file_system_without_second_names_gets_the_file_too(
    made: Path, share: Share, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no links")

    monkeypatch.setattr(folder_room.os, "link", refuses)
    one = result(made)
    put(share, one)
    assert names(share) == inside(share, "segmentation.dcm")
    (share.folder / CASE.study / "segmentation.dcm").write_bytes(b"theirs")
    put(share, one)
    assert names(share) == inside(share, "segmentation.dcm", "segmentation-2.dcm")


def test_case_json_says_which_job_made_each_file_and_nothing_of_the_patient(made: Path, share: Share) -> None:
    mesh = result(made, "M3D", "mandible", STL)
    put(share, mesh, beside=[Beside(stem="values", ending=".json", data=b"{}")])
    text = (share.folder / CASE.study / "case.json").read_text()
    index = json.loads(text)
    of_job = {"job": "ab12cd34", "rule": "jaw", "algorithm": "segment", "study": "3f2a9c01be77"}
    assert index["files"] == {
        "mandible.stl": {
            "kind": "M3D",
            "output": "mandible",
            "sop_instance_uid": mesh.sop_instance_uid,
            **of_job,
        },
        "values.json": {"kind": "values", **of_job},
    }
    assert "C-1" not in text and "2.25.77" not in text


def test_names_that_show_the_patient_are_told_in_case_json_too(made: Path, share: Share) -> None:
    put(other(share, case="{PatientID} on {StudyDate}"), result(made, patient="12/34"))
    (found,) = share.folder.iterdir()
    index = json.loads((found / "case.json").read_text())
    assert found.name == "12_34_on_20260301"
    assert index["PatientID"] == "12/34"
    assert index["files"]["segmentation.dcm"]["StudyInstanceUID"] == "2.25.77"


ALIKE = {
    "equal once they are safe": ({"patient": "12/34"}, {"patient": "12:34"}),
    "of two hospitals": ({"IssuerOfPatientID": "A"}, {"IssuerOfPatientID": "B"}),
    "names that run together": ({"patient": "1_2", "StudyID": "3"}, {"patient": "1", "StudyID": "2_3"}),
}


@pytest.mark.parametrize(("one", "two"), ALIKE.values(), ids=ALIKE)
def test_two_patients_never_share_a_folder(
    made: Path, share: Share, one: dict[str, Any], two: dict[str, Any]
) -> None:
    there = other(share, case="{PatientID}_{StudyID}")
    both = [result(made, **values) for values in (one, two)]
    for each in (*both, *both):
        put(there, each)
    assert len(list(share.folder.iterdir())) == 2
    assert len(names(share)) == 4


def test_a_folder_of_somebody_else_is_left_alone(made: Path, share: Share) -> None:
    theirs = share.folder / CASE.study / "plan.xml"
    theirs.parent.mkdir()
    theirs.write_text("a plan")
    put(share, result(made))
    assert names(share) == sorted(
        [*inside(share, "segmentation.dcm", case=f"{CASE.study}-2"), f"{CASE.study}/plan.xml"]
    )


def test_without_a_patient_id_our_name_of_the_study_stands(made: Path, share: Share) -> None:
    put(other(share, case="{PatientID}_{StudyDate}"), result(made, patient=""))
    assert [one.name for one in share.folder.iterdir()] == [f"{CASE.study}_20260301"]


def test_a_value_that_looks_like_a_word_is_no_word(made: Path, share: Share) -> None:
    put(other(share, case="{PatientID}"), result(made, patient="{StudyDate}"))
    assert [one.name for one in share.folder.iterdir()] == ["{StudyDate}"]


def test_files_can_be_read_by_whoever_can_read_the_share(made: Path, share: Share) -> None:
    share.folder.chmod(0o2775)
    before = os.umask(0o077)
    try:
        put(share, result(made))
    finally:
        os.umask(before)
    case = share.folder / CASE.study
    assert case.stat().st_mode & 0o7777 == 0o2775
    assert {one.stat().st_mode & 0o777 for one in case.iterdir()} == {0o664}


def gone(share: Share) -> None:
    share.folder.rmdir()


def unmarked(share: Share) -> None:
    (share.folder / "here").unlink(missing_ok=True)


def failing(number: int) -> Callable[..., Any]:
    def fails(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fails


AWAY = {
    "gone": (None, gone, Outcome.RETRY, "is not there"),
    "not mounted": (None, unmarked, Outcome.RETRY, "has no here: the share is not mounted"),
    "full": (errno.ENOSPC, None, Outcome.RETRY, "No space left on device"),
    "server away": (errno.EHOSTDOWN, None, Outcome.RETRY, "Host is down"),
    "read-only": (errno.EROFS, None, Outcome.CONFIGURATION, "Read-only file system"),
    "no right": (errno.EACCES, None, Outcome.CONFIGURATION, "Permission denied"),
}


@pytest.mark.parametrize(("number", "does", "outcome", "words"), AWAY.values(), ids=AWAY)
def test_a_share_that_cannot_be_written_was_not_reached(
    made: Path,
    share: Share,
    monkeypatch: pytest.MonkeyPatch,
    number: int | None,
    does: Callable[[Share], None] | None,
    outcome: Outcome,
    words: str,
) -> None:
    there = other(share, marker="here" if does is unmarked else "")
    if does:
        does(there)
    if number:
        monkeypatch.setattr(folder_room.os, "fsync", failing(number))
    calls: list[str] = []
    receipts = put(there, result(made), result(made), reached=lambda: calls.append("reached"))
    assert [(one.outcome, one.reached, one.status) for one in receipts] == [(outcome, False, None)] * 2
    assert all(words in one.reason for one in receipts)
    assert calls == []


def test_what_was_written_before_the_disk_was_full_is_delivered(made: Path, share: Share) -> None:
    fills = iter(range(100))

    def full(point: str) -> None:
        if point == "folder:written" and next(fills):
            raise OSError(errno.ENOSPC, "No space left on device")

    calls: list[str] = []
    results = [result(made, "M3D", output, STL) for output in ("one", "two")]
    first, second = put(share, *results, passing=full, reached=lambda: calls.append("reached"))
    assert (first.outcome, first.reached) == (Outcome.DELIVERED, True)
    assert (second.outcome, second.reached) == (Outcome.RETRY, False)
    assert names(share) == inside(share, "one.stl")
    assert calls == ["reached"]


def test_nothing_of_the_patient_is_in_a_receipt(made: Path, share: Share) -> None:
    there = other(share, case="{PatientID}", folder=share.folder / "gone")
    for one in (other(there, folder=share.folder), there):
        (receipt,) = put(one, result(made, patient="CANARY"))
        assert "CANARY" not in receipt.reason


@pytest.mark.parametrize("point", ["folder:mid", "folder:written", "folder:named"])
def test_killed_anywhere_the_files_are_there_once(made: Path, share: Share, point: str) -> None:
    results = [result(made, "M3D", output, STL) for output in ("mandible", "maxilla")]

    def dies(at: str) -> None:
        if at == point:
            os._exit(9)  # no handler, no clean-up

    child = os.fork()
    if not child:
        put(share, *results, passing=dies)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    shown = {file.name for file in share.folder.rglob("*.stl")}
    assert shown == ({"mandible.stl"} if point == "folder:named" else set())
    assert [one.stored for one in put(share, *results)] == [True, True]
    assert names(share) == inside(share, "mandible.stl", "maxilla.stl")
    index = json.loads((share.folder / CASE.study / "case.json").read_text())
    assert set(index["files"]) == {"mandible.stl", "maxilla.stl"}


def test_dicom_file_on_the_share_reads_as_what_was_issued(made: Path, share: Share) -> None:
    one = result(made)
    put(share, one)
    there = share.folder / CASE.study / "segmentation.dcm"
    assert str(dcmread(there).SOPInstanceUID) == one.sop_instance_uid
    assert hashlib.sha256(there.read_bytes()).digest() == hashlib.sha256(one.file.read_bytes()).digest()
