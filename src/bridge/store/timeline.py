"""Lines of a job's timeline: names and numbers only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from bridge.store.tables import events


def note(connection: sa.Connection, job_id: str, event: str, keys: Mapping[str, Any], at: float) -> None:
    """Add a line inside a transaction; `at` is POSIX seconds."""
    connection.execute(
        sa.insert(events).values(job_id=job_id, at=at, event=event, keys=json.dumps(dict(keys)))
    )
