"""The small PACS against pynetdicom's own SCU, and its command line as a process."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    SegmentationStorage,
)
from pynetdicom import AE

from bridge.errors import ConfigError, Refused, TryLater
from bridge.sandbox.pacs import Orders, SmallPacs, order, read_attempts, send

PRIVATE_CLASS = "1.2.826.0.1.3680043.10.5432.7"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[SmallPacs]:
    with SmallPacs(tmp_path / "pacs") as running:
        yield running


def write(
    folder: Path,
    number: int,
    *,
    sop_class_uid: str = CTImageStorage,
    transfer_syntax_uid: str = ExplicitVRLittleEndian,
    study: int = 1,
    series: int = 1,
    comment: str = "",
) -> Path:
    """A small instance as a file; UIDs are made of its numbers."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class_uid, f"2.25.{study}{series}{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"2.25.{study}", f"2.25.{study}{series}"
    ds.PatientName, ds.PatientID, ds.Modality = "Canary^Tweety", "CANARY-7", "CT" if series == 1 else "SEG"
    ds.SeriesDescription, ds.ImageComments, ds.InstanceNumber = f"series {series}", comment, number
    ds.BitsAllocated = 8
    ds.PixelData = (
        encapsulate([b"\xff\xd8\x01\x02"]) if transfer_syntax_uid == JPEGLSLossless else b"\1\2\3\4"
    )
    ds["PixelData"].VR = "OB"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = transfer_syntax_uid
    path = folder / f"{study}-{series}-{number}{comment}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


def data_set_bytes(path: Path) -> bytes:
    """What follows the File Meta Information, found by its group length (PS3.10 7.1), not by a library."""
    content = path.read_bytes()
    assert content[128:136] == b"DICM\x02\x00\x00\x00"
    return content[144 + int.from_bytes(content[140:144], "little") :]


def associate(pacs: SmallPacs, *abstract_syntaxes: str) -> Any:
    entity = AE(ae_title="TESTER")
    for uid in abstract_syntaxes:
        entity.add_requested_context(uid)
    association = entity.associate("127.0.0.1", pacs.port, ae_title="PACS")
    assert association.is_established
    return association


def test_echo_is_answered(pacs: SmallPacs) -> None:
    association = associate(pacs, "1.2.840.10008.1.1")
    assert association.send_c_echo().Status == 0x0000
    association.release()


@pytest.mark.parametrize(
    ("sop_class_uid", "transfer_syntax_uid"),
    [
        (CTImageStorage, ExplicitVRLittleEndian),
        (CTImageStorage, JPEGLSLossless),
        (EnhancedMRImageStorage, DeflatedExplicitVRLittleEndian),
        (SegmentationStorage, ImplicitVRLittleEndian),
        (PRIVATE_CLASS, ExplicitVRLittleEndian),
        ("1.2.840.10008.5.1.4.1.1.9999", ImplicitVRLittleEndian),
    ],
)
def test_bytes_are_kept_as_they_were_sent(
    pacs: SmallPacs, tmp_path: Path, sop_class_uid: str, transfer_syntax_uid: str
) -> None:
    sent = write(tmp_path, 1, sop_class_uid=sop_class_uid, transfer_syntax_uid=transfer_syntax_uid)
    assert send([sent], port=pacs.port) == [0x0000]
    (kept,) = pacs.held.values()
    assert data_set_bytes(kept) == data_set_bytes(sent)
    assert kept.name == "000001.dcm"
    meta = dcmread(kept, stop_before_pixels=True).file_meta
    assert (meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID) == (sop_class_uid, transfer_syntax_uid)
    assert meta.MediaStorageSOPInstanceUID == "2.25.111"


def test_each_attempt_is_written_down(pacs: SmallPacs, tmp_path: Path) -> None:
    sent = write(tmp_path, 4, sop_class_uid=SegmentationStorage)
    send([sent], port=pacs.port, calling_ae_title="SCANNER-3")
    (attempt,) = pacs.attempts
    encoded = data_set_bytes(sent)
    assert attempt.sop_class_uid == SegmentationStorage
    assert attempt.sop_instance_uid == "2.25.114"
    assert attempt.transfer_syntax_uid == ExplicitVRLittleEndian
    assert attempt.calling_ae_title == "SCANNER-3"
    assert (attempt.size_bytes, attempt.digest) == (len(encoded), sha256(encoded).hexdigest())
    assert (attempt.status, attempt.file) == (0x0000, "instances/000001.dcm")
    assert json.loads((pacs.folder / "pacs.jsonl").read_text())["digest"] == attempt.digest


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0x0122, 0xC001])
def test_refuses_as_often_as_told_and_then_takes(pacs: SmallPacs, tmp_path: Path, status: int) -> None:
    files = [write(tmp_path, number) for number in (1, 2, 3, 4)]
    pacs.refuse(2, status)
    assert send(files, port=pacs.port) == [status, status, 0x0000, 0x0000]
    assert [attempt.status for attempt in pacs.attempts] == [status, status, 0x0000, 0x0000]
    assert set(pacs.held) == {"2.25.113", "2.25.114"}


def test_warning_ordered_as_answer_keeps_the_instance(pacs: SmallPacs, tmp_path: Path) -> None:
    pacs.refuse(1, 0xB006)
    assert send([write(tmp_path, 1), write(tmp_path, 2)], port=pacs.port) == [0xB006, 0x0000]
    assert set(pacs.held) == {"2.25.111", "2.25.112"}


def test_loses_what_it_said_it_stored_when_told(pacs: SmallPacs, tmp_path: Path) -> None:
    order(pacs.folder, Orders(lose=1))
    assert send([write(tmp_path, 1), write(tmp_path, 2)], port=pacs.port) == [0x0000, 0x0000]
    assert [bool(attempt.file) for attempt in pacs.attempts] == [False, True]
    assert set(pacs.held) == {"2.25.112"}


def test_same_refusal_ordered_again_counts_again(pacs: SmallPacs, tmp_path: Path) -> None:
    file = write(tmp_path, 1)
    for _ in range(3):
        pacs.refuse(1)
        assert send([file, file], port=pacs.port) == [0xA700, 0x0000]


def test_hangs_up_when_told_and_keeps_nothing(pacs: SmallPacs, tmp_path: Path) -> None:
    # The sender notices at once: a second file is not sent into a time-out.
    files = [write(tmp_path, number) for number in (1, 2)]
    order(pacs.folder, Orders(abort=1))
    begin = time.monotonic()
    assert send(files, port=pacs.port, timeout_s=20) == [None, None]
    assert time.monotonic() - begin < 10
    assert [attempt.status for attempt in pacs.attempts] == [None]
    assert pacs.held == {}
    assert send(files, port=pacs.port) == [0x0000, 0x0000]


def test_dawdles_when_told(pacs: SmallPacs, tmp_path: Path) -> None:
    order(pacs.folder, Orders(delay_s=0.4))
    begin = time.monotonic()
    assert send([write(tmp_path, 1)], port=pacs.port) == [0x0000]
    assert time.monotonic() - begin >= 0.4


def test_stopping_ends_a_wait_and_keeps_nothing_unanswered(tmp_path: Path) -> None:
    with SmallPacs(tmp_path / "pacs") as pacs:
        order(pacs.folder, Orders(delay_s=60))
        answers: list[int | None] = []
        sender = threading.Thread(target=lambda: answers.extend(send([write(tmp_path, 1)], port=pacs.port)))
        sender.start()
        time.sleep(0.3)
    sender.join(timeout=10)
    assert answers == [None]
    assert pacs.held == {}


def test_new_order_takes_the_place_of_the_old(pacs: SmallPacs, tmp_path: Path) -> None:
    pacs.refuse(100)
    pacs.refuse(0)
    assert send([write(tmp_path, 1)], port=pacs.port) == [0x0000]


@pytest.mark.parametrize("text", ["{", '{"refuse": "often"}', '{"refuze": 1}', '{"refuse": -1}'])
def test_orders_that_cannot_be_understood_are_a_processing_failure(
    pacs: SmallPacs, tmp_path: Path, text: str
) -> None:
    (pacs.folder / "control.json").write_text(text)
    assert send([write(tmp_path, 1)], port=pacs.port) == [0x0110]
    assert pacs.held == {}


def test_resent_identical_instance_is_held_once(pacs: SmallPacs, tmp_path: Path) -> None:
    file = write(tmp_path, 1)
    assert send([file, file, file], port=pacs.port) == [0x0000] * 3
    assert len(pacs.attempts) == 3
    assert len(pacs.held) == 1
    assert len(list((pacs.folder / "instances").iterdir())) == 1


def test_changed_instance_under_the_same_uid_is_kept_beside_the_first(
    pacs: SmallPacs, tmp_path: Path
) -> None:
    first, second = write(tmp_path, 1), write(tmp_path, 1, comment="changed")
    send([first, second], port=pacs.port)
    assert len({attempt.digest for attempt in pacs.attempts}) == 2
    assert data_set_bytes(pacs.held["2.25.111"]) == data_set_bytes(second)
    assert data_set_bytes(pacs.folder / pacs.attempts[0].file) == data_set_bytes(first)


def test_associations_side_by_side_lose_nothing(pacs: SmallPacs, tmp_path: Path) -> None:
    parts = [[write(tmp_path, number, series=series) for number in range(1, 9)] for series in (1, 2, 3)]
    workers = [threading.Thread(target=send, args=(part,), kwargs={"port": pacs.port}) for part in parts]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=30)
    assert len(pacs.held) == 24
    assert len({attempt.file for attempt in pacs.attempts}) == 24


def test_what_a_former_run_kept_is_still_held(tmp_path: Path) -> None:
    folder, files = tmp_path / "pacs", [write(tmp_path, number) for number in (1, 2)]
    with SmallPacs(folder) as before:
        send(files[:1], port=before.port)
        before.refuse(9)
    with SmallPacs(folder) as after:
        assert send(files, port=after.port) == [0x0000, 0x0000]
        assert {uid: path.name for uid, path in after.held.items()} == {
            "2.25.111": "000001.dcm",
            "2.25.112": "000002.dcm",
        }


def test_two_in_one_process_do_not_mix(tmp_path: Path) -> None:
    with SmallPacs(tmp_path / "a", ae_title="A") as one, SmallPacs(tmp_path / "b", ae_title="B") as two:
        one.refuse(1)
        file = write(tmp_path, 1)
        assert send([file], port=two.port) == [0x0000]
        assert send([file], port=one.port) == [0xA700]
        assert (len(one.held), len(two.held)) == (0, 1)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "2.25.1"}, [{"StudyInstanceUID": "2.25.1"}]),
        ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "2.25.9"}, []),
        (
            {
                "QueryRetrieveLevel": "SERIES",
                "StudyInstanceUID": "2.25.1",
                "SeriesInstanceUID": "",
                "Modality": "",
            },
            [
                {"SeriesInstanceUID": "2.25.11", "StudyInstanceUID": "2.25.1", "Modality": "CT"},
                {"SeriesInstanceUID": "2.25.12", "StudyInstanceUID": "2.25.1", "Modality": "SEG"},
            ],
        ),
        (
            {"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": "", "SeriesDescription": "s?ries 2*"},
            [{"SeriesInstanceUID": "2.25.12", "SeriesDescription": "series 2"}],
        ),
        (
            {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": ["2.25.111", "2.25.213", "2.25.7"]},
            [{"SOPInstanceUID": "2.25.111"}, {"SOPInstanceUID": "2.25.213"}],
        ),
        (
            {
                "QueryRetrieveLevel": "STUDY",
                "StudyInstanceUID": "2.25.1",
                "NumberOfStudyRelatedInstances": "",
            },
            [{"StudyInstanceUID": "2.25.1", "NumberOfStudyRelatedInstances": 3}],
        ),
    ],
)
def test_query_answers_what_is_held_and_only_the_keys_asked(
    pacs: SmallPacs, tmp_path: Path, keys: dict[str, Any], expected: list[dict[str, Any]]
) -> None:
    placed = [(1, 1, 1), (1, 1, 2), (1, 2, 1), (2, 1, 3)]
    send(
        [write(tmp_path, number, study=study, series=series) for study, series, number in placed],
        port=pacs.port,
    )
    statuses, answers = query(pacs, keys)
    assert statuses == [*([0xFF00] * len(expected)), 0x0000]
    found = [{element.keyword: element.value for element in answer} for answer in answers]
    for answer in found:
        assert answer.pop("QueryRetrieveLevel") == keys["QueryRetrieveLevel"]
    assert sorted(found, key=str) == sorted(expected, key=str)


def test_query_at_an_unknown_level_is_refused(pacs: SmallPacs) -> None:
    assert query(pacs, {"QueryRetrieveLevel": "PATIENT", "PatientID": ""})[0] == [0xC000]


def query(pacs: SmallPacs, keys: dict[str, Any]) -> tuple[list[int], list[Dataset]]:
    identifier = Dataset()
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    association = associate(pacs, FIND)
    pairs = list(association.send_c_find(identifier, FIND))
    association.release()
    return [int(status.Status) for status, _ in pairs], [answer for _, answer in pairs if answer is not None]


def test_no_value_of_the_patient_reaches_a_log(
    pacs: SmallPacs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        send([write(tmp_path, 1)], port=pacs.port)
        query(pacs, {"QueryRetrieveLevel": "STUDY", "PatientName": "Canary*", "PatientID": "CANARY-7"})
        (pacs.folder / "control.json").write_text("{")
        send([write(tmp_path, 2)], port=pacs.port)
    assert "pacs.not-kept" in caplog.text
    said = caplog.text + (pacs.folder / "pacs.jsonl").read_text()
    assert "anary" not in said
    assert "CANARY" not in said


def test_nobody_listening_is_a_reason_to_try_later(tmp_path: Path) -> None:
    with SmallPacs(tmp_path / "pacs") as gone:
        port = gone.port
    with pytest.raises(TryLater, match="no association"):
        send([write(tmp_path, 1)], port=port, timeout_s=2)


def test_file_without_a_header_is_not_sent(pacs: SmallPacs, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no DICOM here")
    with pytest.raises(Refused, match="Part 10"):
        send([tmp_path / "notes.txt"], port=pacs.port)
    assert pacs.attempts == ()


@pytest.mark.slow
def test_as_many_contexts_as_an_association_has_are_used(pacs: SmallPacs, tmp_path: Path) -> None:
    files = [write(tmp_path, number, sop_class_uid=f"{PRIVATE_CLASS}.{number}") for number in range(1, 129)]
    assert send(files, port=pacs.port) == [0x0000] * 128


def test_more_contexts_than_an_association_has_are_refused(pacs: SmallPacs, tmp_path: Path) -> None:
    files = [write(tmp_path, number, sop_class_uid=f"{PRIVATE_CLASS}.{number}") for number in range(1, 130)]
    with pytest.raises(Refused, match="129 presentation contexts"):
        send(files, port=pacs.port)
    assert pacs.attempts == ()


def test_port_in_use_is_said(pacs: SmallPacs, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot listen"):
        SmallPacs(tmp_path / "other", port=pacs.port).start()


def test_command_line_says_its_port_refuses_and_ends_on_sigterm(tmp_path: Path) -> None:
    folder = tmp_path / "pacs"
    command = [sys.executable, "-m", "bridge.sandbox.pacs", "--folder", str(folder), "--port", "0"]
    with subprocess.Popen(
        [*command, "--refuse", "2", "--status", "0xA701"], stdout=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            files = [write(tmp_path, number) for number in (1, 2, 3)]
            assert send(files, port=ready["port"]) == [0xA701, 0xA701, 0x0000]
            # Another process gives orders while it runs.
            order(folder, Orders(refuse=1, status=0xC002))
            assert send(files[:2], port=ready["port"]) == [0xC002, 0x0000]
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    assert ready["ready"] is True
    assert [attempt.status for attempt in read_attempts(folder)] == [0xA701, 0xA701, 0, 0xC002, 0]
