"""Jobs that have not begun follow their study: they take its newest objects, make room for a newer job, or wait.

A job that has begun is never touched; a changed input makes another one. Everything here happens inside the
transaction of a decision.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from bridge.store.rows import DOUBT, Decision, JobState, NewJob, Stage
from bridge.store.tables import instances, jobs
from bridge.store.timeline import note

REPLACED = "STU-020"
"""A job that a newer one of the same rule and study has replaced. It comes back when its input does."""


_WAITS = sa.or_(
    jobs.c.state == JobState.READY,
    sa.and_(jobs.c.state == JobState.HELD, sa.or_(jobs.c.code == "", jobs.c.code.startswith(DOUBT))),
)


def follow(
    connection: sa.Connection, study: str, decision: Decision, instead: Mapping[str, str], now: float
) -> list[str]:
    """Bring the jobs of a rule and a study that have not begun in line with its newest decision.

    instead: the `places` of the decision.

    Returns the ids of jobs that come back.
    """
    if not decision.jobs and not decision.code.startswith(DOUBT):
        return []
    wanted = {job.id: job for job in decision.jobs}
    newest = {job.contents: job.inputs for job in decision.jobs}
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
        if not wanted:
            values = _held(row, decision)
        elif row.id in wanted:
            values = _renewed(row, wanted[row.id])
        elif row.rerun:
            # A person asked for exactly that content; other objects that show the same are as good.
            if newest.get(row.contents, row.inputs) != row.inputs:
                values = {"inputs": newest[row.contents]}
        elif row.id in instead:
            values = _replaced(row, wanted[instead[row.id]])
        if not values:
            continue
        event, keys = values.pop("event", ""), values.pop("keys", {})
        connection.execute(sa.update(jobs).where(jobs.c.id == row.id).values(changed_at=now, **values))
        if event:
            note(connection, row.id, event, keys, at=now)
        if event == "job.restored":
            back.append(row.id)
    return back


def is_there(connection: sa.Connection, job: NewJob) -> bool:
    """Whether the job has been made before and still stands; one that was replaced would come back."""
    row = connection.execute(sa.select(jobs.c.state, jobs.c.code).where(jobs.c.id == job.id)).one_or_none()
    return row is not None and (row.state, row.code) != (JobState.CANCELLED, REPLACED)


def places(connection: sa.Connection, study: str, decision: Decision) -> dict[str, str]:
    """Jobs that have not begun, each with the job of a decision that takes its place; before those are made.

    Where a rule makes one job of a study, that one takes the place of all others. Where every volume has its own, a job
    makes room for the one that is made of the same objects; one of which no object is in any new job stays.
    """
    if not decision.jobs:
        return {}
    rows = connection.execute(
        sa.select(jobs.c.id, jobs.c.inputs)
        .where(
            jobs.c.study_instance_uid == study,
            jobs.c.rule == decision.rule,
            jobs.c.id.not_in([job.id for job in decision.jobs]),
            jobs.c.run == 0,
            jobs.c.rerun == 0,
            jobs.c.stage == Stage.PREPARE,
            _WAITS,
        )
        .order_by(jobs.c.created_at, jobs.c.id)
    ).all()
    if not decision.each:
        return {row.id: decision.jobs[0].id for row in rows}
    new = [job for job in decision.jobs if rows and not is_there(connection, job)]
    objects = {job.id: _objects(connection, job.inputs, decision.each) for job in new}
    shared = {
        (row.id, job.id): len(old & objects[job.id])
        for row in rows
        for old in [_objects(connection, row.inputs, decision.each)]
        for job in new
    }
    found: dict[str, str] = {}
    # Each its own as long as there are enough: two phases of one object share it with both of its newer phases.
    for alone in (True, False):
        for (old, newer), count in sorted(shared.items(), key=lambda one: -one[1]):
            if count and old not in found and not (alone and newer in found.values()):
                found[old] = newer
    return found


def _objects(connection: sa.Connection, inputs: str, each: str) -> set[str]:
    """SOP Instance UIDs of the volume that is a job's own."""
    given: dict[str, list[int]] = json.loads(inputs)
    every = [number for numbers in given.values() for number in numbers]
    of = instances.c
    query = sa.select(of.sop_instance_uid).where(of.number.in_(given.get(each, every)))
    return set(connection.execute(query).scalars())


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
