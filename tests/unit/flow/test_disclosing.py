"""The record of what leaves: before the first byte, once over crashes, and complete whatever the platform tells."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from bridge.errors import TryLater
from bridge.export.parcel import Order, OrderedValue, Parcel, ParcelFile, Repeat, Step
from bridge.flow.stages import cloud
from bridge.flow.stages.prepare import PARCEL_FILE, SPEC_FILE
from bridge.flow.stages.shelf import JobShelf
from bridge.platforms import Absent, Found, Phase, RemoteJob, Spec, State, Verdict
from bridge.store.crosswalk import Person
from bridge.store.disclosures import Sent
from bridge.store.jobs import JobState
from intake_bench import Bench as Intake

SHA = "ab" * 32
FILES = tuple(
    ParcelFile(input=input, ref=name, file_name=name, size_bytes=size, sha256=SHA, format=format)
    for input, name, size, format in (
        ("ct", "ct-1.dcm", 11, "dicom"),
        ("ct", "ct-2.dcm", 12, "dicom"),
        ("note", "note.pdf", 13, ""),
    )
)
VALUES = (OrderedValue(input="age", value=61),)
NAMED = (
    Step(name="upload:ct", sends=("ct",)),
    Step(name="upload:note", sends=("note",)),
    Step(name="create", commits=True, sends=("age",), repeat=Repeat.FIND_FIRST),
)
SILENT = (Step(name="upload"), Step(name="create", commits=True, repeat=Repeat.FIND_FIRST))


class Dies(BaseException):
    """The process is gone."""


class Cloud:
    def __init__(self) -> None:
        self.performed: list[str] = []
        self.trouble: list[Exception] = []
        self.seen: list[tuple[str, list[Sent]]] = []
        self.look: Any = list
        self.is_there = False

    async def perform(self, step: Step, job: RemoteJob, parcel: Parcel, shelf: Any) -> RemoteJob:
        self.performed.append(step.name)
        self.seen.append((step.name, self.look()))
        if self.trouble:
            raise self.trouble.pop()
        return job.with_note(step.name, {"n": 1})

    async def find(self, job: RemoteJob, spec: Spec, order: Order) -> Found | Absent:
        return Found(job=job.with_note("create", {"n": 1})) if self.is_there else Absent()

    async def state(self, job: RemoteJob) -> State:
        return State(phase=Phase.ENDED, verdict=Verdict.DONE, raw="ok")


class Bench(Intake):
    def __init__(self, folder: Path, steps: tuple[Step, ...] = NAMED) -> None:
        super().__init__(folder)
        self.receive("1.2")
        self.pass_time(100)
        self.id = self.job().id
        self.cloud = Cloud()
        self.cloud.look = self.sent
        self.steps = steps
        self.dies_at = ""
        shelf = JobShelf(folder / "jobs" / self.id)
        order = Order(files=(), steps=steps, details={})
        parcel = Parcel(order=order, files=FILES, values=VALUES, pseudonym="P-1", profile="f00")
        shelf.write(PARCEL_FILE, TypeAdapter(Parcel).dump_json(parcel))
        spec = Spec(algorithm="a", title="a", interfaces=(), details={})
        shelf.write(SPEC_FILE, TypeAdapter(Spec).dump_json(spec))
        for name, value in {
            "platform": lambda account: self.cloud,
            "shelf": lambda job: shelf,
            "passing": self._pass,
        }.items():
            setattr(self.parts, name, value)
        self.parts.disclosures.about(self.id, [("s", Person(issuer="", patient_id="C-1"))])
        self.remote(RemoteJob(key=self.id))

    def _pass(self, point: str) -> None:
        if point == self.dies_at:
            self.dies_at = ""
            raise Dies

    def remote(self, job: RemoteJob) -> None:
        text = cloud.REMOTE.dump_json(job).decode()
        self.jobs.change(self.id, remote=text, state=JobState.RUNNING, deadline_at=None)

    def submit(self) -> None:
        for step in self.steps:
            asyncio.run(cloud.submit(self.parts, self.job(), step.name))

    def sent(self) -> list[Sent]:
        return self.parts.disclosures.of_patient("C-1")

    def told(self) -> list[tuple[str, str, int, bool]]:
        return sorted((one.name, one.format, one.size_bytes, one.sent_at is not None) for one in self.sent())


EVERY = [("age", "value", 2, True), ("ct-1.dcm", "dicom", 11, True), ("ct-2.dcm", "dicom", 12, True)]
EVERY += [("note.pdf", "file", 13, True)]


@pytest.mark.parametrize("steps", [NAMED, SILENT], ids=["named", "silent"])
def test_everything_that_leaves_is_written_down(tmp_path: Path, steps: tuple[Step, ...]) -> None:
    bench = Bench(tmp_path, steps)
    bench.submit()
    assert bench.told() == EVERY
    (one,) = (one for one in bench.sent() if one.name == "ct-2.dcm")
    assert (one.rule, one.account, one.platform, one.algorithm) == (
        "lungs",
        "gc",
        "grand-challenge",
        "lungs-and-airways",
    )
    assert (one.pseudonym, one.profile, one.attempt, one.sha256) == ("P-1", "f00", 1, SHA)


def test_it_is_written_before_the_first_byte(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.submit()
    step, seen = bench.cloud.seen[0]
    assert step == "upload:ct"
    assert [(one.name, one.sent_at) for one in seen] == [("ct-1.dcm", None), ("ct-2.dcm", None)]


POINTS = [f"submit-{step}:{at}" for step in ("upload", "create") for at in ("before", "mid", "after")]


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_anywhere_leaves_one_line_for_each(tmp_path: Path, point: str) -> None:
    bench = Bench(tmp_path)
    bench.dies_at = point
    with pytest.raises(Dies):
        bench.submit()
    bench.cloud.is_there = "create" in bench.cloud.performed
    bench.now += 60
    bench.submit()
    asyncio.run(cloud.wait(bench.parts, bench.job()))
    assert bench.told() == EVERY


def test_the_first_time_counts(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.cloud.trouble = [TryLater("X-1", "away")]
    with pytest.raises(TryLater):
        bench.submit()
    began = bench.now
    bench.now += 60
    bench.submit()
    assert {one.begun_at for one in bench.sent() if one.input == "ct"} == {began}
    assert {one.sent_at for one in bench.sent() if one.input == "ct"} == {began + 60}
    bench.now += 60
    bench.remote(RemoteJob(key=bench.id))
    bench.submit()
    assert {one.sent_at for one in bench.sent() if one.input == "ct"} == {began + 60}


def test_what_began_and_has_no_end_is_told_as_begun(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.cloud.trouble = [TryLater("X-1", "away")]
    with pytest.raises(TryLater):
        bench.submit()
    assert bench.told() == [("ct-1.dcm", "dicom", 11, False), ("ct-2.dcm", "dicom", 12, False)]


def test_another_try_at_the_platform_is_another_disclosure(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.submit()
    bench.remote(RemoteJob(key=bench.id, attempt=2))
    bench.submit()
    assert sorted(one.attempt for one in bench.sent()) == [1] * 4 + [2] * 4


def test_a_patient_of_another_issuer_is_another_patient(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.submit()
    record = bench.parts.disclosures
    assert len(record.of_patient("C-1", "")) == len(record.of_patient(" C-1 ")) == 4
    assert record.of_patient("C-1", "Elsewhere") == record.of_patient("C-2") == []


def test_nothing_in_the_record_names_a_patient(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.submit()
    assert not [one for one in bench.sent() for told in dataclasses.astuple(one) if "C-1" in str(told)]
