"""The job row: the truth about a job. The engine only says how far the work has got."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from bridge.store.rows import (
    FINAL,
    Decision,
    Delivery,
    Job,
    JobEvent,
    JobState,
    KnownSpec,
    NewJob,
    Stage,
    StoredResult,
)
from bridge.store.tables import Index, decisions, deliveries, events, jobs, results, specs, studies

__all__ = [
    "FINAL",
    "Decision",
    "Delivery",
    "Job",
    "JobEvent",
    "JobState",
    "Jobs",
    "KnownSpec",
    "NewJob",
    "Stage",
    "StoredResult",
]


class Jobs:
    def __init__(self, index: Index) -> None:
        self._index = index

    def decide(self, study_instance_uid: str, due_at: float, made: Sequence[Decision]) -> list[str]:
        """Write what all rules decided, and the jobs, in one transaction. Returns the ids of jobs that are new.

        The study counts as decided only when nothing of it arrived meanwhile (`due_at` is unchanged).
        """
        now = self._index.clock()
        new: list[str] = []
        with self._index.write() as connection:
            for decision in made:
                job = decision.job
                connection.execute(
                    sa.insert(decisions)
                    .prefix_with("OR REPLACE")
                    .values(
                        study_instance_uid=study_instance_uid,
                        rule=decision.rule,
                        outcome=decision.outcome,
                        reason=decision.reason,
                        explanation=decision.explanation,
                        job_id=job.id if job else None,
                        decided_at=now,
                    )
                )
                if job and self._insert(connection, study_instance_uid, decision, job, now):
                    new.append(job.id)
            connection.execute(
                sa.update(studies)
                .where(studies.c.study_instance_uid == study_instance_uid, studies.c.due_at == due_at)
                .values(state="decided", attempts=0)
            )
        return new

    def get(self, job_id: str) -> Job:
        with self._index.read() as connection:
            row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).one()
        return _job(row)

    def find(self, beginning: str) -> list[Job]:
        """Jobs whose id begins so; for commands, where nobody types 32 characters."""
        with self._index.read() as connection:
            rows = connection.execute(sa.select(jobs).where(jobs.c.id.startswith(beginning, autoescape=True)))
            return [_job(row) for row in rows]

    def all(self, *, state: JobState | None = None, limit: int = 1000) -> list[Job]:
        query = sa.select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.id).limit(limit)
        if state:
            query = query.where(jobs.c.state == state)
        with self._index.read() as connection:
            return [_job(row) for row in connection.execute(query)]

    def of_study(self, study_instance_uid: str) -> list[Job]:
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(jobs).where(jobs.c.study_instance_uid == study_instance_uid).order_by(jobs.c.id)
            )
            return [_job(row) for row in rows]

    def decisions(self, study_instance_uid: str) -> list[Decision]:
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(decisions)
                .where(decisions.c.study_instance_uid == study_instance_uid)
                .order_by(decisions.c.rule)
            )
            return [_decision(row) for row in rows]

    def every_decision(self) -> list[Decision]:
        """The latest decision of each rule about each study, newest first."""
        with self._index.read() as connection:
            rows = connection.execute(sa.select(decisions).order_by(decisions.c.decided_at.desc()))
            return [_decision(row) for row in rows]

    def undecided(self) -> list[tuple[str, Decision]]:
        """Rules that wait for a person or refused a study, without a job: (name of the study, decision)."""
        query = (
            sa.select(decisions, studies.c.name)
            .join_from(decisions, studies, decisions.c.study_instance_uid == studies.c.study_instance_uid)
            .where(decisions.c.outcome.in_(("held", "refused")), decisions.c.job_id.is_(None))
            .order_by(decisions.c.decided_at)
        )
        with self._index.read() as connection:
            return [(row.name, _decision(row)) for row in connection.execute(query)]

    def change(self, job_id: str, **values: Any) -> None:
        with self._index.write() as connection:
            connection.execute(
                sa.update(jobs).where(jobs.c.id == job_id).values(changed_at=self._index.clock(), **values)
            )

    def release(self, job_id: str) -> bool:
        """Let a job go on that was held before anything of it was done. False for any other."""
        with self._index.write() as connection:
            changed = connection.execute(
                sa.update(jobs)
                .where(
                    jobs.c.id == job_id,
                    jobs.c.state == JobState.HELD,
                    jobs.c.stage == Stage.PREPARE,
                    jobs.c.code == "",
                )
                .values(state=JobState.READY, reason="", changed_at=self._index.clock())
            )
            if changed.rowcount:
                self._note(connection, job_id, "job.released", {})
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
            self._note(connection, job_id, event, keys)

    def timeline(self, job_id: str) -> list[JobEvent]:
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(events).where(events.c.job_id == job_id).order_by(events.c.at, events.c.id)
            )
            return [JobEvent(at=row.at, event=row.event, keys=json.loads(row.keys)) for row in rows]

    def keep_results(self, made: Iterable[StoredResult], destinations: Iterable[str]) -> None:
        """Issue the results of a job and what is owed to each destination. Repeating it changes nothing."""
        made, destinations = list(made), list(destinations)
        with self._index.write() as connection:
            for result in made:
                row = {column.name: getattr(result, column.name) for column in results.columns}
                connection.execute(sa.insert(results).prefix_with("OR IGNORE").values(**row))
                for destination in destinations:
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

    def results(self, job_id: str) -> list[StoredResult]:
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(results).where(results.c.job_id == job_id).order_by(results.c.file)
            )
            return [StoredResult(**row._mapping) for row in rows]

    def deliveries(self, job_id: str, destination: str | None = None) -> list[Delivery]:
        query = sa.select(deliveries).where(deliveries.c.job_id == job_id)
        if destination is not None:
            query = query.where(deliveries.c.destination == destination)
        with self._index.read() as connection:
            rows = connection.execute(query.order_by(deliveries.c.destination, deliveries.c.sop_instance_uid))
            return [Delivery(**row._mapping) for row in rows]

    def answered(
        self, job_id: str, destination: str, answers: Mapping[str, tuple[str, int | None, str]]
    ) -> None:
        """Write what a peer said: SOP Instance UID -> (outcome, status, reason)."""
        now = self._index.clock()
        with self._index.write() as connection:
            for uid, (outcome, status, reason) in answers.items():
                connection.execute(
                    sa.update(deliveries)
                    .where(
                        deliveries.c.job_id == job_id,
                        deliveries.c.destination == destination,
                        deliveries.c.sop_instance_uid == uid,
                    )
                    .values(
                        outcome=outcome,
                        status=status,
                        reason=reason,
                        attempts=deliveries.c.attempts + 1,
                        first_at=sa.func.coalesce(deliveries.c.first_at, now),
                        last_at=now,
                    )
                )

    def spec(self, account: str, algorithm: str, declared_version: str) -> KnownSpec | None:
        with self._index.read() as connection:
            row = connection.execute(
                sa.select(specs).where(
                    specs.c.account == account,
                    specs.c.algorithm == algorithm,
                    specs.c.declared_version == declared_version,
                )
            ).first()
        if row is None:
            return None
        return KnownSpec(spec=row.spec, code=row.code, reason=row.reason, learned_at=row.learned_at)

    def keep_spec(
        self,
        account: str,
        algorithm: str,
        declared_version: str,
        *,
        spec: str | None,
        code: str = "",
        reason: str = "",
    ) -> None:
        with self._index.write() as connection:
            connection.execute(
                sa.insert(specs)
                .prefix_with("OR REPLACE")
                .values(
                    account=account,
                    algorithm=algorithm,
                    declared_version=declared_version,
                    spec=spec,
                    code=code,
                    reason=reason,
                    learned_at=self._index.clock(),
                )
            )

    def _insert(
        self, connection: sa.Connection, study: str, decision: Decision, job: NewJob, now: float
    ) -> bool:
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
                explanation=decision.explanation,
                remote="",
                outputs="[]",
                created_at=now,
                changed_at=now,
            )
        )
        if not written.rowcount:
            return False
        row = connection.execute(
            sa.select(studies.c.first_at, studies.c.last_at).where(studies.c.study_instance_uid == study)
        ).one()
        self._note(connection, job.id, "study.first-instance", {}, at=row.first_at)
        self._note(connection, job.id, "study.last-instance", {}, at=row.last_at)
        self._note(connection, job.id, "rule.matched", {"rule": job.rule}, at=now)
        return True

    def _note(
        self,
        connection: sa.Connection,
        job_id: str,
        event: str,
        keys: Mapping[str, Any],
        at: float | None = None,
    ) -> None:
        connection.execute(
            sa.insert(events).values(
                job_id=job_id,
                at=self._index.clock() if at is None else at,
                event=event,
                keys=json.dumps(dict(keys)),
            )
        )


def _job(row: Any) -> Job:
    values = dict(row._mapping)
    values["state"] = JobState(values["state"])
    values["stage"] = Stage(values["stage"])
    return Job(**values)


def _decision(row: Any) -> Decision:
    return Decision(rule=row.rule, outcome=row.outcome, reason=row.reason, explanation=row.explanation)
