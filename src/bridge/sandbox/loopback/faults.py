"""Faults on demand: what shall happen to the next requests that match."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from fnmatch import fnmatchcase
from itertools import count
from json import dumps, loads
from threading import Event, Lock
from typing import Any, Protocol

from .server import Answer, Request, Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Which requests, how often, and what happens to them.

    Which: `origin` by the name it has in the sandbox's log, for example "store"; `method` and `path` as shell
    patterns ("P*", "*/algorithms/jobs/"); the first `skip` of them are left alone, then `times` are hit, None
    for ever.

    What, in place of the answer: `reset` breaks the connection; `status` answers with `body` (an object or a
    list as JSON, a text as it is, None the platform's HTML page) and `headers`, `retry_after_s` as seconds or,
    with `retry_after_date`, as a date. With `after` the request takes its effect first.

    What, to the true answer: `merge` puts keys over its JSON, `drop_headers` leaves headers out, `cut_at` breaks
    off after so many bytes of the body, `chunk_pause_s` sends the body in ten pieces with a pause before each,
    `expired_links` signs URLs that have run out, `lose_part` forgets the part that a PUT brought. `delay_s`, of
    the wire's time and not of the sandbox's clock, comes before everything.
    """

    method: str = "*"
    path: str = "*"
    origin: str = "*"
    skip: int = 0
    times: int | None = 1
    after: bool = False
    reset: bool = False
    status: int | None = None
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: float | None = None
    retry_after_date: bool = False
    delay_s: float = 0.0
    merge: Mapping[str, Any] | None = None
    drop_headers: tuple[str, ...] = ()
    cut_at: int | None = None
    chunk_pause_s: float = 0.0
    expired_links: bool = False
    lose_part: bool = False

    @classmethod
    def of_json(cls, given: Mapping[str, Any]) -> Fault:
        """From the control API's body. Raises ValueError for a key that is none."""
        unknown = sorted(set(given) - {f.name for f in fields(cls)})
        if unknown:
            raise ValueError(f"no such key: {', '.join(unknown)}")
        return cls(**{**given, "drop_headers": tuple(given.get("drop_headers", ()))})

    def matches(self, origin: str, request: Request) -> bool:
        return (
            fnmatchcase(origin, self.origin)
            and fnmatchcase(request.method, self.method)
            and fnmatchcase(request.path, self.path)
        )

    @property
    def replaces(self) -> bool:
        return self.reset or self.status is not None


class Storage(Protocol):
    """The origin whose URLs are signed, as far as faults reach into it."""

    def signing_expired(self) -> AbstractContextManager[None]:
        """Within, and in this thread, every URL is signed as one that has run out."""

    def lose(self, request: Request) -> None:
        """Forget what a PUT brought."""


@dataclass(slots=True, kw_only=True)
class Armed:
    """A fault that waits: how many matches it still lets pass, how many it still hits, how many it has hit."""

    number: int
    fault: Fault
    skip: int
    left: int | None
    hits: int = 0

    def as_json(self) -> dict[str, Any]:
        return {"fault": self.number, "hits": self.hits, "left": self.left, **asdict(self.fault)}


class Faults:
    """The faults that are armed, in the order of arming; one request meets at most one."""

    def __init__(self, clock: Callable[[], float], store: Storage) -> None:
        self._clock, self._store = clock, store
        self._lock = Lock()
        self._numbers = count(1)
        self._armed: dict[int, Armed] = {}
        self._wake = Event()
        self._stopping = False

    def arm(self, fault: Fault) -> int:
        """The fault's number."""
        with self._lock:
            number = next(self._numbers)
            self._armed[number] = Armed(number=number, fault=fault, skip=fault.skip, left=fault.times)
            return number

    def disarm(self, number: int | None = None) -> None:
        """Forget one fault, or all; requests that are being delayed go on."""
        with self._lock:
            for gone in list(self._armed) if number is None else [number]:
                self._armed.pop(gone, None)
            self._wake.set()
            if not self._stopping:
                self._wake = Event()

    def stop(self) -> None:
        self._stopping = True
        self.disarm()

    def armed(self) -> tuple[dict[str, Any], ...]:
        """Each with `hits`, how often it has struck."""
        with self._lock:
            return tuple(one.as_json() for one in self._armed.values())

    def around(self, origin: str, answer: Answer) -> Answer:
        """The same answers, except where a fault strikes."""

        def faulty(request: Request) -> Response:
            fault = self._take(origin, request)
            return answer(request) if fault is None else self._strike(fault, request, answer)

        return faulty

    def _take(self, origin: str, request: Request) -> Fault | None:
        with self._lock:
            for one in self._armed.values():
                if one.left == 0 or not one.fault.matches(origin, request):
                    continue
                if one.skip:
                    one.skip -= 1
                    continue
                one.hits += 1
                one.left = one.left if one.left is None else one.left - 1
                return one.fault
        return None

    def _strike(self, fault: Fault, request: Request, answer: Answer) -> Response:
        with self._lock:
            wake = self._wake
        if fault.delay_s:
            wake.wait(fault.delay_s)
        if fault.replaces and not fault.after:
            return self._instead(fault)
        if fault.expired_links:
            with self._store.signing_expired():
                response = answer(request)
        else:
            response = answer(request)
        if fault.lose_part:
            self._store.lose(request)
        return self._instead(fault) if fault.replaces else _changed(fault, response, wake)

    def _instead(self, fault: Fault) -> Response:
        if fault.reset:
            return Response(status=0, drop=True)
        extra = list(fault.headers.items())
        if fault.retry_after_s is not None:
            extra.append(("Retry-After", self._retry_after(fault, fault.retry_after_s)))
        status = fault.status or 500
        if fault.body is None:
            return Response.of_html(status, *extra)
        if isinstance(fault.body, str):
            kind = "application/xml" if fault.body.startswith("<?xml") else "text/html; charset=utf-8"
            headers = (("Content-Type", kind), *extra)
            return Response(status=status, headers=headers, body=fault.body.encode())
        return Response.of_json(status, fault.body, *extra)

    def _retry_after(self, fault: Fault, seconds: float) -> str:
        if not fault.retry_after_date:
            return f"{seconds:g}"
        return format_datetime(datetime.fromtimestamp(self._clock() + seconds, UTC), usegmt=True)


def _changed(fault: Fault, response: Response, wake: Event) -> Response:
    if fault.merge is not None:
        response = replace(response, body=_merged(response.body, fault.merge))
    if fault.drop_headers:
        dropped = {name.lower() for name in fault.drop_headers}
        kept = tuple((name, value) for name, value in response.headers if name.lower() not in dropped)
        response = replace(response, headers=kept)
    return replace(response, cut_at=fault.cut_at, chunk_pause_s=fault.chunk_pause_s, hurry=wake)


def _merged(body: bytes, merge: Mapping[str, Any]) -> bytes:
    try:
        value = loads(body)
    except ValueError:
        return body
    if not isinstance(value, dict):
        return body
    return dumps({**value, **merge}, ensure_ascii=False, separators=(",", ":")).encode()
