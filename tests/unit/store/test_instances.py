"""What the store promises to the receiver: durable, versioned, and quiet about what it has seen before."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from bridge.dicom.headers import read_body, read_header
from bridge.store.instances import Arrived, Instances
from bridge.store.studies import Studies
from bridge.store.tables import Index, instances

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


@pytest.fixture
def studies(index: Index) -> Studies:
    return Studies(index)


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


def test_identical_instance_changes_nothing(
    store: Instances, studies: Studies, clock: Clock, tmp_path: Path
) -> None:
    keep(store, encoded())
    due = studies.study("1.2.3")
    clock.now += 500
    assert keep(store, encoded()) is Arrived.IDENTICAL
    assert studies.study("1.2.3") == due
    assert len(list((tmp_path / "instances").rglob("*.dcm"))) == 1


def test_other_bytes_under_the_same_uid_are_a_version_and_the_newest_counts(store: Instances) -> None:
    keep(store, encoded())
    assert keep(store, encoded(comment="again")) is Arrived.VERSION
    (held,) = store.of_study("1.2.3")
    assert held.header.ImageComments == "again"
    both = store.by_number([held.number - 1, held.number])
    assert len(both) == 2


def test_each_instance_moves_the_due_time(store: Instances, studies: Studies, clock: Clock) -> None:
    keep(store, encoded())
    clock.now += 20
    keep(store, encoded(sop="1.2.3.4.6"), sop="1.2.3.4.6")
    assert studies.due(clock.now + 29) == []
    assert [study.due_at for study in studies.due(clock.now + 30)] == [clock.now + 30]


def test_study_that_was_open_at_a_stop_gets_its_whole_quiet_period_again(
    store: Instances, studies: Studies, clock: Clock
) -> None:
    keep(store, encoded(), quiet_s=30.0)
    clock.now += 3600  # nobody listened for an hour
    studies.begin_again()
    assert studies.due(clock.now + 29) == []
    assert len(studies.due(clock.now + 30)) == 1


def test_name_of_a_study_depends_on_the_key_alone(store: Instances, studies: Studies) -> None:
    keep(store, encoded())
    study = studies.study("1.2.3")
    assert study is not None
    assert "1.2.3" not in study.name
    assert len(study.name) == 12


def test_digests_of_frames_outlive_a_second_writing(store: Instances) -> None:
    keep(store, encoded())
    (held,) = store.of_study("1.2.3")
    store.keep_frame_digests({(held.number, 1): "aa"})
    store.keep_frame_digests({(held.number, 1): "bb"})
    assert store.frame_digests([held.number]) == {(held.number, 1): "aa"}


def test_version_that_is_sent_again_is_the_newest_again(
    store: Instances, studies: Studies, clock: Clock, tmp_path: Path
) -> None:
    keep(store, encoded(comment="first"))
    keep(store, encoded(comment="second"))
    clock.now += 500
    assert keep(store, encoded(comment="first")) is Arrived.VERSION
    (held,) = store.of_study("1.2.3")
    assert held.header.ImageComments == "first"
    (due,) = studies.due(clock.now + 30)
    assert due.last_at == clock.now
    assert keep(store, encoded(comment="first")) is Arrived.IDENTICAL
    assert len(list((tmp_path / "instances").rglob("*.dcm"))) == 2


def test_newest_version_of_a_study_is_that_of_the_study(store: Instances) -> None:
    keep(store, encoded(study="1.2.3"))
    keep(store, encoded(study="1.2.4"))
    assert [len(store.of_study(study)) for study in ("1.2.3", "1.2.4")] == [1, 1]


def test_dropped_instance_comes_back_without_reopening_what_is_settled(
    store: Instances, studies: Studies, index: Index, clock: Clock
) -> None:
    keep(store, encoded())
    (held,) = store.of_study("1.2.3")
    held.file.unlink()
    with index.write() as connection:
        connection.execute(sa.update(instances).values(dropped_at=clock.now))
        connection.execute(sa.text("UPDATE studies SET state = 'decided'"))
    settled = studies.study("1.2.3")
    clock.now += 500
    assert keep(store, encoded()) is Arrived.RESTORED
    (back,) = store.of_study("1.2.3")
    assert (back.number, back.dropped_at) == (held.number, None)
    assert read_body(back.file) == (encoded(), EXPLICIT)
    assert studies.study("1.2.3") == settled
    with index.read() as connection:
        # Its days begin anew, or retention would drop it again at once.
        assert connection.execute(sa.select(instances.c.received_at)).scalar_one() == clock.now


def test_success_is_not_answered_for_a_file_that_is_lost(store: Instances) -> None:
    keep(store, encoded())
    (held,) = store.of_study("1.2.3")
    held.file.unlink()
    assert keep(store, encoded()) is Arrived.RESTORED
    (back,) = store.of_study("1.2.3")
    assert read_body(back.file) == (encoded(), EXPLICIT)


def test_file_that_could_not_be_finished_is_removed(
    store: Instances, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    keep(store, encoded(sop="1.2.3.4.4"), sop="1.2.3.4.4")
    monkeypatch.setattr("bridge.store.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        keep(store, encoded())
    assert len(list((tmp_path / "instances").rglob("*.dcm"))) == 1


@pytest.mark.parametrize("how", ["read", "write"])
def test_index_that_cannot_be_used_is_told_as_trouble_with_the_disk(
    store: Instances, studies: Studies, index: Index, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    @contextmanager
    def full() -> Iterator[sa.Connection]:
        raise sa.exc.OperationalError("INSERT", {}, Exception("database or disk is full"))
        yield

    with monkeypatch.context() as patched:
        patched.setattr(index, how, full)
        with pytest.raises(OSError, match="index"):
            keep(store, encoded())
    assert studies.study("1.2.3") is None


def test_versions_wait_to_be_compared_with_the_one_they_replaced(store: Instances) -> None:
    for comment in ("first", "second", "third"):
        keep(store, encoded(comment=comment))
    pairs = store.replacements("1.2.3")
    assert [(one.older.header.ImageComments, one.newer.header.ImageComments) for one in pairs] == [
        ("first", "second"),
        ("second", "third"),
    ]
    assert [store.classified(one, "header-coerced") for one in pairs] == [True, True]
    assert store.replacements("1.2.3") == []
    keep(store, encoded(comment="first"))
    (again,) = store.replacements("1.2.3")
    assert (again.older.header.ImageComments, again.newer.header.ImageComments) == ("third", "first")


def test_comparison_of_a_version_that_arrived_again_meanwhile_does_not_count(store: Instances) -> None:
    keep(store, encoded(comment="first"))
    keep(store, encoded(comment="second"))
    (one,) = store.replacements("1.2.3")
    keep(store, encoded(comment="first"))
    keep(store, encoded(comment="second"))
    assert not store.classified(one, "header-coerced")
    (again,) = store.replacements("1.2.3")
    assert (again.older.header.ImageComments, again.newer.header.ImageComments) == ("first", "second")
