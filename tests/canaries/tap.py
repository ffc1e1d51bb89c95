"""What a platform is sent: every byte that its origins read, after TLS, head and body of each request apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedIOBase
from threading import Lock
from typing import Any

from bridge.sandbox.loopback import server


@dataclass(slots=True)
class Connection:
    """One connection to an origin, which is known by its port."""

    port: int
    data: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True)
class Sent:
    port: int
    head: bytes
    body: bytes

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")


@dataclass(slots=True)
class Tap:
    """Everything that any sandbox in this process reads while the tap is open."""

    connections: list[Connection] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def requests(self) -> list[Sent]:
        """In each connection one after the other; raises ValueError where bytes are left that are no request."""
        with self.lock:
            return [sent for one in self.connections for sent in _split(one.port, bytes(one.data))]

    def forget(self) -> None:
        with self.lock:
            for one in self.connections:
                one.data.clear()


class _Recording:
    """A stream that remembers what was read from it."""

    def __init__(self, stream: BufferedIOBase, connection: Connection) -> None:
        self._stream, self._connection = stream, connection

    def readline(self, limit: int = -1) -> bytes:
        return self._seen(self._stream.readline(limit))

    def read(self, size: int = -1) -> bytes:
        return self._seen(self._stream.read(size))

    def _seen(self, data: bytes) -> bytes:
        self._connection.data += data
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def tap() -> Iterator[Tap]:
    """Open a tap on every origin of this process, whichever sandbox it belongs to."""
    made = Tap()
    handler = server._Handler
    real = handler.setup

    def setup(self: Any) -> None:
        real(self)
        connection = Connection(self.server.server_port)
        with made.lock:
            made.connections.append(connection)
        self.rfile = _Recording(self.rfile, connection)

    handler.setup = setup  # type: ignore[method-assign]
    try:
        yield made
    finally:
        handler.setup = real  # type: ignore[method-assign]


def _split(port: int, data: bytes) -> Iterator[Sent]:
    while data:
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            raise ValueError("bytes behind the last request")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                length = int(value)
        yield Sent(port, head, rest[:length])
        data = rest[length:]
