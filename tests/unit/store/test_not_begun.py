"""Jobs that have not begun follow their study; what a person asked for follows it less."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.store.decisions import Decisions
from bridge.store.jobs import Decision, Job, Jobs, JobState, NewJob
from bridge.store.not_begun import REPLACED
from bridge.store.tables import Index, studies

FIRST = NewJob(
    id="a" * 32,
    rule="lungs",
    account="gc",
    algorithm="x",
    declared_version="",
    state=JobState.READY,
    reason="",
    frozen="{}",
    inputs=json.dumps({"ct": [1, 2]}),
    contents=json.dumps({"ct": "one"}),
)
OTHER = replace(FIRST, id="b" * 32, inputs=json.dumps({"ct": [1, 2, 3]}), contents=json.dumps({"ct": "two"}))
AGAIN = replace(FIRST, id="c" * 32, rerun=1)
DOUBT = "STU-001"


class Bench:
    def __init__(self, folder: Path) -> None:
        self.index = Index(folder / "index.sqlite", clock=lambda: 1000.0)
        self.index.open()
        self.jobs = Jobs(self.index)
        names = ("first_at", "last_at", "due_at", "quiet_s")
        with self.index.write() as connection:
            row: dict[str, Any] = dict.fromkeys(names, 1.0) | {"attempts": 0}
            connection.execute(
                sa.insert(studies).values(study_instance_uid="1.2", name="n", state="open", source="", **row)
            )

    def decide(self, job: NewJob | None, code: str = "") -> list[str]:
        jobs = (job,) if job else ()
        decision = Decision(
            rule="lungs", outcome="match", reason="so", explanation="{}", jobs=jobs, code=code
        )
        return Decisions(self.index).decide("1.2", 1.0, [decision])

    def rerun(self) -> None:
        assert self.jobs.add("1.2", AGAIN, explanation="{}", event="job.rerun-of", keys={})

    def job(self, new: NewJob) -> Job:
        return self.jobs.get(new.id)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_doubt_holds_a_job_and_its_end_releases_it(bench: Bench) -> None:
    bench.decide(FIRST)
    bench.decide(None, DOUBT)
    assert (bench.job(FIRST).state, bench.job(FIRST).code) == (JobState.HELD, DOUBT)
    bench.decide(FIRST)
    assert (bench.job(FIRST).state, bench.job(FIRST).code) == (JobState.READY, "")


def test_doubt_does_not_bring_back_a_job_that_was_replaced(bench: Bench) -> None:
    bench.decide(FIRST)
    bench.decide(OTHER)
    bench.decide(None, DOUBT)
    assert (bench.job(FIRST).state, bench.job(FIRST).code) == (JobState.CANCELLED, REPLACED)
    assert bench.job(OTHER).state is JobState.HELD


def test_what_a_person_asked_for_again_is_neither_held_nor_replaced(bench: Bench) -> None:
    bench.rerun()
    bench.decide(None, DOUBT)
    assert bench.job(AGAIN).state is JobState.READY
    bench.decide(OTHER)
    assert (bench.job(AGAIN).state, bench.job(AGAIN).inputs) == (JobState.READY, FIRST.inputs)


def test_what_a_person_asked_for_again_takes_newer_objects_of_the_same_content(bench: Bench) -> None:
    bench.rerun()
    bench.decide(replace(FIRST, inputs=json.dumps({"ct": [1, 4]})))
    assert json.loads(bench.job(AGAIN).inputs) == {"ct": [1, 4]}


def test_rule_that_no_longer_wants_it_leaves_a_job_alone(bench: Bench) -> None:
    bench.decide(FIRST)
    bench.decide(None)
    assert bench.job(FIRST).state is JobState.READY
