"""Whose turn it is at which destination, and which destinations cannot be reached.

A job that waits for a destination holds no place in the engine: its turn stands here, and the relay hands it over
when it is due.
"""

from __future__ import annotations

import sqlalchemy as sa

from bridge.store.rows import Line, Turn
from bridge.store.tables import Index, lines, turns


class Turns:
    def __init__(self, index: Index) -> None:
        self._index = index

    def get(self, job_id: str, destination: str) -> Turn | None:
        with self._index.read() as connection:
            query = sa.select(turns).where(turns.c.job_id == job_id, turns.c.destination == destination)
            row = connection.execute(query).first()
            return Turn(**row._mapping) if row else None

    def of_job(self, job_id: str) -> list[Turn]:
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(turns).where(turns.c.job_id == job_id).order_by(turns.c.destination)
            )
            return [Turn(**row._mapping) for row in rows]

    def owed(self) -> list[Turn]:
        """Every turn that is not over, the longest waiting first."""
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(turns)
                .where(turns.c.due_at.is_not(None))
                .order_by(turns.c.due_at, turns.c.since, turns.c.job_id)
            )
            return [Turn(**row._mapping) for row in rows]

    def later(self, turn: Turn, due_at: float, code: str, reason: str) -> None:
        """The turn ended with something left; the next one is due at `due_at`."""
        self._end(turn, due_at=due_at, code=code, reason=reason, tries=turns.c.tries + 1)

    def put_back(self, turn: Turn, code: str, reason: str) -> None:
        """The turn ended without a try of this job's own; it stays due."""
        self._end(turn, code=code, reason=reason)

    def over(self, turn: Turn) -> None:
        """Nothing is owed any more, or a person must decide first."""
        self._end(turn, due_at=None, code="", reason="")

    def say(self, turn: Turn, code: str, reason: str) -> None:
        """Why it waits; the turn goes on."""
        with self._index.write() as connection:
            connection.execute(_this(turn).values(code=code, reason=reason))

    def _end(self, turn: Turn, **values: object) -> None:
        with self._index.write() as connection:
            connection.execute(_this(turn).values(turn=turn.turn + 1, **values))

    def lines(self) -> dict[str, Line]:
        """Destinations that cannot be reached, by name."""
        with self._index.read() as connection:
            return {row.destination: Line(**row._mapping) for row in connection.execute(sa.select(lines))}

    def line_down(self, destination: str, next_at: float, code: str, reason: str) -> None:
        """A try did not reach the destination; the next one is due at `next_at`."""
        now = self._index.clock()
        with self._index.write() as connection:
            known = connection.execute(
                sa.update(lines)
                .where(lines.c.destination == destination)
                .values(next_at=next_at, code=code, reason=reason, tries=lines.c.tries + 1, trial="")
            )
            if not known.rowcount:
                connection.execute(
                    sa.insert(lines).values(
                        destination=destination,
                        down_since=now,
                        next_at=next_at,
                        tries=1,
                        code=code,
                        reason=reason,
                        trial="",
                    )
                )

    def line_trial(self, destination: str, job_id: str) -> None:
        """This job may try the destination; every other waits for what becomes of it."""
        with self._index.write() as connection:
            connection.execute(
                sa.update(lines).where(lines.c.destination == destination).values(trial=job_id)
            )

    def line_up(self, destination: str) -> None:
        with self._index.write() as connection:
            connection.execute(sa.delete(lines).where(lines.c.destination == destination))


def _this(turn: Turn) -> sa.Update:
    """An older turn counts no more when a person has begun another."""
    return sa.update(turns).where(
        turns.c.job_id == turn.job_id,
        turns.c.destination == turn.destination,
        turns.c.turn == turn.turn,
    )
