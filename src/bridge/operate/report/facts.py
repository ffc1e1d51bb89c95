"""What the page is made of: one frozen value, filled by whoever asks for a report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bridge.export.parcel import Parcel
from bridge.rules.explanation import Explanation
from bridge.store.jobs import Delivery, Job, JobEvent, StoredResult
from bridge.volumes.volume import Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFile:
    """A result of the job and where its file lies."""

    stored: StoredResult
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A part that took part and its version, such as `bridge` and `0.1.0`."""

    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known of one job."""

    job: Job
    explanation: Explanation | None
    """As it was decided; what may identify a person is masked before it is shown."""
    timeline: tuple[JobEvent, ...]
    """In the order of time."""
    deliveries: tuple[Delivery, ...]
    volume: Volume | None
    """The input that the results refer to. None: its headers are no longer held, or no longer make it."""
    results: tuple[ResultFile, ...]
    parcel: Parcel | None
    """What was made ready to leave; whether it left stands with the job. None: nothing was made."""
    versions: tuple[Version, ...]
    written_at: datetime
    """With its time zone, in which all times of the page are shown."""
