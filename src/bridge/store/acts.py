"""What people ask for from beside the running service, and what became of it. Rows are never removed."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from bridge.dicom.statuses import STORED, Outcome
from bridge.store.rows import Act, Job
from bridge.store.tables import Index, acts, deliveries, events, jobs, lines, turns
from bridge.store.timeline import note

DONE, REFUSED = "done", "refused"


class Turning(StrEnum):
    """What becomes of the turns of a job."""

    KEPT = "kept"
    OVER = "over"
    """Nothing is sent any more."""
    AGAIN = "again"
    """What is not stored yet is owed again, and tried now."""


class Acts:
    def __init__(self, index: Index) -> None:
        self._index = index

    def ask(self, act: str, target: str, *, who: str, reason: str = "") -> int:
        """Write down a wish; the service fulfils it at its next look. Returns its number."""
        with self._index.write() as connection:
            asked = connection.execute(
                sa.insert(acts)
                .values(
                    act=act,
                    target=target,
                    who=who,
                    reason=reason,
                    asked_at=self._index.clock(),
                    outcome="",
                    answer="",
                )
                .returning(acts.c.id)
            )
            return int(asked.scalar_one())

    def get(self, number: int) -> Act:
        with self._index.read() as connection:
            return Act(**connection.execute(sa.select(acts).where(acts.c.id == number)).one()._mapping)

    def about(self, job_id: str) -> list[Act]:
        """What was asked about a job or one of its stages, the oldest first."""
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(acts)
                .where(sa.or_(acts.c.target == job_id, acts.c.target.startswith(f"{job_id}.")))
                .order_by(acts.c.id)
            )
            return [Act(**row._mapping) for row in rows]

    def waiting(self) -> list[Act]:
        """Wishes that nobody has fulfilled or refused yet, the oldest first."""
        with self._index.read() as connection:
            rows = connection.execute(sa.select(acts).where(acts.c.outcome == "").order_by(acts.c.id))
            return [Act(**row._mapping) for row in rows]

    def done(self, number: int, outcome: str, answer: str) -> None:
        """`outcome` is `DONE` or `REFUSED`; `answer` is the sentence that the person reads."""
        with self._index.write() as connection:
            connection.execute(
                sa.update(acts)
                .where(acts.c.id == number)
                .values(outcome=outcome, answer=answer, done_at=self._index.clock())
            )

    def noted(self, act: Act, job_id: str) -> bool:
        """Whether the job's timeline has this wish already: it was fulfilled, and a crash kept its answer back."""
        with self._index.read() as connection:
            query = sa.select(events.c["keys"]).where(
                events.c.job_id == job_id, events.c.event == f"act.{act.act}"
            )
            keys = connection.execute(query).scalars()
            return any(json.loads(text).get("act") == act.id for text in keys)

    def fulfil(self, act: Act, job: Job, *, turning: Turning = Turning.KEPT, **values: Any) -> bool:
        """Change the row and the turns of a job and note the wish in its timeline, in one transaction.

        False, and nothing is changed, when the job has moved on since `job` was read.
        """
        now = self._index.clock()
        with self._index.write() as connection:
            changed = connection.execute(
                sa.update(jobs)
                .where(jobs.c.id == job.id, jobs.c.state == job.state, jobs.c.run == job.run)
                .where(jobs.c.stage == job.stage)
                .values(changed_at=now, **values)
            )
            if not changed.rowcount:
                return False
            keys = {"act": act.id, "who": act.who, "reason": act.reason}
            note(connection, job.id, f"act.{act.act}", keys, at=now)
            if turning is Turning.OVER:
                connection.execute(
                    sa.update(turns)
                    .where(turns.c.job_id == job.id, turns.c.due_at.is_not(None))
                    .values(turn=turns.c.turn + 1, due_at=None, code="", reason="")
                )
            if turning is Turning.AGAIN:
                _owe_again(connection, job.id, now)
        return True


def _owe_again(connection: sa.Connection, job_id: str, now: float) -> None:
    mine = deliveries.c.job_id == job_id
    left = sa.and_(mine, deliveries.c.outcome.not_in(STORED))
    # What is stored and not confirmed has a turn too: a destination may have to be asked back.
    open_ones = sa.and_(mine, deliveries.c.outcome != Outcome.CONFIRMED)
    there = list(
        connection.execute(sa.select(deliveries.c.destination).where(open_ones).distinct()).scalars()
    )
    # The days after which a person must decide begin again. That something was sent before stays known: it tells
    # what "duplicate" means.
    anew = {"outcome": "owed", "first_at": None, "reason": "", "few": 0, "asked": 0, "resent": 0}
    connection.execute(sa.update(deliveries).where(left).values(**anew))
    for destination in there:
        known = connection.execute(
            sa.update(turns)
            .where(turns.c.job_id == job_id, turns.c.destination == destination)
            .values(turn=turns.c.turn + 1, tries=0, due_at=now, code="", reason="", since=now)
        )
        if not known.rowcount:
            connection.execute(
                sa.insert(turns).values(
                    job_id=job_id,
                    destination=destination,
                    turn=1,
                    tries=0,
                    due_at=now,
                    code="",
                    reason="",
                    since=now,
                )
            )
        connection.execute(sa.update(lines).where(lines.c.destination == destination).values(next_at=now))
