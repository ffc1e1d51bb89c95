"""What stands in the tables about a job: its row, its decision, its results, its deliveries, its timeline."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    READY = "ready"
    """Decided; the relay has not handed it to the engine yet."""
    RUNNING = "running"
    HELD = "held"
    """A person must decide."""
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({JobState.DONE, JobState.REFUSED, JobState.FAILED, JobState.CANCELLED})


class Stage(StrEnum):
    PREPARE = "prepare"
    CLOUD = "cloud"
    ENCODE = "encode"
    DELIVER = "deliver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job: a rule, the chosen inputs, and how far it has got. JSON texts are the values of their rooms."""

    id: str
    rule: str
    study_instance_uid: str
    account: str
    algorithm: str
    declared_version: str
    state: JobState
    stage: Stage
    code: str
    reason: str
    frozen: str
    """The rule as it was when the job began: a changed rule never changes a running job."""
    inputs: str
    """{input: [instance number, ...]} in the order of the planes."""
    explanation: str
    remote: str
    """The platform's `RemoteJob`."""
    outputs: str
    created_at: float
    changed_at: float
    deadline_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What intake decided; becomes a job unless one of that identity exists."""

    id: str
    rule: str
    account: str
    algorithm: str
    declared_version: str
    state: JobState
    reason: str
    frozen: str
    inputs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a rule said about a study."""

    rule: str
    outcome: str
    reason: str
    explanation: str
    job: NewJob | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResult:
    """An encoded result: a file that is sent, and sent again, never encoded again."""

    sop_instance_uid: str
    job_id: str
    kind: str
    output_name: str
    sop_class_uid: str
    series_instance_uid: str
    file: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Where one result stands at one destination."""

    job_id: str
    destination: str
    sop_instance_uid: str
    outcome: str
    status: int | None
    reason: str
    attempts: int
    first_at: float | None
    last_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    at: float
    event: str
    keys: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSpec:
    """What a platform said about an algorithm, or why it could not."""

    spec: str | None
    code: str
    reason: str
    learned_at: float
