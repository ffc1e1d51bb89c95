"""How much a rule may make before it pauses itself: jobs of a day and of a month, failures in a row.

Every job counts on the day on which it was made, whoever wanted it; one that a newer job replaced before it began
does not. Days and months are those of the calendar here, in local time. A person who resumes a rule begins its count
again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from bridge.store.rows import Budget, JobState
from bridge.store.tables import Index, jobs, pauses, spent

PER_DAY, PER_MONTH, FAILURES = "RUL-001", "RUL-002", "RUL-003"
CODES = frozenset({PER_DAY, PER_MONTH, FAILURES})
"""Of decisions and jobs that wait because their rule pauses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A rule that pauses itself, and until when; only a person ends one without a time."""

    rule: str
    code: str
    reason: str
    since: float
    until: float | None


class Budgets:
    def __init__(self, index: Index) -> None:
        self._index = index

    def pauses(self) -> dict[str, Pause]:
        """By rule; a rule that a person has renamed or removed may still be among them."""
        with self._index.read() as connection:
            rows = connection.execute(sa.select(pauses).where(pauses.c.code != "").order_by(pauses.c.since))
            return {row.rule: _pause(row) for row in rows}

    def look(self, rule: str, budget: Budget) -> Pause | None:
        """Whether the rule pauses now, and the row says so from now on."""
        now = self._index.clock()
        with self._index.read() as connection:
            row = _row(connection, rule)
            reached = _reached(connection, rule, budget, now, row)
        if (reached is None) == (row is None or not row.code) and (
            reached is None or (reached.code, reached.reason) == (row.code, row.reason)
        ):
            return reached
        with self._index.write() as connection:
            return pause_of(connection, rule, budget, now)

    def room(self, rule: str, budget: Budget) -> int | None:
        """How many jobs the rule may make now; None for any number."""
        now = self._index.clock()
        with self._index.read() as connection:
            row = _row(connection, rule)
            if _reached(connection, rule, budget, now, row):
                return 0
            left = [
                limit - _count(connection, rule, begin(now), row)
                for limit, begin in ((budget.jobs_per_day, _day), (budget.jobs_per_month, _month))
                if limit is not None
            ]
        return min(left, default=None)

    def forget(self, rule: str) -> None:
        """Nobody is held up by a rule that is gone, or off."""
        with self._index.write() as connection:
            connection.execute(sa.update(pauses).where(pauses.c.rule == rule).values(code="", reason=""))

    def resume(self, rule: str) -> bool:
        """Begin to count again. False when the rule does not pause."""
        now = self._index.clock()
        with self._index.write() as connection:
            last = connection.execute(sa.select(sa.func.max(spent.c.id))).scalar_one() or 0
            resumed = connection.execute(
                sa.update(pauses)
                .where(pauses.c.rule == rule, pauses.c.code != "")
                .values(code="", reason="", until_at=None, resumed_at=now, resumed_after=last)
            )
            return bool(resumed.rowcount)

    def resumed_since(self, rule: str, at: float) -> bool:
        with self._index.read() as connection:
            row = _row(connection, rule)
        return row is not None and row.resumed_at >= at

    def spend(self, rule: str, job_id: str) -> None:
        """A job is made at its platform once more."""
        with self._index.write() as connection:
            spend(connection, rule, job_id, self._index.clock())

    def held(self, rule: str) -> list[str]:
        """Ids of jobs that stopped before anything was sent, because their rule pauses."""
        query = sa.select(jobs.c.id).where(
            jobs.c.rule == rule, jobs.c.state == JobState.HELD, jobs.c.code.in_(CODES)
        )
        with self._index.read() as connection:
            return list(connection.execute(query).scalars())


def spend(connection: sa.Connection, rule: str, job_id: str, now: float) -> None:
    connection.execute(sa.insert(spent).values(rule=rule, job_id=job_id, at=now))


def spend_once(connection: sa.Connection, rule: str, job_id: str, now: float) -> None:
    """For a job that comes back, unless it counts already."""
    if connection.execute(sa.select(spent.c.id).where(spent.c.job_id == job_id)).first() is None:
        spend(connection, rule, job_id, now)


def take_place(connection: sa.Connection, old: str, new: str) -> None:
    """A job that never began counts no more; the one that replaces it counts where it did, and once."""
    ids = list(connection.execute(sa.select(spent.c.id).where(spent.c.job_id == old)).scalars())
    if ids:
        connection.execute(sa.delete(spent).where(spent.c.job_id == new))
        connection.execute(sa.update(spent).where(spent.c.id == ids[0]).values(job_id=new))
        connection.execute(sa.delete(spent).where(spent.c.job_id == old))


def pause_of(connection: sa.Connection, rule: str, budget: Budget, now: float) -> Pause | None:
    """Whether the rule may make no job now; inside the transaction that would make it. The row keeps what is said."""
    row = _row(connection, rule)
    reached = _reached(connection, rule, budget, now, row)
    if reached is None:
        if row is not None and row.code:
            values = {"code": "", "reason": "", "until_at": None}
            connection.execute(sa.update(pauses).where(pauses.c.rule == rule).values(**values))
        return None
    told = {"code": reached.code, "reason": reached.reason, "since": reached.since, "until_at": reached.until}
    if row is None:
        connection.execute(sa.insert(pauses).values(rule=rule, resumed_at=0.0, resumed_after=0, **told))
    else:
        connection.execute(sa.update(pauses).where(pauses.c.rule == rule).values(**told))
    return reached


def _reached(connection: sa.Connection, rule: str, budget: Budget, now: float, row: Any) -> Pause | None:
    paused = row is not None and row.code != ""

    def pause(code: str, reason: str, until: float | None = None) -> Pause:
        since = row.since if paused and row.code == code else now
        return Pause(rule=rule, code=code, reason=reason, since=since, until=until)

    failures = budget.failures_in_a_row
    if failures is not None:
        # Only a person ends it: what was under way then may succeed and says nothing about the next.
        if paused and row.code == FAILURES:
            return _pause(row)
        if _all_failed(connection, rule, failures, row):
            last = f"its last {failures} jobs" if failures > 1 else "its last job"
            return pause(FAILURES, f"{last} failed (failures_in_a_row = {failures}); nothing more is sent")
    if budget.jobs_per_month is not None:
        count = _count(connection, rule, _month(now), row)
        if count >= budget.jobs_per_month:
            reason = f"{count} jobs this month (jobs_per_month = {budget.jobs_per_month}); it goes on with the next"
            return pause(PER_MONTH, reason, _next_month(now))
    if budget.jobs_per_day is not None:
        count = _count(connection, rule, _day(now), row)
        if count >= budget.jobs_per_day:
            reason = f"{count} jobs today (jobs_per_day = {budget.jobs_per_day}); it goes on tomorrow"
            return pause(PER_DAY, reason, _tomorrow(now))
    return None


def _row(connection: sa.Connection, rule: str) -> Any:
    return connection.execute(sa.select(pauses).where(pauses.c.rule == rule)).one_or_none()


def _pause(row: Any) -> Pause:
    return Pause(rule=row.rule, code=row.code, reason=row.reason, since=row.since, until=row.until_at)


def _count(connection: sa.Connection, rule: str, since: float, row: Any) -> int:
    # By number, not by time: a clock that is set back makes nothing free.
    after = row.resumed_after if row is not None else 0
    query = sa.select(sa.func.count()).where(spent.c.rule == rule, spent.c.at >= since, spent.c.id > after)
    return int(connection.execute(query).scalar_one())


def _all_failed(connection: sa.Connection, rule: str, many: int, row: Any) -> bool:
    query = (
        sa.select(jobs.c.state)
        .where(
            jobs.c.rule == rule,
            jobs.c.state.in_((JobState.DONE, JobState.FAILED)),
            jobs.c.changed_at > (row.resumed_at if row is not None else 0.0),
        )
        .order_by(jobs.c.changed_at.desc(), jobs.c.id)
        .limit(many)
    )
    states = list(connection.execute(query).scalars())
    return len(states) == many and all(state == JobState.FAILED for state in states)


def _begins(day: date) -> float:
    return datetime.combine(day, time.min).timestamp()


def _today(now: float) -> date:
    return datetime.fromtimestamp(now).astimezone().date()


def _day(now: float) -> float:
    return _begins(_today(now))


def _month(now: float) -> float:
    return _begins(_today(now).replace(day=1))


def _tomorrow(now: float) -> float:
    return _begins(_today(now) + timedelta(days=1))


def _next_month(now: float) -> float:
    first = _today(now).replace(day=1)
    return _begins((first + timedelta(days=31)).replace(day=1))
