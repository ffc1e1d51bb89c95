"""The object store behind the platform: a second origin where only a signed URL opens anything.

It stands for S3 with multi-part uploads: parts of at least 5 MiB except the last, ETag = quoted MD5, URLs that
are signed for one method and run out. A request that also carries `Authorization` is refused, so a client
that lets its token travel with a redirect is found out. The signature has the look of AWS V4 and not its
arithmetic; clients take such URLs as they come.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock, local
from urllib.parse import parse_qsl, quote, urlencode
from xml.sax.saxutils import escape

from bridge.sandbox.loopback.server import Request, Response

UPLOADS = "grand-challenge-uploads"
PROTECTED = "grand-challenge-protected"

CONTENT_TYPES = {
    ".json": "application/json",
    ".csv": "text/csv",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".zip": "application/zip",
}
LEAST_PART = 5 * 1024 * 1024


class StoreRefusal(Exception):
    """The store does not do what the platform asked; the platform answers 500 with a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    number: int
    etag: str
    size_bytes: int
    modified_s: float
    file: Path


class ObjectStore:
    """Objects in a folder, addressed as bucket and key; `url` is set when its origin is known."""

    def __init__(self, folder: Path, *, clock: Callable[[], float], url_expiry_s: int) -> None:
        self._folder, self._clock, self._expiry_s = folder, clock, url_expiry_s
        self._key = secrets.token_bytes(32)
        self._lock = Lock()
        self._mood = local()
        self._open: dict[str, dict[int, Part]] = {}
        self.url = ""

    def path(self, bucket: str, key: str) -> Path:
        """Where an object lies or will lie; the folder is made."""
        path = self._folder / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def size(self, key: str, upload_id: str) -> int:
        """Bytes that an upload holds: its object, or the parts that have arrived."""
        path = self._folder / UPLOADS / key
        with self._lock:
            pending = sum(part.size_bytes for part in self._open.get(upload_id, {}).values())
        return pending + (path.stat().st_size if path.is_file() else 0)

    @contextmanager
    def signing_expired(self) -> Iterator[None]:
        """Within, and in this thread, every URL is signed as it would have been before its life ended."""
        self._mood.too_early_s = self._expiry_s + 1.0
        try:
            yield
        finally:
            self._mood.too_early_s = 0.0

    def signed_url(self, method: str, bucket: str, key: str, **query: str | int) -> str:
        """A URL for one method on one object, valid from now for the configured time."""
        too_early_s = getattr(self._mood, "too_early_s", 0.0)
        issued = datetime.fromtimestamp(self._clock() - too_early_s, UTC)
        path = quote(f"/{bucket}/{key}")
        fields = [(name, str(value)) for name, value in query.items()]
        fields += [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", f"sandbox/{issued:%Y%m%d}/eu-central-1/s3/aws4_request"),
            ("X-Amz-Date", f"{issued:%Y%m%dT%H%M%SZ}"),
            ("X-Amz-Expires", str(self._expiry_s)),
            ("X-Amz-SignedHeaders", "host"),
        ]
        signature = self._signature(method, path, fields)
        return f"{self.url}{path}?{urlencode([*fields, ('X-Amz-Signature', signature)])}"

    def create_upload(self) -> str:
        upload_id = secrets.token_urlsafe(42)
        with self._lock:
            self._open[upload_id] = {}
        return upload_id

    def parts(self, upload_id: str) -> tuple[Part, ...]:
        """What has arrived, by number. Raises StoreRefusal when the upload is not open."""
        with self._lock:
            if upload_id not in self._open:
                raise StoreRefusal("NoSuchUpload")
            return tuple(part for _, part in sorted(self._open[upload_id].items()))

    def lose(self, request: Request) -> None:
        """Lose a part that was answered with 200."""
        given = request.parameters
        with self._lock:
            self._open.get(given.get("uploadId", ""), {}).pop(int(given.get("partNumber", "0")), None)

    def complete(self, upload_id: str, key: str, wanted: Sequence[tuple[int, str]]) -> None:
        """Join the named parts, which are in order of their numbers, into one object.

        Raises:
            StoreRefusal: not open, no parts, not in order, a part missing or with another ETag, a part below
                5 MiB that is not the last.
        """
        numbers = [number for number, _ in wanted]
        if numbers != sorted(set(numbers)):
            raise StoreRefusal("InvalidPartOrder")
        have = {part.number: part for part in self.parts(upload_id)}
        chosen = [have.get(number) for number in numbers]
        if not chosen or any(
            have.get(n) is None or have[n].etag.strip('"') != e.strip('"') for n, e in wanted
        ):
            raise StoreRefusal("InvalidPart")
        whole = [part for part in chosen if part]
        if any(part.size_bytes < LEAST_PART for part in whole[:-1]):
            raise StoreRefusal("EntityTooSmall")
        with self.path(UPLOADS, key).open("wb") as out:
            for part in whole:
                with part.file.open("rb") as file:
                    shutil.copyfileobj(file, out, 1 << 20)
        self.abort(upload_id)

    def abort(self, upload_id: str) -> None:
        """Forget an open upload and its parts. Raises StoreRefusal when it is not open."""
        with self._lock:
            if upload_id not in self._open:
                raise StoreRefusal("NoSuchUpload")
        self.discard(upload_id)

    def discard(self, upload_id: str) -> None:
        """Forget an upload and its parts, if there are any."""
        with self._lock:
            self._open.pop(upload_id, None)
        # Not joined with an empty name, which would be the folder of all parts.
        if upload_id:
            shutil.rmtree(self._folder / "parts" / upload_id, ignore_errors=True)

    def answer(self, request: Request) -> Response:
        """The store's whole HTTP side: PUT of a part, GET of an object."""
        if "Authorization" in request.headers:
            return _refusal(400, "InvalidArgument", "Only one auth mechanism allowed")
        refused = self._check(request)
        if refused:
            return refused
        bucket, _, key = request.path.lstrip("/").partition("/")
        if request.method == "PUT":
            return self._put(request)
        path = self._folder / bucket / key
        if not path.is_file():
            return _refusal(404, "NoSuchKey", "The specified key does not exist.")
        headers = (("Content-Type", CONTENT_TYPES.get(path.suffix, "binary/octet-stream")),)
        return Response(status=200, headers=headers, file=path)

    def _put(self, request: Request) -> Response:
        upload_id = request.parameters.get("uploadId", "")
        number = int(request.parameters.get("partNumber", "0"))
        folder = self._folder / "parts" / upload_id
        with self._lock:
            if upload_id not in self._open:
                return _refusal(404, "NoSuchUpload", "The specified multipart upload does not exist.")
            folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.md5(usedforsecurity=False)
        # A name of its own: a part that is sent twice at once, or breaks off, leaves the other one whole.
        file = folder / secrets.token_hex(8)
        with file.open("wb") as out:
            for chunk in request.body.chunks():
                digest.update(chunk)
                out.write(chunk)
        etag = f'"{digest.hexdigest()}"'
        part = Part(
            number=number, etag=etag, size_bytes=request.body.size, modified_s=self._clock(), file=file
        )
        with self._lock:
            if upload_id not in self._open:
                return _refusal(404, "NoSuchUpload", "The specified multipart upload does not exist.")
            self._open[upload_id][number] = part
        return Response(status=200, headers=(("ETag", etag),))

    def _check(self, request: Request) -> Response | None:
        fields = parse_qsl(request.query, keep_blank_values=True)
        given = dict(fields)
        signature = given.get("X-Amz-Signature", "")
        method = "GET" if request.method == "HEAD" else request.method
        rest = [(name, value) for name, value in fields if name != "X-Amz-Signature"]
        if not signature:
            return _refusal(403, "AccessDenied", "Access Denied")
        if not hmac.compare_digest(signature.encode(), self._signature(method, request.path, rest).encode()):
            return _refusal(
                403, "SignatureDoesNotMatch", "The request signature we calculated does not match."
            )
        issued = datetime.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if self._clock() > issued.timestamp() + int(given["X-Amz-Expires"]):
            return _refusal(403, "AccessDenied", "Request has expired")
        return None

    def _signature(self, method: str, path: str, fields: Sequence[tuple[str, str]]) -> str:
        text = "\n".join((method, path, urlencode(sorted(fields))))
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def _refusal(status: int, code: str, message: str) -> Response:
    body = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    return Response(
        status=status,
        headers=(("Content-Type", "application/xml"),),
        body=f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode(),
    )
