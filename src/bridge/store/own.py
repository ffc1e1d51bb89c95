"""Results of a bridge that come back. Archives forward what they get: without this guard a result opens its study.

Any one sign is enough: the table of issued UIDs survives every coercion, the Contributing Equipment item a lost index
and another bridge, the configured root both.
"""

from __future__ import annotations

import sqlalchemy as sa

from bridge.dicom.equipment import made_by_a_bridge
from bridge.dicom.headers import Header
from bridge.dicom.uids import is_below
from bridge.store.tables import events, results
from bridge.store.timeline import note

NOBODY = ""
"""In place of the calling AE title of a result that nobody has sent back: another rule wants it."""
CAME_BACK = "result.came-back"


def looks_own(sop_instance_uid: str, header: Header, uid_root: str) -> bool:
    """Whether an object tells by itself that a bridge made it."""
    return is_below(sop_instance_uid, uid_root) or made_by_a_bridge(header.data_set)


def issued_for(connection: sa.Connection, sop_instance_uid: str) -> str | None:
    """The job that a SOP Instance UID was issued for."""
    query = sa.select(results.c.job_id).where(results.c.sop_instance_uid == sop_instance_uid)
    row = connection.execute(query).first()
    return row.job_id if row else None


def note_return(connection: sa.Connection, job_id: str, calling_ae_title: str, now: float) -> None:
    """Write into the timeline of a job that a result came back: once, however often it does."""
    known = sa.select(events.c.id).where(events.c.job_id == job_id, events.c.event == CAME_BACK)
    if connection.execute(known).first() is None:
        note(connection, job_id, CAME_BACK, {"calling_ae_title": calling_ae_title}, at=now)
