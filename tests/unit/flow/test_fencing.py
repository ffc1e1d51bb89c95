"""Each case of the fence, without a bridge: what both files say, what a platform lists, what a person says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.errors import BridgeError, ConfigError, Held, Never, TryLater, Unauthorized
from bridge.export.parcel import Order, Parcel, Repeat, Step
from bridge.flow.keeping.engine_file import read_epoch, write_epoch
from bridge.flow.keeping.fencing import Case, Fencing, Marks, compare, fence_lift, fence_state, here
from bridge.flow.stages import cloud, strays
from bridge.flow.stages.cloud import PARCEL, REMOTE, SPEC
from bridge.flow.stages.prepare import PARCEL_FILE, SPEC_FILE
from bridge.flow.stages.shelf import JobShelf
from bridge.platforms.protocol import Absent, Capabilities, Found, Newer, RemoteJob, Spec
from bridge.store.alerts import Alerts
from bridge.store.budgets import Budgets
from bridge.store.decisions import Decisions
from bridge.store.disclosures import Disclosures
from bridge.store.jobs import Decision, Jobs, JobState, NewJob
from bridge.store.meta import Meta
from bridge.store.submits import Submits
from bridge.store.tables import Index

KEY = b"k" * 32
JOB = "a" * 32
ACT: Any = None
ORDER = Order(
    files=(),
    values=(),
    steps=(Step(name="upload"), Step(name="create", commits=True, repeat=Repeat.FIND_FIRST)),
    details={},
)
MADE = RemoteJob(key=JOB, remote_id="r1", notes={"upload": {}, "create": {"pk": "r1"}})


class Cloud:
    """A platform that lists, finds and performs what it is told to."""

    def __init__(
        self, *answers: tuple[Newer, ...] | BridgeError, found: Found | Absent | None = None
    ) -> None:
        self.answers = list(answers)
        self.found = found
        self.since: list[float] = []
        self.capabilities = Capabilities()
        self.performed: list[str] = []
        self.closed = 0

    async def newer(self, since: float) -> tuple[Newer, ...]:
        self.since.append(since)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BridgeError):
            raise answer
        return answer

    async def find(self, job: RemoteJob, spec: Spec, order: Order) -> Found | Absent:
        assert self.found is not None
        return self.found

    async def perform(self, step: Step, job: RemoteJob, parcel: Parcel, shelf: JobShelf) -> RemoteJob:
        self.performed.append(step.name)
        note = job.with_note(step.name, {"pk": "r2"})
        return replace(note, remote_id="r2") if step.commits else note

    async def close(self) -> None:
        self.closed += 1


class Bench:
    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        self.engine = self.data / "engine.sqlite"
        self.index = Index(self.data / "index.sqlite", clock=lambda: self.now)
        self.index.open()
        self.now = 1_800_000_000.0
        self.dies_at = ""
        self.cloud = Cloud(())
        account = SimpleNamespace(retry_s=(0.05,), platform="grand-challenge")
        self.parts: Any = SimpleNamespace(
            site=SimpleNamespace(
                data=self.data, same_machine=True, accounts={"gc": account}, opt_out_file=None
            ),
            key=KEY,
            clock=lambda: self.now,
            meta=Meta(self.index),
            submits=Submits(self.index),
            alerts=Alerts(self.index),
            budgets=Budgets(self.index),
            disclosures=Disclosures(self.index, b"k" * 32),
            jobs=Jobs(self.index),
            instead=(),
            passing=self.passing,
            platform=lambda name: self.cloud,
            shelf=lambda job: JobShelf(self.data / "jobs" / job),
        )

    def passing(self, point: str) -> None:
        if point == self.dies_at:
            raise KeyboardInterrupt

    def start(self, *, is_new: bool = False) -> Fencing:
        return Fencing(self.parts, self.engine, lambda name: self.cloud, is_new=is_new)  # type: ignore[arg-type, return-value]

    def marked(self) -> Bench:
        """After one ordinary start."""
        self.start(is_new=True).settle()
        return self

    def job(self, remote: RemoteJob | None = None) -> None:
        new = NewJob(
            id=JOB,
            rule="lungs",
            account="gc",
            algorithm="a",
            declared_version="",
            state=JobState.RUNNING,
            reason="",
            frozen="{}",
            inputs="{}",
        )
        with self.index.write() as connection:
            connection.exec_driver_sql(
                "INSERT INTO studies (study_instance_uid, name, state, source, first_at, last_at, due_at, quiet_s)"
                " VALUES ('1.2', 'n', 'open', 's', 0, 0, 0, 0)"
            )
        made = Decision(rule="lungs", outcome="match", reason="", explanation="{}", jobs=(new,))
        Decisions(self.index).decide("1.2", 0.0, [made])
        shelf = self.parts.shelf(JOB)
        shelf.write(PARCEL_FILE, PARCEL.dump_json(Parcel(order=ORDER, files=(), values=())))
        spec = Spec(algorithm="a", title="", interfaces=(), details={})
        shelf.write(SPEC_FILE, SPEC.dump_json(spec))
        self.parts.jobs.change(JOB, remote=REMOTE.dump_json(remote or RemoteJob(key=JOB)).decode())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.index.close()


@pytest.mark.parametrize(
    ("index", "next", "engine", "machine", "expected"),
    [
        ("", "", "", "", ()),
        ("", "n", "", "", ()),  # the very first start, killed before the engine's file was marked
        ("", "n", "n", "", ()),
        ("e", "", "e", "m", ()),
        ("e", "n", "e", "m", ()),  # killed between the marks
        ("e", "n", "n", "m", ()),
        ("e", "", "d", "m", (Case.RESTORED,)),
        ("e", "n", "d", "m", (Case.RESTORED,)),
        ("e", "", "", "m", (Case.RESTORED,)),  # the engine's file is gone
        ("", "", "e", "", (Case.RESTORED,)),  # the index is gone
        ("e", "", "e", "other", (Case.MOVED,)),
        ("e", "", "d", "other", (Case.RESTORED, Case.MOVED)),
    ],
)
def test_cases(index: str, next: str, engine: str, machine: str, expected: tuple[Case, ...]) -> None:
    marks = Marks(index=index, next=next, engine=engine, machine=machine, here="m")
    assert compare(marks, same_machine=True) == expected
    assert compare(marks, same_machine=False) == tuple(one for one in expected if one is not Case.MOVED)


def test_another_folder_machine_or_key_is_another_place(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    machine = tmp_path / "machine-id"
    machine.write_text("0123\n")
    place = here(one, KEY, machine)
    assert place == here(one, KEY, machine)
    machine.write_text("4567\n")
    places = {place, here(two, KEY, machine), here(one, KEY, machine), here(one, b"x" * 32, machine)}
    assert len(places) == 4
    moved = one.rename(tmp_path / "renamed")
    assert here(moved, KEY, machine) == here(moved, KEY, machine)
    assert here(moved, KEY, tmp_path / "absent") != here(moved, KEY, machine)


@pytest.mark.parametrize("points", list(product(("fence:begun", "fence:mid"), repeat=3)), ids="-".join)
@pytest.mark.parametrize("is_new", [True, False])
def test_kills_between_the_marks_are_no_reason_to_fence(
    bench: Bench, points: tuple[str, ...], is_new: bool
) -> None:
    if not is_new:
        bench.marked()
    for point in points:
        bench.dies_at = point
        with pytest.raises(KeyboardInterrupt):
            bench.start().settle()
    bench.dies_at = ""
    fencing = bench.start()
    assert not fencing.waits()
    fencing.settle()
    assert fencing.state() is None


def test_engine_file_of_another_moment_is_put_aside(bench: Bench) -> None:
    bench.marked()
    write_epoch(bench.engine, "of another moment")
    fencing = bench.start()
    assert not fencing.waits()
    fencing.settle()
    assert [
        read_epoch(file) for file in bench.data.glob("engine.sqlite.18*") if file.suffix[1:].isdigit()
    ] == ["of another moment"]
    assert fence_state(bench.index) == fencing.state()
    assert [alert.kind for alert in bench.parts.alerts.all()] == ["fenced"]
    fencing.ask()
    assert fencing.state() is None
    assert bench.parts.alerts.all() == []
    assert not bench.start().waits()


def test_damaged_engine_file_counts_as_lost(bench: Bench) -> None:
    bench.marked()
    for file in bench.data.glob("engine.sqlite*"):
        file.unlink()
    bench.engine.write_bytes(b"no database" * 1000)
    fencing = bench.start()
    fencing.settle()
    assert fencing.state() is not None
    assert read_epoch(bench.engine) != ""


def test_copy_waits_for_a_person_through_every_restart(bench: Bench) -> None:
    bench.marked()
    bench.parts.meta.put(machine="another")
    for _ in range(2):
        fencing = bench.start()
        assert fencing.waits()
        assert fence_state(bench.index).case is Case.MOVED  # type: ignore[union-attr]
    assert "lifted" in fence_lift(bench.parts, ACT)
    assert not fencing.waits()
    fencing.settle()
    fencing.ask()
    assert fencing.state() is None


def test_only_a_fence_that_waits_for_a_person_is_lifted_by_one(bench: Bench) -> None:
    bench.marked()
    with pytest.raises(ConfigError, match="nothing is fenced"):
        fence_lift(bench.parts, ACT)
    write_epoch(bench.engine, "of another moment")
    bench.start().settle()
    with pytest.raises(ConfigError, match="not of the same moment"):
        fence_lift(bench.parts, ACT)


def test_new_bridge_asks_from_its_first_day_and_an_old_one_from_its_last_job(bench: Bench) -> None:
    bench.marked().start().ask()
    bench.parts.submits.made("gc", JOB, "r1")
    bench.now += 5000
    bench.start().ask()
    assert bench.cloud.since == [1_800_000_000.0 - 3600, 1_800_000_000.0 - 3600]
    bench.parts.submits.made("gc", JOB, "r2")
    bench.start().ask()
    assert bench.cloud.since[-1] == 1_800_005_000.0 - 3600
    assert bench.cloud.closed == 3


def test_index_that_lost_everything_asks_for_everything(bench: Bench) -> None:
    bench.start().ask()
    assert bench.cloud.since == [0.0]


@pytest.mark.parametrize(
    ("listed", "remote", "is_ahead"),
    [
        (Newer(remote_id="r1", made_at=0.0), None, False),  # whose it is nobody can tell
        (Newer(remote_id="r1", made_at=0.0, key="b" * 32), None, True),
        (Newer(remote_id="r1", made_at=0.0, key=JOB), None, True),
        (Newer(remote_id="r1", made_at=0.0, key=JOB), RemoteJob(key=JOB, begun=("upload",)), True),
        (Newer(remote_id="r1", made_at=0.0, key=JOB), RemoteJob(key=JOB, begun=("upload", "create")), False),
        (Newer(remote_id="r1", made_at=0.0, key=JOB), MADE, False),
    ],
)
def test_job_that_the_index_does_not_know(
    bench: Bench, listed: Newer, remote: RemoteJob | None, is_ahead: bool
) -> None:
    bench.marked().job(remote)
    bench.cloud = Cloud((listed,))
    fencing = bench.start()
    seen: list[Case | None] = []
    end = bench.parts.alerts.end
    bench.parts.alerts.end = lambda kind, subject: (seen.append(fencing.state()), end(kind, subject))
    fencing.ask()
    assert fencing.is_open("gc")
    assert bool(seen) == is_ahead
    assert bench.parts.submits.strays("gc", listed.key) == (["r1"] if is_ahead else [])
    assert fencing.state() is None


def test_known_again_after_a_retry_that_forgot_the_earlier_job(bench: Bench) -> None:
    bench.marked().job(RemoteJob(key=JOB, attempt=2))
    bench.parts.submits.made("gc", JOB, "r1")
    bench.cloud = Cloud((Newer(remote_id="r1", made_at=0.0, key=JOB),))
    bench.start().ask()
    assert bench.parts.submits.strays("gc", JOB) == []


@pytest.mark.parametrize("trouble", [TryLater("X-1", "away"), Unauthorized("X-2", "no token")])
def test_platform_that_is_away_closes_its_account_until_it_answers(
    bench: Bench, trouble: BridgeError
) -> None:
    bench.marked()
    bench.cloud = Cloud(trouble, trouble, ())
    write_epoch(bench.engine, "of another moment")
    fencing = bench.start()
    fencing.settle()
    fencing.ask()
    assert not fencing.is_open("gc")
    assert [alert.reason.count("gc") for alert in bench.parts.alerts.all()] == [1]
    assert fencing._thread is not None
    fencing._thread.join(10)
    assert fencing.is_open("gc")
    assert fencing.state() is None


def test_platform_that_cannot_list_is_open(bench: Bench) -> None:
    bench.marked()
    bench.cloud = Cloud(Never("X-3", "no such list"))
    fencing = bench.start()
    fencing.ask()
    assert fencing.is_open("gc")


def submit(bench: Bench, name: str) -> None:
    asyncio.run(strays.submit(bench.parts, bench.parts.jobs.get(JOB), name))


def test_stray_is_found_and_nothing_is_performed_for_it(bench: Bench) -> None:
    bench.job()
    bench.parts.submits.keep_strays("gc", [("r1", JOB)])
    bench.cloud = Cloud((), found=Found(job=MADE))
    submit(bench, "upload")
    submit(bench, "create")
    assert bench.cloud.performed == []
    assert REMOTE.validate_json(bench.parts.jobs.get(JOB).remote).remote_id == "r1"
    assert bench.parts.submits.strays("gc", JOB) == []


def test_stray_that_is_not_found_waits_for_a_person_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud, "_check_deadline", lambda *_: None)
    bench.job()
    bench.parts.submits.keep_strays("gc", [("r1", JOB)])
    bench.cloud = Cloud((), found=Absent())
    with pytest.raises(Held, match="does not find it"):
        submit(bench, "upload")
    assert bench.cloud.performed == []
    submit(bench, "upload")
    submit(bench, "create")
    assert bench.cloud.performed == ["upload", "create"]
    listed = [("r1", JOB), ("r2", JOB), ("r3", JOB)]
    assert bench.parts.submits.unknown("gc", listed) == [("r3", JOB)]


def test_platform_that_lists_no_jobs_is_not_asked_and_keeps_nobody_waiting(bench: Bench) -> None:
    bench.cloud = Cloud(Never("X-3", "it lists none"))
    bench.cloud.capabilities = Capabilities(lists_jobs=False)
    fencing = bench.marked().start()
    fencing.ask()
    assert fencing.is_open("gc")
    assert bench.cloud.since == []
