"""A few facts about the data directory as a whole, by name."""

from __future__ import annotations

import sqlalchemy as sa

from bridge.store.tables import Index, meta


class Meta:
    def __init__(self, index: Index) -> None:
        self._index = index

    def get(self, key: str) -> str:
        """Empty where nothing is known under that name."""
        with self._index.read() as connection:
            return connection.execute(sa.select(meta.c.value).where(meta.c.key == key)).scalar() or ""

    def put(self, **facts: str) -> None:
        """Write all of them in one transaction; an empty one is forgotten."""
        with self._index.write() as connection:
            for key, value in facts.items():
                connection.execute(sa.delete(meta).where(meta.c.key == key))
                if value:
                    connection.execute(sa.insert(meta).values(key=key, value=value))
