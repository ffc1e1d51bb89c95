"""Jobs: made, given their inputs, computed, kept. A ledger says which of them would have been billed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from threading import Event, RLock, Thread
from uuid import uuid4

from bridge.itk import ItkImage
from bridge.sandbox.loopback.clock import MovableClock
from bridge.sandbox.loopback.records import LineFile, iso

from .anatomy import Anatomy, Bone
from .bodies import MESHES, Ordered, Wanted
from .frames import Unreadable
from .levels import Jaws
from .settings import Behaviour, Limits
from .storage import Storage
from .surfaces import WRITERS, joined, spoiled
from .volumes import check_mesh, read_volume

CLOSING_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A file, or why there is none. `status`: Available, Missing, Failed."""

    wanted: Wanted
    status: str
    key: str = ""
    size: int = 0


@dataclass(slots=True, kw_only=True)
class Job:
    id: str
    version: str
    ordered: Ordered
    created_s: float
    told: set[str] = field(default_factory=set)
    started_s: float | None = None
    finished_s: float | None = None
    is_good: bool = False
    made: tuple[Made, ...] = ()

    def input_key(self, name: str) -> str:
        return f"in/{self.id}/{name}"


class Jobs:
    """Every job that was made, under one lock."""

    def __init__(self, storage: Storage, clock: MovableClock, ledger: LineFile, *, compute_s: float) -> None:
        self.lock = RLock()
        self.limits, self.behaviour = Limits(), Behaviour()
        self.all: dict[str, Job] = {}
        self._storage, self._clock, self._ledger = storage, clock, ledger
        self._compute_s = compute_s
        self._stopping = Event()
        self._threads: list[Thread] = []

    def create(self, version: str, ordered: Ordered) -> Job:
        job = Job(id=str(uuid4()), version=version, ordered=ordered, created_s=self._clock())
        with self.lock:
            self.all[job.id] = job
        self._write("created", job)
        return job

    def in_flight(self) -> int:
        with self.lock:
            return sum(job.finished_s is None for job in self.all.values())

    def orphans(self) -> tuple[str, ...]:
        """Jobs that were never told of all their inputs."""
        with self.lock:
            return tuple(job.id for job in self.all.values() if job.started_s is None)

    def tell(self, job: Job, name: str) -> None:
        """An input is there; with the last one the work begins, once."""
        self._storage.close(job.input_key(name))
        with self.lock:
            job.told.add(name)
            if job.told != set(job.ordered.inputs) or job.started_s is not None:
                return
            job.started_s = self._clock()
            worker = Thread(target=self._work, args=(job,), name=f"job-{job.id[:8]}", daemon=True)
            self._threads.append(worker)
        self._write("started", job)
        worker.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(CLOSING_S)

    def _work(self, job: Job) -> None:
        if not self._clock.wait((job.started_s or 0.0) + self._compute_s, self._stopping):
            return
        try:
            made = self._compute(job)
            is_good = True
        except Unreadable:
            made, is_good = (), False
        with self.lock:
            job.made, job.is_good, job.finished_s = made, is_good, self._clock()
        self._write("finished", job, is_good=is_good)

    def _compute(self, job: Job) -> tuple[Made, ...]:
        anatomy: Anatomy | None = None
        for name, extension in job.ordered.inputs.items():
            file = self._storage.path(job.input_key(name))
            if not file.is_file():
                raise Unreadable(name)
            if name == "cbct":
                anatomy = self._anatomy(read_volume(file, extension))
            else:
                check_mesh(name, file, extension)
        return tuple(
            self._file(job, number, wanted, anatomy) for number, wanted in enumerate(job.ordered.outputs)
        )

    def _anatomy(self, image: ItkImage) -> Anatomy:
        if self.behaviour.anatomy == "levels":
            return Jaws(image)
        return Bone(image, self.behaviour.bone_above)

    def _file(self, job: Job, number: int, wanted: Wanted, anatomy: Anatomy | None) -> Made:
        if set(wanted.structures) & set(self.behaviour.failed):
            return Made(wanted=wanted, status="Failed")
        if wanted.family == MESHES and anatomy is not None:
            there = [one for one in wanted.structures if one not in self.behaviour.missing]
            surfaces = [anatomy.surface(one) for one in there if len(anatomy.voxels_of(one))]
            if not surfaces:
                return Made(wanted=wanted, status="Missing")
            data = WRITERS[wanted.extension](spoiled(joined(surfaces), self.behaviour.mesh))
        else:
            data = json.dumps({"family": wanted.family}).encode()
        key = f"out/{job.id}/{number}{wanted.extension}"
        self._storage.path(key).write_bytes(data)
        return Made(wanted=wanted, status="Available", key=key, size=len(data))

    def _write(self, what: str, job: Job, **more: object) -> None:
        self._ledger.append({"event": what, "job": job.id, "time": iso(self._clock()), **more})
