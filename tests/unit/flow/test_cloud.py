"""Submitting once: what was begun is looked for, what died is done again, nothing unsure is repeated blindly."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import TypeAdapter

from bridge.errors import Damaged, Held, Never, TryLater, Unsure
from bridge.export.parcel import Order, Parcel, Repeat, Step
from bridge.flow.parts import Parts
from bridge.flow.stages import cloud
from bridge.flow.stages.prepare import PARCEL_FILE, SPEC_FILE
from bridge.flow.stages.shelf import JobShelf
from bridge.platforms import (
    RESTART,
    Absent,
    AskAgain,
    Fetched,
    Found,
    Phase,
    RemoteJob,
    Spec,
    State,
    Verdict,
)
from bridge.results.output import Output, OutputKind
from bridge.store.jobs import Job, JobState

STEPS = (
    Step(name="upload"),
    Step(name="session", needs=("upload",)),
    Step(name="create", commits=True, repeat=Repeat.FIND_FIRST),
)
ORDER = Order(files=(), steps=STEPS, details={})


class Cloud:
    """A platform that remembers what was done to it, and does wrong on demand."""

    def __init__(self) -> None:
        self.performed: list[str] = []
        self.troubles: dict[str, list[Exception]] = {}
        self.found: Found | Absent | AskAgain = Absent()
        self.states: list[State | Exception] = []
        self.body = b"1.5"

    async def perform(self, step: Step, job: RemoteJob, parcel: Parcel, shelf: Any) -> RemoteJob:
        self.performed.append(step.name)
        for trouble in self.troubles.get(step.name, []):
            self.troubles[step.name].remove(trouble)
            raise trouble
        return job.with_note(step.name, {"n": len(self.performed)})

    async def find(self, job: RemoteJob, spec: Spec, order: Order) -> Found | Absent | AskAgain:
        self.performed.append("find")
        if isinstance(self.found, Found):
            return Found(job=job.with_note("create", {"pk": "there"}))
        return self.found

    async def state(self, job: RemoteJob) -> State:
        state = self.states.pop(0)
        if isinstance(state, Exception):
            raise state
        return state

    async def outputs(self, job: RemoteJob) -> tuple[Output, ...]:
        return (Output(name="score", kind=OutputKind.VALUE, media_type="application/json", ref="x"),)

    async def fetch(self, job: RemoteJob, output: Output, sink: Any) -> Fetched:
        sink.write(self.body)
        return Fetched(size_bytes=3, sha256="00")


class Bench:
    def __init__(self, folder: Path) -> None:
        self.cloud = Cloud()
        shelf = JobShelf(folder)
        shelf.write(PARCEL_FILE, TypeAdapter(Parcel).dump_json(Parcel(order=ORDER, files=())))
        spec = Spec(algorithm="a", title="a", interfaces=(), details={})
        shelf.write(SPEC_FILE, TypeAdapter(Spec).dump_json(spec))
        self.row: dict[str, Any] = {"remote": cloud.REMOTE.dump_json(RemoteJob(key="j1")).decode()}
        self.notes: list[str] = []
        self.now = 0.0
        self.is_away = False
        account = SimpleNamespace(deadline_hours=50.0, retry_s=(0.0,), platform="grand-challenge")
        self.record: list[tuple[str, list[str]]] = []
        self.parts = cast(
            Parts,
            SimpleNamespace(
                platform=lambda name: self.cloud,
                shelf=lambda job: shelf,
                jobs=SimpleNamespace(
                    get=lambda id: self.job(),
                    change=lambda job, **values: self.row.update(values),
                    note=lambda job, event, **keys: self.notes.append(event),
                ),
                site=SimpleNamespace(accounts={"gc": account}),
                disclosures=SimpleNamespace(
                    begin=lambda sent: self.record.append(("begin", [one.name for one in sent])),
                    left=lambda sent: self.record.append(("left", [one.name for one in sent])),
                ),
                clock=lambda: self.now,
                pace=SimpleNamespace(look=lambda account: None, is_away=lambda account: self.is_away),
                passing=lambda point: None,
            ),
        )

    def job(self, **changes: Any) -> Job:
        frozen = (
            '{"mode":"live","platform":"gc","algorithm":"a","destinations":["p"],'
            '"inputs":{"i":{"volume":{"Modality":"CT"}}},"version":"v1"}'
        )
        values = {field.name: "" for field in dataclasses.fields(Job)} | {
            "id": "j1",
            "account": "gc",
            "frozen": frozen,
            "state": JobState.RUNNING,
            "deadline_at": 1000.0,
            **self.row,
            **changes,
        }
        return Job(**values)

    def submit(self, name: str) -> None:
        asyncio.run(cloud.submit(self.parts, self.job(), name))

    @property
    def remote(self) -> RemoteJob:
        return cloud.REMOTE.validate_json(self.row["remote"])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_intention_is_written_before_the_step_is_performed(bench: Bench) -> None:
    bench.cloud.troubles["upload"] = [TryLater("X-1", "away")]
    with pytest.raises(TryLater):
        bench.submit("upload")
    assert bench.remote.begun == ("upload",)
    assert bench.remote.notes == {}


def test_step_with_a_note_is_never_done_again(bench: Bench) -> None:
    bench.submit("upload")
    bench.submit("upload")
    assert bench.cloud.performed == ["upload"]


def test_begun_step_whose_repetition_is_safe_is_done_again(bench: Bench) -> None:
    bench.cloud.troubles["upload"] = [TryLater("X-1", "away")]
    with pytest.raises(TryLater):
        bench.submit("upload")
    bench.submit("upload")
    assert bench.cloud.performed == ["upload", "upload"]


def test_begun_commit_is_looked_for_first(bench: Bench) -> None:
    bench.submit("session")
    begun = dataclasses.replace(bench.remote, begun=("upload", "session", "create"))
    bench.row["remote"] = cloud.REMOTE.dump_json(begun).decode()
    bench.cloud.found = Found(job=begun)
    bench.submit("create")
    assert bench.cloud.performed == ["upload", "session", "find"]
    assert bench.remote.notes["create"] == {"pk": "there"}


def test_commit_whose_answer_was_lost_is_looked_for_at_once(bench: Bench) -> None:
    bench.cloud.troubles["create"] = [Unsure("X-2", "no answer")]
    bench.cloud.found = Found(job=bench.remote)
    bench.submit("create")
    assert bench.cloud.performed == ["upload", "session", "create", "find"]
    assert "cloud.found" in bench.notes


def test_unsure_commit_that_is_not_found_waits_and_looks_again_before_repeating(bench: Bench) -> None:
    bench.cloud.troubles["create"] = [Unsure("X-2", "no answer")]
    with pytest.raises(Unsure):
        bench.submit("create")
    bench.submit("create")
    assert bench.cloud.performed[2:] == ["create", "find", "find", "create"]


def test_platform_that_cannot_say_yet_is_asked_again_later(bench: Bench) -> None:
    bench.cloud.troubles["create"] = [Unsure("X-2", "no answer")]
    bench.cloud.found = AskAgain(after_s=7.0)
    with pytest.raises(TryLater) as raised:
        bench.submit("create")
    assert raised.value.after_s == 7.0
    assert bench.cloud.performed.count("create") == 1


def test_note_that_died_sends_back_to_the_step_that_made_it(bench: Bench) -> None:
    bench.submit("session")
    bench.cloud.troubles["create"] = [TryLater("GC-220", "swept", numbers={RESTART: "upload"})]
    with pytest.raises(TryLater):
        bench.submit("create")
    assert bench.remote.notes == {}
    bench.submit("create")
    assert bench.cloud.performed == ["upload", "session", "create", "upload", "session", "create"]
    assert set(bench.remote.notes) == {"upload", "session", "create"}


def test_nothing_is_dropped_once_something_was_committed(bench: Bench) -> None:
    bench.submit("create")
    assert cloud._without(bench.remote, "upload", ORDER) == bench.remote


def test_step_that_takes_longer_than_the_deadline_is_held(bench: Bench) -> None:
    bench.now = 2000.0
    with pytest.raises(Held, match="no end after 50 hours"):
        bench.submit("upload")


def wait(bench: Bench, *states: State | Exception) -> None:
    bench.cloud.states = list(states)
    asyncio.run(cloud.wait(bench.parts, bench.job()))


def ended(verdict: Verdict, **values: Any) -> State:
    return State(phase=Phase.ENDED, verdict=verdict, raw=verdict, **values)


def test_absence_of_the_platform_is_no_news_about_the_job(bench: Bench) -> None:
    running = State(phase=Phase.RUNNING, raw="Executing", look_again_s=0.0)
    wait(bench, running, TryLater("X-1", "away"), running, ended(Verdict.DONE, pin="v1"))
    assert bench.remote.pin == "v1"
    assert bench.notes == ["cloud.state", "cloud.state"]


def test_failed_job_ends_with_the_platforms_reason(bench: Bench) -> None:
    with pytest.raises(Never, match="container stopped"):
        wait(bench, ended(Verdict.FAILED, reason="container stopped"))


def test_result_of_another_version_than_the_rule_declares_is_held(bench: Bench) -> None:
    with pytest.raises(Held, match="version v2"):
        wait(bench, ended(Verdict.DONE, pin="v2"))


def test_output_that_changed_on_its_way_is_not_taken(bench: Bench) -> None:
    with pytest.raises(Damaged, match="changed on its way"):
        asyncio.run(cloud.fetch(bench.parts, bench.job()))
    assert "outputs" not in bench.row


def test_deadline_that_an_outage_has_moved_while_the_step_waited_counts(bench: Bench) -> None:
    read_before = bench.job(deadline_at=1000.0)
    bench.row["deadline_at"], bench.now = 5000.0, 2000.0
    asyncio.run(cloud.submit(bench.parts, read_before, "upload"))
    assert bench.cloud.performed == ["upload"]


def test_deadline_stands_still_while_the_account_is_away(bench: Bench) -> None:
    bench.is_away, bench.now = True, 2000.0
    bench.submit("upload")
    assert bench.cloud.performed == ["upload"]
    bench.is_away = False
    with pytest.raises(Held):
        bench.submit("session")
