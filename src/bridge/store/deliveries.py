"""Where each result stands at each destination: what was offered, what the peer said, what it named when asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store.rows import Delivery
from bridge.store.tables import Index, deliveries

OWED = "owed"
"""Not offered yet, or to be offered again. The other outcomes are those of `bridge.dicom.statuses`, and these three."""
HELD = "held"
"""Not stored; a person must decide."""
UNNAMED = "unnamed"
"""The peer said that it stored it and did not name it when it was asked; a person must look."""
SPOILT = "spoilt"
"""Not sent: its file here is gone, or no longer what was encoded; a person must put it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a peer said about one instance, and what it means beside what was tried before."""

    outcome: str
    status: int | None
    reason: str
    few: bool = False
    """Whether the answer is one that is asked for a few times only."""


class Deliveries:
    def __init__(self, index: Index) -> None:
        self._index = index

    def of(self, job_id: str, destination: str | None = None) -> list[Delivery]:
        query = sa.select(deliveries).where(deliveries.c.job_id == job_id)
        if destination is not None:
            query = query.where(deliveries.c.destination == destination)
        with self._index.read() as connection:
            rows = connection.execute(query.order_by(deliveries.c.destination, deliveries.c.sop_instance_uid))
            return [Delivery(**row._mapping) for row in rows]

    def offered(self, job_id: str, destination: str, uids: Collection[str]) -> None:
        """Written before the first byte leaves: an answer that a crash swallows was an attempt all the same."""
        now = self._index.clock()
        with self._index.write() as connection:
            connection.execute(
                _these(job_id, destination, uids).values(
                    attempts=deliveries.c.attempts + 1,
                    first_at=sa.func.coalesce(deliveries.c.first_at, now),
                    last_at=now,
                )
            )

    def answered(self, job_id: str, destination: str, answers: Mapping[str, Answered]) -> None:
        """Write what a peer said, by SOP Instance UID."""
        now = self._index.clock()
        with self._index.write() as connection:
            for uid, answer in answers.items():
                connection.execute(
                    _these(job_id, destination, [uid]).values(
                        outcome=answer.outcome,
                        status=answer.status,
                        reason=answer.reason,
                        few=deliveries.c.few + int(answer.few),
                        last_at=now,
                    )
                )

    def named(
        self, job_id: str, destination: str, found: Collection[str], missing: Collection[str], confirmed: str
    ) -> None:
        """Write which instances the peer named when it was asked; `confirmed` is their outcome."""
        with self._index.write() as connection:
            connection.execute(_these(job_id, destination, found).values(outcome=confirmed))
            connection.execute(_these(job_id, destination, missing).values(asked=deliveries.c.asked + 1))

    def send_again(self, job_id: str, destination: str, uids: Collection[str]) -> None:
        """They are owed once more, because the peer does not name them."""
        with self._index.write() as connection:
            connection.execute(
                _these(job_id, destination, uids).values(
                    outcome=OWED, asked=0, resent=deliveries.c.resent + 1
                )
            )

    def hold(self, job_id: str, destination: str, uids: Collection[str], outcome: str, reason: str) -> None:
        """A person must decide about these. An empty reason leaves the peer's own words."""
        values = {"outcome": outcome} | ({"reason": reason} if reason else {})
        with self._index.write() as connection:
            connection.execute(_these(job_id, destination, uids).values(**values))


def _these(job_id: str, destination: str, uids: Collection[str]) -> sa.Update:
    return sa.update(deliveries).where(
        deliveries.c.job_id == job_id,
        deliveries.c.destination == destination,
        deliveries.c.sop_instance_uid.in_(uids),
    )
