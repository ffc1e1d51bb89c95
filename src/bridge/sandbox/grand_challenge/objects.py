"""The platform's rows: values that are replaced whole, so that a reader never sees half a change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from .sockets import Socket

VALIDATING, QUEUED, REQUEUED = "Validating inputs", "Queued", "Re-Queued"
PROVISIONED, EXECUTING, EXECUTED = "Provisioned", "Executing", "Executed"
SUCCEEDED, FAILED, CANCELLED = "Succeeded", "Failed", "Cancelled"
TERMINAL = (SUCCEEDED, FAILED, CANCELLED)
MEASURED = (EXECUTED, "Parsing Outputs", *TERMINAL)

LONGEST_KEY = 100
STORAGE_MARK = "_fH91xh3"
"""What storage puts behind a name that it had to change; recorded."""

INITIALIZED, COMPLETED, ABORTED = "Initialized", "Completed", "Aborted"

LABELS = (
    QUEUED,
    "Started",
    REQUEUED,
    FAILED,
    SUCCEEDED,
    CANCELLED,
    "Provisioning",
    PROVISIONED,
    EXECUTING,
    EXECUTED,
    "Parsing Outputs",
    "Executing Algorithm",
    "External Execution In Progress",
    VALIDATING,
)
"""All 14 labels of a job, by the platform's own codes from 0 to 13."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """`may_run`: has the right to see and run the algorithms, and to see and fill the archives."""

    pk: int
    token: str
    may_run: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    pk: str
    creator: int
    created_s: float
    filename: str
    s3_upload_id: str
    status: str = INITIALIZED

    @property
    def key(self) -> str:
        return f"uploads/{self.creator}/{self.pk}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One import of uploads; `status` Queued means that no job has taken it. `as_dicom`: on the DICOM path."""

    pk: str
    creator: int
    uploads: tuple[str, ...]
    status: str = QUEUED
    error_message: str = ""
    images: tuple[str, ...] = ()
    as_dicom: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """`shape`: (slices, rows, columns); `spacing_mm`: (x, y, z); `origin`: the session it came by, if any."""

    pk: str
    file_pk: str
    name: str
    creator: int
    origin: str | None
    shape: tuple[int, ...]
    spacing_mm: tuple[float, float, float]
    color_space: str
    segments: tuple[int, ...] | None

    @property
    def key(self) -> str:
        return f"images/{self.pk[:2]}/{self.pk[2:4]}/{self.pk}/{self.file_pk}/{self.pk}.mha"


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketValue:
    """What is bound to a socket: the pk of an image, or a JSON value, or, when `is_file`, a file.

    file_name: that of the upload, for a file that came by one.
    """

    pk: int
    socket: Socket
    image: str | None = None
    value: Any = None
    is_file: bool = False
    file_name: str = ""

    @property
    def key(self) -> str:
        """Where the file lies, below /media/ and in the store alike; the platform keeps 100 characters of it."""
        hexadecimal = f"{self.pk:04x}"[-4:]
        folder = f"components/componentinterfacevalue/{hexadecimal[:2]}/{hexadecimal[2:]}/{self.pk}/"
        name = PurePath(self.file_name or self.socket.relative_path)
        room = LONGEST_KEY - len(folder) - len(name.suffix)
        if len(name.stem) <= room:
            return folder + name.name
        return f"{folder}{name.stem[: room - len(STORAGE_MARK)]}{STORAGE_MARK}{name.suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """An input that is still to be checked and bound: a session with one image, or an upload with one file."""

    socket: Socket
    session: str | None = None
    upload: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`history`: every status so far; `forced`: the last one was set by hand and holds until it is let go."""

    pk: str
    creator: int
    created_s: float
    algorithm: str
    algorithm_image: str
    credits: int
    sockets: frozenset[str]
    inputs: tuple[SocketValue, ...] = ()
    pending: tuple[Pending, ...] = ()
    sessions: tuple[str, ...] = ()
    outputs: tuple[SocketValue, ...] = ()
    history: tuple[str, ...] = (VALIDATING,)
    forced: bool = False
    exec_s: float | None = None
    invoke_s: float | None = None

    @property
    def status(self) -> str:
        return self.history[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    pk: str
    slug: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveItem:
    pk: str
    archive: str
    creator: int
    title: str = ""
    values: tuple[SocketValue, ...] = ()
