"""The life of a job, each on its own thread: import, wait, compute, hand out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree
from threading import Event, Lock, Semaphore, Thread
from uuid import uuid4

import numpy as np

from bridge.errors import BridgeError, Damaged, Refused
from bridge.itk import Array, ItkImage, read_image, write_image

from .catalogue import Algorithm, Outputs, Socket
from .objects import (
    CANCELLED,
    COMPLETED,
    EXECUTED,
    EXECUTING,
    FAILED,
    PROVISIONED,
    QUEUED,
    SUCCEEDED,
    Image,
    Job,
    Platform,
    Session,
    SocketValue,
)
from .store import UPLOADS

COLORS = {1: "GRAY", 3: "RGB", 4: "RGBA"}
RAW = (".raw", ".zraw")
MOST_SEGMENTS = 64


class ImportFailed(Exception):
    """An upload session did not give one image; the text is the platform's reason."""


class Runner:
    """Starts the thread of each job and, at the end, waits for them."""

    def __init__(self, platform: Platform, folder: Path, *, compute_s: float, at_once: int) -> None:
        self._platform, self._folder, self._compute_s = platform, folder, compute_s
        self._machines = Semaphore(at_once)
        self._stopping = Event()
        self._threads: list[Thread] = []
        self._lock = Lock()

    def launch(self, pk: str) -> None:
        thread = Thread(target=self._live, args=(pk,), name=f"sandbox-job-{pk[:8]}", daemon=True)
        with self._lock:
            self._threads = [t for t in self._threads if t.is_alive()]
            self._threads.append(thread)
        thread.start()

    def stop(self, timeout_s: float = 30.0) -> None:
        self._stopping.set()
        until = time.monotonic() + timeout_s
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _live(self, pk: str) -> None:
        try:
            self._import(self._platform.jobs[pk])
            self._platform.change_job(pk, QUEUED)
            self._execute(pk)
        except ImportFailed:
            self._platform.change_job(pk, CANCELLED, pending=())
        except BridgeError:
            self._platform.change_job(pk, FAILED)
        except BaseException:
            self._platform.change_job(pk, FAILED)
            raise

    def _import(self, job: Job) -> None:
        for socket, session_pk in job.pending:
            session = self._platform.sessions[session_pk]
            try:
                image = self._import_session(session)
            except ImportFailed as exc:
                text = f"Image validation for socket {socket.title} failed with error: {exc}"
                self._platform.change_session(session_pk, status=FAILED, error_message=text)
                raise
            with self._platform.lock:
                self._platform.consume(session_pk)
                self._platform.change_session(session_pk, status=SUCCEEDED, images=(image.pk,))
                bound = self._platform.bind(socket, image=image.pk)
                now = self._platform.jobs[job.pk]
                self._platform.change_job(
                    job.pk,
                    inputs=(*now.inputs, bound),
                    pending=tuple(p for p in now.pending if p[1] != session_pk),
                )

    def _import_session(self, session: Session) -> Image:
        work = self._folder / "imports" / session.pk
        work.mkdir(parents=True)
        try:
            names = self._lay_out(session, work)
            images = []
            failed = 0
            for name in names:
                try:
                    images.append(self._keep(read_image(work / name), name, session.creator, session.pk))
                except Damaged:
                    failed += 1
        finally:
            rmtree(work, ignore_errors=True)
        if failed:
            raise ImportFailed(f"{failed} file{'s' if failed > 1 else ''} could not be imported.")
        if len(images) != 1:
            # Both were imported, so both uploads are gone, and still no job comes of it.
            self._platform.consume(session.pk)
            self._platform.change_session(session.pk, images=tuple(image.pk for image in images))
            raise ImportFailed("Image imports should result in a single image.")
        return images[0]

    def _lay_out(self, session: Session, work: Path) -> list[str]:
        """The uploads under their own names (a header finds its data file by name); images only are returned."""
        names = []
        for pk in session.uploads:
            with self._platform.lock:
                upload = self._platform.uploads.get(pk)
            if upload is None or upload.status != COMPLETED:
                raise ImportFailed("1 file could not be imported.")
            try:
                (work / upload.filename).hardlink_to(self._platform.store.path(UPLOADS, upload.key))
            except (OSError, ValueError):
                # A name that no file can have, or the name of another upload of this session.
                raise ImportFailed("1 file could not be imported.") from None
            names.append(upload.filename)
        has_header = any(name.lower().endswith(".mhd") for name in names)
        return [n for n in names if not (has_header and n.lower().endswith(RAW))]

    def _keep(self, image: ItkImage, name: str, creator: int, origin: str | None) -> Image:
        """Encode again, compressed and named by a new pk, as everything the platform serves is."""
        channels = image.array.shape[3] if image.array.ndim == 4 else 1
        if channels not in COLORS:
            raise Damaged("SBX-020", f"the image has {channels} channels", "1, 3 or 4")
        kept = Image(
            pk=str(uuid4()),
            file_pk=str(uuid4()),
            name=name,
            creator=creator,
            origin=origin,
            shape=image.array.shape,
            spacing_mm=image.spacing_mm,
            color_space=COLORS[channels],
            segments=_segments(image.array),
        )
        write_image(self._platform.image_path(kept), image, compress=True)
        self._platform.add_image(kept)
        return kept

    def _execute(self, pk: str) -> None:
        job = self._platform.change_job(pk, PROVISIONED)
        algorithm = self._platform.algorithms[job.algorithm]
        with self._machines:
            self._platform.change_job(pk, EXECUTING)
            began = time.monotonic()
            outputs = algorithm.compute(self._volumes(job))
        self._stopping.wait(max(0.0, self._compute_s - (time.monotonic() - began)))
        took = time.monotonic() - began
        self._platform.change_job(pk, EXECUTED, exec_s=took, invoke_s=took)
        bound = self._outputs(job, algorithm, outputs)
        self._platform.change_job(pk, SUCCEEDED, outputs=bound)

    def _volumes(self, job: Job) -> Mapping[str, ItkImage]:
        images = {v.socket.slug: self._platform.images[v.image] for v in job.inputs if v.image}
        return {slug: read_image(self._platform.image_path(image)) for slug, image in images.items()}

    def _outputs(self, job: Job, algorithm: Algorithm, outputs: Outputs) -> tuple[SocketValue, ...]:
        interface = next(i for i in algorithm.interfaces if {s.slug for s in i.inputs} == job.sockets)
        bound = []
        for socket in interface.outputs:
            output = outputs[socket.slug]
            if isinstance(output, ItkImage):
                _check_segments(socket, output.array)
                image = self._keep(output, f"{socket.slug}.mha", job.creator, None)
                bound.append(self._platform.bind(socket, image=image.pk))
            else:
                bound.append(self._platform.bind(socket, value=output))
        return tuple(bound)


def _segments(array: Array) -> tuple[int, ...] | None:
    if array.dtype.kind not in "iu" or array.dtype.itemsize != 1 or array.ndim != 3:
        return None
    values = np.unique(array)
    return tuple(int(v) for v in values) if values.size <= MOST_SEGMENTS else None


def _check_segments(socket: Socket, array: Array) -> None:
    """An output that its socket does not declare ends the job, as it does on the platform."""
    declared = {0, *(segment.voxel_value for segment in socket.segments)}
    found = _segments(array)
    if socket.kind == "Segmentation" and (found is None or not declared.issuperset(found)):
        raise Refused(
            "SBX-021", "the mask has values that its socket does not declare", f"{sorted(declared)}"
        )
