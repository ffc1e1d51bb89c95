"""Versions of one SOP Instance UID: which one counts, and which it replaced.

`arrival` orders them: an older version that is sent again is the last to have arrived, and counts again.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from bridge.dicom.instance import Instance
from bridge.store.tables import instances


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """A version that has not been compared yet, and the one that arrived before it."""

    older: Instance
    newer: Instance
    arrival: int
    """Of the newer one when this was read."""


def newest_of_study(study_instance_uid: str) -> sa.ColumnElement[bool]:
    """Of each SOP Instance UID of a study the version that arrived last."""
    later = instances.alias("later")
    return sa.and_(
        instances.c.study_instance_uid == study_instance_uid,
        ~sa.exists().where(
            later.c.sop_instance_uid == instances.c.sop_instance_uid,
            later.c.study_instance_uid == study_instance_uid,
            later.c.arrival > instances.c.arrival,
        ),
    )


def last_arrived(connection: sa.Connection, sop_instance_uid: str) -> sa.Row[tuple[object, ...]] | None:
    """The version that arrived last, in whatever study."""
    return connection.execute(
        sa.select(instances)
        .where(instances.c.sop_instance_uid == sop_instance_uid)
        .order_by(instances.c.arrival.desc())
        .limit(1)
    ).first()


def not_compared(connection: sa.Connection, study_instance_uid: str) -> list[tuple[int, int, int]]:
    """(number of the older one, number of the newer one, arrival of the newer one), in the order of numbers."""
    older = instances.alias("older")
    before = (
        sa.select(older.c.number)
        .where(
            older.c.sop_instance_uid == instances.c.sop_instance_uid, older.c.arrival < instances.c.arrival
        )
        .order_by(older.c.arrival.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = connection.execute(
        sa.select(before.label("before"), instances.c.number, instances.c.arrival)
        .where(
            instances.c.study_instance_uid == study_instance_uid,
            instances.c.change == "",
            instances.c.arrival > 1,
            instances.c.own.is_(False),
        )
        .order_by(instances.c.number)
    )
    return [(row.before, row.number, row.arrival) for row in rows if row.before is not None]
