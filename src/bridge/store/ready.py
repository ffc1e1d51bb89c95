"""Jobs that nobody has handed over yet, in the order in which they are to go. What waits costs no look of its own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import astuple, dataclass

import sqlalchemy as sa

from bridge.store.rows import ROUTINE_SLACK_S, STEP_S, JobState, Stage
from bridge.store.tables import Index, jobs

PAGE = 100
CLOSED = "RUL-008"
"""Of jobs that wait for the hours of their rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What ready jobs have in common that decides whether they can go."""

    account: str
    algorithm: str
    declared_version: str
    stage: Stage
    not_before: str
    """The hours for which it has to wait; "" where it need not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyJob:
    """As much of a ready job as handing it over needs."""

    id: str
    account: str
    stage: Stage
    run: int
    due_at: float


# What its platform may have begun is looked after at any hour.
_HOURS = sa.case(
    (sa.or_(jobs.c.stage == Stage.PREPARE, jobs.c.code == CLOSED), jobs.c.not_before), else_=""
).label("not_before")
_KIND = (jobs.c.account, jobs.c.algorithm, jobs.c.declared_version, jobs.c.stage, _HOURS)
_DUE_AT = jobs.c.created_at + sa.case((jobs.c.urgent, 0), else_=ROUTINE_SLACK_S) - jobs.c.priority * STEP_S
"""`Job.due_at`"""
_READY = jobs.c.state == JobState.READY


class Ready:
    def __init__(self, index: Index) -> None:
        self._index = index

    def kinds(self) -> list[Kind]:
        """Each once, that of the job that is due first before the others."""
        query = sa.select(*_KIND).where(_READY).group_by(*_KIND).order_by(sa.func.min(_DUE_AT), *_KIND)
        with self._index.read() as connection:
            return [
                Kind(**dict(row._mapping) | {"stage": Stage(row.stage)}) for row in connection.execute(query)
            ]

    def first(self, kinds: Collection[Kind], *, after: int = 0) -> list[ReadyJob]:
        """A page of the jobs of these kinds, what is due first before the others; `after` so many of them."""
        if not kinds:
            return []
        query = (
            sa.select(jobs.c.id, jobs.c.account, jobs.c.stage, jobs.c.run, _DUE_AT.label("due_at"))
            .where(_READY, sa.or_(*(_is(one) for one in kinds)))
            .order_by(_DUE_AT, jobs.c.created_at, jobs.c.id)
            .limit(PAGE)
            .offset(after)
        )
        with self._index.read() as connection:
            return [
                ReadyJob(**dict(row._mapping) | {"stage": Stage(row.stage)})
                for row in connection.execute(query)
            ]

    def say(self, kind: Kind, code: str, reason: str) -> list[str]:
        """Show in the rows of a kind why they wait. Returns the ids of those of which it was not known."""
        unsaid = sa.and_(_READY, _is(kind), jobs.c.reason != reason)
        with self._index.read() as connection:
            if connection.execute(sa.select(jobs.c.id).where(unsaid).limit(1)).first() is None:
                return []
        with self._index.write() as connection:
            told = connection.execute(
                sa.update(jobs)
                .where(unsaid)
                .values(code=code, reason=reason, changed_at=self._index.clock())
                .returning(jobs.c.id)
            )
            return sorted(told.scalars())


def _is(kind: Kind) -> sa.ColumnElement[bool]:
    return sa.and_(*(column == value for column, value in zip(_KIND, astuple(kind), strict=True)))
