"""Instances as they came: a file each, a row each, both on the disk before the sender hears 0x0000."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bridge.dicom.headers import Header, parse_header, part10_prefix
from bridge.dicom.instance import Instance
from bridge.dicom.uids import keyed_name
from bridge.store.tables import Index, frames, headers, instances, results, studies


class Arrived(StrEnum):
    """What became of an instance that was offered."""

    STORED = "stored"
    IDENTICAL = "identical"
    """The same bytes are held already."""
    VERSION = "version"
    """The same SOP Instance UID with other bytes."""
    OWN = "own"
    """A result of this bridge that came back: noted, triggers nothing."""


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


class Instances:
    """The instance files under `<data>/instances/` and their rows."""

    def __init__(
        self,
        index: Index,
        folder: Path,
        *,
        key: bytes,
        reserve_bytes: int = 0,
        passing: Callable[[str], None] = lambda point: None,
    ) -> None:
        """`passing` is told the name of each point at which a crash would hurt most."""
        self._passing = passing
        self._index = index
        self._folder = folder
        self._key = key
        self._reserve_bytes = reserve_bytes
        folder.mkdir(parents=True, exist_ok=True)

    def has_room(self, size_bytes: int) -> bool:
        """Whether `size_bytes` fit on the disk without touching the reserve."""
        return shutil.disk_usage(self._folder).free - size_bytes >= self._reserve_bytes

    def keep(
        self,
        *,
        encoded: bytes,
        header: Header,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        calling_ae_title: str,
        source: str,
        quiet_s: float,
    ) -> Arrived:
        """Make an instance durable: when this returns, file and row survive a power cut.

        An identical instance changes nothing; any other moves the study's due time to `quiet_s` from now.
        """
        digest = hashlib.sha256(transfer_syntax_uid.encode() + b"\0" + encoded).hexdigest()
        with self._index.read() as connection:
            if self._held(connection, sop_instance_uid, digest):
                return Arrived.IDENTICAL
        # The file first: a row without a file would be a lie, a file without a row is only litter.
        prefix = part10_prefix(sop_class_uid, sop_instance_uid, transfer_syntax_uid)
        file = self._write(prefix, encoded)
        self._passing("receive:mid")
        now = self._index.clock()
        study = header.uid("StudyInstanceUID")
        with self._index.write() as connection:
            if self._held(connection, sop_instance_uid, digest):
                arrived = Arrived.IDENTICAL
            else:
                version = connection.execute(
                    sa.select(sa.func.coalesce(sa.func.max(instances.c.version), 0) + 1).where(
                        instances.c.sop_instance_uid == sop_instance_uid
                    )
                ).scalar_one()
                own = (
                    connection.execute(
                        sa.select(results.c.job_id).where(results.c.sop_instance_uid == sop_instance_uid)
                    ).first()
                    is not None
                )
                number = connection.execute(
                    sa.insert(instances)
                    .values(
                        sop_instance_uid=sop_instance_uid,
                        version=version,
                        sop_class_uid=sop_class_uid,
                        series_instance_uid=header.uid("SeriesInstanceUID"),
                        study_instance_uid=study,
                        transfer_syntax_uid=transfer_syntax_uid,
                        digest=digest,
                        size_bytes=len(encoded),
                        file=file,
                        calling_ae_title=calling_ae_title,
                        own=own,
                        received_at=now,
                    )
                    .returning(instances.c.number)
                ).scalar_one()
                connection.execute(
                    sa.insert(headers).values(
                        number=number, syntax=header.syntax, encoded=zlib.compress(header.encoded, 1)
                    )
                )
                if not own:
                    self._touch(connection, study, source, now, quiet_s)
                arrived = Arrived.OWN if own else Arrived.VERSION if version > 1 else Arrived.STORED
        if arrived is Arrived.IDENTICAL:
            (self._folder / file).unlink()
        self._passing("receive:after")
        return arrived

    def due(self, now: float) -> list[Study]:
        """Open studies whose quiet period is over, the longest waiting first."""
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(studies)
                .where(studies.c.state == "open", studies.c.due_at <= now)
                .order_by(studies.c.due_at)
            )
            return [Study(**row._mapping) for row in rows]

    def begin_again(self) -> None:
        """Give every open study its whole quiet period from now: while nobody listened, nothing could arrive."""
        now = self._index.clock()
        with self._index.write() as connection:
            connection.execute(
                sa.update(studies).where(studies.c.state == "open").values(due_at=now + studies.c.quiet_s)
            )

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

    def look_again(self, study: Study, after_s: float) -> None:
        """Let a study rest after a failure; one that has grown meanwhile keeps its own due time."""
        with self._index.write() as connection:
            connection.execute(
                sa.update(studies)
                .where(
                    studies.c.study_instance_uid == study.study_instance_uid,
                    studies.c.due_at == study.due_at,
                )
                .values(due_at=self._index.clock() + after_s)
            )

    def set_aside(self, study: Study) -> None:
        """Stop looking at a study until something new of it arrives."""
        with self._index.write() as connection:
            connection.execute(
                sa.update(studies)
                .where(
                    studies.c.study_instance_uid == study.study_instance_uid,
                    studies.c.due_at == study.due_at,
                )
                .values(state="set-aside")
            )

    def of_study(self, study_instance_uid: str) -> tuple[Instance, ...]:
        """The newest version of every instance of a study."""
        return self._load(instances.c.study_instance_uid == study_instance_uid, newest=True)

    def by_number(self, numbers: Iterable[int]) -> dict[int, Instance]:
        """Exactly these versions, by number."""
        wanted = list(numbers)
        return {one.number: one for one in self._load(instances.c.number.in_(wanted), newest=False)}

    def calling_ae_titles(self, study_instance_uid: str) -> tuple[str, ...]:
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(instances.c.calling_ae_title)
                .where(instances.c.study_instance_uid == study_instance_uid)
                .distinct()
                .order_by(instances.c.calling_ae_title)
            )
            return tuple(row.calling_ae_title for row in rows)

    def frame_digests(self, numbers: Sequence[int]) -> dict[tuple[int, int], str]:
        """Digests of frames that were computed before: (instance number, frame) -> digest."""
        with self._index.read() as connection:
            rows = connection.execute(sa.select(frames).where(frames.c.number.in_(list(numbers))))
            return {(row.number, row.frame): row.digest for row in rows}

    def keep_frame_digests(self, digests: dict[tuple[int, int], str]) -> None:
        """Keep digests past the life of the files: the same input must be known again years later."""
        if not digests:
            return
        rows = [{"number": n, "frame": f, "digest": digest} for (n, f), digest in digests.items()]
        with self._index.write() as connection:
            connection.execute(sa.insert(frames).prefix_with("OR IGNORE"), rows)

    def _load(self, where: Any, *, newest: bool) -> tuple[Instance, ...]:
        query = (
            sa.select(instances, headers.c.syntax, headers.c.encoded)
            .join_from(instances, headers, instances.c.number == headers.c.number)
            .where(where)
            .order_by(instances.c.number)
        )
        with self._index.read() as connection:
            rows = connection.execute(query).all()
        found: dict[Any, Instance] = {}
        for row in rows:
            found[row.sop_instance_uid if newest else row.number] = Instance(
                number=row.number,
                sop_class_uid=row.sop_class_uid,
                sop_instance_uid=row.sop_instance_uid,
                series_instance_uid=row.series_instance_uid,
                study_instance_uid=row.study_instance_uid,
                transfer_syntax_uid=row.transfer_syntax_uid,
                file=self._folder / row.file,
                header=parse_header(zlib.decompress(row.encoded), row.syntax),
                own=bool(row.own),
            )
        return tuple(found.values())

    def _held(self, connection: sa.Connection, sop_instance_uid: str, digest: str) -> bool:
        query = sa.select(instances.c.number).where(
            instances.c.sop_instance_uid == sop_instance_uid, instances.c.digest == digest
        )
        return connection.execute(query).first() is not None

    def _touch(self, connection: sa.Connection, study: str, source: str, now: float, quiet_s: float) -> None:
        changed = connection.execute(
            sa.update(studies)
            .where(studies.c.study_instance_uid == study)
            .values(state="open", last_at=now, due_at=now + quiet_s, quiet_s=quiet_s, attempts=0)
        )
        if not changed.rowcount:
            connection.execute(
                sa.insert(studies).values(
                    study_instance_uid=study,
                    name=keyed_name(self._key, "study", study),
                    state="open",
                    source=source,
                    first_at=now,
                    last_at=now,
                    due_at=now + quiet_s,
                    quiet_s=quiet_s,
                    attempts=0,
                )
            )

    def _write(self, *parts: bytes) -> str:
        """Write a new file under a name of ours; returns the name relative to the folder."""
        name = secrets.token_hex(16)
        folder = self._folder / name[:2]
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            sync_folder(self._folder)
        file = folder / f"{name}.dcm"
        with file.open("xb") as stream:
            for part in parts:
                stream.write(part)
            stream.flush()
            os.fsync(stream.fileno())
        sync_folder(folder)
        return str(file.relative_to(self._folder))


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; fsync of a file does not cover its entry."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
