"""The job row: the truth about a job. The engine only says how far the work has got."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from bridge.store.not_begun import follow
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
from bridge.store.tables import Index, decisions, deliveries, events, jobs, results, specs, studies, turns

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

    def decide(
        self,
        study_instance_uid: str,
        due_at: float,
        made: Sequence[Decision],
        *,
        complete: str = "",
        doubts: str = "",
    ) -> list[str]:
        """Write what all rules decided, and the jobs, in one transaction. Returns the ids of jobs that are new.

        The study counts as decided only when nothing of it arrived meanwhile (`due_at` is unchanged); what did
        begins another round. `complete`: why it was decided now. `doubts`: marks of those for which jobs are not made.
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
                if job and self._insert(connection, study_instance_uid, job, decision.explanation, now):
                    self._begin(connection, study_instance_uid, job, complete, now)
                    new.append(job.id)
                new += follow(connection, study_instance_uid, decision, now, self._note)
            this = studies.c.study_instance_uid == study_instance_uid
            connection.execute(
                sa.update(studies)
                .where(this, studies.c.due_at != due_at)
                .values(opened_at=now, doubts=doubts)
            )
            connection.execute(
                sa.update(studies)
                .where(this, studies.c.due_at == due_at)
                .values(state="decided", attempts=0, waits="", complete=complete, doubts=doubts)
            )
        return new

    def add(
        self, study_instance_uid: str, job: NewJob, *, explanation: str, event: str, keys: Mapping[str, Any]
    ) -> bool:
        """Write a job that a person asked for, with the first line of its timeline. False when it is there."""
        now = self._index.clock()
        with self._index.write() as connection:
            added = self._insert(connection, study_instance_uid, job, explanation, now)
            if added:
                self._note(connection, job.id, event, keys, at=now)
            return added

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

    def decided(self, study_instance_uid: str, rule: str) -> Job | None:
        """The job that the latest decision of a rule about a study made or found; None where it made none."""
        with self._index.read() as connection:
            row = connection.execute(
                sa.select(jobs)
                .join_from(decisions, jobs, decisions.c.job_id == jobs.c.id)
                .where(decisions.c.study_instance_uid == study_instance_uid, decisions.c.rule == rule)
            ).one_or_none()
        return _job(row) if row else None

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

    def ended(self, job_id: str, state: JobState, *, code: str = "", reason: str = "", **keys: Any) -> bool:
        """End a job that is under way and note it; False when somebody else has ended it."""
        with self._index.write() as connection:
            changed = connection.execute(
                sa.update(jobs)
                .where(jobs.c.id == job_id, jobs.c.state.in_((JobState.READY, JobState.RUNNING)))
                .values(state=state, code=code, reason=reason, changed_at=self._index.clock())
            )
            if changed.rowcount:
                told = {"code": code, "reason": reason} if code else {}
                self._note(connection, job_id, f"job.{state}", told | keys)
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

    def keep_results(self, made: Iterable[StoredResult], owed: Mapping[str, Collection[str]]) -> None:
        """Issue the results of a job, and what is owed to each destination. Repeating it changes nothing.

        `owed`: SOP Instance UIDs among `made`, by destination.
        """
        now = self._index.clock()
        with self._index.write() as connection:
            for result in made:
                row = {column.name: getattr(result, column.name) for column in results.columns}
                connection.execute(sa.insert(results).prefix_with("OR IGNORE").values(**row))
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
        self, connection: sa.Connection, study: str, job: NewJob, explanation: str, now: float
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
                explanation=explanation,
                remote="",
                outputs="[]",
                contents=job.contents,
                rerun=job.rerun,
                run=0,
                created_at=now,
                changed_at=now,
            )
        )
        return bool(written.rowcount)

    def _begin(self, connection: sa.Connection, study: str, job: NewJob, complete: str, now: float) -> None:
        """The first lines of a timeline: what arrived when, and why that was all."""
        row = connection.execute(
            sa.select(studies.c.first_at, studies.c.last_at).where(studies.c.study_instance_uid == study)
        ).one()
        self._note(connection, job.id, "study.first-instance", {}, at=row.first_at)
        self._note(connection, job.id, "study.last-instance", {}, at=row.last_at)
        if complete:
            self._note(connection, job.id, "study.complete", {"reason": complete}, at=now)
        self._note(connection, job.id, "rule.matched", {"rule": job.rule}, at=now)

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
