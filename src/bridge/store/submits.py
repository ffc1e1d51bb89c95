"""Which jobs at the platforms are ours: those that we made, and strays.

A stray is a job at a platform that carries the key of one of our jobs while our tables know nothing of it: they are
older than the world. Whoever is about to make that job must look for it first.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from bridge.store.tables import Index, jobs, submits


class Submits:
    def __init__(self, index: Index) -> None:
        self._index = index

    def made(self, account: str, key: str, remote_id: str) -> None:
        """The platform has this job by us, and our tables know it. Repeating it changes nothing."""
        with self._index.write() as connection:
            connection.execute(
                sa.insert(submits)
                .prefix_with("OR REPLACE")
                .values(account=account, remote_id=remote_id, key=key, at=self._index.clock(), stray=False)
            )

    def last(self, account: str) -> float | None:
        """When we last made a job there, as far as our tables go back."""
        with self._index.read() as connection:
            query = sa.select(sa.func.max(submits.c.at)).where(
                submits.c.account == account, submits.c.stray.is_(False)
            )
            return connection.execute(query).scalar()

    def unknown(self, account: str, found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Those of (remote id, key) of which neither this list nor the row of the job knows."""
        with self._index.read() as connection:
            left = []
            for remote_id, key in found:
                ours = sa.select(submits.c.key).where(
                    submits.c.account == account, submits.c.remote_id == remote_id
                )
                row = sa.select(jobs.c.remote).where(jobs.c.id == key)
                noted = f'"{remote_id}"' in (connection.execute(row).scalar() or "")
                if not noted and connection.execute(ours).first() is None:
                    left.append((remote_id, key))
            return left

    def keep_strays(self, account: str, found: Iterable[tuple[str, str]]) -> None:
        with self._index.write() as connection:
            for remote_id, key in found:
                connection.execute(
                    sa.insert(submits)
                    .prefix_with("OR IGNORE")
                    .values(account=account, remote_id=remote_id, key=key, at=self._index.clock(), stray=True)
                )

    def strays(self, account: str, key: str) -> list[str]:
        """Ids at the platform of the strays of one job."""
        with self._index.read() as connection:
            query = sa.select(submits.c.remote_id).where(
                submits.c.account == account, submits.c.key == key, submits.c.stray.is_(True)
            )
            return list(connection.execute(query).scalars())

    def looked_for(self, account: str, key: str) -> None:
        """The strays of a job have been looked for: from here on its row knows, or a person decides."""
        with self._index.write() as connection:
            connection.execute(
                sa.update(submits)
                .where(submits.c.account == account, submits.c.key == key)
                .values(stray=False)
            )
