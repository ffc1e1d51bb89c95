"""The platform's state, under one lock."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from .catalogue import ALGORITHMS, Algorithm
from .objects import (
    SUCCEEDED,
    TERMINAL,
    Archive,
    ArchiveItem,
    Image,
    Job,
    Session,
    SocketValue,
    Upload,
    User,
)
from .settings import Behaviour, Limits
from .sockets import SOCKETS, Socket
from .store import PROTECTED, UPLOADS, ObjectStore

ARCHIVES = (("coronacasesorg", "coronacases.org"), ("chest-cts", "Chest CTs"))
FIRST_USER = 2


class Platform:
    """Everything the platform knows. Take `lock` around a check and the change that rests on it.

    `users`: by the tokens that are good; `tokens`: every one that ever was, in the order of the accounts.
    """

    def __init__(
        self, store: ObjectStore, clock: Callable[[], float], limits: Limits, behaviour: Behaviour
    ) -> None:
        self.lock = RLock()
        self.store, self.clock = store, clock
        self.limits, self.behaviour = limits, behaviour
        self.users: dict[str, User] = {}
        self.tokens: list[str] = []
        self.sockets = {socket.slug: socket for socket in SOCKETS}
        self.algorithms: dict[str, Algorithm] = {a.pk: a for a in ALGORITHMS}
        self.uploads: dict[str, Upload] = {}
        self.sessions: dict[str, Session] = {}
        self.images: dict[str, Image] = {}
        self.withdrawn: set[str] = set()
        self.files: dict[str, int] = {}
        self.jobs: dict[str, Job] = {}
        self.holds: set[str] = set()
        self.archives = {a.pk: a for a in (_archive(slug, title) for slug, title in ARCHIVES)}
        self.items: dict[str, ArchiveItem] = {}
        self._bound: dict[tuple[str, str], SocketValue] = {}
        self._numbers = count(1)

    def add_user(self, token: str, *, may_run: bool = True) -> User:
        with self.lock:
            self.tokens.append(token)
            user = User(pk=FIRST_USER + len(self.tokens) - 1, token=token, may_run=may_run)
            self.users[token] = user
            return user

    def new_algorithm_image(self, slug: str, *, is_ready: bool = True) -> str | None:
        """Make another version of the container the active one, or none while it is not ready; gives its pk."""
        with self.lock:
            algorithm = next(a for a in self.algorithms.values() if a.slug == slug)
            pk = str(uuid4()) if is_ready else None
            self.algorithms[algorithm.pk] = replace(algorithm, image_pk=pk)
            return pk

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

    def new_session(self, user: User, uploads: tuple[str, ...], *, as_dicom: bool = False) -> Session:
        session = Session(pk=str(uuid4()), creator=user.pk, uploads=uploads, as_dicom=as_dicom)
        with self.lock:
            self.sessions[session.pk] = session
        return session

    def bind(self, socket: Socket, *, image: str | None = None, value: Any = None) -> SocketValue:
        """An image or a value at a socket; the same one at the same socket has one pk, whoever binds it."""
        what = (socket.slug, image or json.dumps(value, sort_keys=True))
        with self.lock:
            if what not in self._bound:
                self._bound[what] = SocketValue(
                    pk=next(self._numbers), socket=socket, image=image, value=value
                )
            return self._bound[what]

    def bind_file(self, socket: Socket, content: bytes, creator: int, file_name: str = "") -> SocketValue:
        """A file at a socket; every file is a value of its own, and keeps the name of its upload."""
        with self.lock:
            number = next(self._numbers)
            bound = SocketValue(pk=number, socket=socket, is_file=True, file_name=file_name)
            self.files[bound.key] = creator
        self.file_path(bound).write_bytes(content)
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

    def change_item(self, pk: str, **changes: Any) -> ArchiveItem:
        with self.lock:
            self.items[pk] = replace(self.items[pk], **changes)
            return self.items[pk]

    def consume(self, *uploads: str) -> None:
        """Delete uploads, as a successful import does."""
        with self.lock:
            for pk in uploads:
                upload = self.uploads.pop(pk, None)
                if upload:
                    self.store.path(UPLOADS, upload.key).unlink(missing_ok=True)
                    self.store.discard(upload.s3_upload_id)

    def sweep(self) -> None:
        """Let uploads die that have lived their day, used or not."""
        oldest_s = self.clock() - self.limits.upload_life_s
        with self.lock:
            self.consume(*(u.pk for u in self.uploads.values() if u.created_s < oldest_s))

    def uploads_of(self, user: User | None) -> tuple[Upload, ...]:
        with self.lock:
            return tuple(u for u in self.uploads.values() if user and u.creator == user.pk)

    def upload_bytes_of(self, user: User) -> int:
        return sum(self.store.size(u.key, u.s3_upload_id) for u in self.uploads_of(user))

    def sessions_of(self, user: User | None) -> tuple[Session, ...]:
        with self.lock:
            return tuple(s for s in self.sessions.values() if user and s.creator == user.pk)

    def may_see(self, user: User | None, image: Image | None) -> bool:
        """Own images, and those of archives, as long as the right was not withdrawn."""
        if user is None or image is None or image.pk in self.withdrawn:
            return False
        return image.creator == user.pk or (user.may_run and self.archive_of(image.pk) is not None)

    def archive_of(self, image: str) -> str | None:
        with self.lock:
            items = list(self.items.values())
        return next((i.archive for i in items if any(v.image == image for v in i.values)), None)

    def images_of(self, user: User | None) -> tuple[Image, ...]:
        with self.lock:
            return tuple(i for i in self.images.values() if self.may_see(user, i))

    def may_see_file(self, user: User | None, key: str) -> bool:
        creator = self.files.get(key)
        if user is None or creator is None:
            return False
        with self.lock:
            in_archive = any(v.is_file and v.key == key for i in self.items.values() for v in i.values)
        return creator == user.pk or (user.may_run and in_archive)

    def jobs_of(self, user: User | None) -> tuple[Job, ...]:
        """Oldest first; a job is seen by its creator and by nobody else."""
        with self.lock:
            return tuple(j for j in self.jobs.values() if user and j.creator == user.pk)

    def active_jobs_of(self, user: User) -> int:
        return sum(job.status not in TERMINAL for job in self.jobs_of(user))

    def credits_of(self, user: User) -> int:
        """What the user's jobs of the rolling month cost, in every status."""
        since_s = self.clock() - self.limits.credits_window_s
        return sum(job.credits for job in self.jobs_of(user) if job.created_s > since_s)

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

    def file_path(self, value: SocketValue) -> Path:
        return self.store.path(PROTECTED, value.key)


def _archive(slug: str, title: str) -> Archive:
    return Archive(pk=str(uuid5(NAMESPACE_URL, f"archive/{slug}")), slug=slug, title=title)
