"""What waits, counted in the tables: for whoever watches. Reads only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store.rows import JobState, Stage
from bridge.store.studies import OPEN, SET_ASIDE, Study
from bridge.store.tables import Index, decisions, jobs, studies, turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many, and since when the one that stands longest."""

    count: int
    since: float


class Overview:
    def __init__(self, index: Index) -> None:
        self._index = index

    def studies_named(self, beginning: str) -> list[Study]:
        """Studies whose keyed name begins so."""
        name = studies.c.name.startswith(beginning, autoescape=True)
        with self._index.read() as connection:
            rows = connection.execute(sa.select(studies).where(name).order_by(studies.c.name))
            return [Study(**row._mapping) for row in rows]

    def studies_since(self, at: float) -> list[Study]:
        """Studies of which something arrived at that time or later, the oldest first."""
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(studies).where(studies.c.last_at >= at).order_by(studies.c.last_at, studies.c.name)
            )
            return [Study(**row._mapping) for row in rows]

    def studies_waiting(self) -> list[Study]:
        """Studies that are not decided, or set aside, or in doubt; the oldest first."""
        waits = sa.or_(studies.c.state.in_((OPEN, SET_ASIDE)), studies.c.doubts != "")
        with self._index.read() as connection:
            rows = connection.execute(sa.select(studies).where(waits).order_by(studies.c.opened_at))
            return [Study(**row._mapping) for row in rows]

    def studies_held(self) -> Count | None:
        """Decisions of rules that wait for a person."""
        # What waits for another rule, or for a series, goes on by itself.
        held = sa.and_(decisions.c.outcome == "held", decisions.c.waits_until.is_(None))
        query = sa.select(sa.func.count(), sa.func.min(decisions.c.decided_at)).where(held)
        with self._index.read() as connection:
            count, since = connection.execute(query).one()
            return Count(count=count, since=since) if count else None

    def jobs_by_state(self) -> dict[JobState, Count]:
        """Of those that have ended, `since` is when the first one did."""
        query = sa.select(jobs.c.state, sa.func.count(), sa.func.min(jobs.c.changed_at)).group_by(
            jobs.c.state
        )
        with self._index.read() as connection:
            found = {JobState(state): Count(count=n, since=at) for state, n, at in connection.execute(query)}
        return {state: found[state] for state in JobState if state in found}

    def jobs_of_accounts(self, states: Collection[JobState], stage: Stage) -> dict[str, Count]:
        """By account: jobs in one of these states at a stage."""
        query = (
            sa.select(jobs.c.account, sa.func.count(), sa.func.min(jobs.c.changed_at))
            .where(jobs.c.state.in_(list(states)), jobs.c.stage == stage)
            .group_by(jobs.c.account)
        )
        with self._index.read() as connection:
            return {name: Count(count=n, since=at) for name, n, at in connection.execute(query)}

    def turns_of_destinations(self) -> dict[str, tuple[Count, float]]:
        """By destination: jobs that owe it results, since when, and when the next one is due."""
        query = (
            sa.select(
                turns.c.destination, sa.func.count(), sa.func.min(turns.c.since), sa.func.min(turns.c.due_at)
            )
            .where(turns.c.due_at.is_not(None))
            .group_by(turns.c.destination)
        )
        with self._index.read() as connection:
            rows = connection.execute(query)
            return {name: (Count(count=n, since=at), due) for name, n, at, due in rows}
