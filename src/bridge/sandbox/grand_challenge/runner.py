"""The life of a job, each on its own thread: check the inputs, wait, compute, hand out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from threading import Event, Lock, Semaphore, Thread
from typing import Any

import numpy as np

from bridge.errors import BridgeError, Damaged, Refused
from bridge.itk import Array, ItkImage, read_image
from bridge.sandbox.loopback.clock import TICK_S, MovableClock

from .catalogue import Algorithm, Content, Contents
from .imports import Hangs, ImportFailed, Imports, segments_error
from .kinds import fits, value_error, without_nan
from .objects import (
    CANCELLED,
    EXECUTED,
    EXECUTING,
    FAILED,
    PROVISIONED,
    QUEUED,
    SUCCEEDED,
    TERMINAL,
    VALIDATING,
    Job,
    Pending,
    SocketValue,
)
from .platform import Platform
from .settings import DAY_S, MaskAs
from .sockets import Socket

PLACE_WAIT_S = 2 * DAY_S


class Stopped(Exception):
    """The sandbox ends in the middle of a job."""


class Runner:
    """Starts the thread of each job and, at the end, waits for them."""

    def __init__(
        self, platform: Platform, imports: Imports, clock: MovableClock, *, compute_s: float, at_once: int
    ) -> None:
        self._platform, self._imports, self._clock = platform, imports, clock
        self._compute_s = compute_s
        self._machines = Semaphore(at_once)
        self._stopping = Event()
        self._threads: dict[str, Thread] = {}
        self._lock = Lock()

    def launch(self, pk: str) -> None:
        thread = Thread(target=self._live, args=(pk,), name=f"sandbox-job-{pk[:8]}", daemon=True)
        with self._lock:
            self._threads = {job: t for job, t in self._threads.items() if t.is_alive()}
            self._threads[pk] = thread
            thread.start()

    def let_go(self, pk: str) -> None:
        """Give a job back its own life: it goes on where it stood, or starts again if it had ended."""
        with self._lock:
            thread = self._threads.get(pk)
            is_alive = thread is not None and thread.is_alive()
            job = self._platform.change_job(pk, forced=False)
        if not is_alive and job.status not in TERMINAL:
            self.launch(pk)

    def stop(self, timeout_s: float = 30.0) -> None:
        self._stopping.set()
        until = time.monotonic() + timeout_s
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _live(self, pk: str) -> None:
        try:
            self._run(pk)
        except Stopped:
            return
        except ImportFailed:
            self._end(pk, CANCELLED)
        except BridgeError:
            self._end(pk, FAILED)
        except BaseException:
            self._end(pk, FAILED)
            raise

    def _end(self, pk: str, status: str) -> None:
        try:
            self._enter(pk, status, pending=())
        except Stopped:
            return

    def _run(self, pk: str) -> None:
        self._validate(pk)
        self._enter(pk, QUEUED)
        self._enter(pk, PROVISIONED)
        job = self._platform.jobs[pk]
        algorithm = self._platform.algorithms[job.algorithm]
        self._enter(pk)  # a job that is held takes no machine
        with self._machines:
            self._enter(pk, EXECUTING)
            began = self._clock()
            outputs = algorithm.compute(self._inputs(job, algorithm))
        if not self._clock.wait(began + self._compute_s, self._stopping):
            raise Stopped
        took = max(0.0, self._clock() - began)
        self._enter(pk, EXECUTED, exec_s=took, invoke_s=took)
        self._enter(pk, SUCCEEDED, outputs=self._outputs(job, algorithm, outputs))

    def _enter(self, pk: str, status: str | None = None, **changes: Any) -> None:
        """Go on to the next status as soon as nothing holds the job where it is. Raises Stopped."""
        while True:
            with self._platform.lock:
                job = self._platform.jobs[pk]
                if not self._is_held(job):
                    self._platform.change_job(pk, status, **changes)
                    return
                waits = job.status == VALIDATING and not job.forced
                if waits and self._clock() >= job.created_s + PLACE_WAIT_S:
                    # The platform tries for two days; that it cancels then is assumed.
                    self._platform.change_job(pk, CANCELLED, pending=())
                    raise Stopped
            if self._stopping.wait(TICK_S):
                raise Stopped

    def _is_held(self, job: Job) -> bool:
        waits_for_place = job.status == VALIDATING and self._platform.behaviour.platform_full
        return job.forced or job.status in self._platform.holds or waits_for_place

    def _validate(self, pk: str) -> None:
        for pending in self._platform.jobs[pk].pending:
            bound = self._bind(pk, pending)
            with self._platform.lock:
                now = self._platform.jobs[pk]
                left = tuple(p for p in now.pending if p != pending)
                self._platform.change_job(pk, inputs=(*now.inputs, bound), pending=left)

    def _bind(self, pk: str, pending: Pending) -> SocketValue:
        while True:
            try:
                return self._imports.bind(pending, self._platform.jobs[pk].creator)
            except Hangs:
                self._platform.change_job(pk, forced=True)
                self._enter(pk)

    def _inputs(self, job: Job, algorithm: Algorithm) -> Contents:
        inputs = {value.socket.slug: self._content(value) for value in job.inputs}
        interface = algorithm.interface_for(job.sockets)
        left_out = [s for s in interface.inputs if s.slug not in inputs] if interface else []
        return {**inputs, **{socket.slug: socket.default_value for socket in left_out}}

    def _content(self, value: SocketValue) -> Content:
        if value.image:
            return read_image(self._platform.image_path(self._platform.images[value.image]))
        return self._platform.file_path(value).read_bytes() if value.is_file else value.value

    def _outputs(
        self, job: Job, algorithm: Algorithm, outputs: Mapping[str, Content]
    ) -> tuple[SocketValue, ...]:
        interface = algorithm.interface_for(job.sockets)
        sockets = interface.outputs if interface else ()
        return tuple(self._output(socket, outputs[socket.slug], job) for socket in sockets)

    def _output(self, socket: Socket, content: Content, job: Job) -> SocketValue:
        """What is parsed and bound. An output that does not fit its socket ends the job as Failed."""
        if isinstance(content, ItkImage):
            if socket.kind == "Segmentation":
                content = _as_asked(content, socket, self._platform.behaviour.mask_as)
            image = self._imports.keep(content, f"{socket.slug}.mha", job.creator, None)
            if segments_error(socket, image):
                raise Refused(
                    "SBX-021", "the mask does not fit its socket", f"{sorted(socket.allowed_values)}"
                )
            return self._platform.bind(socket, image=image.pk)
        if isinstance(content, bytes):
            if not fits(socket, content):
                raise Damaged("SBX-022", "the file does not fit its socket", socket.kind)
            return self._platform.bind_file(socket, content, job.creator)
        value = without_nan(content)
        if value is not None and value_error(socket.kind, value):
            raise Damaged("SBX-022", "the value does not fit its socket", socket.kind)
        return self._platform.bind(socket, value=value)


def _as_asked(mask: ItkImage, socket: Socket, mask_as: MaskAs) -> ItkImage:
    """The mask, or the mask made wrong in one way."""
    array: Array = mask.array
    x_mm, y_mm, z_mm = mask.spacing_mm
    match mask_as:
        case MaskAs.COMPUTED:
            return mask
        case MaskAs.OTHER_GRID:
            return replace(mask, array=array[:, ::2, ::2], spacing_mm=(2 * x_mm, 2 * y_mm, z_mm))
        case MaskAs.OTHER_DIRECTION:
            # The same voxels in the same places, counted from the other end of the slices.
            normal = np.asarray(mask.direction).reshape(3, 3)[:, 2]
            last = np.asarray(mask.origin_lps) + normal * z_mm * (array.shape[0] - 1)
            direction = np.asarray(mask.direction).reshape(3, 3) * (1.0, 1.0, -1.0)
            turned: Any = {
                "origin_lps": tuple(map(float, last)),
                "direction": tuple(map(float, direction.ravel())),
            }
            return replace(mask, array=array[::-1], **turned)
        case MaskAs.EMPTY:
            return replace(mask, array=np.zeros_like(array))
        case MaskAs.UNDECLARED:
            wrong = array.copy()
            wrong[0, 0, 0] = max(socket.allowed_values) + 1
            return replace(mask, array=wrong)
        case MaskAs.INT16:
            return replace(mask, array=array.astype(np.int16))
