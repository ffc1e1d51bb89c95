"""A back-up is a state from which a bridge can go on: one instant, whole, and nobody else's to read."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from bridge.cli import backup as command
from bridge.cli.backup import backup, copy_databases
from bridge.dicom.headers import read_body, read_header
from bridge.dicom.pixels import FileReader
from bridge.errors import ConfigError
from bridge.flow.keeping import fence
from bridge.flow.keeping.engine_file import read_epoch, write_ahead, write_epoch
from bridge.store.crosswalk import Crosswalk, Entry, Person
from bridge.store.instances import Instances
from bridge.store.keys import Keys
from bridge.store.meta import Meta
from bridge.store.tables import Index
from made_objects import ct_slice

EXPLICIT = "1.2.840.10008.1.2.1"
SITE = '[bridge]\nae_title = "BRIDGE"\ndata = "data"\nrules = "rules.toml"\n'


class House:
    """A data directory as a service leaves it, with both databases open as while it runs."""

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site.toml"
        self.site.write_text(SITE)
        self.data = folder / "data"
        self.data.mkdir()
        self.key = fence.installation_key(self.data)
        self.index = Index(self.data / "index.sqlite")
        self.index.open()
        self.instances = Instances(self.index, self.data / "instances", key=self.key)
        write_ahead(self.data / "engine.sqlite")
        self.engine = sqlite3.connect(self.data / "engine.sqlite", isolation_level=None)
        self.engine.execute("CREATE TABLE steps (number INTEGER PRIMARY KEY)")
        write_epoch(self.data / "engine.sqlite", "e1")
        Meta(self.index).put(epoch="e1")
        job = self.data / "jobs" / ("ab" * 16)
        for name in ("results/000.seg.dcm", "parcel.json", "parcel/ct.mha.part"):
            (job / name).parent.mkdir(parents=True, exist_ok=True)
            (job / name).write_text(name)

    def receive(self) -> bytes:
        made = ct_slice(study="1.2")
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        write_dataset(buffer, made)
        data = buffer.getvalue()
        self.instances.keep(
            encoded=data,
            header=read_header(data, EXPLICIT),
            sop_class_uid=made.SOPClassUID,
            sop_instance_uid=made.SOPInstanceUID,
            transfer_syntax_uid=EXPLICIT,
            calling_ae_title="CT1",
            source="ct",
            quiet_s=30.0,
        )
        return data


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def rows(file: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    with sqlite3.connect(file) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        ]
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in sorted(tables)}


def test_what_is_restored_has_the_same_rows_key_and_objects(house: House, tmp_path: Path) -> None:
    sent = [house.receive() for _ in range(3)]
    house.engine.execute("INSERT INTO steps VALUES (7)")
    expected = {name: rows(house.data / name) for name in ("index.sqlite", "engine.sqlite")}
    backup(house.site, tmp_path / "saved", files=True)
    restored = (tmp_path / "saved").rename(tmp_path / "restored")
    for name, held in expected.items():
        assert rows(restored / name) == held
    assert fence.installation_key(restored) == house.key
    index = Index(restored / "index.sqlite")
    index.open()
    again = Instances(index, restored / "instances", key=house.key).of_study("1.2")
    assert sorted(read_body(one.file)[0] for one in again) == sorted(sent)
    assert FileReader()(again[0], 1).shape == (8, 8)
    assert read_epoch(restored / "engine.sqlite") == Meta(index).get("epoch") == "e1"
    files = sorted(str(f.relative_to(restored / "jobs" / ("ab" * 16))) for f in restored.rglob("jobs/*/**/*"))
    assert files == ["parcel.json", "results", "results/000.seg.dcm"]


def test_objects_are_taken_along_only_when_they_are_asked_for(house: House, tmp_path: Path) -> None:
    house.receive()
    backup(house.site, tmp_path / "saved", files=False)
    names = {one.name for one in (tmp_path / "saved").iterdir()}
    assert names == {"index.sqlite", "engine.sqlite", "secret.key", "keys"}


def test_names_outside_are_known_again_from_a_backup(house: House, tmp_path: Path) -> None:
    entry = Entry(
        job_id="j1",
        study="s",
        account="gc",
        pseudonym="P-1",
        outward_study="2.25.9",
        naming=1,
        person=Person(issuer="", patient_id="C-1"),
        study_instance_uid="1.2",
    )
    rows = Crosswalk(house.index, Keys(house.data / "keys"), house.key)
    named = rows.naming("j1")
    rows.keep([entry])
    backup(house.site, tmp_path / "saved", files=False)
    saved = tmp_path / "saved"
    restored = Crosswalk(Index(saved / "index.sqlite"), Keys(saved / "keys"), house.key)
    assert restored.naming("j1") == named
    assert restored.of_name("P-1")[0].person == entry.person
    assert {oct(one.stat().st_mode & 0o777) for one in (saved / "keys").iterdir()} == {"0o600"}


def test_nobody_else_can_read_it(house: House, tmp_path: Path) -> None:
    house.receive()
    backup(house.site, tmp_path / "saved", files=True)
    assert (tmp_path / "saved").stat().st_mode & 0o777 == 0o700
    for name in ("index.sqlite", "engine.sqlite", "secret.key"):
        assert (tmp_path / "saved" / name).stat().st_mode & 0o777 == 0o600


def test_nothing_is_overwritten_and_half_of_one_is_none(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    with pytest.raises(ConfigError, match="is there already"):
        backup(house.site, saved, files=False)
    saved.rmdir()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "copy_jobs", full)
    with pytest.raises(OSError, match="No space"):
        backup(house.site, saved, files=True)
    assert not saved.exists()
    assert not saved.with_name("saved.part").exists()


def test_object_that_retention_removes_meanwhile_is_not_promised(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.receive()
    house.receive()

    def copy_then_drop(data: Path, to: Path) -> list[str]:
        names = copy_databases(data, to)
        house.instances.of_study("1.2")[0].file.unlink()
        return names

    monkeypatch.setattr(command, "copy_databases", copy_then_drop)
    backup(house.site, tmp_path / "saved", files=True)
    index = Index(tmp_path / "saved" / "index.sqlite")
    held = Instances(index, tmp_path / "saved" / "instances", key=house.key).of_study("1.2")
    assert [one.dropped_at is None for one in held] == [False, True]
    assert [one.file.exists() for one in held] == [False, True]


def test_both_databases_are_of_one_instant(house: House, tmp_path: Path) -> None:
    """A writer notes each number in the index first and then in the engine: no copy may know it the other way."""
    stop = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        engine = sqlite3.connect(house.data / "engine.sqlite", isolation_level=None, timeout=30)
        meta = Meta(house.index)
        while not stop.is_set():
            written += 1
            meta.put(number=str(written))
            engine.execute("INSERT INTO steps VALUES (?)", (written,))
        engine.close()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    try:
        for turn in range(8):
            to = tmp_path / f"copy{turn}"
            to.mkdir()
            time.sleep(0.05)
            copy_databases(house.data, to)
            (steps,) = rows(to / "engine.sqlite")["steps"][-1:] or [(0,)]
            number = dict(rows(to / "index.sqlite")["meta"]).get("number", 0)
            seen.append((int(str(number)), int(str(steps[0]))))
    finally:
        stop.set()
        writer.join()
    assert seen[-1][0] > seen[0][0] > 0, "the writer went on meanwhile"
    assert [in_index - in_engine for in_index, in_engine in seen if in_index - in_engine not in (0, 1)] == []


def test_site_that_has_never_run_has_nothing_to_save(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(SITE)
    with pytest.raises(ConfigError, match="no index"):
        backup(tmp_path / "site.toml", tmp_path / "saved", files=False)
    assert not (tmp_path / "saved").exists()
