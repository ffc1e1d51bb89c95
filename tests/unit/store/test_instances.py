"""What the store promises to the receiver: durable, versioned, and quiet about what it has seen before."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from bridge.dicom.headers import read_body, read_header
from bridge.store.instances import Arrived, Instances
from bridge.store.jobs import Jobs, StoredResult
from bridge.store.tables import Index

EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def index(tmp_path: Path, clock: Clock) -> Index:
    index = Index(tmp_path / "index.sqlite", clock=clock)
    index.open()
    return index


@pytest.fixture
def store(index: Index, tmp_path: Path) -> Instances:
    return Instances(index, tmp_path / "instances", key=b"k" * 32)


def encoded(study: str = "1.2.3", sop: str = "1.2.3.4.5", comment: str = "") -> bytes:
    data_set = Dataset()
    data_set.SOPClassUID = CT
    data_set.SOPInstanceUID = sop
    data_set.Modality = "CT"
    data_set.StudyInstanceUID = study
    data_set.SeriesInstanceUID = "1.2.3.4"
    if comment:
        data_set.ImageComments = comment
    data_set.PixelData = b"\1\2\3\4"
    data_set["PixelData"].VR = "OW"
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, data_set)
    return buffer.getvalue()


def keep(store: Instances, data: bytes, sop: str = "1.2.3.4.5", quiet_s: float = 30.0) -> Arrived:
    return store.keep(
        encoded=data,
        header=read_header(data, EXPLICIT),
        sop_class_uid=CT,
        sop_instance_uid=sop,
        transfer_syntax_uid=EXPLICIT,
        calling_ae_title="CT1",
        source="ct",
        quiet_s=quiet_s,
    )


def test_bytes_are_kept_as_they_came(store: Instances) -> None:
    data = encoded()
    assert keep(store, data) is Arrived.STORED
    (held,) = store.of_study("1.2.3")
    assert read_body(held.file) == (data, EXPLICIT)
    assert held.header.Modality == "CT"
    assert "PixelData" not in held.header


def test_name_of_the_file_says_nothing(store: Instances) -> None:
    keep(store, encoded())
    (held,) = store.of_study("1.2.3")
    assert "1.2.3" not in str(held.file.relative_to(held.file.parents[1]))


def test_identical_instance_changes_nothing(store: Instances, clock: Clock, tmp_path: Path) -> None:
    keep(store, encoded())
    due = store.study("1.2.3")
    clock.now += 500
    assert keep(store, encoded()) is Arrived.IDENTICAL
    assert store.study("1.2.3") == due
    assert len(list((tmp_path / "instances").rglob("*.dcm"))) == 1


def test_other_bytes_under_the_same_uid_are_a_version_and_the_newest_counts(store: Instances) -> None:
    keep(store, encoded())
    assert keep(store, encoded(comment="again")) is Arrived.VERSION
    (held,) = store.of_study("1.2.3")
    assert held.header.ImageComments == "again"
    both = store.by_number([held.number - 1, held.number])
    assert len(both) == 2


def test_each_instance_moves_the_due_time(store: Instances, clock: Clock) -> None:
    keep(store, encoded())
    clock.now += 20
    keep(store, encoded(sop="1.2.3.4.6"), sop="1.2.3.4.6")
    assert store.due(clock.now + 29) == []
    assert [study.due_at for study in store.due(clock.now + 30)] == [clock.now + 30]


def test_study_that_was_open_at_a_stop_gets_its_whole_quiet_period_again(
    store: Instances, clock: Clock
) -> None:
    keep(store, encoded(), quiet_s=30.0)
    clock.now += 3600  # nobody listened for an hour
    store.begin_again()
    assert store.due(clock.now + 29) == []
    assert len(store.due(clock.now + 30)) == 1


def test_name_of_a_study_depends_on_the_key_alone(index: Index, tmp_path: Path, store: Instances) -> None:
    keep(store, encoded())
    study = store.study("1.2.3")
    assert study is not None
    assert "1.2.3" not in study.name
    assert len(study.name) == 12


def test_own_result_that_comes_back_opens_no_study(store: Instances, index: Index) -> None:
    Jobs(index).keep_results(
        [
            StoredResult(
                sop_instance_uid="2.25.7",
                job_id="j",
                kind="SEG",
                output_name="",
                sop_class_uid=CT,
                series_instance_uid="2.25.8",
                file="f",
                sha256="",
                size_bytes=1,
            )
        ],
        [],
    )
    assert keep(store, encoded(study="9.9", sop="2.25.7"), sop="2.25.7") is Arrived.OWN
    assert store.study("9.9") is None


def test_reserve_of_the_disk_is_never_touched(index: Index, tmp_path: Path) -> None:
    store = Instances(index, tmp_path / "instances", key=b"k" * 32, reserve_bytes=1 << 60)
    assert not store.has_room(1)


def test_digests_of_frames_outlive_a_second_writing(store: Instances) -> None:
    keep(store, encoded())
    (held,) = store.of_study("1.2.3")
    store.keep_frame_digests({(held.number, 1): "aa"})
    store.keep_frame_digests({(held.number, 1): "bb"})
    assert store.frame_digests([held.number]) == {(held.number, 1): "aa"}
