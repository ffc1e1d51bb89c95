"""A watched folder: what has stood still is kept, durably, before it is put away; no name of a file is believed."""

from __future__ import annotations

import errno
import logging
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from bridge.receive import folder as folder_room
from bridge.receive import found as found_room
from bridge.receive.folder import AGAIN_S, AWAY, PATIENCE_S, FolderSource, Watched
from bridge.store.alerts import Alerts
from bridge.store.instances import Instances
from bridge.store.tables import Index, instances, studies
from made_objects import ct_slice

SETTLE_S = 5.0


class House:
    """A share, a data directory, and a clock of their own."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.now = 1000.0
        self.share = folder / "share"
        self.share.mkdir(exist_ok=True)
        self.index = Index(folder / "index.sqlite")
        self.index.open()
        self.alerts = Alerts(self.index)
        self.keeper = Instances(self.index, folder / "instances", key=b"k" * 32)
        self.passing = lambda point: None
        settings: dict[str, Any] = {
            "name": "share",
            "folder": self.share,
            "settle_s": SETTLE_S,
            "look_s": 1.0,
            "after": "move",
            "quiet_s": 7.0,
            "maximum_instance_bytes": 1 << 20,
        }
        self.source = FolderSource(
            Watched(**(settings | changes)),
            self.keeper,
            self.alerts,
            passing=lambda point: self.passing(point),
            monotonic=lambda: self.now,
        )

    def look(self, *, after_s: float = 0.0) -> None:
        self.now += after_s
        self.source.look()

    def settle(self, *, s: float = SETTLE_S) -> None:
        """Look twice, as far apart as a file must stand still."""
        self.look()
        self.look(after_s=s)

    def lay(self, name: str, data: Dataset | bytes) -> Path:
        file = self.share / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data if isinstance(data, bytes) else part10(data))
        return file

    def names(self) -> list[str]:
        return sorted(str(f.relative_to(self.share)) for f in self.share.rglob("*") if f.is_file())

    def why(self, name: str) -> str:
        return (self.share / "failed" / f"{name}.why.txt").read_text()

    def rows(self, *columns: Any) -> list[Any]:
        with self.index.read() as connection:
            return [tuple(row) for row in connection.execute(sa.select(*columns))]

    def kept(self) -> list[str]:
        return sorted(uid for (uid,) in self.rows(instances.c.sop_instance_uid))

    def alert(self) -> str:
        return next((one.reason for one in self.alerts.all() if one.kind == AWAY), "")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def part10(data_set: Dataset) -> bytes:
    buffer = BytesIO()
    data_set.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def uid(data_set: Dataset) -> str:
    return str(data_set.SOPInstanceUID)


def archive(**entries: bytes) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in entries.items():
            made.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["1.dcm", "IM000001", "scan.IMA", "a/b/c.2"])
def test_object_is_kept_as_of_its_source_and_put_into_done(house: House, name: str) -> None:
    one = ct_slice()
    house.lay(name, one)
    house.settle()
    assert house.kept() == [uid(one)]
    assert house.names() == [f"done/{name}"]
    assert house.rows(instances.c.calling_ae_title) == [("share",)]
    assert house.rows(studies.c.source, studies.c.quiet_s) == [("share", 7.0)]


def test_file_that_grows_is_left_alone_until_it_stands_still(house: House) -> None:
    one = ct_slice()
    whole = part10(one)
    file = house.lay("1.dcm", whole[:300])
    house.look()
    house.look(after_s=SETTLE_S - 1)
    file.write_bytes(whole)
    house.look(after_s=2)
    house.look(after_s=SETTLE_S - 1)
    assert house.kept() == []
    house.look(after_s=1)
    assert house.kept() == [uid(one)]


def test_time_alone_shows_that_a_file_changes(house: House) -> None:
    file = house.lay("1.dcm", ct_slice())
    house.look()
    os.utime(file, ns=(1, 1))
    house.look(after_s=SETTLE_S)
    assert house.kept() == []


def test_file_that_changes_while_it_is_read_stays(house: House) -> None:
    one = ct_slice()
    file = house.lay("1.dcm", one)
    keep = house.keeper.keep

    def meanwhile(**values: Any) -> Any:
        os.utime(file, ns=(1, 1))
        return keep(**values)

    house.keeper.keep = meanwhile  # type: ignore[method-assign]
    house.settle()
    assert house.names() == ["1.dcm"]


@pytest.mark.parametrize(
    "name", [".hidden.dcm", "1.dcm.part", "x.TMP", ".folder/1.dcm", "done/1.dcm", "failed/1"]
)
def test_what_is_not_finished_or_is_ours_is_not_looked_at(house: House, name: str) -> None:
    house.lay(name, ct_slice())
    house.settle()
    assert (house.kept(), house.names()) == ([], [name])


def test_links_are_not_followed(house: House, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "1.dcm").write_bytes(part10(ct_slice()))
    (house.share / "link").symlink_to(tmp_path / "elsewhere")
    (house.share / "2.dcm").symlink_to(tmp_path / "elsewhere" / "1.dcm")
    house.settle()
    assert house.kept() == []


def test_same_bytes_again_are_taken_and_change_nothing(house: House) -> None:
    one = ct_slice()
    for _ in range(2):
        house.lay("1.dcm", one)
        house.settle()
    assert house.kept() == [uid(one)]
    assert house.names() == ["done/1-2.dcm", "done/1.dcm"]


def test_other_bytes_of_an_object_are_a_version(house: House) -> None:
    one = ct_slice()
    house.lay("1.dcm", one)
    house.settle()
    one.ImageComments = "again"
    house.lay("1.dcm", one)
    house.settle()
    assert house.rows(instances.c.sop_instance_uid, instances.c.version) == [(uid(one), 1), (uid(one), 2)]


AFTER = {"move": ["done/1.dcm"], "delete": [], "keep": ["1.dcm"]}


@pytest.mark.parametrize("after", AFTER)
def test_what_becomes_of_a_file_is_a_setting(tmp_path: Path, after: str) -> None:
    house = House(tmp_path, after=after)
    house.lay("1.dcm", ct_slice())
    house.settle()
    assert len(house.kept()) == 1
    assert house.names() == AFTER[after]


def test_file_that_stays_is_read_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    house = House(tmp_path, after="keep")
    house.lay("1.dcm", ct_slice())
    house.lay("notes.txt", b"no dicom")
    with caplog.at_level(logging.INFO, "bridge.receive"):
        for _ in range(5):
            house.settle(s=PATIENCE_S)
    assert house.names() == ["1.dcm", "notes.txt"]
    assert sum(record.message.startswith("folder.taken") for record in caplog.records) == 2


def cut() -> bytes:
    return part10(ct_slice())[:-3]


def without_study() -> bytes:
    one = ct_slice()
    del one.StudyInstanceUID
    return part10(one)


def encrypted() -> bytes:
    data = bytearray(archive(a=part10(ct_slice())))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    return bytes(data)


FAILED = {
    "text": ("notes.txt", b"no dicom", "FLD-001"),
    "empty": ("1.dcm", b"", "FLD-001"),
    "too large": ("1.dcm", part10(ct_slice()) + bytes(1 << 20), "FLD-002"),
    "mesh": ("jaw.STL", b"solid jaw", "FLD-003"),
    "archive that is cut off": ("a.zip", archive(a=part10(ct_slice()))[:-40], "FLD-004"),
    "archive with a password": ("a.zip", encrypted(), "FLD-006"),
    "archive of texts": ("a.zip", archive(**{"readme.txt": b"x"}), "FLD-007"),
    "empty archive": ("a.zip", archive(), "FLD-007"),
    "archive in an archive": ("a.zip", archive(**{"b.zip": archive(a=b"x")}), "FLD-008"),
    "mesh in an archive": ("a.zip", archive(**{"jaw.stl": b"solid"}), "FLD-003"),
    "large object in an archive": ("a.zip", archive(a=part10(ct_slice()) + bytes(1 << 20)), "FLD-002"),
    "object that is cut off": ("1.dcm", cut(), "FLD-009"),
    "object that is cut off in an archive": ("a.zip", archive(a=cut()), "FLD-009"),
    "object without a study": ("1.dcm", without_study(), "RCV-004"),
}


@pytest.mark.parametrize(("name", "data", "code"), FAILED.values(), ids=FAILED)
def test_what_cannot_be_taken_goes_to_failed_with_its_reason(
    house: House, name: str, data: bytes, code: str
) -> None:
    house.lay(name, data)
    house.settle(s=SETTLE_S + PATIENCE_S)
    assert house.kept() == []
    assert house.names() == [f"failed/{name}", f"failed/{name}.why.txt"]
    assert house.why(name).startswith(f"{code}: ")
    assert (house.share / "failed" / name).read_bytes() == data


def test_copy_that_stalls_is_not_put_into_failed(house: House) -> None:
    one = ct_slice()
    file = house.lay("1.dcm", part10(one)[:-3])
    house.settle(s=SETTLE_S + PATIENCE_S - 1)
    assert house.names() == ["1.dcm"]
    file.write_bytes(part10(one))
    house.settle()
    assert house.kept() == [uid(one)]


def test_archive_is_taken_with_what_a_disc_has_beside_images(house: House) -> None:
    first, second = ct_slice(), ct_slice()
    entries = {
        "../../../tmp/escape.dcm": part10(first),
        "DICOM/IM1": part10(second),
        "autorun.inf": b"[autorun]",
        "viewer.exe": b"MZ",
    }
    house.lay("disc.zip", archive(**entries))
    house.settle()
    assert house.kept() == sorted([uid(first), uid(second)])
    assert house.names() == ["done/disc.zip"]


def test_of_an_archive_that_is_partly_damaged_the_rest_is_taken_and_it_is_told(house: House) -> None:
    one = ct_slice(name="Secret^Name")
    house.lay("disc.zip", archive(**{"Secret^Name.dcm": part10(one), "b": cut()}))
    house.settle(s=SETTLE_S + PATIENCE_S)
    assert house.kept() == [uid(one)]
    assert house.why("disc.zip").splitlines() == [
        "FLD-009: an object that breaks off in the middle; expected a whole one. Copy it once more.",
        "Objects of this file that were taken: 1.",
    ]


BOMBS = {"entries": ("MOST_ENTRIES", 1), "ratio": ("MOST_RATIO", 2)}


@pytest.mark.parametrize(("bound", "value"), BOMBS.values(), ids=BOMBS)
def test_archive_beyond_its_bounds_is_not_opened(
    house: House, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    monkeypatch.setattr(found_room, bound, value)
    monkeypatch.setattr(found_room, "RATIO_FROM_BYTES", 1000)
    house.lay("a.zip", archive(a=part10(ct_slice()) + bytes(100_000), b=part10(ct_slice())))
    house.settle(s=SETTLE_S + PATIENCE_S)
    assert house.kept() == []
    assert house.why("a.zip").startswith("FLD-005: ")


def test_entry_that_lies_about_its_size_is_bounded(house: House) -> None:
    data = bytearray(archive(a=part10(ct_slice()) + bytes(1 << 21)))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(signature) + offset
        data[at : at + 4] = (1000).to_bytes(4, "little")
    house.lay("a.zip", bytes(data))
    house.settle(s=SETTLE_S + PATIENCE_S)
    assert house.kept() == []


def test_table_of_contents_of_a_disc_is_no_object_and_no_fault(house: House) -> None:
    directory = Dataset()
    directory.FileSetID = "DISC"
    directory.DirectoryRecordSequence = []
    one = ct_slice()
    directory.file_meta = one.file_meta
    directory.file_meta.MediaStorageSOPClassUID = found_room.DIRECTORY
    house.lay("DICOMDIR", directory)
    house.settle()
    assert (house.kept(), house.names()) == ([], ["done/DICOMDIR"])


def test_full_disk_of_ours_leaves_the_file_where_it_is(house: House) -> None:
    @contextmanager
    def full(size_bytes: int) -> Iterator[bool]:
        yield False

    room, house.keeper.room = house.keeper.room, full  # type: ignore[method-assign]
    one = ct_slice()
    house.lay("1.dcm", one)
    house.settle()
    assert (house.kept(), house.names()) == ([], ["1.dcm"])
    house.keeper.room = room  # type: ignore[method-assign]
    house.look(after_s=AGAIN_S)
    assert (house.kept(), house.names()) == ([uid(one)], ["done/1.dcm"])


def test_file_that_cannot_be_kept_holds_up_no_other(house: House) -> None:
    first, second = ct_slice(), ct_slice()
    keep = house.keeper.keep

    def broken(**values: Any) -> Any:
        if values["sop_instance_uid"] == uid(first):
            raise OSError(errno.EIO, "Input/output error")
        return keep(**values)

    house.keeper.keep = broken  # type: ignore[method-assign]
    house.lay("1.dcm", first)
    house.lay("2.dcm", second)
    house.settle()
    assert (house.kept(), house.names()) == ([uid(second)], ["1.dcm", "done/2.dcm"])
    assert house.alert().endswith("stays: Input/output error")
    house.keeper.keep = keep  # type: ignore[method-assign]
    house.look(after_s=1)
    assert house.alert()
    house.look(after_s=AGAIN_S)
    assert (len(house.kept()), house.alert()) == (2, "")


def test_share_that_is_gone_is_told_until_it_is_back(house: House) -> None:
    house.share.rmdir()
    house.look()
    assert house.alert().endswith("cannot be looked through: No such file or directory")
    assert not house.share.exists()
    house.share.mkdir()
    house.look()
    assert house.alert() == ""


def test_file_that_somebody_takes_away_is_no_trouble(house: House) -> None:
    file = house.lay("1.dcm", ct_slice())
    house.look()
    opened = found_room.objects_of

    def late(path: Path, maximum_bytes: int) -> Any:
        file.unlink(missing_ok=True)
        return opened(path, maximum_bytes)

    folder_room.objects_of = late  # type: ignore[assignment]
    try:
        house.look(after_s=SETTLE_S)
    finally:
        folder_room.objects_of = opened
    assert house.alert() == ""


def test_own_result_that_lies_there_starts_nothing(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.keeper = Instances(house.index, tmp_path / "instances", key=b"k" * 32, uid_root="2.25")
    house.source._keeper = house.keeper
    house.lay("1.dcm", ct_slice())
    house.settle()
    assert house.names() == ["done/1.dcm"]
    assert house.rows(studies.c.state) == []


def test_nothing_that_a_patient_is_known_by_is_logged_or_told(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    one = ct_slice(name="Canary^Yellow")
    del one.SeriesInstanceUID
    with caplog.at_level(logging.DEBUG):
        house.lay("Canary^Yellow.dcm", one)
        house.lay("Canary^Yellow.stl", b"solid Canary")
        house.lay("Canary^Yellow.zip", archive(**{"Canary^Yellow.dcm": part10(one)}))
        house.settle(s=SETTLE_S + PATIENCE_S)
    keys = [str(vars(record)) for record in caplog.records]
    told = "".join(keys) + "".join(house.why(f"Canary^Yellow.{end}") for end in ("dcm", "stl", "zip"))
    assert "RCV-004" in told
    assert "Canary" not in told and uid(one) not in told


@pytest.mark.parametrize("point", ["receive:mid", "receive:after", "folder:kept", "folder:put-away"])
def test_killed_anywhere_every_object_is_kept_once(tmp_path: Path, point: str) -> None:
    made = [ct_slice(study="2.25.5") for _ in range(2)]
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "1.dcm").write_bytes(part10(made[0]))
    (tmp_path / "share" / "more.zip").write_bytes(archive(a=part10(made[1]), b=part10(made[0])))

    def dies(at: str) -> None:
        if at == point:
            os._exit(9)  # no handler, no clean-up

    child = os.fork()
    if not child:
        house = House(tmp_path)
        house.passing = dies  # type: ignore[assignment]
        house.keeper._passing = dies
        house.settle()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    house = House(tmp_path)
    house.settle()
    assert house.kept() == sorted(map(uid, made))
    assert house.names() == ["done/1.dcm", "done/more.zip"]


def test_it_looks_by_itself_and_stops_when_told(tmp_path: Path) -> None:
    import time

    house = House(tmp_path, settle_s=0.05, look_s=0.02)
    house.source._monotonic = time.monotonic
    house.lay("1.dcm", ct_slice(series=generate_uid()))
    house.source.start()
    until = time.monotonic() + 10
    while not (house.share / "done" / "1.dcm").exists() and time.monotonic() < until:
        time.sleep(0.02)
    house.source.stop()
    house.source.join(5.0)
    house.lay("2.dcm", ct_slice())
    time.sleep(0.2)
    assert house.names() == ["2.dcm", "done/1.dcm"]
