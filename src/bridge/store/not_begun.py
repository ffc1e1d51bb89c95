"""Jobs that have not begun follow their study: they take its newest objects, make room for a newer job, or wait.

A job that has begun is never touched; a changed input makes another one. Everything here happens inside the
transaction of a decision.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from bridge.store.budgets import spend_once, take_place
from bridge.store.rows import DOUBT, Decision, JobState, NewJob, Stage
from bridge.store.tables import jobs
from bridge.store.timeline import note

REPLACED = "STU-020"
"""A job that a newer one of the same rule and study has replaced. It comes back when its input does."""


_WAITS = sa.or_(
    jobs.c.state == JobState.READY,
    sa.and_(jobs.c.state == JobState.HELD, sa.or_(jobs.c.code == "", jobs.c.code.startswith(DOUBT))),
)


def follow(connection: sa.Connection, study: str, decision: Decision, now: float) -> list[str]:
    """Bring the jobs of a rule and a study that have not begun in line with its newest decision.

    Returns the ids of jobs that come back.
    """
    job = decision.job
    if job is None and not decision.code.startswith(DOUBT):
        return []
    rows = connection.execute(
        sa.select(jobs).where(
            jobs.c.study_instance_uid == study,
            jobs.c.rule == decision.rule,
            jobs.c.run == 0,
            jobs.c.stage == Stage.PREPARE,
            sa.or_(_WAITS, sa.and_(jobs.c.state == JobState.CANCELLED, jobs.c.code == REPLACED)),
        )
    )
    back = []
    for row in rows.all():
        values: dict[str, Any] = {}
        if job is None:
            values = _held(row, decision)
        elif row.id == job.id:
            values = _renewed(row, job)
        elif row.rerun:
            # A person asked for exactly that content; other objects that show the same are as good.
            if row.contents == job.contents and row.inputs != job.inputs:
                values = {"inputs": job.inputs}
        elif row.state != JobState.CANCELLED:
            values = _replaced(row, job)
        if not values:
            continue
        event, keys = values.pop("event", ""), values.pop("keys", {})
        connection.execute(sa.update(jobs).where(jobs.c.id == row.id).values(changed_at=now, **values))
        if event:
            note(connection, row.id, event, keys, at=now)
        if event == "job.replaced" and job is not None:
            take_place(connection, row.id, job.id)
        if event == "job.restored":
            spend_once(connection, row.rule, row.id, now)
            back.append(row.id)
    return back


def would_replace(connection: sa.Connection, study: str, job: NewJob) -> bool:
    """Whether a job takes the place of one that has not begun: then it costs nothing more."""
    not_begun = sa.select(jobs.c.id).where(
        jobs.c.study_instance_uid == study,
        jobs.c.rule == job.rule,
        jobs.c.id != job.id,
        jobs.c.run == 0,
        jobs.c.rerun == 0,
        jobs.c.stage == Stage.PREPARE,
        _WAITS,
    )
    return connection.execute(not_begun).first() is not None


def _held(row: Any, decision: Decision) -> dict[str, Any]:
    known = (row.code, row.reason) == (decision.code, decision.reason)
    if row.rerun or known or row.state == JobState.CANCELLED:
        return {}
    why = {"code": decision.code, "reason": decision.reason}
    return {"event": "job.held", "keys": {"stage": Stage.PREPARE, **why}, "state": JobState.HELD, **why}


def _renewed(row: Any, job: NewJob) -> dict[str, Any]:
    """The same content, maybe in newer objects; nothing stands against the job any more."""
    values: dict[str, Any] = {}
    if json.loads(row.inputs) != json.loads(job.inputs):
        values["inputs"] = job.inputs
    waits = row.state == JobState.HELD and row.code
    if waits or row.state == JobState.CANCELLED:
        event = "job.released" if waits else "job.restored"
        values |= {"event": event, "state": job.state, "code": "", "reason": job.reason}
    return values


def _replaced(row: Any, job: NewJob) -> dict[str, Any]:
    cause = "its rule has changed" if row.contents == job.contents else "a newer input replaced it"
    return {
        "event": "job.replaced",
        "keys": {"by": job.id, "reason": cause},
        "state": JobState.CANCELLED,
        "code": REPLACED,
        "reason": f"{cause}: job {job.id[:8]}",
    }
