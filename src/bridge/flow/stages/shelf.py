"""Where the bytes of one job stand: `<data>/jobs/<id>/` with `parcel`, `outputs` and `results`.

Everything is written to a temporary name, synced and renamed: a file that is there is whole, and writing it again is
harmless.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from bridge.errors import Damaged

PARCEL, OUTPUTS, RESULTS = "parcel", "outputs", "results"


class JobShelf:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, ref: str) -> Path:
        """Path of a name on this shelf. Raises Damaged (SHF-001) for one that would leave it."""
        path = (self.folder / ref).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise Damaged("SHF-001", "a name that leaves the folder of its job", "a plain name")
        return path

    def open(self, ref: str) -> BinaryIO:
        return self.path(ref).open("rb")

    def sink(self, ref: str) -> FileSink:
        return FileSink(self.path(ref))

    def write(self, ref: str, data: bytes) -> None:
        with self.sink(ref) as sink:
            sink.write(data)

    def make(self, ref: str, writer: Callable[[Path], None]) -> Path:
        """Let `writer` fill a temporary file; it gets its name only when it is whole and on the disk."""
        path = self.path(ref)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        writer(part)
        publish(part, path)
        return path


class FileSink:
    """Counts, digests and syncs what is written; the name appears only at a clean end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def __enter__(self) -> FileSink:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = self._part.open("wb")
        return self

    def write(self, data: bytes | memoryview, /) -> int:
        self._digest.update(data)
        self.size_bytes += memoryview(data).nbytes
        return self._stream.write(data)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        if kind is None:
            publish(self._part, self._path)


def publish(part: Path, path: Path) -> None:
    """Sync a finished temporary file and give it its name, durably."""
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
