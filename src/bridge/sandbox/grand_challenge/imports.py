"""What the platform does with uploads before a job may run: images are imported, files are checked."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree
from uuid import uuid4

import numpy as np

from bridge.errors import Damaged
from bridge.itk import Array, ItkImage, read_image, write_image

from .kinds import fits, is_json
from .objects import COMPLETED, FAILED, SUCCEEDED, Image, Pending, Session, SocketValue
from .platform import Platform
from .sockets import Socket
from .store import UPLOADS

COLORS = {1: "GRAY", 3: "RGB", 4: "RGBA"}
RAW = (".raw", ".zraw")
MOST_SEGMENTS = 64


class ImportFailed(Exception):
    """An input was refused; the text is the platform's reason, which only an upload session shows."""


class Hangs(Exception):
    """The input is neither accepted nor refused, ever."""


class Imports:
    def __init__(self, platform: Platform, folder: Path) -> None:
        self._platform, self._folder = platform, folder

    def bind(self, pending: Pending, creator: int) -> SocketValue:
        """The value that an input becomes; its uploads are consumed. Raises ImportFailed, Hangs."""
        if pending.session:
            return self._bind_session(pending.socket, pending.session)
        return self._bind_file(pending.socket, pending.upload or "", creator)

    def keep(self, image: ItkImage, name: str, creator: int, origin: str | None) -> Image:
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

    def _bind_session(self, socket: Socket, pk: str) -> SocketValue:
        session = self._platform.sessions[pk]
        try:
            image = self._import(session)
            reason = segments_error(socket, image)
            if reason:
                self._platform.change_session(pk, images=(image.pk,))
                self._platform.consume(*session.uploads)
                raise ImportFailed(reason)
        except ImportFailed as exc:
            text = f"Image validation for socket {socket.title} failed with error: {exc}"
            self._platform.change_session(pk, status=FAILED, error_message=text)
            raise
        with self._platform.lock:
            self._platform.consume(*session.uploads)
            self._platform.change_session(pk, status=SUCCEEDED, images=(image.pk,))
            return self._platform.bind(socket, image=image.pk)

    def _bind_file(self, socket: Socket, pk: str, creator: int) -> SocketValue:
        with self._platform.lock:
            upload = self._platform.uploads.get(pk)
        if upload is None or upload.status != COMPLETED:
            raise ImportFailed("The file is not there.")
        content = self._platform.store.path(UPLOADS, upload.key).read_bytes()
        if not fits(socket, content):
            if is_json(socket) and self._platform.behaviour.json_hangs:
                raise Hangs
            raise ImportFailed("The file does not fit its socket.")
        bound = self._platform.bind_file(socket, content, creator, upload.filename)
        self._platform.consume(pk)
        return bound

    def _import(self, session: Session) -> Image:
        if session.as_dicom:
            raise ImportFailed("1 file could not be imported.")
        work = self._folder / "imports" / session.pk
        work.mkdir(parents=True)
        try:
            names = self._lay_out(session, work)
            images = []
            failed = 0
            for name in names:
                try:
                    images.append(self.keep(read_image(work / name), name, session.creator, session.pk))
                except Damaged:
                    failed += 1
        finally:
            rmtree(work, ignore_errors=True)
        if failed:
            raise ImportFailed(f"{failed} file{'s' if failed > 1 else ''} could not be imported.")
        if len(images) != 1:
            # All were imported, so all uploads are gone, and still no job comes of it.
            self._platform.consume(*session.uploads)
            self._platform.change_session(session.pk, images=tuple(image.pk for image in images))
            raise ImportFailed("Image imports should result in a single image.")
        return images[0]

    def _lay_out(self, session: Session, work: Path) -> list[str]:
        """The uploads under their own names (a header finds its data file by name); images only are returned."""
        names = []
        for pk in session.uploads:
            with self._platform.lock:
                upload = self._platform.uploads.get(pk)
            if upload is None:
                continue  # swept: the session still says Queued, and imports what is left
            if upload.status != COMPLETED:
                raise ImportFailed("1 file could not be imported.")
            try:
                (work / upload.filename).hardlink_to(self._platform.store.path(UPLOADS, upload.key))
            except (OSError, ValueError):
                # A name that no file can have, or the name of another upload of this session.
                raise ImportFailed("1 file could not be imported.") from None
            names.append(upload.filename)
        has_header = any(name.lower().endswith(".mhd") for name in names)
        return [n for n in names if not (has_header and n.lower().endswith(RAW))]


def segments_error(socket: Socket, image: Image) -> str | None:
    """Why an image may not be bound to a segmentation socket, in the platform's words; None when it may."""
    if not socket.segments:
        return None
    if image.segments is None:
        return (
            "Image segments could not be determined, ensure the voxel values are integers and that it contains "
            f"no more than {MOST_SEGMENTS} segments. Ensure the image has the minimum and maximum voxel values "
            "set as tags if the image is a TIFF file."
        )
    wrong = sorted(set(image.segments) - socket.allowed_values)
    if not wrong:
        return None
    return (
        f"The valid voxel values for this segmentation are: {_braces(sorted(socket.allowed_values))}. "
        f"This segmentation is invalid as it contains the voxel values: {_braces(wrong)}."
    )


def _braces(numbers: list[int]) -> str:
    return "{" + ", ".join(map(str, numbers)) + "}"


def _segments(array: Array) -> tuple[int, ...] | None:
    if array.dtype.kind not in "iu" or array.dtype.itemsize != 1 or array.ndim != 3:
        return None
    values = np.unique(array)
    return tuple(int(v) for v in values) if values.size <= MOST_SEGMENTS else None
