"""Peers that were not let in: `bridge check` and `bridge status` show what would admit them."""

from __future__ import annotations

import sqlalchemy as sa

from bridge.store.rows import Refusal
from bridge.store.tables import Index, refusals

MOST = 200
"""Distinct peers that are remembered, those that came last; a scanner on the network must not fill the index."""


class Refusals:
    def __init__(self, index: Index) -> None:
        self._index = index

    def note(self, calling_ae_title: str, called_ae_title: str, host: str, why: str) -> None:
        now = self._index.clock()
        who = (
            refusals.c.calling_ae_title == calling_ae_title,
            refusals.c.called_ae_title == called_ae_title,
            refusals.c.host == host,
        )
        with self._index.write() as connection:
            known = connection.execute(
                sa.update(refusals).where(*who).values(why=why, count=refusals.c.count + 1, last_at=now)
            )
            if not known.rowcount:
                newest = sa.select(refusals.c.last_at).order_by(refusals.c.last_at.desc()).limit(MOST - 1)
                oldest = sa.select(sa.func.min(newest.subquery().c.last_at)).scalar_subquery()
                connection.execute(sa.delete(refusals).where(refusals.c.last_at < oldest))
                connection.execute(
                    sa.insert(refusals).values(
                        calling_ae_title=calling_ae_title,
                        called_ae_title=called_ae_title,
                        host=host,
                        why=why,
                        count=1,
                        first_at=now,
                        last_at=now,
                    )
                )

    def all(self) -> list[Refusal]:
        """The latest first."""
        with self._index.read() as connection:
            rows = connection.execute(sa.select(refusals).order_by(refusals.c.last_at.desc()))
            return [Refusal(**row._mapping) for row in rows]
