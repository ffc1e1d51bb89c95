"""Answers that the rules have not looked at yet: what one rule got may be an input of another.

A row is written in the transaction that issues the results of a job, and goes in the one that lets the rules look: a
crash in between costs a look, and never an answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store.studies import look_anew
from bridge.store.tables import Index, answers, jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A job whose answer is there."""

    job_id: str
    rule: str
    study_instance_uid: str


class Answers:
    def __init__(self, index: Index) -> None:
        self._index = index

    def new(self, limit: int = 100) -> list[Answered]:
        """The oldest first."""
        query = (
            sa.select(answers.c.job_id, jobs.c.rule, jobs.c.study_instance_uid)
            .join_from(answers, jobs, answers.c.job_id == jobs.c.id)
            .order_by(answers.c.at, answers.c.job_id)
            .limit(limit)
        )
        with self._index.read() as connection:
            return [Answered(**row._mapping) for row in connection.execute(query)]

    def seen(self, one: Answered, *, wanted: bool) -> None:
        """Forget an answer; where a rule wants it, its study is looked at once more, now."""
        with self._index.write() as connection:
            if wanted:
                look_anew(connection, [one.study_instance_uid], self._index.clock())
            connection.execute(sa.delete(answers).where(answers.c.job_id == one.job_id))


def note_answer(connection: sa.Connection, job_id: str, now: float) -> None:
    """Inside the transaction that issues the results of a job."""
    connection.execute(sa.insert(answers).prefix_with("OR IGNORE").values(job_id=job_id, at=now))
