"""Instances as they came: a file each, a row each, both on the disk before the sender hears 0x0000."""

from __future__ import annotations

import errno
import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa

from bridge.dicom.headers import Header, part10_prefix, read_body, read_header
from bridge.store import own, versions
from bridge.store.disk import Alarm, Room
from bridge.store.held import Held
from bridge.store.patients import Patients, note_patient, wants_again
from bridge.store.studies import touch
from bridge.store.tables import Index, frames, headers, instances


class Arrived(StrEnum):
    """What became of an instance that was offered."""

    STORED = "stored"
    IDENTICAL = "identical"
    """The same bytes are held already, and are the newest."""
    RESTORED = "restored"
    """The same bytes again, of which only the header was held: the file is back, nothing else has changed."""
    VERSION = "version"
    """The same SOP Instance UID with other bytes than the last time."""
    OWN = "own"
    """A result of a bridge that came back: noted, triggers nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    """An instance that is about to be entered, its file written already."""

    header: Header
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    called_ae_title: str
    source: str
    quiet_s: float
    digest: str
    size_bytes: int
    file: str
    looks_own: bool


class Instances(Held):
    """The instance files under `<data>/instances/` and their rows."""

    def __init__(
        self,
        index: Index,
        folder: Path,
        *,
        key: bytes,
        reserve_bytes: int = 0,
        uid_root: str = "",
        alarm: Alarm | None = None,
        passing: Callable[[str], None] = lambda point: None,
    ) -> None:
        """
        Args:
            reserve_bytes: free space of the disk that is never touched.
            uid_root: what lies under it is a result of a bridge; "" for none.
            alarm: hears when the disk is full and when it no longer is.
            passing: is told the name of each point at which a crash would hurt most.
        """
        super().__init__(index, folder)
        self._passing = passing
        self._key = key
        self._uid_root = uid_root
        self.disk = Room(folder, reserve_bytes, alarm)
        self.patients = Patients(index, key)

    def room(self, size_bytes: int) -> AbstractContextManager[bool]:
        """Whether `size_bytes` fit without touching the reserve; they are taken while the block lasts."""
        return self.disk.take(size_bytes)

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
        called_ae_title: str = "",
    ) -> Arrived:
        """Make an instance durable: when this returns, file and row survive a power cut.

        Bytes that are the newest of their SOP Instance UID already change nothing, nor does a result of a bridge; any
        other instance moves the study's due time to `quiet_s` from now. So do identical bytes of a study that waits for
        being sent again.

        Raises OSError when it could not be made durable; then nothing is held of it.
        """
        digest = digest_of(encoded, transfer_syntax_uid)
        with _or_os_error(), self._index.read() as connection:
            newest = versions.last_arrived(connection, sop_instance_uid)
            wanted = newest is not None and wants_again(connection, newest.study_instance_uid)
        if newest is not None and newest.digest == digest and self._is_here(newest) and not wanted:
            if newest.own and newest.calling_ae_title == own.NOBODY:
                self._has_come_back(newest.number, sop_instance_uid, calling_ae_title)
            return Arrived.OWN if newest.own else Arrived.IDENTICAL
        # The file first: a row without a file would be a lie, a file without a row is only litter.
        prefix = part10_prefix(sop_class_uid, sop_instance_uid, transfer_syntax_uid)
        offer = _Offer(
            header=header,
            sop_class_uid=sop_class_uid,
            sop_instance_uid=sop_instance_uid,
            transfer_syntax_uid=transfer_syntax_uid,
            calling_ae_title=calling_ae_title,
            called_ae_title=called_ae_title,
            source=source,
            quiet_s=quiet_s,
            digest=digest,
            size_bytes=len(encoded),
            file=self._files.write(prefix, encoded),
            looks_own=own.looks_own(sop_instance_uid, header, self._uid_root),
        )
        self._passing("receive:mid")
        # When this fails its file stays as litter: the commit may have happened.
        with _or_os_error(), self._index.write() as connection:
            arrived, litter = self._enter(connection, offer)
        if litter:
            self._files.remove(litter)
        self._passing("receive:after")
        return arrived

    def take_in(self, file: Path) -> None:
        """Hold a result of this bridge before anybody has sent it back. Repeating it changes nothing.

        It opens no study and moves no due time. Raises OSError when it could not be made durable.
        """
        encoded, syntax = read_body(file)
        header = read_header(encoded, syntax)
        uid = header.uid("SOPInstanceUID")
        with _or_os_error(), self._index.read() as connection:
            newest = versions.last_arrived(connection, uid)
        if newest is not None and self._is_here(newest):
            return
        offer = _Offer(
            header=header,
            sop_class_uid=header.uid("SOPClassUID"),
            sop_instance_uid=uid,
            transfer_syntax_uid=syntax,
            calling_ae_title=own.NOBODY,
            called_ae_title="",
            source="",
            quiet_s=0.0,
            digest=digest_of(encoded, syntax),
            size_bytes=len(encoded),
            file=self._files.link(file),
            looks_own=True,
        )
        self._passing("chain:mid")
        with _or_os_error(), self._index.write() as connection:
            _, litter = self._enter(connection, offer)
        if litter:
            self._files.remove(litter)

    def _has_come_back(self, number: int, sop_instance_uid: str, calling_ae_title: str) -> None:
        """One that was taken in before: from now on it has a sender."""
        with _or_os_error(), self._index.write() as connection:
            connection.execute(
                sa.update(instances)
                .where(instances.c.number == number)
                .values(calling_ae_title=calling_ae_title)
            )
            job_id = own.issued_for(connection, sop_instance_uid)
            if job_id is not None:
                own.note_return(connection, job_id, calling_ae_title, self._index.clock())

    def _enter(self, connection: sa.Connection, offer: _Offer) -> tuple[Arrived, str]:
        """Write the row of an instance. Returns what became of it, and the file that nothing refers to any more."""
        now = self._index.clock()
        newest = versions.last_arrived(connection, offer.sop_instance_uid)
        if newest is None:
            return self._insert(connection, offer, now, version=1, arrival=1), ""
        held = connection.execute(
            sa.select(instances).where(
                instances.c.sop_instance_uid == offer.sop_instance_uid, instances.c.digest == offer.digest
            )
        ).first()
        if held is None:
            version = connection.execute(
                sa.select(sa.func.max(instances.c.version) + 1).where(
                    instances.c.sop_instance_uid == offer.sop_instance_uid
                )
            ).scalar_one()
            return self._insert(connection, offer, now, version=version, arrival=newest.arrival + 1), ""
        if held.number == newest.number and self._is_here(held):
            if not held.own and wants_again(connection, held.study_instance_uid):
                self._touch(connection, offer, held.study_instance_uid, now)
            return Arrived.OWN if held.own else Arrived.IDENTICAL, offer.file
        # Received now: retention counts its days anew.
        values = {"file": offer.file, "dropped_at": None, "received_at": now}
        arrived = Arrived.RESTORED
        if held.number != newest.number:
            values |= {"arrival": newest.arrival + 1, "change": ""}
            arrived = Arrived.VERSION
        connection.execute(sa.update(instances).where(instances.c.number == held.number).values(**values))
        if held.own:
            return Arrived.OWN, held.file
        if arrived is Arrived.VERSION or wants_again(connection, held.study_instance_uid):
            self._touch(connection, offer, held.study_instance_uid, now)
        return arrived, held.file

    def _insert(
        self, connection: sa.Connection, offer: _Offer, now: float, *, version: int, arrival: int
    ) -> Arrived:
        job_id = own.issued_for(connection, offer.sop_instance_uid)
        is_own = offer.looks_own or job_id is not None
        study = offer.header.uid("StudyInstanceUID")
        number = connection.execute(
            sa.insert(instances)
            .values(
                sop_instance_uid=offer.sop_instance_uid,
                version=version,
                sop_class_uid=offer.sop_class_uid,
                series_instance_uid=offer.header.uid("SeriesInstanceUID"),
                study_instance_uid=study,
                transfer_syntax_uid=offer.transfer_syntax_uid,
                digest=offer.digest,
                size_bytes=offer.size_bytes,
                file=offer.file,
                calling_ae_title=offer.calling_ae_title,
                called_ae_title=offer.called_ae_title,
                own=is_own,
                received_at=now,
                arrival=arrival,
                change="",
            )
            .returning(instances.c.number)
        ).scalar_one()
        connection.execute(
            sa.insert(headers).values(
                number=number, syntax=offer.header.syntax, encoded=zlib.compress(offer.header.encoded, 1)
            )
        )
        if job_id is not None and offer.calling_ae_title != own.NOBODY:
            own.note_return(connection, job_id, offer.calling_ae_title, now)
        if is_own:
            return Arrived.OWN
        note_patient(connection, self._key, study, offer.header.data_set)
        self._touch(connection, offer, study, now)
        return Arrived.STORED if version == 1 else Arrived.VERSION

    def _touch(self, connection: sa.Connection, offer: _Offer, study: str, now: float) -> None:
        touch(connection, self._key, study, source=offer.source, now=now, quiet_s=offer.quiet_s)

    def keep_frame_digests(self, digests: dict[tuple[int, int], str]) -> None:
        """Keep digests past the life of the files: the same input must be known again years later."""
        if not digests:
            return
        rows = [{"number": n, "frame": f, "digest": digest} for (n, f), digest in digests.items()]
        with self._index.write() as connection:
            connection.execute(sa.insert(frames).prefix_with("OR IGNORE"), rows)

    def classified(self, one: versions.Replacement, change: str) -> bool:
        """Keep what a comparison found; False when the version has arrived again meanwhile."""
        with self._index.write() as connection:
            changed = connection.execute(
                sa.update(instances)
                .where(
                    instances.c.number == one.newer.number,
                    instances.c.arrival == one.arrival,
                    instances.c.change == "",
                )
                .values(change=str(change))
            )
            return bool(changed.rowcount)


def digest_of(encoded: bytes, transfer_syntax_uid: str) -> str:
    """By which two arrivals of an object are the same bytes."""
    return hashlib.sha256(transfer_syntax_uid.encode() + b"\0" + encoded).hexdigest()


@contextmanager
def _or_os_error() -> Iterator[None]:
    """A full disk, or a lock that never came free: trouble of this machine, like that of a file."""
    try:
        yield
    except sa.exc.OperationalError:
        raise OSError(errno.EIO, "the index could not be used") from None
