"""What may go: pixels of studies that are over. Rows, headers, digests and results stay for ever.

The row is written before the file is removed: a crash in between leaves litter, never a row that promises a file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from bridge.dicom.headers import read_body, read_header
from bridge.dicom.statuses import STORED
from bridge.errors import Refused
from bridge.store.rows import JobState
from bridge.store.studies import DECIDED
from bridge.store.tables import Index, borrowed, decisions, deliveries, instances, jobs, studies, turns

OVER = (JobState.DONE, JobState.CANCELLED, JobState.REFUSED)
"""States in which nobody will want the pixels again. A failed or held job waits for a person, who may retry it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """What one study gave up: names of files that no row promises any more, and their bytes."""

    files: tuple[str, ...]
    size_bytes: int


class Retention:
    """Decides by the tables alone what may go; `folder` is that of the instance files."""

    def __init__(self, index: Index, folder: Path) -> None:
        self._index = index
        self.folder = folder

    def studies(self, before: float) -> list[str]:
        """Studies of which something may go: nothing of them has changed since `before`, and nothing is owed."""
        query = (
            sa.select(instances.c.study_instance_uid)
            .where(_may_go(before))
            .group_by(instances.c.study_instance_uid)
            .order_by(sa.func.min(instances.c.received_at))
        )
        with self._index.read() as connection:
            return list(connection.execute(query).scalars())

    def drop(self, study_instance_uid: str, before: float) -> Dropped:
        """Note that the pixels of a study are gone, unless something has happened to it meanwhile."""
        with self._index.write() as connection:
            rows = connection.execute(
                sa.update(instances)
                .where(instances.c.study_instance_uid == study_instance_uid, _may_go(before))
                .values(dropped_at=self._index.clock())
                .returning(instances.c.file, instances.c.size_bytes)
            ).all()
        return Dropped(files=tuple(row.file for row in rows), size_bytes=sum(row.size_bytes for row in rows))

    def jobs(self, beginning: str, before: float) -> list[str]:
        """Jobs whose id begins so and whose parcel and outputs may go."""
        query = sa.select(jobs.c.id).where(
            jobs.c.id.startswith(beginning, autoescape=True), _over(jobs.c.study_instance_uid, before)
        )
        with self._index.read() as connection:
            return list(connection.execute(query).scalars())

    def promised(self, file: str) -> bool:
        """Whether a row says that this file is there."""
        query = sa.select(instances.c.number).where(
            instances.c.file == file, instances.c.dropped_at.is_(None)
        )
        with self._index.read() as connection:
            return connection.execute(query).first() is not None

    def known(self, file: Path) -> bool:
        """Whether the bytes of a file have a row, under whatever name of a file. False for a file cut short."""
        try:
            encoded, syntax = read_body(file)
            header = read_header(encoded, syntax)
        except Refused:
            return False
        query = sa.select(instances.c.number).where(
            instances.c.sop_instance_uid == header.uid("SOPInstanceUID"),
            instances.c.digest == hashlib.sha256(syntax.encode() + b"\0" + encoded).hexdigest(),
        )
        with self._index.read() as connection:
            return connection.execute(query).first() is not None


def _may_go(before: float) -> sa.ColumnElement[bool]:
    """Pixels that are there, older than `before`, of a study that is over."""
    study = instances.c.study_instance_uid
    # A result of ours that came back opens no study: where it is all there is of one, nothing waits for it.
    alone = sa.and_(instances.c.own, ~sa.exists().where(studies.c.study_instance_uid == study))
    return sa.and_(
        instances.c.dropped_at.is_(None),
        instances.c.received_at < before,
        sa.or_(alone, _over(study, before)),
    )


def _over(study: sa.ColumnElement[str], before: float) -> sa.ColumnElement[bool]:
    """The study is decided without doubt, nothing of it is newer than `before`, every job is over, nothing is owed."""
    of = jobs.alias("of")  # its own name: `study` may be a column of jobs too
    # Left to itself it would join the table of `study` anew: a volume lent by any study would keep every study.
    lent = (
        sa.select(borrowed.c.job_id).where(borrowed.c.study_instance_uid == study).correlate_except(borrowed)
    )
    of_study = sa.or_(of.c.study_instance_uid == study, of.c.id.in_(lent))
    waits = sa.or_(of.c.state.not_in(OVER), of.c.changed_at >= before)
    owed = sa.exists().where(turns.c.job_id == of.c.id, turns.c.due_at.is_not(None))
    undelivered = sa.exists().where(
        deliveries.c.job_id == of.c.id,
        sa.or_(
            deliveries.c.last_at >= before,
            # What a person has cancelled is owed to nobody.
            sa.and_(of.c.state != JobState.CANCELLED, deliveries.c.outcome.not_in(tuple(STORED))),
        ),
    )
    return sa.and_(
        sa.exists().where(
            studies.c.study_instance_uid == study,
            studies.c.state == DECIDED,
            studies.c.doubts == "",
            studies.c.last_at < before,
        ),
        ~sa.exists().where(of_study, sa.or_(waits, owed, undelivered)),
        ~sa.exists().where(
            decisions.c.study_instance_uid == study,
            sa.or_(
                decisions.c.decided_at >= before,
                decisions.c.outcome == "held",
            ),
        ),
    )
