"""What the rules said about a study, and the jobs that came of it: one transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from bridge.store.budgets import Pause, pause_of, spend_once, take_place
from bridge.store.jobs import insert, job_of_row
from bridge.store.not_begun import follow, is_there, places
from bridge.store.patients import tell_others
from bridge.store.rows import Budget, Decision, Job, JobState, NewJob, Waits
from bridge.store.studies import DECIDED, SET_ASIDE
from bridge.store.tables import Index, decision_jobs, decisions, events, jobs, studies
from bridge.store.timeline import note

GONE = "the rule is no longer in force"


@dataclass(frozen=True, slots=True, kw_only=True)
class Woken:
    """A decision that waited for something that has come, or long enough."""

    study_instance_uid: str
    name: str
    """Of the study."""
    rule: str
    waits_seen: int
    state: str
    """Of the study."""


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
        is_final: bool = True,
    ) -> list[str]:
        """Write what all rules decided, and the jobs, in one transaction. Returns the ids of jobs that are new.

        The study counts as decided only when nothing of it arrived meanwhile (`due_at` is unchanged); what did
        begins another round. `complete`: why it was decided now. `doubts`: marks of those for which jobs are not made.
        A job beyond the budget of its rule is not made: its decision is held, with the code of the pause, and keeps
        those that the budget had room for. Not `is_final`: the study stays open, whatever arrives.
        """
        now = self._index.clock()
        new: list[str] = []
        with self._index.write() as connection:
            for wanted in made:
                instead = places(connection, study_instance_uid, wanted)
                decision, made_now = _make(
                    connection, study_instance_uid, wanted, instead, now, why=complete, is_final=is_final
                )
                new += made_now
                connection.execute(
                    sa.insert(decisions)
                    .prefix_with("OR REPLACE")
                    .values(
                        study_instance_uid=study_instance_uid,
                        rule=decision.rule,
                        outcome=decision.outcome,
                        reason=decision.reason,
                        explanation=decision.explanation,
                        decided_at=now,
                        code=decision.code,
                        waits_since=decision.waits.since if decision.waits else None,
                        waits_until=decision.waits.until if decision.waits else None,
                        waits_seen=decision.waits.seen if decision.waits else 0,
                    )
                )
                _name_jobs(connection, study_instance_uid, decision)
                new += follow(connection, study_instance_uid, decision, instead, now)
            if not is_final:
                return new
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
            tell_others(connection, study_instance_uid, now)
        return new

    def of_study(self, study_instance_uid: str) -> list[Decision]:
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(decisions)
                .where(decisions.c.study_instance_uid == study_instance_uid)
                .order_by(decisions.c.rule)
            )
            return [_decision(row) for row in rows]

    def jobs(self, study_instance_uid: str, rule: str) -> list[Job]:
        """The jobs that a decision made or found, the preferred first."""
        of = decision_jobs.c
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(jobs)
                .join_from(decision_jobs, jobs, of.job_id == jobs.c.id)
                .where(of.study_instance_uid == study_instance_uid, of.rule == rule)
                .order_by(of.place)
            )
            return [job_of_row(row) for row in rows]

    def job_ids(self, study_instance_uid: str) -> dict[str, tuple[str, ...]]:
        """By rule, the jobs that its decision about a study made or found; rules without one are left out."""
        of = decision_jobs.c
        query = sa.select(of.rule, of.job_id).where(of.study_instance_uid == study_instance_uid)
        ids: dict[str, tuple[str, ...]] = {}
        with self._index.read() as connection:
            for row in connection.execute(query.order_by(of.rule, of.place)):
                ids[row.rule] = (*ids.get(row.rule, ()), row.job_id)
        return ids

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

    def waits_over(self, code: str, rules: Collection[str], now: float) -> list[Woken]:
        """Decisions of these rules that wait, and whose time is over or of whose jobs one is done."""
        done = sa.exists().where(
            jobs.c.study_instance_uid == decisions.c.study_instance_uid,
            jobs.c.state == JobState.DONE,
            events.c.job_id == jobs.c.id,
            events.c.id > decisions.c.waits_seen,
        )
        query = (
            sa.select(
                decisions.c.study_instance_uid,
                studies.c.name,
                decisions.c.rule,
                decisions.c.waits_seen,
                studies.c.state,
            )
            .join_from(decisions, studies, decisions.c.study_instance_uid == studies.c.study_instance_uid)
            .where(
                # The index is of decisions that have a code.
                decisions.c.code == code,
                decisions.c.code != "",
                decisions.c.rule.in_(list(rules)),
                studies.c.state != SET_ASIDE,
                sa.or_(decisions.c.waits_until <= now, done),
            )
        )
        with self._index.read() as connection:
            return [Woken(**row._mapping) for row in connection.execute(query)]

    def let_go(self, rules: Collection[str]) -> list[tuple[str, str]]:
        """What rules other than these had left open is nobody's wish any more: (name of the study, rule) of each.

        Jobs that were made stay as they are.
        """
        orphaned = sa.and_(decisions.c.outcome == "held", decisions.c.rule.not_in(list(rules)))
        query = (
            sa.select(decisions, studies.c.name)
            .join_from(decisions, studies, decisions.c.study_instance_uid == studies.c.study_instance_uid)
            .where(orphaned)
        )
        with self._index.write() as connection:
            rows = connection.execute(query).all()
            for row in rows:
                told = json.loads(row.explanation) | {"outcome": "no-match", "reason": GONE}
                gone = {"outcome": "no-match", "reason": GONE, "explanation": json.dumps(told), "code": ""}
                connection.execute(
                    sa.update(decisions)
                    .where(
                        decisions.c.study_instance_uid == row.study_instance_uid, decisions.c.rule == row.rule
                    )
                    .values(**gone, waits_since=None, waits_until=None)
                )
        return [(row.name, row.rule) for row in rows]

    def all(self) -> list[Decision]:
        """The newest first."""
        with self._index.read() as connection:
            rows = connection.execute(sa.select(decisions).order_by(decisions.c.decided_at.desc()))
            return [_decision(row) for row in rows]

    def waiting(self) -> list[tuple[str, Decision]]:
        """Rules that wait for something or refused a study: (name of the study, decision)."""
        query = (
            sa.select(decisions, studies.c.name)
            .join_from(decisions, studies, decisions.c.study_instance_uid == studies.c.study_instance_uid)
            .where(decisions.c.outcome.in_(("held", "refused")))
            .order_by(decisions.c.decided_at)
        )
        with self._index.read() as connection:
            return [(row.name, _decision(row)) for row in connection.execute(query)]


def _begin(
    connection: sa.Connection, study: str, job: NewJob, now: float, *, why: str, is_final: bool
) -> None:
    """The first lines of a timeline: what arrived when, and why that was all."""
    row = connection.execute(
        sa.select(studies.c.first_at, studies.c.last_at).where(studies.c.study_instance_uid == study)
    ).one()
    note(connection, job.id, "study.first-instance", {}, at=row.first_at)
    note(connection, job.id, "study.last-instance", {}, at=row.last_at)
    if why:
        name = "study.complete" if is_final else "inputs.complete"
        note(connection, job.id, name, {"reason": why}, at=now)
    note(connection, job.id, "rule.matched", {"rule": job.rule}, at=now)


def _decision(row: Any) -> Decision:
    since = row.waits_since
    return Decision(
        rule=row.rule,
        outcome=row.outcome,
        reason=row.reason,
        explanation=row.explanation,
        code=row.code,
        waits=None if since is None else Waits(since=since, until=row.waits_until, seen=row.waits_seen),
        decided_at=row.decided_at,
    )


def _make(
    connection: sa.Connection,
    study: str,
    decision: Decision,
    instead: Mapping[str, str],
    now: float,
    *,
    why: str,
    is_final: bool,
) -> tuple[Decision, list[str]]:
    """Make the jobs of a decision but those beyond the budget: in one transaction, so nobody else counts in between.

    A job that is there already costs nothing, and one that takes the place of another nothing more.
    """
    new: list[str] = []
    made: list[NewJob] = []
    pause: Pause | None = None
    for job in decision.jobs:
        there = is_there(connection, job)
        replaces = [old for old, newer in instead.items() if newer == job.id]
        if not there and not replaces and decision.budget != Budget():
            pause = pause or pause_of(connection, decision.rule, decision.budget, now)
            if pause:
                continue
        made.append(job)
        if insert(connection, study, job, decision.explanation, now):
            _begin(connection, study, job, now, why=why, is_final=is_final)
            _note_late(connection, study, job, now)
            new.append(job.id)
        elif not there:
            spend_once(connection, decision.rule, job.id, now)
        for old in replaces:
            take_place(connection, old, job.id)
    return (_paused(decision, tuple(made), pause) if pause else decision), new


def _note_late(connection: sa.Connection, study: str, job: NewJob, now: float) -> None:
    """In the timelines of jobs that have begun with less: more of their inputs has come, and is another job."""
    chosen = json.loads(job.inputs)
    begun = sa.select(jobs).where(
        jobs.c.study_instance_uid == study, jobs.c.rule == job.rule, jobs.c.id != job.id
    )
    for row in connection.execute(begun).all():
        other = job_of_row(row)
        before = json.loads(other.inputs)
        if not other.has_begun or other.state is JobState.CANCELLED or before.keys() != chosen.keys():
            continue
        more = sum(len(set(chosen[name]) - set(before[name])) for name in chosen)
        if more and all(set(before[name]) <= set(chosen[name]) for name in chosen):
            keys = {"change": f"{more} more object{'s' * (more != 1)}", "job": job.id}
            note(connection, other.id, "instance.late", keys, at=now)


def _paused(decision: Decision, made: tuple[NewJob, ...], pause: Pause) -> Decision:
    some = f"; {len(made)} of {len(decision.jobs)} jobs are made" if made else ""
    reason = f"the rule pauses: {pause.reason}{some}"
    told = json.loads(decision.explanation) | {"outcome": "held", "reason": reason}
    return replace(
        decision, outcome="held", reason=reason, explanation=json.dumps(told), jobs=made, code=pause.code
    )


def _name_jobs(connection: sa.Connection, study: str, decision: Decision) -> None:
    of = decision_jobs.c
    connection.execute(
        sa.delete(decision_jobs).where(of.study_instance_uid == study, of.rule == decision.rule)
    )
    for place, job in enumerate(decision.jobs):
        row = {"study_instance_uid": study, "rule": decision.rule, "place": place, "job_id": job.id}
        connection.execute(sa.insert(decision_jobs).values(**row))
