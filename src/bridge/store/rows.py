"""What stands in the tables about a job: its row, its decision, its results, its deliveries, its timeline."""

from __future__ import annotations

from dataclasses import dataclass, field
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


DOUBT = "STU-"
"""Codes of doubts about a study begin so; a job that is held for one goes on when the study is released."""


class Stage(StrEnum):
    PREPARE = "prepare"
    CLOUD = "cloud"
    ENCODE = "encode"
    DELIVER = "deliver"


ROUTINE_SLACK_S = 4 * 3600
"""An urgent job goes before routine ones, unless they have waited so long."""
STEP_S = 20 * 60
"""What one step of priority counts; ten of them are less than urgent."""


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
    run: int
    """Part of the engine's ids: a retry by a person, or a fence that was lifted, begins another run."""
    rerun: int
    """How often a person has asked for the same work again; part of the job's identity."""
    contents: str
    """{input: content}: what the inputs show, as it stands in the job's identity."""
    urgent: bool = False
    priority: int = 0
    not_before: str = ""
    """The hours in which it may go to its platform, "20:00-06:00"; "" for always."""

    @property
    def due_at(self) -> float:
        """Its place among jobs that wait: what is due first goes first, so nothing starves behind newer ones."""
        return self.created_at + (0 if self.urgent else ROUTINE_SLACK_S) - self.priority * STEP_S

    @property
    def has_begun(self) -> bool:
        """Whether anything of it may have been done; before, it takes the newest objects of its study."""
        waits = self.state is JobState.READY or (
            self.state is JobState.HELD and (not self.code or self.code.startswith(DOUBT))
        )
        return not (waits and self.stage is Stage.PREPARE and self.run == 0)


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
    contents: str = "{}"
    rerun: int = 0
    explanation: str = ""
    """Of this job, where its decision makes several; "" for that of the decision."""
    urgent: bool = False
    priority: int = 0
    not_before: str = ""
    borrows: tuple[str, ...] = ()
    """Other studies of which it takes volumes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a rule may make before it pauses itself; None: as much as matches."""

    jobs_per_day: int | None = None
    jobs_per_month: int | None = None
    failures_in_a_row: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long a rule has waited for something else. POSIX seconds."""

    since: float
    """When the rule first fitted the study."""
    until: float | None
    """When it is to be decided again at the latest; None for what waits no more."""
    seen: int
    """The newest line of any timeline when this was decided: a job that ends later wakes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a rule said about a study."""

    rule: str
    outcome: str
    reason: str
    explanation: str
    jobs: tuple[NewJob, ...] = ()
    """What it wants to be there, in the order in which a budget is spent; more than one only where `each` is set."""
    each: str = ""
    """The input of which every volume has a job of its own; "" for a rule that makes one job of a study."""
    code: str = ""
    """Of what keeps a job that the rule wants from being made: a doubt, or a pause of the rule."""
    budget: Budget = field(default_factory=Budget)
    waits: Waits | None = None
    """Of a rule that fits, and waits for something else or has waited."""
    decided_at: float = 0.0
    """POSIX seconds; 0 for one that is not written yet."""


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
    variant: str = ""
    """What it differs by from its usual form; empty for that."""


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
    """How often it was offered to a peer that was reached."""
    first_at: float | None
    last_at: float | None
    few: int = 0
    """How many of the answers were of those that are tried a few times only."""
    asked: int = 0
    """How often the peer was asked whether it has it, and did not name it."""
    resent: int = 0
    """How often it was sent again because the peer did not name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Whose turn it is: one job at one destination. Nothing is owed there any more when `due_at` is None."""

    job_id: str
    destination: str
    turn: int
    """Counts what was handed to the engine: part of the id of the stage `deliver`."""
    tries: int
    """Tries of this job after which something was left. That a destination cannot be reached is counted there."""
    due_at: float | None
    code: str
    reason: str
    since: float
    """When the results were first owed to this destination."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A destination that cannot be reached: one job at a time tries it, the others wait for that."""

    destination: str
    down_since: float
    next_at: float
    tries: int
    code: str
    reason: str
    trial: str
    """The id of the job that may try it now; empty between the tries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a person asked for, and what became of it. `outcome` is empty until it is done."""

    id: int
    act: str
    target: str
    who: str
    reason: str
    asked_at: float
    done_at: float | None
    outcome: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something that needs a person, from when it began until it is over."""

    kind: str
    subject: str
    reason: str
    since: float
    last_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A peer that was not let in, and how often."""

    calling_ae_title: str
    called_ae_title: str
    host: str
    why: str
    count: int
    first_at: float
    last_at: float


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
