"""What needs a person now. An alert stands from its beginning to its end; the log tells both, once."""

from __future__ import annotations

import logging

import sqlalchemy as sa

from bridge.log import event
from bridge.store.rows import Alert
from bridge.store.tables import Index, alerts

log = logging.getLogger("bridge.alerts")


class Alerts:
    def __init__(self, index: Index) -> None:
        self._index = index

    def begin(self, kind: str, subject: str, reason: str) -> None:
        """Raise an alert, or note that it goes on. `subject` is a name of site.toml, a job id or a study's name."""
        now = self._index.clock()
        with self._index.write() as connection:
            known = connection.execute(
                sa.update(alerts)
                .where(alerts.c.kind == kind, alerts.c.subject == subject)
                .values(reason=reason, last_at=now)
            )
            if not known.rowcount:
                connection.execute(
                    sa.insert(alerts).values(
                        kind=kind, subject=subject, reason=reason, since=now, last_at=now
                    )
                )
        if not known.rowcount:
            event(log, f"alert.{kind}", level=logging.ERROR, subject=subject, reason=reason)

    def end(self, kind: str, subject: str) -> None:
        """It is over; nothing happens when there was no such alert."""
        with self._index.read() as connection:
            there = sa.select(alerts.c.since).where(alerts.c.kind == kind, alerts.c.subject == subject)
            if connection.execute(there).first() is None:
                return
        with self._index.write() as connection:
            connection.execute(sa.delete(alerts).where(alerts.c.kind == kind, alerts.c.subject == subject))
        self.over(kind, subject)

    def over(self, kind: str, subject: str) -> None:
        """Log the end of an alert that was taken away with something else in one transaction."""
        event(log, f"alert.{kind}.over", subject=subject)

    def all(self) -> list[Alert]:
        """The oldest first."""
        with self._index.read() as connection:
            rows = connection.execute(sa.select(alerts).order_by(alerts.c.since))
            return [Alert(**row._mapping) for row in rows]
