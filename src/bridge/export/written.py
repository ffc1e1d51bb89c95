"""Where a writer takes its voxels from and puts its bytes, and what is known of them afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from bridge.errors import Refused
from bridge.volumes.volume import Geometry

T = TypeVar("T")

LEVEL = 2
"""Of ISA-L, which knows 0 to 3: the size of zlib's level 1 in a fifth of its time."""

ZLIB, GZIP = 15, 31
"""Containers of a compressed stream, as zlib's `wbits`: RFC 1950, and RFC 1952 without name and time."""


class Voxels(Protocol):
    """An array of (slices, rows, columns), or its slices one after the other."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __iter__(self) -> Iterator[NDArray[Any]]: ...


class Sink(Protocol):
    """A file open for writing, or anything that takes bytes like one and is done with them when it returns."""

    def write(self, data: bytes | memoryview, /) -> int: ...


@runtime_checkable
class CountingSink(Protocol):
    """A sink that digests what passes: once is enough."""

    def write(self, data: bytes | memoryview, /) -> int: ...

    @property
    def sha256(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Size and SHA-256, in hex, of the bytes that went out."""

    size_bytes: int
    sha256: str


class Tally:
    """Passes bytes on to a sink while counting and digesting them; leaves that to a sink that does it itself."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._counting = sink if isinstance(sink, CountingSink) else None
        self._size = 0
        self._digest = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data).cast("B")
        if self._counting is None:
            self._digest.update(view)
        self._size += len(view)
        # An unbuffered file may take less than it is given.
        while view:
            view = view[self._sink.write(view) :]

    def written(self) -> Written:
        digest = self._digest.hexdigest() if self._counting is None else self._counting.sha256
        return Written(size_bytes=self._size, sha256=digest)


def word_for(geometry: Geometry, voxels: Voxels, words: Mapping[str, T], format: str) -> T:
    """The format's word for the type of the voxels, which have the shape of the geometry.

    Raises:
        Refused: EXP-002, a type without a word; EXP-003, another shape than the geometry's.
    """
    word = words.get(voxels.dtype.name)
    if word is None:
        raise Refused(
            "EXP-002", f"voxels of type {voxels.dtype.name} for {format}", "one of " + ", ".join(words)
        )
    if voxels.shape != geometry.shape:
        raise Refused(
            "EXP-003", f"voxels of shape {voxels.shape}", f"{geometry.shape} (slices, rows, columns)"
        )
    return word


def plain_bytes(voxels: Voxels) -> Iterator[memoryview]:
    """The slices little-endian, columns fastest: what all formats here call their data."""
    little = voxels.dtype.newbyteorder("<")
    for one in voxels:
        yield np.ascontiguousarray(one, dtype=little).data.cast("B")


def deflated(pieces: Iterable[bytes | memoryview], container: int) -> Iterator[bytes]:
    """The same bytes as one compressed stream. Equal bytes in equal pieces give equal streams."""
    stream = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, container)
    for piece in pieces:
        ready = stream.compress(piece)
        if ready:
            yield ready
    yield stream.flush()


def numbers(*values: float) -> str:
    """The shortest texts that read back as the same doubles; none is "-0.0"."""
    return " ".join(repr(float(value) + 0.0) for value in values)
