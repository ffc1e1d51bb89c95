"""Where a writer puts its bytes, and what is known of them afterwards."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol


class Sink(Protocol):
    """A file open for writing, or anything that takes bytes like one."""

    def write(self, data: bytes | memoryview, /) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Size and SHA-256, in hex, of the bytes that went out."""

    size_bytes: int
    sha256: str


class Tally:
    """Passes bytes on to a sink while counting and digesting them."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._size = 0
        self._digest = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self._size += len(view)
        # An unbuffered file may take less than it is given.
        while view:
            view = view[self._sink.write(view) :]

    def written(self) -> Written:
        return Written(size_bytes=self._size, sha256=self._digest.hexdigest())
