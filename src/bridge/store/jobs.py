"""The job row: the truth about a job. The engine only says how far the work has got."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from bridge.store.answers import note_answer
from bridge.store.budgets import spend
from bridge.store.patients import borrow
from bridge.store.ready import Ready
from bridge.store.rows import (
    FINAL,
    Decision,
    Delivery,
    Job,
    JobEvent,
    JobState,
    NewJob,
    Stage,
    StoredResult,
)
from bridge.store.tables import Index, deliveries, events, jobs, results, turns
from bridge.store.timeline import note

__all__ = [
    "FINAL",
    "Decision",
    "Delivery",
    "Job",
    "JobEvent",
    "JobState",
    "Jobs",
    "NewJob",
    "Stage",
    "StoredResult",
]


class Jobs:
    def __init__(self, index: Index) -> None:
        self._index = index
        self.ready = Ready(index)

    def add(
        self, study_instance_uid: str, job: NewJob, *, explanation: str, event: str, keys: Mapping[str, Any]
    ) -> bool:
        """Write a job that a person asked for, with the first line of its timeline. False when it is there."""
        now = self._index.clock()
        with self._index.write() as connection:
            added = insert(connection, study_instance_uid, job, explanation, now)
            if added:
                note(connection, job.id, event, keys, at=now)
            return added

    def get(self, job_id: str) -> Job:
        with self._index.read() as connection:
            row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).one()
        return job_of_row(row)

    def find(self, beginning: str) -> list[Job]:
        """Jobs whose id begins so; for commands, where nobody types 32 characters."""
        with self._index.read() as connection:
            rows = connection.execute(sa.select(jobs).where(jobs.c.id.startswith(beginning, autoescape=True)))
            return [job_of_row(row) for row in rows]

    def all(self, *, state: JobState | None = None, limit: int = 1000) -> list[Job]:
        query = sa.select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.id).limit(limit)
        if state:
            query = query.where(jobs.c.state == state)
        with self._index.read() as connection:
            return [job_of_row(row) for row in connection.execute(query)]

    def states(self, job_ids: Collection[str]) -> dict[str, JobState]:
        """Of those that are there."""
        query = sa.select(jobs.c.id, jobs.c.state).where(jobs.c.id.in_(list(job_ids)))
        with self._index.read() as connection:
            return {row.id: JobState(row.state) for row in connection.execute(query)}

    def last_event(self) -> int:
        """The number of the newest line of all timelines."""
        with self._index.read() as connection:
            return int(connection.execute(sa.select(sa.func.max(events.c.id))).scalar_one() or 0)

    def of_study(self, study_instance_uid: str) -> list[Job]:
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(jobs).where(jobs.c.study_instance_uid == study_instance_uid).order_by(jobs.c.id)
            )
            return [job_of_row(row) for row in rows]

    def change(self, job_id: str, **values: Any) -> None:
        with self._index.write() as connection:
            connection.execute(
                sa.update(jobs).where(jobs.c.id == job_id).values(changed_at=self._index.clock(), **values)
            )

    def ended(
        self,
        job_id: str,
        state: JobState,
        *,
        run: int | None = None,
        code: str = "",
        reason: str = "",
        **keys: Any,
    ) -> bool:
        """End or hold a job that is under way, and note it; False when somebody else has ended it.

        run: where given, a person must not have begun another one.
        """
        now = self._index.clock()
        same_run = sa.true() if run is None else jobs.c.run == run
        with self._index.write() as connection:
            changed = connection.execute(
                sa.update(jobs)
                .where(jobs.c.id == job_id, jobs.c.state.in_((JobState.READY, JobState.RUNNING)), same_run)
                .values(state=state, code=code, reason=reason, changed_at=now)
            )
            if changed.rowcount:
                told = {"code": code, "reason": reason} if code else {}
                note(connection, job_id, f"job.{state}", keys | told, at=now)
            if changed.rowcount and state is JobState.DONE:
                # One whose rule wants no results issues none: its answer is there when it is done.
                issued = sa.select(results.c.job_id).where(results.c.job_id == job_id)
                if connection.execute(issued).first() is None:
                    note_answer(connection, job_id, now)
            return bool(changed.rowcount)

    def sent_back(self, job: Job, event: str, *, code: str, reason: str, **keys: Any) -> bool:
        """Begin another run of a job that runs, later; False when somebody else has ended it or begun one."""
        now = self._index.clock()
        this = sa.and_(jobs.c.id == job.id, jobs.c.state == JobState.RUNNING, jobs.c.run == job.run)
        again = {"state": JobState.READY, "run": job.run + 1, "code": code, "reason": reason}
        with self._index.write() as connection:
            changed = connection.execute(sa.update(jobs).where(this).values(changed_at=now, **again))
            if changed.rowcount:
                note(connection, job.id, event, keys, at=now)
            return bool(changed.rowcount)

    def started(self, job_id: str) -> None:
        """The engine has the job. Only a ready one becomes running: a person may have ended it meanwhile."""
        with self._index.write() as connection:
            connection.execute(
                sa.update(jobs)
                .where(jobs.c.id == job_id, jobs.c.state == JobState.READY)
                .values(state=JobState.RUNNING, code="", reason="", changed_at=self._index.clock())
            )

    def note(self, job_id: str, event: str, **keys: Any) -> None:
        """Add a line to the job's timeline: names and numbers only."""
        with self._index.write() as connection:
            note(connection, job_id, event, keys, at=self._index.clock())

    def timeline(self, job_id: str) -> list[JobEvent]:
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(events).where(events.c.job_id == job_id).order_by(events.c.at, events.c.id)
            )
            return [JobEvent(at=row.at, event=row.event, keys=json.loads(row.keys)) for row in rows]

    def keep_results(self, made: Iterable[StoredResult], owed: Mapping[str, Collection[str]]) -> None:
        """Issue the results of a job, and what is owed to each destination. Repeating it changes nothing.

        `owed`: SOP Instance UIDs among `made`, by destination.
        """
        now = self._index.clock()
        with self._index.write() as connection:
            for result in made:
                row = {column.name: getattr(result, column.name) for column in results.columns}
                issued = connection.execute(sa.insert(results).prefix_with("OR IGNORE").values(**row))
                if issued.rowcount:
                    note_answer(connection, result.job_id, now)
                for destination in (name for name, uids in owed.items() if result.sop_instance_uid in uids):
                    connection.execute(
                        sa.insert(deliveries)
                        .prefix_with("OR IGNORE")
                        .values(
                            job_id=result.job_id,
                            destination=destination,
                            sop_instance_uid=result.sop_instance_uid,
                            outcome="owed",
                            reason="",
                            attempts=0,
                        )
                    )
                    connection.execute(
                        sa.insert(turns)
                        .prefix_with("OR IGNORE")
                        .values(
                            job_id=result.job_id,
                            destination=destination,
                            turn=1,
                            tries=0,
                            due_at=now,
                            code="",
                            reason="",
                            since=now,
                        )
                    )

    def results(self, job_id: str) -> list[StoredResult]:
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(results).where(results.c.job_id == job_id).order_by(results.c.file)
            )
            return [StoredResult(**row._mapping) for row in rows]


def insert(connection: sa.Connection, study: str, job: NewJob, explanation: str, now: float) -> bool:
    """Write the row of a new job inside a transaction; False when there is one of that id."""
    borrow(connection, job)
    written = connection.execute(
        sa.insert(jobs)
        .prefix_with("OR IGNORE")
        .values(
            id=job.id,
            rule=job.rule,
            study_instance_uid=study,
            account=job.account,
            algorithm=job.algorithm,
            declared_version=job.declared_version,
            state=job.state,
            stage=Stage.PREPARE,
            code="",
            reason=job.reason,
            frozen=job.frozen,
            inputs=job.inputs,
            explanation=job.explanation or explanation,
            remote="",
            outputs="[]",
            contents=job.contents,
            rerun=job.rerun,
            run=0,
            urgent=job.urgent,
            priority=job.priority,
            not_before=job.not_before,
            created_at=now,
            changed_at=now,
        )
    )
    if written.rowcount:
        spend(connection, job.rule, job.id, now)
    return bool(written.rowcount)


def job_of_row(row: Any) -> Job:
    values = dict(row._mapping)
    values["state"] = JobState(values["state"])
    values["stage"] = Stage(values["stage"])
    values["urgent"] = bool(values["urgent"])
    return Job(**values)
