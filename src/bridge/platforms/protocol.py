"""The operations of a platform, and the values that pass through them.

A platform keeps no state between calls: everything needed to go on after a crash, on another machine, is in
`RemoteJob`. Each operation may be repeated. Errors are those of `bridge.errors`; which one may come from where is
said at each operation.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import BinaryIO, ClassVar, Protocol

from bridge.export.parcel import Json, Order, Parcel, Step
from bridge.results.output import Label, Output, OutputKind


class Secret(Protocol):
    """A secret that is read when it is used, so that a renewed file counts at once."""

    def reveal(self) -> str: ...


class Secrets(Protocol):
    """Keeps what must outlive the process and stand in no job row, log or note: tokens, signed addresses."""

    def get(self, name: str) -> str | None: ...

    def put(self, name: str, value: str) -> None:
        """Durable when it returns."""

    def drop(self, name: str) -> None: ...


class Unkept:
    """Secrets of one process, gone with it."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        return self._values.get(name)

    def put(self, name: str, value: str) -> None:
        self._values[name] = value

    def drop(self, name: str) -> None:
        self._values.pop(name, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One `[accounts.NAME]` of site.toml."""

    name: str
    base_url: str
    token: Secret = field(repr=False)
    ca: str | None = None
    """Path of a PEM file that is trusted instead of the public authorities."""
    proxy: str | None = field(default=None, repr=False)
    """Address of an HTTP proxy; it may hold a password."""
    timeout_s: float = 60.0
    options: dict[str, Json] = field(default_factory=dict)
    """The platform's own settings, for example its poll paces."""
    secrets: Secrets = field(default_factory=Unkept, repr=False)
    """Where a platform keeps what it must not lose and nobody may read."""


class Sink(Protocol):
    """Takes the bytes of one output; counts, digests and syncs them."""

    def write(self, data: bytes, /) -> int: ...


class Shelf(Protocol):
    """Where the bytes of a job's parcel stand."""

    def open(self, ref: str) -> BinaryIO: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Static facts by which the engine schedules and the contract suite chooses its items."""

    max_items: int = 1
    can_stop: bool = False
    can_forget: bool = False
    idempotent_create: bool = False
    hints: bool = False
    describes: bool = True
    """Asks the platform what an algorithm takes and gives; where False, a rule says what it wants, and the
    description names no outputs."""
    lists_jobs: bool = True
    """Can list the jobs of the account, so that `newer` tells which of them our index has lost."""
    first_look_s: float = 5.0
    """Pause before the first look at a new job."""
    longest_pause_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """An input that an algorithm takes."""

    name: str
    kind: OutputKind
    optional: bool = False
    word: str = ""
    """The platform's own word for its kind, for example `Integer`."""
    media_type: str = ""
    """Of the file that is wanted, where it is one."""
    suffix: str = ""
    """How its name must end, with the dot; "" where the platform does not say."""
    labels: tuple[Label, ...] = ()
    """Values that a mask may have besides 0; () where any will do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSpec:
    """An output that an algorithm gives."""

    name: str
    kind: OutputKind
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One permitted set of inputs with the outputs it gives."""

    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a platform says about an algorithm."""

    algorithm: str
    title: str
    interfaces: tuple[Interface, ...]
    details: dict[str, str]
    """The platform's own words, for example its address of the algorithm."""
    pin: str = ""
    """The version that would run, where the platform tells before a job exists."""
    typical_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedVolume:
    """Facts about a chosen volume; no attribute of a patient among them."""

    input: str
    modality: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    is_labels: bool = False
    """Its voxels are labels: a mask, not a picture."""
    labels: tuple[int, ...] = ()
    """The labels that occur, without 0; () where nobody has looked."""
    objects: int = 0
    """DICOM objects that it is made of; 0 where nobody has counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """An image that is at the platform already: by its own id, as a value of an archive's item, or as an output of
    an earlier job. Exactly one of the three is given; `socket` says which value of an item or job."""

    input: str
    image: str = ""
    archive_item: str = ""
    job: str = ""
    socket: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedFile:
    """Facts about a file of the site's own."""

    input: str
    media_type: str
    """By what it holds; "" where nothing tells."""
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedMesh:
    """A mesh of the study, which leaves as it is, without its texts."""

    input: str
    format: str
    """`stl` or `obj`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a rule asks of a platform."""

    volumes: tuple[RequestedVolume, ...]
    values: dict[str, Json]
    declared_version: str = ""
    there: tuple[There, ...] = ()
    files: tuple[RequestedFile, ...] = ()
    meshes: tuple[RequestedMesh, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteJob:
    """The one carrier of what is known at the platform. Kept in the job row; never a URL with a signature, a token."""

    key: str
    """The job id: a keyed hash, safe to send out."""
    attempt: int = 1
    remote_id: str = ""
    pin: str = ""
    begun: tuple[str, ...] = ()
    """Steps that were begun; one without a note may or may not have happened."""
    notes: dict[str, dict[str, Json]] = field(default_factory=dict)
    """What each finished step left, by the step's name."""

    def with_note(self, step: str, note: dict[str, Json]) -> RemoteJob:
        return replace(self, notes={**self.notes, step: note})


RESTART = "restart"
"""Key in `numbers` of a TryLater of `perform`: the name of a step whose note no longer holds.

The engine drops the notes from that step on and goes on there. Only steps before the commit are ever named, and
only while nothing was committed.
"""


class Phase(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


class Verdict(StrEnum):
    DONE = "done"
    PARTLY = "partly"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the platform says of a job, in our words; `raw` is its own word."""

    phase: Phase
    verdict: Verdict | None = None
    raw: str = ""
    reason: str = ""
    """Why it failed, scrubbed of addresses and secrets."""
    pin: str = ""
    look_again_s: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    job: RemoteJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class AskAgain:
    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Newer:
    """A job at the platform, as the account's list shows it; for whoever has restored a back-up."""

    remote_id: str
    made_at: float
    """POSIX seconds, by the platform's clock; not before the job was made, and as near as the platform tells."""
    key: str = ""
    """The job id that it carries; empty where the platform's answer does not tell."""


class Stopped(StrEnum):
    STOPPED = "stopped"
    TOO_LATE = "too-late"
    NOT_POSSIBLE = "not-possible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What became of one artefact at the platform when it was asked to forget."""

    what: str
    erased: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of `bridge check`."""

    ok: bool
    what: str
    remedy: str = ""


class Platform(Protocol):
    """A cloud that computes. One object per account; made by `registry.make`."""

    capabilities: ClassVar[Capabilities]

    async def check(self) -> tuple[Finding, ...]:
        """Identity, hosts, clock, as findings. Raises nothing: an unreachable platform is a finding."""

    async def describe(self, algorithm: str, version: str = "") -> Spec:
        """Raises ConfigError (unknown, not visible), Unauthorized, TryLater."""

    def plan(self, spec: Spec, request: Request) -> Order:
        """Pure. Raises Refused (cannot be expressed), Held (a person must add something), ConfigError."""

    async def find(self, job: RemoteJob, spec: Spec, order: Order) -> Found | Absent | AskAgain:
        """Look for a job that may exist already. Raises Held (two candidates), TryLater, Unauthorized."""

    async def perform(self, step: Step, job: RemoteJob, parcel: Parcel, shelf: Shelf) -> RemoteJob:
        """Do one step; the job comes back with its note.

        Raises TryLater (with `RESTART` where an earlier step must be done again), Unsure, Unauthorized, Never,
        Refused, Damaged.
        """

    async def newer(self, since: float) -> tuple[Newer, ...]:
        """Jobs of this account that were made after `since` (POSIX seconds), the newest first.

        Where the platform does not tell when a job was made, it is among them: one too many is looked at, one too
        few is billed again. Not asked where `capabilities.lists_jobs` is False. Raises TryLater, Unauthorized.
        """

    async def state(self, job: RemoteJob) -> State:
        """Raises TryLater, Unauthorized, Never (gone)."""

    async def outputs(self, job: RemoteJob) -> tuple[Output, ...]:
        """Only when the job has ended. Raises TryLater, Unauthorized, Never."""

    async def fetch(self, job: RemoteJob, output: Output, sink: Sink) -> Fetched:
        """Raises TryLater (also for a link that died), Damaged, Never (deleted)."""

    async def stop(self, job: RemoteJob) -> Stopped:
        """Also before the commit. Raises TryLater, Unauthorized."""

    async def forget(self, job: RemoteJob) -> tuple[Forgotten, ...]:
        """Raises TryLater, Unauthorized."""

    async def close(self) -> None:
        """Give the connections back."""
