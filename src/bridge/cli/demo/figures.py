"""What the demonstration is judged by: what the cloud billed, what PACS holds, what was acknowledged."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bridge.dicom.headers import read_body
from bridge.operate.report.measurements import read_groups
from bridge.sandbox.pacs import read_attempts
from bridge.store.tables import Index, instances

SEG, SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"
MOST_OFF = 0.01
MESHES = frozenset({"1.2.840.10008.5.1.4.1.1.104.3", "1.2.840.10008.5.1.4.1.1.104.4"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a study should give."""

    srs: int = 1
    meshes: int = 0
    volumes_ml: Mapping[str, float] = field(default_factory=dict)
    """By label of a segment, where they are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    cloud_jobs: int
    segs: int
    srs: int
    meshes: int
    lost: int
    """Objects that were acknowledged and are not on the disk, byte for byte."""
    off: float | None = None
    """The largest share by which a volume in the reports differs from the known one; None where none is known."""
    wanted: Wanted | None = None
    """None for a study of which nobody knows."""

    @property
    def as_expected(self) -> bool:
        if (self.cloud_jobs, self.segs, self.lost) != (1, 1, 0):
            return False
        if self.wanted is None:
            return self.srs >= 1
        counted = (self.srs, self.meshes) == (self.wanted.srs, self.wanted.meshes)
        return counted and (self.off or 0.0) <= MOST_OFF

    def sentence(self) -> str:
        meshes = f", meshes {self.meshes}" if self.meshes else ""
        off = "" if self.off is None else f"; volumes within {100 * self.off:.2f} %"
        return f"cloud jobs {self.cloud_jobs}, SEG {self.segs}, SR {self.srs}{meshes}, lost {self.lost}{off}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the demonstration was told on the way."""

    out: Path
    sent: Sequence[Path]
    statuses: Sequence[int | None]
    is_bill: Callable[[Mapping[str, Any]], bool]
    wanted: Wanted | None


def figures(seen: Seen, index: Index) -> Figures:
    """Count from outside: the cloud's ledger, PACS's own list, the files that were acknowledged."""
    ledger = (seen.out / "cloud" / "ledger.jsonl").read_text().splitlines()
    attempts = [a for a in read_attempts(seen.out / "pacs") if a.file]
    stored = {a.sop_instance_uid: a.sop_class_uid for a in attempts}
    with index.read() as connection:
        files = connection.execute(sa.select(instances.c.file)).scalars().all()
    held = {read_body(seen.out / "data" / "instances" / file)[0] for file in files}
    acknowledged = [file for file, status in zip(seen.sent, seen.statuses, strict=True) if status == 0]
    reports = [seen.out / "pacs" / str(a.file) for a in attempts if a.sop_class_uid == SR]
    return Figures(
        cloud_jobs=sum(seen.is_bill(json.loads(line)) for line in ledger),
        segs=sum(sop_class == SEG for sop_class in stored.values()),
        srs=sum(sop_class == SR for sop_class in stored.values()),
        meshes=sum(sop_class in MESHES for sop_class in stored.values()),
        lost=sum(read_body(file)[0] not in held for file in acknowledged),
        off=_off(reports, seen.wanted.volumes_ml) if seen.wanted and seen.wanted.volumes_ml else None,
        wanted=seen.wanted,
    )


def _off(reports: Sequence[Path], volumes_ml: Mapping[str, float]) -> float:
    """Of every known volume; one that no report has is off by all of it."""
    found = {
        group.name.rpartition("/")[2]: value
        for group in read_groups(reports)
        for column, value in group.values.items()
        if (column.quantity, column.unit) == ("Volume", "ml")
    }
    return max(abs(found.get(label, 0.0) / known - 1.0) for label, known in volumes_ml.items())
