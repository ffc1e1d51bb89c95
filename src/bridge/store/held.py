"""What is held of a study, for reading: its instances with their headers, who sent them, and what is known of them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import sqlalchemy as sa

from bridge.dicom.headers import parse_header
from bridge.dicom.instance import Instance
from bridge.store import own, versions
from bridge.store.files import InstanceFiles
from bridge.store.tables import Index, frames, headers, instances


class Held:
    """Reads rows, and headers from them; pixels stay in their files."""

    def __init__(self, index: Index, folder: Path) -> None:
        self._index = index
        self._files = InstanceFiles(folder)

    def of_study(self, study_instance_uid: str) -> tuple[Instance, ...]:
        """The newest version of every instance of a study."""
        return self._load(versions.newest_of_study(study_instance_uid))

    def newest_of(self, study_instance_uid: str) -> Instance | None:
        """One object of a study, the last to have come for the first time; None when only results of ours are here."""
        last = sa.select(sa.func.max(instances.c.number)).where(
            instances.c.study_instance_uid == study_instance_uid, sa.not_(instances.c.own)
        )
        return next(iter(self._load(instances.c.number == last.scalar_subquery())), None)

    def by_number(self, numbers: Iterable[int]) -> dict[int, Instance]:
        """Exactly these versions, by number."""
        wanted = list(numbers)
        return {one.number: one for one in self._load(instances.c.number.in_(wanted))}

    def calling_ae_titles(self, study_instance_uid: str) -> tuple[str, ...]:
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(instances.c.calling_ae_title)
                .where(instances.c.study_instance_uid == study_instance_uid)
                .where(instances.c.calling_ae_title != own.NOBODY)
                .distinct()
                .order_by(instances.c.calling_ae_title)
            )
            return tuple(row.calling_ae_title for row in rows)

    def called_ae_titles(self, study_instance_uid: str) -> tuple[str, ...]:
        """By which AE titles senders called us; of objects of an earlier release nobody knows."""
        with self._index.read() as connection:
            rows = connection.execute(
                sa.select(instances.c.called_ae_title)
                .where(
                    instances.c.study_instance_uid == study_instance_uid, instances.c.called_ae_title != ""
                )
                .distinct()
                .order_by(instances.c.called_ae_title)
            )
            return tuple(row.called_ae_title for row in rows)

    def arrivals(self, study_instance_uid: str) -> dict[str, float]:
        """When the last object of each series of a study came, without results of ours."""
        query = (
            sa.select(instances.c.series_instance_uid, sa.func.max(instances.c.received_at).label("at"))
            .where(instances.c.study_instance_uid == study_instance_uid, sa.not_(instances.c.own))
            .group_by(instances.c.series_instance_uid)
        )
        with self._index.read() as connection:
            return {row.series_instance_uid: row.at for row in connection.execute(query)}

    def frame_digests(self, numbers: Sequence[int]) -> dict[tuple[int, int], str]:
        """Digests of frames that were computed before: (instance number, frame) -> digest."""
        with self._index.read() as connection:
            rows = connection.execute(sa.select(frames).where(frames.c.number.in_(list(numbers))))
            return {(row.number, row.frame): row.digest for row in rows}

    def replacements(self, study_instance_uid: str) -> list[versions.Replacement]:
        """Versions of a study that have not been compared with the one they replaced."""
        with self._index.read() as connection:
            pairs = versions.not_compared(connection, study_instance_uid)
        held = self.by_number({number for older, newer, _ in pairs for number in (older, newer)})
        return [
            versions.Replacement(older=held[older], newer=held[newer], arrival=arrival)
            for older, newer, arrival in pairs
        ]

    def _load(self, where: sa.ColumnElement[bool]) -> tuple[Instance, ...]:
        query = (
            sa.select(instances, headers.c.syntax, headers.c.encoded)
            .join_from(instances, headers, instances.c.number == headers.c.number)
            .where(where)
            .order_by(instances.c.number)
        )
        with self._index.read() as connection:
            rows = connection.execute(query).all()
        return tuple(
            Instance(
                number=row.number,
                sop_class_uid=row.sop_class_uid,
                sop_instance_uid=row.sop_instance_uid,
                series_instance_uid=row.series_instance_uid,
                study_instance_uid=row.study_instance_uid,
                transfer_syntax_uid=row.transfer_syntax_uid,
                file=self._files.folder / row.file,
                header=parse_header(zlib.decompress(row.encoded), row.syntax),
                own=bool(row.own),
                dropped_at=row.dropped_at,
            )
            for row in rows
        )

    def _is_here(self, row: sa.Row[tuple[object, ...]]) -> bool:
        return row.dropped_at is None and self._files.is_there(row.file)
