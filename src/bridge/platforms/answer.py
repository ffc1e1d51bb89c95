"""What comes back over HTTP: an answer that is held whole, a download that is read piece by piece."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx

from bridge.platforms.failures import failed

LONGEST_WISH_S = 86_400.0
"""A slip of a proxy must not put a job to sleep for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status, headers (names in lower case) and whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def date_s(self) -> float | None:
        """The `Date` header in seconds since 1970; RFC 9110 6.6.1."""
        return http_date_s(self.headers.get("date", ""))

    def retry_after_s(self) -> float | None:
        """`Retry-After`, given in seconds or as a date, in seconds from the answer, at most a day; RFC 9110 10.2.3."""
        wish = self.headers.get("retry-after", "").strip()
        if wish.isdecimal():
            return min(float(wish), LONGEST_WISH_S)
        until, now = http_date_s(wish), self.date_s()
        return min(max(0.0, until - now), LONGEST_WISH_S) if until is not None and now is not None else None


class Download:
    """A body that is being read. `status` other than 200 or 206 means that it holds the reason."""

    def __init__(self, response: httpx.Response, *, from_storage: bool, what: str) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.from_storage = from_storage
        self._response = response
        self._what = what

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The bytes in the order they come. Raises TryLater: NET-002, the transfer broke off."""
        try:
            async for chunk in self._response.aiter_bytes():
                yield chunk
        except httpx.HTTPError as error:
            raise failed(error, self._what, commits=False) from None

    async def answer(self) -> Answer:
        """The whole body, for an error page. Raises TryLater: NET-002."""
        body = b"".join([chunk async for chunk in self.chunks()])
        return Answer(status=self.status, headers=self.headers, body=body)

    def size_told(self) -> int | None:
        """`Content-Length`, where the body travels as it is stored."""
        length = self.headers.get("content-length", "")
        return int(length) if length.isdecimal() and "content-encoding" not in self.headers else None

    def modified_s(self) -> float | None:
        """`Last-Modified` in seconds since 1970; RFC 9110 8.8.2."""
        return http_date_s(self.headers.get("last-modified", ""))


def http_date_s(text: str) -> float | None:
    """POSIX seconds of an HTTP date, RFC 9110 5.6.7; None where it is none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
