"""A peer that is asked for an association and does one thing: hang up, stay silent, reject, abort. Counts the calls."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self

ABORT = bytes([0x07, 0, 0, 0, 0, 4, 0, 0, 0, 0])
"""A-ABORT by the service user (PS3.8 9.3.8)."""


def rejection(result: int, source: int, reason: int) -> bytes:
    """A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    return bytes([0x03, 0, 0, 0, 0, 4, 0, result, source, reason])


class RawAcceptor:
    """On 127.0.0.1. `answer` None: never answers; empty: hangs up; else sent in answer to the request."""

    def __init__(self, answer: bytes | None, port: int = 0) -> None:
        self.answer = answer
        self.calls = 0
        self._open: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", port))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._server.accept()
            except OSError:
                return
            self.calls += 1
            self._open.append(peer)
            if self.answer:
                peer.recv(65536)
                peer.sendall(self.answer)
            if self.answer is not None and not self.answer:
                peer.close()

    def close(self) -> None:
        # Wakes the thread that waits in accept: closing alone would leave the port open until the next call.
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for peer in self._open:
            peer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
