"""Platforms that are away: since when, who waits for them, and the time that deadlines of jobs get back."""

from __future__ import annotations

import sqlalchemy as sa

from bridge.store.alerts import Alerts
from bridge.store.meta import Meta
from bridge.store.rows import JobState, Stage
from bridge.store.tables import Index, alerts, jobs

AWAY = "platform-away"
"""Kind of the alert; its subject is the account. It stands as long as the outage, so a restart knows of it."""
PACE = "pace:"

_WAITS = sa.and_(
    jobs.c.state.in_((JobState.READY, JobState.RUNNING)), jobs.c.stage.in_((Stage.PREPARE, Stage.CLOUD))
)


class Outages:
    def __init__(self, index: Index) -> None:
        self._index = index
        self._alerts, self._meta = Alerts(index), Meta(index)

    def away(self, account: str) -> None:
        """The account is away, or still is. The alert tells how many jobs wait now."""
        count = self.waiting(account)
        many = "1 job waits" if count == 1 else f"{count} jobs wait"
        reason = f"{account} does not answer; nothing new is sent there. {many}"
        told = sa.select(alerts.c.reason).where(alerts.c.kind == AWAY, alerts.c.subject == account)
        with self._index.read() as connection:
            if connection.execute(told).scalar() == reason:
                return
        self._alerts.begin(AWAY, account, reason)

    def waiting(self, account: str) -> int:
        """Jobs that the account has not given their results yet, or not got."""
        waiting = sa.select(sa.func.count()).where(jobs.c.account == account, _WAITS)
        with self._index.read() as connection:
            return connection.execute(waiting).scalar_one()

    def since(self, account: str) -> float | None:
        """When the outage of an account began; None while there is none."""
        query = sa.select(alerts.c.since).where(alerts.c.kind == AWAY, alerts.c.subject == account)
        with self._index.read() as connection:
            return connection.execute(query).scalar()

    def back(self, account: str, deadline_s: float) -> None:
        """The account answers again: in one transaction its outage ends and each waiting job gets its time back.

        A job that began to wait in the middle of it gets no more than it has waited. deadline_s: of the account.
        """
        since, now = self.since(account), self._index.clock()
        if since is None:
            return
        began = sa.func.max(since, jobs.c.deadline_at - deadline_s)
        with self._index.write() as connection:
            connection.execute(
                sa.update(jobs)
                .where(jobs.c.account == account, _WAITS, jobs.c.deadline_at.is_not(None))
                .values(deadline_at=jobs.c.deadline_at + sa.func.max(now - began, 0.0))
            )
            connection.execute(sa.delete(alerts).where(alerts.c.kind == AWAY, alerts.c.subject == account))
        self._alerts.over(AWAY, account)

    def level(self, account: str) -> int | None:
        """How many may send at once during a slow restart; None when there is none."""
        text = self._meta.get(PACE + account)
        return int(text) if text else None

    def keep_level(self, account: str, level: int | None) -> None:
        self._meta.put(**{PACE + account: "" if level is None else str(level)})
