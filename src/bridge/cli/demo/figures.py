"""What the demonstration is judged by: what the cloud billed, what PACS holds, what was acknowledged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from bridge.dicom.headers import read_body
from bridge.sandbox.pacs import read_attempts
from bridge.store.tables import Index, instances

SEG, SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    cloud_jobs: int
    segs: int
    srs: int
    lost: int
    """Objects that were acknowledged and are not on the disk, byte for byte."""

    @property
    def as_expected(self) -> bool:
        return (self.cloud_jobs, self.segs, self.srs, self.lost) == (1, 1, 1, 0)

    def sentence(self) -> str:
        return f"cloud jobs {self.cloud_jobs}, SEG {self.segs}, SR {self.srs}, lost {self.lost}"


def figures(out: Path, sent: Sequence[Path], statuses: Sequence[int | None], index: Index) -> Figures:
    """Count from outside: the cloud's ledger, PACS's own list, the files that were acknowledged."""
    ledger = (out / "cloud" / "ledger.jsonl").read_text().splitlines()
    stored = {a.sop_instance_uid: a.sop_class_uid for a in read_attempts(out / "pacs") if a.file}
    with index.read() as connection:
        files = connection.execute(sa.select(instances.c.file)).scalars().all()
    held = {read_body(out / "data" / "instances" / file)[0] for file in files}
    acknowledged = [file for file, status in zip(sent, statuses, strict=True) if status == 0]
    return Figures(
        cloud_jobs=sum(bool(json.loads(line)) for line in ledger),
        segs=sum(sop_class == SEG for sop_class in stored.values()),
        srs=sum(sop_class == SR for sop_class in stored.values()),
        lost=sum(read_body(file)[0] not in held for file in acknowledged),
    )
