"""Studies as intake sees them: open while they grow, then decided, held or set aside."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.dicom.uids import keyed_name
from bridge.store.tables import Index, instances, jobs, results, studies

OPEN, DECIDED, SET_ASIDE = "open", "decided", "set-aside"

INCOMPLETE = "STU-009"
"""The doubt of a study that is not complete; those of other codes are about whose it is."""
GONE = "STU-010"
"""The doubt of a study whose pixels are no longer all here. Nobody can accept it: the study must be sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study as intake sees it. `name` is a keyed hash: it stands for the study in logs."""

    study_instance_uid: str
    name: str
    state: str
    source: str
    first_at: float
    last_at: float
    due_at: float
    quiet_s: float
    attempts: int
    opened_at: float
    """When the present round of arrivals began."""
    waits: str
    """Why it is not complete yet, in words."""
    complete: str
    """Why it counts as complete, in words."""
    asked: str
    """Digest of what the archive named when it was last asked."""
    released: str
    """Marks of doubts that a person has accepted, with spaces between them: a code and what it was about."""
    doubts: str
    """Marks of the doubts for which it is held, or is not looked at."""
    news: bool = False
    """Something of it has happened of which later studies of the patient have not been told."""


class Studies:
    def __init__(self, index: Index) -> None:
        self._index = index

    def due(self, now: float, opened_before: float = float("-inf")) -> list[Study]:
        """Open studies whose due time has come, or that opened so long ago; the longest waiting first."""
        come = sa.or_(studies.c.due_at <= now, studies.c.opened_at <= opened_before)
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(studies).where(studies.c.state == OPEN, come).order_by(studies.c.due_at)
            )
            return [Study(**row._mapping) for row in rows]

    def wait(self, study: Study, after_s: float, *, waits: str, asked: str, doubts: str) -> None:
        """Look again after a while and say why; for one that has grown meanwhile nothing of it is true any more."""
        with self._index.write() as connection:
            connection.execute(
                sa.update(studies)
                .where(_as_seen(study))
                .values(due_at=self._index.clock() + after_s, waits=waits, asked=asked, doubts=doubts)
            )

    def accept(self, name: str, marks: Collection[str] = ()) -> bool:
        """Let a study go on, by its name, whatever its last doubts were. False when it had none that can be accepted.

        `marks`: of the doubts that are accepted, where not all of them are.
        """
        with self._index.write() as connection:
            row = connection.execute(sa.select(studies).where(studies.c.name == name)).first()
            accepted = [
                mark
                for mark in (row.doubts.split() if row else ())
                if (not marks or mark in marks) and not mark.startswith(GONE)
            ]
            if row is None or not accepted:
                return False
            released = " ".join(sorted({*row.released.split(), *accepted}))
            values: dict[str, object] = {"released": released, "news": True}
            now = self._index.clock()
            if row.state != OPEN:
                values |= {"state": OPEN, "opened_at": now, "due_at": now, "attempts": 0}
            elif any(mark.startswith(INCOMPLETE) for mark in accepted):
                values |= {"due_at": now, "attempts": 0}
            connection.execute(
                sa.update(studies)
                .where(studies.c.study_instance_uid == row.study_instance_uid)
                .values(**values, doubts=" ".join(set(row.doubts.split()) - set(accepted)))
            )
            return True

    def objects(self, study_instance_uid: str) -> tuple[set[str], set[str]]:
        """SOP Instance UIDs of a study that are held, and those that are results of ours, held or not."""
        held = sa.select(instances.c.sop_instance_uid, instances.c.own).where(
            instances.c.study_instance_uid == study_instance_uid
        )
        made = (
            sa.select(results.c.sop_instance_uid)
            .join_from(results, jobs, results.c.job_id == jobs.c.id)
            .where(jobs.c.study_instance_uid == study_instance_uid)
        )
        with self._index.read() as connection:
            rows = connection.execute(held).all()
            own = {row.sop_instance_uid for row in connection.execute(made)}
        own |= {row.sop_instance_uid for row in rows if row.own}
        return {row.sop_instance_uid for row in rows} - own, own

    def series_elsewhere(self, study_instance_uid: str) -> set[str]:
        """Series Instance UIDs of a study that occur in another one too. Results of ours do not count."""
        here, there = instances.alias("here"), instances.alias("there")
        ours = sa.select(here.c.series_instance_uid).where(
            here.c.study_instance_uid == study_instance_uid, sa.not_(here.c.own)
        )
        query = (
            sa.select(there.c.series_instance_uid)
            .where(
                there.c.series_instance_uid.in_(ours.distinct()),
                there.c.study_instance_uid != study_instance_uid,
                sa.not_(there.c.own),
            )
            .distinct()
        )
        with self._index.read() as connection:
            return {row.series_instance_uid for row in connection.execute(query)}

    def changed(self, study_instance_uid: str, change: str) -> set[int]:
        """Numbers of the versions that changed so against an earlier one of the same object."""
        query = sa.select(instances.c.number).where(
            instances.c.study_instance_uid == study_instance_uid, instances.c.change == change
        )
        with self._index.read() as connection:
            return {row.number for row in connection.execute(query)}

    def begin_again(self) -> None:
        """Give every open study its whole quiet period from now: while nobody listened, nothing could arrive."""
        now = self._index.clock()
        with self._index.write() as connection:
            connection.execute(
                sa.update(studies).where(studies.c.state == OPEN).values(due_at=now + studies.c.quiet_s)
            )

    def decide_again(self, study_instance_uids: Collection[str]) -> None:
        """Let the rules look once more, now, at studies that are decided; nothing of them has arrived."""
        if not study_instance_uids:
            return
        with self._index.write() as connection:
            look_anew(connection, study_instance_uids, self._index.clock())

    def named(self, name: str) -> Study | None:
        with self._index.read() as connection:
            row = connection.execute(sa.select(studies).where(studies.c.name == name)).first()
            return Study(**row._mapping) if row else None

    def study(self, study_instance_uid: str) -> Study | None:
        with self._index.read() as connection:
            row = connection.execute(
                sa.select(studies).where(studies.c.study_instance_uid == study_instance_uid)
            ).first()
            return Study(**row._mapping) if row else None

    def count_attempt(self, study: Study) -> int:
        """Note that the study is about to be looked at, before it is: a study that kills the process counts too."""
        with self._index.write() as connection:
            counted = connection.execute(
                sa.update(studies)
                .where(studies.c.study_instance_uid == study.study_instance_uid)
                .values(attempts=studies.c.attempts + 1)
                .returning(studies.c.attempts)
            )
            return int(counted.scalar_one())

    def forgive(self, study: Study | None = None) -> None:
        """Take back one attempt of each open study: something else is suspected of the last death of the process.

        Of one study, when it is given: a look at it has ended.
        """
        which = sa.true() if study is None else studies.c.study_instance_uid == study.study_instance_uid
        with self._index.write() as connection:
            connection.execute(
                sa.update(studies)
                .where(which, studies.c.state == OPEN, studies.c.attempts > 0)
                .values(attempts=studies.c.attempts - 1)
            )

    def look_again(self, study: Study, after_s: float) -> None:
        """Let a study rest after a failure; one that has grown meanwhile keeps its own due time."""
        with self._index.write() as connection:
            connection.execute(
                sa.update(studies).where(_as_seen(study)).values(due_at=self._index.clock() + after_s)
            )

    def set_aside(self, study: Study) -> None:
        """Stop looking at a study until something of it arrives, new or once more."""
        with self._index.write() as connection:
            connection.execute(sa.update(studies).where(_as_seen(study)).values(state=SET_ASIDE))


def _as_seen(study: Study) -> sa.ColumnElement[bool]:
    """Whether nothing of the study has arrived since it was read: each arrival moves its due time."""
    return sa.and_(studies.c.study_instance_uid == study.study_instance_uid, studies.c.due_at == study.due_at)


def look_anew(connection: sa.Connection, study_instance_uids: Collection[str], now: float) -> None:
    """Open studies that are decided, for one more look of the rules, inside a transaction."""
    these = studies.c.study_instance_uid.in_(study_instance_uids)
    # One that is open already has something to tell later studies of the patient all the same.
    connection.execute(sa.update(studies).where(these).values(news=True))
    connection.execute(
        sa.update(studies)
        .where(these, studies.c.state == DECIDED)
        .values(state=OPEN, opened_at=now, due_at=now, attempts=0)
    )


def touch(
    connection: sa.Connection, key: bytes, study: str, *, source: str, now: float, quiet_s: float
) -> None:
    """Open a study, or move its due time, inside the transaction that keeps an instance of it."""
    changed = connection.execute(
        sa.update(studies)
        .where(studies.c.study_instance_uid == study)
        .values(
            state=OPEN,
            opened_at=sa.case((studies.c.state == OPEN, studies.c.opened_at), else_=now),
            last_at=now,
            due_at=now + quiet_s,
            quiet_s=quiet_s,
            source=source,
            attempts=0,
            waits="",
            complete="",
            asked="",
            news=True,
        )
    )
    if not changed.rowcount:
        connection.execute(
            sa.insert(studies).values(
                study_instance_uid=study,
                name=keyed_name(key, "study", study),
                state=OPEN,
                source=source,
                first_at=now,
                last_at=now,
                due_at=now + quiet_s,
                quiet_s=quiet_s,
                attempts=0,
                opened_at=now,
                waits="",
                complete="",
                asked="",
                released="",
                doubts="",
                news=True,
            )
        )
