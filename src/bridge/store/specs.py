"""What platforms said about their algorithms, or why they could not."""

from __future__ import annotations

import sqlalchemy as sa

from bridge.store.rows import KnownSpec
from bridge.store.tables import Index, specs


class Specs:
    def __init__(self, index: Index) -> None:
        self._index = index

    def get(self, account: str, algorithm: str, declared_version: str) -> KnownSpec | None:
        with self._index.read() as connection:
            row = connection.execute(
                sa.select(specs).where(
                    specs.c.account == account,
                    specs.c.algorithm == algorithm,
                    specs.c.declared_version == declared_version,
                )
            ).first()
        if row is None:
            return None
        return KnownSpec(spec=row.spec, code=row.code, reason=row.reason, learned_at=row.learned_at)

    def keep(
        self,
        account: str,
        algorithm: str,
        declared_version: str,
        *,
        spec: str | None,
        code: str = "",
        reason: str = "",
    ) -> None:
        """Replace what is known; `spec` is None, with code and reason, where the platform could not say."""
        with self._index.write() as connection:
            connection.execute(
                sa.insert(specs)
                .prefix_with("OR REPLACE")
                .values(
                    account=account,
                    algorithm=algorithm,
                    declared_version=declared_version,
                    spec=spec,
                    code=code,
                    reason=reason,
                    learned_at=self._index.clock(),
                )
            )
