"""A destination that is a folder: its line is down as that of an archive, and what is written counts as delivered."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from bridge.config.destinations import FolderDestination
from bridge.deliver import folder as folder_room
from bridge.dicom.uids import keyed_name
from bridge.flow.stages.cloud import OUTPUT_LIST
from bridge.results.output import Output, OutputKind, Presence
from bridge.store.jobs import JobState
from bridge.store.tables import jobs
from owed import DeliveryBench, job_ids

A, B = job_ids(2)


@pytest.fixture
def bench(tmp_path: Path) -> DeliveryBench:
    bench = DeliveryBench(tmp_path)
    (tmp_path / "share").mkdir()
    bench.settings["share"] = FolderDestination(folder=tmp_path / "share", retry_s=(10.0, 60.0, 3600.0))
    return bench


def names(bench: DeliveryBench) -> set[str]:
    share = bench.folder / "share"
    return {str(file.relative_to(share)) for file in share.rglob("*") if file.is_file()}


def study_name(bench: DeliveryBench, job_id: str) -> str:
    """As logs and tables have it."""
    return keyed_name(b"k" * 32, "study", bench.job(job_id).study_instance_uid)


def test_results_in_the_folder_of_their_study_end_the_job(bench: DeliveryBench) -> None:
    bench.owe(A, "share")
    bench.look()
    case = study_name(bench, A)
    assert names(bench) == {f"{case}/{name}" for name in ("r0.dcm", "r1.dcm", "case.json")}
    assert bench.outcomes(A, "share") == ["delivered", "delivered"]
    assert bench.job(A).state is JobState.DONE
    attempts = [(row.attempts, row.reason) for row in bench.deliveries.of(A, "share")]
    assert sorted(attempts) == [(1, "written as r0.dcm"), (1, "written as r1.dcm")]


def test_values_and_tables_of_the_answer_go_along(bench: DeliveryBench) -> None:
    bench.owe(A, "share")
    outputs = []
    for name, kind, content, presence in (
        ("volume-ml", OutputKind.VALUE, b"12.5", Presence.HERE),
        ("finding", OutputKind.VALUE, b'"none"', Presence.HERE),
        ("broken", OutputKind.VALUE, b"{", Presence.HERE),
        ("teeth", OutputKind.TABLE, b"fdi,ml\n36,0.9\n", Presence.HERE),
        ("canal", OutputKind.VALUE, b"1", Presence.MISSING),
        ("mask", OutputKind.MASK, b"mha", Presence.HERE),
    ):
        ref = f"outputs/{name}"
        (bench.folder / "jobs" / A / "outputs").mkdir(exist_ok=True)
        (bench.folder / "jobs" / A / ref).write_bytes(content)
        outputs.append(Output(name=name, kind=kind, media_type="x/y", ref=ref, presence=presence))
    with bench.index.write() as connection:
        text = OUTPUT_LIST.dump_json(tuple(outputs)).decode()
        connection.execute(sa.update(jobs).where(jobs.c.id == A).values(outputs=text))
    bench.look()
    case = bench.folder / "share" / study_name(bench, A)
    assert json.loads((case / "values.json").read_text()) == {"volume-ml": 12.5, "finding": "none"}
    assert (case / "teeth.csv").read_bytes() == b"fdi,ml\n36,0.9\n"
    assert {one.name for one in case.iterdir()} == {
        "r0.dcm",
        "r1.dcm",
        "values.json",
        "teeth.csv",
        "case.json",
    }


def test_share_that_is_gone_is_tried_by_one_job_with_growing_pauses(bench: DeliveryBench) -> None:
    (bench.folder / "share").rmdir()
    bench.owe(A, "share")
    bench.owe(B, "share")
    bench.pass_time(0)
    (line,) = bench.turns.lines().values()
    assert (line.code, bench.job(B).code) == ("DLV-005", "DLV-005")
    assert "is not there" in bench.job(A).reason
    assert [alert.kind for alert in bench.alerts.all()] == ["destination-away"]
    pauses = []
    for _ in range(4):
        line = bench.turns.lines()["share"]
        pauses.append(line.next_at - bench.now)
        bench.now = line.next_at
        bench.look()
    assert pauses == [10.0, 60.0, 3600.0, 3600.0]
    (bench.folder / "share").mkdir()
    bench.pass_time(3600.0)
    assert {bench.job(one).state for one in (A, B)} == {JobState.DONE}
    assert bench.alerts.all() == [] and bench.turns.lines() == {}


def test_full_share_is_tried_with_growing_pauses_although_something_lies_there(
    bench: DeliveryBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    bench.owe(A, "share")
    written = []

    def fills(point: str) -> None:
        written.append(point)
        if point == "folder:named":
            monkeypatch.setattr(folder_room.os, "fsync", full)

    bench.passing = fills
    fsync = os.fsync
    bench.look()
    assert written.count("folder:named") == 1
    pauses = []
    for _ in range(3):
        line = bench.turns.lines()["share"]
        pauses.append(line.next_at - bench.now)
        bench.now = line.next_at
        bench.look()
    assert pauses == [10.0, 60.0, 3600.0]
    monkeypatch.setattr(folder_room.os, "fsync", fsync)
    bench.passing = lambda point: None
    bench.pass_time(3600.0)
    assert bench.job(A).state is JobState.DONE
    case = study_name(bench, A)
    assert names(bench) == {f"{case}/{name}" for name in ("r0.dcm", "r1.dcm", "case.json")}


def test_share_without_the_right_to_write_is_a_matter_of_configuration(
    bench: DeliveryBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_room.os, "access", lambda path, mode: False)
    bench.owe(A, "share")
    bench.look()
    assert bench.job(A).code == "DLV-004"
    assert bench.job(A).reason.endswith("cannot be written by this user")
