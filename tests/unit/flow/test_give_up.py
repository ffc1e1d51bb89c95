"""A stage that the engine has ended: what becomes of its job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.flow.engine import Workflow
from bridge.flow.job import Stages
from bridge.store.jobs import Job, Jobs, JobState, Stage, StoredResult
from bridge.store.tables import Index, jobs
from bridge.store.turns import Turns

JOB = "a" * 32
DEAD = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"


class Bench:
    def __init__(self, folder: Path) -> None:
        self.index = Index(folder / "index.sqlite", clock=lambda: 1000.0)
        self.index.open()
        self.parts: Any = SimpleNamespace(
            jobs=Jobs(self.index), turns=Turns(self.index), clock=lambda: 1000.0, passing=lambda point: None
        )
        empty = dict.fromkeys(
            ("rule", "study_instance_uid", "account", "algorithm", "declared_version"), ""
        ) | dict.fromkeys(("frozen", "inputs", "explanation"), "{}")
        row = {"id": JOB, "state": "running", "stage": "prepare", "created_at": 0.0, "changed_at": 0.0}
        with self.index.write() as connection:
            connection.execute(jobs.insert().values(**empty, **row))

    @property
    def job(self) -> Job:
        return self.parts.jobs.get(JOB)  # type: ignore[no-any-return]

    def give_up(self, id: str, status: str, error: str = "") -> None:
        ended = Workflow(id=id, status=status, attempts=22, error=error)
        Stages(self.parts).give_up(SimpleNamespace(given_up=lambda: [ended]))  # type: ignore[arg-type]

    def owe(self) -> None:
        result = StoredResult(
            sop_instance_uid="1.2",
            job_id=JOB,
            kind="SR",
            output_name="",
            sop_class_uid="1.3",
            series_instance_uid="1.4",
            file="1.dcm",
            sha256="",
            size_bytes=1,
        )
        self.parts.jobs.keep_results([result], {"pacs": ["1.2"]})
        self.parts.jobs.change(JOB, stage=Stage.DELIVER)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.index.close()


@pytest.mark.parametrize(
    ("status", "error", "code"), [(DEAD, "", "ENG-010"), ("ERROR", "KeyError", "ENG-011")]
)
def test_job_ends_with_the_reason(bench: Bench, status: str, error: str, code: str) -> None:
    bench.give_up(f"{JOB}.prepare", status, error)
    assert (bench.job.state, bench.job.code) == (JobState.FAILED, code)


@pytest.mark.parametrize("id", [f"{JOB}.prepare~1", f"{JOB}.cloud~2", "b" * 32 + ".prepare", "describe.x.1"])
def test_stage_of_another_run_or_job_ends_nothing(bench: Bench, id: str) -> None:
    bench.give_up(id, DEAD)
    assert bench.job.state is JobState.RUNNING


def test_trouble_of_the_machine_begins_another_run_at_the_same_stage(bench: Bench) -> None:
    bench.parts.jobs.change(JOB, stage=Stage.CLOUD, run=3)
    bench.give_up(f"{JOB}.cloud~3", "ERROR", "OperationalError")
    assert (bench.job.state, bench.job.stage, bench.job.run) == (JobState.READY, Stage.CLOUD, 4)
    bench.give_up(f"{JOB}.cloud~3", "ERROR", "OperationalError")
    assert bench.job.run == 4


def test_trouble_of_the_machine_at_a_turn_gives_it_another_turn_later(bench: Bench) -> None:
    bench.owe()
    bench.give_up(f"{JOB}.deliver.pacs~1", "ERROR", "OperationalError")
    turn = bench.parts.turns.get(JOB, "pacs")
    assert (turn.turn, turn.due_at) == (2, 1030.0)
    assert (bench.job.state, bench.job.run) == (JobState.RUNNING, 0)


def test_stage_of_an_older_run_hands_over_nothing(bench: Bench) -> None:
    handed: list[str] = []
    bench.parts.enqueue = lambda workflow, queue, id, *words, due_at=None: handed.append(id)
    bench.parts.jobs.change(JOB, run=1)
    Stages(bench.parts)._next("cloud", JOB, "0")
    assert (handed, bench.job.stage) == ([], Stage.PREPARE)
    Stages(bench.parts)._next("cloud", JOB, "1")
    assert (handed, bench.job.stage) == ([f"{JOB}.cloud~1"], Stage.CLOUD)
