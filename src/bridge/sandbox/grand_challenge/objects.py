"""The platform's state: rows that are replaced whole, under one lock, so that a reader never sees half a change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Any
from uuid import uuid4

from .catalogue import ALGORITHMS, SOCKETS, Algorithm, Socket, Value
from .store import PROTECTED, UPLOADS, ObjectStore

VALIDATING, QUEUED, PROVISIONED = "Validating inputs", "Queued", "Provisioned"
EXECUTING, EXECUTED = "Executing", "Executed"
SUCCEEDED, FAILED, CANCELLED = "Succeeded", "Failed", "Cancelled"
TERMINAL = (SUCCEEDED, FAILED, CANCELLED)

INITIALIZED, COMPLETED, ABORTED = "Initialized", "Completed", "Aborted"
REQUEUED = "Re-Queued"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """`may_run`: has the right to see and run the algorithms."""

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
    """One import of uploads; `status` Queued means that no job has taken it."""

    pk: str
    creator: int
    uploads: tuple[str, ...]
    status: str = QUEUED
    error_message: str = ""
    images: tuple[str, ...] = ()


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
    """What is bound to a socket: the pk of an image, or a value."""

    pk: int
    socket: Socket
    image: str | None = None
    value: Value | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`pending`: sockets whose session is still to be imported; `history`: every status so far."""

    pk: str
    creator: int
    algorithm: str
    algorithm_image: str
    sockets: frozenset[str]
    inputs: tuple[SocketValue, ...] = ()
    pending: tuple[tuple[Socket, str], ...] = ()
    outputs: tuple[SocketValue, ...] = ()
    history: tuple[str, ...] = (VALIDATING,)
    exec_s: float | None = None
    invoke_s: float | None = None

    @property
    def status(self) -> str:
        return self.history[-1]


class Platform:
    """Everything the platform knows. Take `lock` around a check and the change that rests on it."""

    def __init__(self, store: ObjectStore, clock: Callable[[], float]) -> None:
        self.lock = RLock()
        self.store, self.clock = store, clock
        self.users: dict[str, User] = {}
        self.sockets = {socket.slug: socket for socket in SOCKETS}
        self.algorithms: dict[str, Algorithm] = {a.pk: a for a in ALGORITHMS}
        self.uploads: dict[str, Upload] = {}
        self.sessions: dict[str, Session] = {}
        self.images: dict[str, Image] = {}
        self.jobs: dict[str, Job] = {}
        self._bound: dict[tuple[str, str], SocketValue] = {}
        self._numbers = count(1)

    def add_user(self, token: str, *, may_run: bool = True) -> User:
        with self.lock:
            user = User(pk=len(self.users) + 2, token=token, may_run=may_run)
            self.users[token] = user
            return user

    def new_algorithm_image(self, slug: str) -> None:
        """Make another version of the container the active one."""
        with self.lock:
            for pk, algorithm in self.algorithms.items():
                if algorithm.slug == slug:
                    self.algorithms[pk] = replace(algorithm, image_pk=str(uuid4()))

    def new_upload(self, user: User, filename: str) -> Upload:
        upload = Upload(
            pk=str(uuid4()),
            creator=user.pk,
            created_s=self.clock(),
            filename=filename,
            s3_upload_id=self.store.create_upload(),
        )
        with self.lock:
            self.uploads[upload.pk] = upload
        return upload

    def new_session(self, user: User, uploads: tuple[str, ...]) -> Session:
        session = Session(pk=str(uuid4()), creator=user.pk, uploads=uploads)
        with self.lock:
            self.sessions[session.pk] = session
        return session

    def bind(self, socket: Socket, *, image: str | None = None, value: Value | None = None) -> SocketValue:
        """A value for a socket; the same image at the same socket is one value with one pk, whoever binds it."""
        with self.lock:
            known = self._bound.get((socket.slug, image)) if image else None
            if known:
                return known
            bound = SocketValue(pk=next(self._numbers), socket=socket, image=image, value=value)
            if image:
                self._bound[socket.slug, image] = bound
            return bound

    def change_upload(self, pk: str, **changes: Any) -> Upload:
        with self.lock:
            self.uploads[pk] = replace(self.uploads[pk], **changes)
            return self.uploads[pk]

    def change_session(self, pk: str, **changes: Any) -> None:
        with self.lock:
            self.sessions[pk] = replace(self.sessions[pk], **changes)

    def change_job(self, pk: str, status: str | None = None, **changes: Any) -> Job:
        with self.lock:
            job = self.jobs[pk]
            if status:
                changes["history"] = (*job.history, status)
            self.jobs[pk] = replace(job, **changes)
            return self.jobs[pk]

    def consume(self, session: str) -> None:
        """Delete a session's uploads, as a successful import does."""
        with self.lock:
            for pk in self.sessions[session].uploads:
                upload = self.uploads.pop(pk, None)
                if upload:
                    self.store.path(UPLOADS, upload.key).unlink(missing_ok=True)

    def uploads_of(self, user: User | None) -> tuple[Upload, ...]:
        with self.lock:
            return tuple(u for u in self.uploads.values() if user and u.creator == user.pk)

    def sessions_of(self, user: User | None) -> tuple[Session, ...]:
        with self.lock:
            return tuple(s for s in self.sessions.values() if user and s.creator == user.pk)

    def images_of(self, user: User | None) -> tuple[Image, ...]:
        with self.lock:
            return tuple(i for i in self.images.values() if user and i.creator == user.pk)

    def jobs_of(self, user: User | None) -> tuple[Job, ...]:
        """Oldest first; a job is seen by its creator and by nobody else."""
        with self.lock:
            return tuple(j for j in self.jobs.values() if user and j.creator == user.pk)

    def active_jobs_of(self, user: User) -> int:
        return sum(job.status not in TERMINAL for job in self.jobs_of(user))

    def add_image(self, image: Image) -> None:
        with self.lock:
            self.images[image.pk] = image

    def average_duration_s(self, algorithm: str) -> float | None:
        with self.lock:
            times = [
                j.exec_s for j in self.jobs.values() if j.algorithm == algorithm and j.status == SUCCEEDED
            ]
        known = [t for t in times if t is not None]
        return sum(known) / len(known) if known else None

    def image_path(self, image: Image) -> Path:
        return self.store.path(PROTECTED, image.key)
