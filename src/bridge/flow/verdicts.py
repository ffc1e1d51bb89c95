"""Errors become waiting, holding or ending here and nowhere else.

A step's body raises; what the engine keeps of it is a small JSON answer: go on, again after so many seconds, or stop.
The reason stands in the job row, in the same sentence that log, command line and report show.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypedDict

import sqlalchemy.exc

from bridge.errors import (
    BridgeError,
    ConfigError,
    Damaged,
    Held,
    Never,
    Refused,
    TryLater,
    Unauthorized,
)
from bridge.flow.at_work import at_work
from bridge.flow.parts import Parts
from bridge.log import event
from bridge.store.jobs import Job, JobState, Stage

log = logging.getLogger("bridge.job")

MOST_FAILURES = 5
"""After so many unexpected failures of one step a job ends instead of looping for ever."""


GOING = frozenset({JobState.READY, JobState.RUNNING})
"""A job that the relay has handed over may be at work before its row says so."""

UNAUTHORIZED = "unauthorized"
"""Alert about an account whose token or certificate its platform does not take."""
MACHINE = (OSError, sqlite3.OperationalError, sqlalchemy.exc.OperationalError)
"""A full disk or a locked file: trouble of this machine, and none of the job."""


class Answer(TypedDict):
    """What a step leaves in the engine: names and numbers."""

    then: str
    pause_s: float


ON: Answer = {"then": "on", "pause_s": 0.0}
STOP: Answer = {"then": "stop", "pause_s": 0.0}


def again(pause_s: float) -> Answer:
    return {"then": "again", "pause_s": pause_s}


def pause(pauses_s: Sequence[float], attempt: int) -> float:
    """The pause after the attempt of that number, from 0; the last one repeats."""
    return float(pauses_s[min(attempt, len(pauses_s) - 1)])


def guard(
    parts: Parts,
    body: Callable[..., Answer | None],
    job_id: str,
    run: int,
    attempt: int,
    pauses_s: Sequence[float],
    *arguments: Any,
) -> Answer:
    """Run the body of a step for a job that is still running, and in the run that the step belongs to."""
    with at_work(job_id):
        job = parts.jobs.get(job_id)
        if not _counts(job, run):
            return STOP
        try:
            return _went(parts, job, body(job, *arguments) or ON)
        except Exception as error:  # noqa: BLE001 - the one place where every error gets its consequence
            return _consequence(parts, job, error, attempt, pauses_s)


async def guard_async(
    parts: Parts,
    body: Callable[..., Awaitable[Answer | None]],
    job_id: str,
    run: int,
    attempt: int,
    pauses_s: Sequence[float],
    *arguments: Any,
) -> Answer:
    """`guard` for a step that waits for a platform."""
    from bridge.flow.engine import in_thread

    with at_work(job_id):
        job = await in_thread(parts.jobs.get, job_id)
        if not _counts(job, run):
            return STOP
        try:
            answer = await body(job, *arguments) or ON
            went: Answer = await in_thread(_went, parts, job, answer)
            return went
        except Exception as error:  # noqa: BLE001 - as above
            consequence: Answer = await in_thread(_consequence, parts, job, error, attempt, pauses_s)
            return consequence


def _counts(row: Job, run: int) -> bool:
    return row.state in GOING and row.run == run


def _went(parts: Parts, job: Job, answer: Answer) -> Answer:
    """What follows from a body that raised nothing.

    Why a job waited is no news once it goes on; a reason that the step itself has written stays.
    """
    if answer["then"] != "on":
        return answer
    if not _counts(parts.jobs.get(job.id), job.run):
        return STOP  # a person has ended the job meanwhile, or the body itself
    if job.code:
        parts.jobs.change(job.id, code="", reason="")
    if job.stage is Stage.CLOUD:
        parts.alerts.end(UNAUTHORIZED, job.account)
    return answer


def _consequence(parts: Parts, job: Job, error: Exception, attempt: int, pauses_s: Sequence[float]) -> Answer:
    if not isinstance(error, MACHINE) and not _counts(parts.jobs.get(job.id), job.run):
        return STOP  # a person has ended the job meanwhile: how this step failed is no news of it
    match error:
        case TryLater() if error.tries is not None and attempt + 1 >= error.tries:
            return end(parts, job, JobState.FAILED, error)
        case TryLater():
            wait = max(error.after_s or 0.0, pause(pauses_s, attempt))
            return _wait(parts, job, error, wait)
        case Unauthorized():
            # Nothing is lost by waiting: a person renews the token, and the next try finds it.
            parts.alerts.begin(UNAUTHORIZED, job.account, error.sentence())
            return _wait(parts, job, error, float(pauses_s[-1]))
        case Held():
            return end(parts, job, JobState.HELD, error)
        case Refused():
            return end(parts, job, JobState.REFUSED, error)
        case Never() | Damaged() | ConfigError() | BridgeError():
            return end(parts, job, JobState.FAILED, error)
        case _ if isinstance(error, MACHINE):
            # A full disk or a locked file: the row could not be written either, so only the log is told.
            wait = pause(pauses_s, attempt)
            event(log, "job.machine-trouble", level=logging.ERROR, failed=True, job=job.id, pause_s=wait)
            return again(wait)
        case _:
            event(log, "job.unexpected", level=logging.ERROR, failed=True, job=job.id, stage=job.stage)
            bug = BridgeError(
                "BUG-001",
                f"an unexpected {type(error).__name__} in stage {job.stage}",
                remedy="The log names its place; please report it",
            )
            if attempt + 1 < MOST_FAILURES:
                return _wait(parts, job, bug, pause(pauses_s, attempt))
            return end(parts, job, JobState.FAILED, bug)


def _wait(parts: Parts, job: Job, error: BridgeError, wait_s: float) -> Answer:
    parts.jobs.change(job.id, code=error.code, reason=error.sentence())
    parts.jobs.note(job.id, "job.waits", stage=job.stage, code=error.code, pause_s=wait_s)
    event(
        log,
        "job.waits",
        level=logging.WARNING,
        job=job.id,
        stage=job.stage,
        code=error.code,
        pause_s=wait_s,
        reason=error.sentence(),
    )
    return again(wait_s)


def end(parts: Parts, job: Job, state: JobState, error: BridgeError) -> Answer:
    """End or hold a job: row, timeline and log say the same sentence. What a person has done meanwhile stands."""
    code, reason = error.code, error.sentence()
    if parts.jobs.ended(job.id, state, run=job.run, stage=job.stage, code=code, reason=reason):
        event(log, f"job.{state}", level=logging.ERROR, job=job.id, stage=job.stage, code=code, reason=reason)
    return STOP
