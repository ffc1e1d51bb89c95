"""Each error of the tree has its consequence, in the job row and for the engine."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa

from bridge.errors import (
    BridgeError,
    ConfigError,
    Damaged,
    Held,
    Never,
    Refused,
    TryLater,
    Unauthorized,
    Unsure,
)
from bridge.flow.parts import Parts
from bridge.flow.verdicts import Answer, end, guard
from bridge.store.alerts import Alerts
from bridge.store.decisions import Decisions
from bridge.store.jobs import Decision, Job, Jobs, JobState, NewJob, Stage
from bridge.store.tables import Index, studies

PAUSES = (1.0, 4.0, 9.0)


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    index = Index(tmp_path / "index.sqlite")
    index.open()
    with index.write() as connection:
        connection.execute(
            sa.insert(studies).values(
                study_instance_uid="1.2",
                name="n",
                state="open",
                source="",
                first_at=1.0,
                last_at=1.0,
                due_at=1.0,
                quiet_s=1.0,
                attempts=0,
            )
        )
    jobs = Jobs(index)
    new = NewJob(
        id="j1",
        rule="lungs",
        account="gc",
        algorithm="a",
        declared_version="",
        state=JobState.READY,
        reason="",
        frozen="{}",
        inputs="{}",
    )
    Decisions(index).decide(
        "1.2", 1.0, [Decision(rule="lungs", outcome="match", reason="", explanation="{}", jobs=(new,))]
    )
    return cast(Parts, SimpleNamespace(jobs=jobs, alerts=Alerts(index)))


def run(parts: Parts, error: Exception | None, attempt: int = 0) -> Answer:
    def body(job: Job) -> None:
        if error:
            raise error

    return guard(parts, body, "j1", 0, attempt, PAUSES)


ENDS: list[tuple[BridgeError, JobState]] = [
    (Refused("GEO-001", "a gap"), JobState.REFUSED),
    (Held("CLD-004", "another version"), JobState.HELD),
    (Never("GC-100", "no"), JobState.FAILED),
    (Damaged("CLD-002", "changed on its way"), JobState.FAILED),
    (ConfigError("CFG-001", "no such thing"), JobState.FAILED),
]


@pytest.mark.parametrize(("error", "state"), ENDS)
def test_error_ends_the_job(parts: Parts, error: BridgeError, state: JobState) -> None:
    assert run(parts, error)["then"] == "stop"
    job = parts.jobs.get("j1")
    assert (job.state, job.code, job.reason) == (state, error.code, error.sentence())
    assert parts.jobs.timeline("j1")[-1].event == f"job.{state}"


def test_what_a_person_has_done_meanwhile_stands(parts: Parts) -> None:
    stale = parts.jobs.get("j1")
    parts.jobs.change("j1", state=JobState.CANCELLED, reason="cancelled by ann")
    end(parts, stale, JobState.FAILED, Never("GC-100", "no"))
    assert parts.jobs.get("j1").reason == "cancelled by ann"
    parts.jobs.change("j1", state=JobState.READY, run=1)
    end(parts, stale, JobState.FAILED, Never("GC-100", "no"))
    assert parts.jobs.get("j1").state is JobState.READY
    assert [line.event for line in parts.jobs.timeline("j1")].count("job.failed") == 0


WAITS: list[tuple[Exception, int, float]] = [
    (TryLater("X-1", "busy"), 0, 1.0),
    (TryLater("X-1", "busy"), 1, 4.0),
    (TryLater("X-1", "busy"), 99, 9.0),
    (TryLater("X-1", "busy", after_s=30.0), 0, 30.0),
    (Unsure("X-2", "no answer"), 0, 1.0),
    (Unauthorized("X-3", "401"), 0, 9.0),
    (ValueError("Canary^Yellow"), 0, 1.0),
]


@pytest.mark.parametrize(("error", "attempt", "pause_s"), WAITS)
def test_error_makes_the_job_wait(parts: Parts, error: Exception, attempt: int, pause_s: float) -> None:
    assert run(parts, error, attempt) == {"then": "again", "pause_s": pause_s}
    job = parts.jobs.get("j1")
    assert job.state is JobState.READY
    assert job.code


def test_full_disk_makes_the_job_wait_without_writing_a_row(parts: Parts) -> None:
    before = parts.jobs.get("j1")
    answer = run(parts, OSError(28, "No space left on device"), attempt=2)
    assert answer == {"then": "again", "pause_s": 9.0}
    assert parts.jobs.get("j1") == before


def test_locked_index_makes_the_job_wait_although_its_row_cannot_be_read(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(job_id: str) -> Job:
        raise sqlite3.OperationalError("database is locked")

    def body(job: Job) -> None:
        monkeypatch.setattr(parts.jobs, "get", locked)
        raise sqlite3.OperationalError("database is locked")

    assert guard(parts, body, "j1", 0, 0, PAUSES) == {"then": "again", "pause_s": 1.0}


def test_wait_is_forgotten_when_the_step_succeeds(parts: Parts) -> None:
    run(parts, TryLater("X-1", "busy"))
    assert run(parts, None)["then"] == "on"
    assert parts.jobs.get("j1").code == ""


def test_reason_that_a_step_writes_at_its_end_is_kept(parts: Parts) -> None:
    run(parts, TryLater("X-1", "busy"))

    def fail(job: Job) -> None:
        parts.jobs.change(job.id, state=JobState.FAILED, code="DLV-002", reason="not stored")

    guard(parts, fail, "j1", 0, 1, PAUSES)
    job = parts.jobs.get("j1")
    assert (job.state, job.code, job.reason) == (JobState.FAILED, "DLV-002", "not stored")


def test_reason_of_a_step_that_waits_again_is_kept(parts: Parts) -> None:
    run(parts, TryLater("X-1", "busy"))

    def wait(job: Job) -> Answer:
        parts.jobs.change(job.id, code="DLV-001", reason="pacs is down")
        return {"then": "again", "pause_s": 1.0}

    guard(parts, wait, "j1", 0, 1, PAUSES)
    assert parts.jobs.get("j1").reason == "pacs is down"


def test_unexpected_error_is_set_aside_after_five(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="bridge"):
        assert run(parts, ValueError("Canary^Yellow"), attempt=4)["then"] == "stop"
    job = parts.jobs.get("j1")
    assert (job.state, job.code) == (JobState.FAILED, "BUG-001")
    assert "Canary" not in job.reason


def test_text_of_an_unexpected_error_is_in_no_log_line(parts: Parts, capsys: Any) -> None:
    from bridge.log import start_logging

    start_logging()
    try:
        run(parts, ValueError("Canary^Yellow"))
    finally:
        logging.getLogger("bridge").handlers.clear()
        logging.getLogger("bridge").propagate = True
    written = capsys.readouterr().err
    assert "ValueError" in written
    assert "Canary" not in written


@pytest.mark.parametrize("state", [JobState.HELD, JobState.CANCELLED, JobState.FAILED, JobState.DONE])
def test_job_that_is_over_runs_no_step(parts: Parts, state: JobState) -> None:
    parts.jobs.change("j1", state=state)
    assert run(parts, AssertionError("ran"))["then"] == "stop"


def test_token_that_is_not_taken_is_an_alert_until_the_platform_takes_one(parts: Parts) -> None:
    run(parts, Unauthorized("ACC-001", "an empty token file"))
    assert [(one.kind, one.subject) for one in parts.alerts.all()] == [("unauthorized", "gc")]
    run(parts, None)  # a conversion says nothing about the token
    assert parts.alerts.all()
    parts.jobs.change("j1", stage=Stage.CLOUD)
    run(parts, None)
    assert parts.alerts.all() == []


def test_success_of_a_step_is_no_news_of_a_job_that_was_ended_meanwhile(parts: Parts) -> None:
    def body(job: Job) -> None:
        parts.jobs.change("j1", state=JobState.CANCELLED, code="", reason="cancelled by ann")

    assert guard(parts, body, "j1", 0, 0, PAUSES)["then"] == "stop"
    assert parts.jobs.get("j1").reason == "cancelled by ann"
