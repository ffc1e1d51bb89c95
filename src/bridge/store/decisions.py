"""What the rules said about a study, and the jobs that came of it: one transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from bridge.store.budgets import pause_of
from bridge.store.jobs import insert, job_of_row
from bridge.store.not_begun import REPLACED, follow, would_replace
from bridge.store.rows import Budget, Decision, Job, JobState, NewJob
from bridge.store.studies import DECIDED
from bridge.store.tables import Index, decisions, jobs, studies
from bridge.store.timeline import note


class Decisions:
    """The latest decision of each rule about each study."""

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
        A job beyond the budget of its rule is not made: its decision is held instead, with the code of the pause.
        """
        now = self._index.clock()
        new: list[str] = []
        with self._index.write() as connection:
            for wanted in made:
                decision = _within_budget(connection, study_instance_uid, wanted, now)
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
                        code=decision.code,
                    )
                )
                if job and insert(connection, study_instance_uid, job, decision.explanation, now):
                    _begin(connection, study_instance_uid, job, complete, now)
                    new.append(job.id)
                new += follow(connection, study_instance_uid, decision, now)
            this = studies.c.study_instance_uid == study_instance_uid
            connection.execute(
                sa.update(studies)
                .where(this, studies.c.due_at != due_at)
                .values(opened_at=now, doubts=doubts)
            )
            connection.execute(
                sa.update(studies)
                .where(this, studies.c.due_at == due_at)
                .values(state=DECIDED, attempts=0, waits="", complete=complete, doubts=doubts)
            )
        return new

    def of_study(self, study_instance_uid: str) -> list[Decision]:
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(decisions)
                .where(decisions.c.study_instance_uid == study_instance_uid)
                .order_by(decisions.c.rule)
            )
            return [_decision(row) for row in rows]

    def job(self, study_instance_uid: str, rule: str) -> Job | None:
        """The job that a decision made or found; None where it made none."""
        with self._index.read() as connection:
            row = connection.execute(
                sa.select(jobs)
                .join_from(decisions, jobs, decisions.c.job_id == jobs.c.id)
                .where(decisions.c.study_instance_uid == study_instance_uid, decisions.c.rule == rule)
            ).one_or_none()
        return job_of_row(row) if row else None

    def kept_back(self, codes: Collection[str], rule: str, most: int | None = None) -> list[str]:
        """Studies that a rule fits and that wait for one of these reasons alone, the longest waiting first."""
        query = (
            sa.select(decisions.c.study_instance_uid)
            .join_from(decisions, studies, decisions.c.study_instance_uid == studies.c.study_instance_uid)
            .where(decisions.c.code.in_(codes), decisions.c.code != "", decisions.c.rule == rule)
            .where(studies.c.state == DECIDED)
            .order_by(decisions.c.decided_at, studies.c.first_at, studies.c.name)
            .limit(most)
        )
        with self._index.read() as connection:
            return list(connection.execute(query).scalars())

    def all(self) -> list[Decision]:
        """The newest first."""
        with self._index.read() as connection:
            rows = connection.execute(sa.select(decisions).order_by(decisions.c.decided_at.desc()))
            return [_decision(row) for row in rows]

    def waiting(self) -> list[tuple[str, Decision]]:
        """Rules that wait for a person or refused a study, without a job: (name of the study, decision)."""
        query = (
            sa.select(decisions, studies.c.name)
            .join_from(decisions, studies, decisions.c.study_instance_uid == studies.c.study_instance_uid)
            .where(decisions.c.outcome.in_(("held", "refused")), decisions.c.job_id.is_(None))
            .order_by(decisions.c.decided_at)
        )
        with self._index.read() as connection:
            return [(row.name, _decision(row)) for row in connection.execute(query)]


def _begin(connection: sa.Connection, study: str, job: NewJob, complete: str, now: float) -> None:
    """The first lines of a timeline: what arrived when, and why that was all."""
    row = connection.execute(
        sa.select(studies.c.first_at, studies.c.last_at).where(studies.c.study_instance_uid == study)
    ).one()
    note(connection, job.id, "study.first-instance", {}, at=row.first_at)
    note(connection, job.id, "study.last-instance", {}, at=row.last_at)
    if complete:
        note(connection, job.id, "study.complete", {"reason": complete}, at=now)
    note(connection, job.id, "rule.matched", {"rule": job.rule}, at=now)


def _decision(row: Any) -> Decision:
    return Decision(
        rule=row.rule, outcome=row.outcome, reason=row.reason, explanation=row.explanation, code=row.code
    )


def _within_budget(connection: sa.Connection, study: str, decision: Decision, now: float) -> Decision:
    """The decision, or the same one held: counting and making a job are one transaction, whoever else decides."""
    job = decision.job
    if job is None or decision.budget == Budget():
        return decision
    known = connection.execute(sa.select(jobs.c.state, jobs.c.code).where(jobs.c.id == job.id)).one_or_none()
    if known is not None and (known.state, known.code) != (JobState.CANCELLED, REPLACED):
        return decision
    if would_replace(connection, study, job):
        return decision
    pause = pause_of(connection, decision.rule, decision.budget, now)
    if pause is None:
        return decision
    reason = f"the rule pauses: {pause.reason}"
    told = json.loads(decision.explanation) | {"outcome": "held", "reason": reason}
    return replace(
        decision, outcome="held", reason=reason, explanation=json.dumps(told), job=None, code=pause.code
    )
