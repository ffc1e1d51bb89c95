"""Answers that rules have not looked at yet: noted once, in the transaction that issues results."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from bridge.store.answers import Answers
from bridge.store.jobs import Jobs, JobState, StoredResult
from bridge.store.migrations import MIGRATIONS
from bridge.store.studies import Studies
from bridge.store.tables import Index, jobs, studies

ROW = (
    "INSERT INTO jobs (id, rule, study_instance_uid, account, algorithm, declared_version, state, stage, frozen,"
    " inputs, explanation, created_at, changed_at)"
    " VALUES ('{0}', 'lobes', '1.2', 'gc', 'x', '', '{1}', 'encode', '{{}}', '{{}}', '{{}}', 1, 1)"
)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self.index = Index(folder / "index.sqlite", clock=lambda: self.now)
        self.index.open()
        self.jobs, self.answers = Jobs(self.index), Answers(self.index)
        with self.index.write() as connection:
            for job, state in (("a", "running"), ("b", "running")):
                connection.exec_driver_sql(ROW.format(job, state))
            connection.execute(
                sa.insert(studies).values(
                    study_instance_uid="1.2",
                    name="n",
                    state="decided",
                    source="ct",
                    first_at=1.0,
                    last_at=2.0,
                    due_at=3.0,
                    quiet_s=1.0,
                )
            )

    def issue(self, uid: str = "2.25.1", job: str = "a") -> None:
        result = StoredResult(
            sop_instance_uid=uid,
            job_id=job,
            kind="SEG",
            output_name="",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
            series_instance_uid="2.25.8",
            file="f",
            sha256="",
            size_bytes=1,
        )
        self.jobs.keep_results([result], {})

    def new(self) -> list[str]:
        return [one.job_id for one in self.answers.new()]

    def state(self) -> str:
        study = Studies(self.index).study("1.2")
        assert study is not None
        return study.state


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_results_that_are_issued_again_are_no_new_answer(bench: Bench) -> None:
    bench.issue()
    (one,) = bench.answers.new()
    assert (one.rule, one.study_instance_uid) == ("lobes", "1.2")
    bench.answers.seen(one, wanted=True)
    assert bench.new() == []
    bench.issue()
    assert bench.new() == []


@pytest.mark.parametrize(("wanted", "state"), [(True, "open"), (False, "decided")])
def test_a_study_is_looked_at_where_a_rule_wants_the_answer(bench: Bench, wanted: bool, state: str) -> None:
    bench.issue()
    bench.answers.seen(bench.answers.new()[0], wanted=wanted)
    assert bench.state() == state


def test_the_end_of_a_job_is_its_answer_only_where_it_issued_nothing(bench: Bench) -> None:
    bench.issue()
    bench.answers.seen(bench.answers.new()[0], wanted=False)
    bench.jobs.ended("a", JobState.DONE)
    assert bench.new() == []
    bench.jobs.ended("b", JobState.DONE)
    assert bench.new() == ["b"]


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.REFUSED, JobState.CANCELLED])
def test_a_job_that_failed_has_no_answer(bench: Bench, state: JobState) -> None:
    bench.jobs.ended("b", state, code="X")
    assert bench.new() == []


def test_the_oldest_answer_comes_first(bench: Bench) -> None:
    bench.issue("2.25.2", "b")
    bench.now += 1
    bench.issue("2.25.1", "a")
    assert bench.new() == ["b", "a"]


def test_answers_of_an_earlier_release_make_no_study_be_looked_at(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite")
    with index.write() as connection:
        for statements in MIGRATIONS[:2]:
            for statement in statements:
                connection.exec_driver_sql(statement)
        connection.exec_driver_sql(ROW.format("a", "done"))
        connection.exec_driver_sql("PRAGMA user_version = 2")
    index.open()
    assert Answers(index).new() == []
    with index.read() as connection:
        assert connection.execute(sa.select(jobs.c.id)).scalars().all() == ["a"]
