"""One HTTPS origin: requests in, responses out, bodies as streams, one line of log per request."""

from __future__ import annotations

import json
import shutil
import socket
import socketserver
import ssl
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

CHUNK = 1 << 20
IDLE_S = 75.0
CLOSING_S = 5.0
SLOW_PIECES = 10


class Body:
    """The body of one request, read in pieces so that memory stays flat."""

    def __init__(self, source: BufferedIOBase, size: int) -> None:
        self._source, self.size, self._left = source, size, size

    def chunks(self) -> Iterator[bytes]:
        """What is still unread. Raises ConnectionError when the client leaves in the middle."""
        while self._left:
            data = self._source.read(min(CHUNK, self._left))
            if not data:
                raise ConnectionAbortedError("the client left in the middle of a body")
            self._left -= len(data)
            yield data

    def whole(self) -> bytes:
        return b"".join(self.chunks())


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    path: str
    query: str
    headers: Message
    body: Body

    @property
    def parameters(self) -> dict[str, str]:
        """The last value of each query parameter."""
        return {k: v[-1] for k, v in parse_qs(self.query, keep_blank_values=True).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer, and what goes wrong on its way.

    drop: the connection is reset and nothing is sent. cut_at: it is reset after so many bytes of the body.
    chunk_pause_s: the body comes in ten pieces with a pause before each, unless `hurry` is set.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    file: Path | None = None
    drop: bool = False
    cut_at: int | None = None
    chunk_pause_s: float = 0.0
    hurry: Event = field(default_factory=Event)

    @property
    def size(self) -> int:
        return self.file.stat().st_size if self.file else len(self.body)

    @classmethod
    def of_json(cls, status: int, value: Any, *headers: tuple[str, str]) -> Response:
        # Clients of the platform decode only this exact content type.
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        return cls(status=status, headers=(("Content-Type", "application/json"), *headers), body=body)

    @classmethod
    def of_html(cls, status: int, *headers: tuple[str, str], empty: bool = False) -> Response:
        page = b"" if empty else f"<!doctype html><html><body><h1>{status}</h1></body></html>".encode()
        return cls(status=status, headers=(("Content-Type", "text/html; charset=utf-8"), *headers), body=page)


Answer = Callable[[Request], Response]
Log = Callable[
    [str, str, Message | None, int], None
]  # method, path and query, headers, status; 0 for no answer


class Origin:
    """One host and port that answers over TLS until it is stopped. `clock`: what its `Date` shows."""

    def __init__(
        self,
        host: str,
        port: int,
        context: ssl.SSLContext,
        log: Log,
        errors: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._server = _Server((host, port), context, log, errors, clock)
        self.url = f"https://{host}:{self._server.server_port}"
        self._thread = Thread(
            target=self._server.serve_forever,
            args=(0.05,),
            name=f"sandbox-{self._server.server_port}",
            daemon=True,
        )

    def start(self, answer: Answer) -> None:
        self._server.answer = answer
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(CLOSING_S)
        self._server.hang_up()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        address: tuple[str, int],
        context: ssl.SSLContext,
        log: Log,
        errors: Path,
        clock: Callable[[], float],
    ) -> None:
        self.context, self.log, self.errors, self.clock = context, log, errors, clock
        self.answer: Answer = lambda _: Response.of_html(503)
        self._open: set[socket.socket] = set()
        self._changed = Condition()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # http.server would ask the resolver for the host's full name here.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def finish_request(self, request: Any, client_address: Any) -> None:
        # The handshake happens here, in the connection's own thread: a silent client holds up nobody.
        request.settimeout(IDLE_S)
        with self.context.wrap_socket(request, server_side=True) as connection:
            with self._changed:
                self._open.add(connection)
            try:
                _Handler(connection, client_address, self)
            finally:
                with self._changed:
                    self._open.discard(connection)
                    self._changed.notify_all()

    def hang_up(self) -> None:
        with self._changed:
            for connection in self._open:
                try:
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
                except OSError:
                    continue  # the client was faster
            self._changed.wait_for(lambda: not self._open, CLOSING_S)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that leaves is not our error; anything else is a bug of the sandbox and must be seen.
        if not isinstance(sys.exception(), ConnectionError | TimeoutError | ssl.SSLError):
            with self.errors.open("a", encoding="utf-8") as file:
                traceback.print_exc(file=file)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "sandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    timeout = IDLE_S
    wbufsize = 1 << 16
    server: _Server

    def _serve(self) -> None:
        where = urlsplit(self.path)
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdigit():
            self.close_connection = True
            self._send(Response.of_html(411))
            return
        body = Body(self.rfile, int(length))
        response = self.server.answer(
            Request(method=self.command, path=where.path, query=where.query, headers=self.headers, body=body)
        )
        for _ in body.chunks():
            pass  # what the answer did not read would be taken for the next request
        if response.drop:
            self.log_request(0)
            self._reset()
        else:
            self._send(response)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(response.size))
        self.end_headers()
        if self.command == "HEAD":
            return
        if response.cut_at is None and not response.chunk_pause_s:
            self._copy(response)
        else:
            self._copy_badly(response)

    def _copy(self, response: Response) -> None:
        if response.file:
            with response.file.open("rb") as file:
                shutil.copyfileobj(file, self.wfile, CHUNK)
        else:
            self.wfile.write(response.body)

    def _copy_badly(self, response: Response) -> None:
        whole = response.file.read_bytes() if response.file else response.body
        sent = whole if response.cut_at is None else whole[: response.cut_at]
        piece = max(1, -(-len(sent) // SLOW_PIECES))
        for start in range(0, len(sent), piece):
            response.hurry.wait(response.chunk_pause_s)
            self.wfile.write(sent[start : start + piece])
            self.wfile.flush()
        if len(sent) < len(whole):
            # An orderly end first, so that every byte before the break arrives.
            self.close_connection = True

    def _reset(self) -> None:
        """End the connection with a TCP reset: a time to linger of zero throws away what is unsent."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(self.server.clock() if timestamp is None else timestamp)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Called by `send_response` before a byte leaves: who has the answer can also read its line."""
        headers = getattr(self, "headers", None)
        self.server.log(self.command or "", getattr(self, "path", ""), headers, int(code))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing goes to stderr."""
