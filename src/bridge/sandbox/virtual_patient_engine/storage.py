"""Storage behind the engine: a second origin where only a signed address opens anything.

It stands for S3 with single PUTs. A request that also carries `Authorization` is refused, so a client that lets its
token travel is found out; one that is chunked never gets as far (411).
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock, local
from urllib.parse import parse_qsl, urlencode

from bridge.sandbox.loopback.server import Request, Response

BAD_METHODS = "MethodNotAllowed"


class Storage:
    """Objects in a folder by key; `url` is set when its origin is known."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._folder, self._clock = folder, clock
        self._key = secrets.token_bytes(32)
        self._lock = Lock()
        self._mood = local()
        self._closed: set[str] = set()
        self.url = ""
        self.gzip = False
        self.bytes_in = self.bytes_out = 0

    def path(self, key: str) -> Path:
        """Where an object lies or will lie; the folder is made."""
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def close(self, key: str) -> None:
        """From now on nothing may be put there."""
        with self._lock:
            self._closed.add(key)

    @contextmanager
    def signing_expired(self) -> Iterator[None]:
        """Within, and in this thread, every address is signed as it would have been before its life ended."""
        self._mood.is_late = True
        try:
            yield
        finally:
            self._mood.is_late = False

    def lose(self, request: Request) -> None:
        """Forget an object that was answered with 200."""
        self.path(request.path.lstrip("/")).unlink(missing_ok=True)

    def signed_url(self, method: str, key: str, life_s: float) -> str:
        """An address for one method on one object."""
        early_s = life_s + 1.0 if getattr(self._mood, "is_late", False) else 0.0
        issued = datetime.fromtimestamp(self._clock() - early_s, UTC)
        fields = [("X-Amz-Date", f"{issued:%Y%m%dT%H%M%SZ}"), ("X-Amz-Expires", f"{life_s:.0f}")]
        signature = self._signature(method, f"/{key}", fields)
        return f"{self.url}/{key}?{urlencode([*fields, ('X-Amz-Signature', signature)])}"

    def answer(self, request: Request) -> Response:
        if "Authorization" in request.headers:
            return _xml(400, "InvalidArgument", "Only one auth mechanism allowed")
        trouble = self._refusal(request)
        if trouble:
            return _xml(403, "AccessDenied", trouble)
        match request.method:
            case "PUT":
                return self._put(request)
            case "GET":
                return self._get(request)
            case _:
                return _xml(405, BAD_METHODS, "not here")

    def _refusal(self, request: Request) -> str:
        fields = parse_qsl(request.query)
        given = dict(fields)
        signed = [pair for pair in fields if pair[0] != "X-Amz-Signature"]
        wanted = self._signature(request.method, request.path, signed)
        if not hmac.compare_digest(wanted, given.get("X-Amz-Signature", "")):
            return "the signature does not match"
        issued = datetime.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if self._clock() > issued.timestamp() + float(given["X-Amz-Expires"]):
            return "Request has expired"
        return ""

    def _put(self, request: Request) -> Response:
        key = request.path.lstrip("/")
        with self._lock:
            if key in self._closed:
                return _xml(403, "AccessDenied", "nothing may be put here any more")
        part = self.path(f"{key}.{secrets.token_hex(4)}")
        digest = hashlib.md5(usedforsecurity=False)
        with part.open("wb") as file:
            for chunk in request.body.chunks():
                file.write(chunk)
                digest.update(chunk)
        with self._lock:
            self.bytes_in += part.stat().st_size
        part.replace(self.path(key))
        return Response(status=200, headers=(("ETag", f'"{digest.hexdigest()}"'),))

    def _get(self, request: Request) -> Response:
        file = self.path(request.path.lstrip("/"))
        if not file.is_file():
            return _xml(404, "NoSuchKey", "no such object")
        with self._lock:
            self.bytes_out += file.stat().st_size
        kind = ("Content-Type", "application/octet-stream")
        if self.gzip:
            packed = gzip.compress(file.read_bytes(), mtime=0)
            return Response(status=200, headers=(kind, ("Content-Encoding", "gzip")), body=packed)
        return Response(status=200, headers=(kind,), file=file)

    def _signature(self, method: str, path: str, fields: list[tuple[str, str]]) -> str:
        text = "\n".join((method, path, urlencode(fields)))
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def _xml(status: int, code: str, message: str) -> Response:
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(status=status, headers=(("Content-Type", "application/xml"),), body=body.encode())
