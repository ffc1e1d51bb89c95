"""The engine's lines for one job, small enough to be killed anywhere, and a wire on which answers are lost."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import io
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, BinaryIO

import httpx
import pytest
from pydantic import TypeAdapter
from tests.contract.platform_benches import Bench

from bridge.errors import TryLater, Unsure
from bridge.export.parcel import Order, Parcel, ParcelFile, Repeat, Step
from bridge.platforms import (
    RESTART,
    Absent,
    Account,
    AskAgain,
    Found,
    Phase,
    Platform,
    RemoteJob,
    Request,
    RequestedFile,
    RequestedVolume,
    Spec,
    State,
    make,
)
from bridge.results.output import Output

MOST_TRIES = 60


class Killed(BaseException):
    """The process is gone. Not an Exception: no handler may save it."""


def through_json(value: Any, kind: Any = None) -> Any:
    """The value after a checkpoint; the same, or the test fails."""
    adapter = TypeAdapter(kind or type(value))
    back = adapter.validate_json(adapter.dump_json(value))
    assert back == value
    return back


class Shelf:
    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def open(self, ref: str) -> BinaryIO:
        return io.BytesIO(self._files[ref])


class Sink:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes, /) -> int:
        self.data += data
        return len(data)


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobBench:
    """What a job needs of its bench, fit for another process."""

    platform: str
    account: Account
    volumes: dict[str, bytes]
    files: dict[str, str] = dataclasses.field(default_factory=dict)
    values: dict[str, Any] = dataclasses.field(default_factory=dict)


class Engine:
    """One job. What a crash leaves is `row`, spec and parcel, as JSON; a life is one process."""

    def __init__(self, bench: Bench | JobBench, key: str) -> None:
        self.bench = bench
        self.row = TypeAdapter(RemoteJob).dump_json(RemoteJob(key=key))
        self.spec: Spec
        self.parcel: Parcel
        self.die_at: tuple[str, str] | None = None
        self.states: list[State] = []

    @property
    def job(self) -> RemoteJob:
        return TypeAdapter(RemoteJob).validate_json(self.row)

    def keep(self, job: RemoteJob) -> None:
        self.row = TypeAdapter(RemoteJob).dump_json(through_json(job))

    def passing(self, step: Step, point: str) -> None:
        if self.die_at == (step.name, point):
            self.die_at = None
            raise Killed

    def platform(self) -> Platform:
        return make(self.bench.platform, self.bench.account)

    async def prepare(self, platform: Platform, algorithm: str, request: Request | None = None) -> None:
        self.spec = through_json(await again(lambda: platform.describe(algorithm)))
        order: Order = through_json(platform.plan(self.spec, request or request_of(self.bench)))
        self.parcel = parcel_of(self.bench, order)

    async def submit(self, platform: Platform, *, fence: bool = False) -> None:
        for _ in range(MOST_TRIES):
            left = [step for step in self.parcel.order.steps if step.name not in self.job.notes]
            if not left:
                return
            if not await self._once(platform, left[0], fence=fence):
                await asyncio.sleep(0.02)
        raise AssertionError(f"{left[0].name} never ends")

    async def _once(self, platform: Platform, step: Step, *, fence: bool) -> bool:
        """Whether the step has its note now."""
        self.passing(step, "before")
        if step.repeat is Repeat.FIND_FIRST and (step.name in self.job.begun or fence):
            found = await self._look(platform)
            if isinstance(found, Found):
                return step.name in self.job.notes
            if isinstance(found, AskAgain):
                return False
        begun = tuple(dict.fromkeys([*self.job.begun, step.name]))
        self.keep(dataclasses.replace(self.job, begun=begun))
        self.passing(step, "begun")
        try:
            done = await platform.perform(step, self.job, self.parcel, Shelf(self.bench.volumes))
        except Unsure:
            await self._look(platform)
            return step.name in self.job.notes
        except TryLater as trouble:
            if RESTART in trouble.numbers:
                self._restart(str(trouble.numbers[RESTART]))
            return False
        self.passing(step, "done")
        self.keep(done)
        self.passing(step, "noted")
        return True

    def _restart(self, name: str) -> None:
        """Drop the notes from a step on; only ever before the commit."""
        names = [step.name for step in self.parcel.order.steps]
        gone = names[names.index(name) :]
        assert not any(step.commits and step.name in self.job.notes for step in self.parcel.order.steps)
        notes = {step: note for step, note in self.job.notes.items() if step not in gone}
        begun = tuple(step for step in self.job.begun if step not in gone)
        self.keep(dataclasses.replace(self.job, begun=begun, notes=notes))

    async def _look(self, platform: Platform) -> Found | Absent | AskAgain:
        found: Found | Absent | AskAgain = await again(
            lambda: platform.find(self.job, self.spec, self.parcel.order)
        )
        if isinstance(found, Found):
            self.keep(through_json(found.job))
        return found

    async def wait(self, platform: Platform) -> State:
        for _ in range(2000):
            state: State = through_json(await again(lambda: platform.state(self.job)))
            self.states.append(state)
            if state.phase is Phase.ENDED:
                return state
            await asyncio.sleep(min(state.look_again_s, 0.05))
        raise AssertionError(f"the job does not end: {state.raw}")

    async def fetch(self, platform: Platform) -> dict[str, tuple[Output, bytes]]:
        outputs: tuple[Output, ...] = await again(lambda: platform.outputs(self.job))
        through_json(outputs, tuple[Output, ...])
        got = {}
        for output in outputs:
            sink = await again(lambda output=output: self._fetch(platform, output))
            got[output.name] = (output, sink.data)
        return got

    async def _fetch(self, platform: Platform, output: Output) -> Sink:
        sink = Sink()
        fetched = await platform.fetch(self.job, output, sink)
        assert fetched.size_bytes == len(sink.data)
        assert fetched.sha256 == hashlib.sha256(sink.data).hexdigest()
        return sink


async def again(act: Callable[[], Any]) -> Any:
    """Repeat while the platform says later, as the engine does for days."""
    for _ in range(MOST_TRIES):
        try:
            return await act()
        except TryLater:
            await asyncio.sleep(0.02)
    raise AssertionError("it never gets better")


def request_of(bench: Bench | JobBench) -> Request:
    volumes = tuple(
        RequestedVolume(input=name, modality="CT", shape=(16, 48, 48), spacing_mm=(6.0, 6.0, 6.0))
        for name in bench.volumes
        if name not in bench.files
    )
    files = tuple(
        RequestedFile(input=name, media_type=media_type, size_bytes=len(bench.volumes[name]))
        for name, media_type in bench.files.items()
    )
    return Request(volumes=volumes, values=bench.values, files=files)


def parcel_of(bench: Bench | JobBench, order: Order) -> Parcel:
    files = tuple(
        ParcelFile(
            input=file.input,
            ref=file.input,
            file_name=file.file_name,
            size_bytes=len(bench.volumes[file.input]),
            sha256=hashlib.sha256(bench.volumes[file.input]).hexdigest(),
        )
        for file in (*order.files, *order.copies)
    )
    parcel: Parcel = through_json(Parcel(order=order, files=files, values=order.values))
    return parcel


class Wire:
    """Stands between the platform's clients and the sandbox. `rule` says what happens to a request."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rule: Callable[[httpx.Request], str] = lambda request: ""
        self.alter: Callable[[httpx.Request, Any], Any] | None = None
        self.faults = 0
        real = httpx.AsyncHTTPTransport.handle_async_request

        async def handle(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            async def send() -> httpx.Response:
                return await real(transport, request)

            return await self._answer(request, send)

        monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)

    async def _answer(self, request: httpx.Request, send: Callable[[], Any]) -> httpx.Response:
        fault = self.rule(request)
        if fault:
            self.faults += 1
        match fault:
            case "":
                return await self._altered(request, await send())
            case "not-reached":
                raise httpx.ConnectError("[test]", request=request)
            case "reset-before":
                raise httpx.ReadError("[test]", request=request)
            case "503-before":
                return httpx.Response(503, html="<html>busy</html>", headers={"Retry-After": "0"})
            case "429-before":
                return httpx.Response(429, html="<html>slowly</html>", headers={"Retry-After": "7"})
            case "link-expired":
                return httpx.Response(403, content=b"<Error><Message>Request has expired</Message></Error>")
            case "500-before":
                return httpx.Response(500, html="<html>sorry</html>")
        response = await send()
        match fault:
            case "stall-after":
                await response.aread()
                raise httpx.ReadTimeout("[test]", request=request)
            case "502-after":
                await response.aread()
                return httpx.Response(502, html="<html>gateway</html>")
            case "cut-after":
                whole = await response.aread()
                return httpx.Response(
                    response.status_code,
                    headers=_plain(response.headers),
                    stream=Cut(whole[: len(whole) // 2]),
                )
        raise AssertionError(fault)

    async def _altered(self, request: httpx.Request, response: httpx.Response) -> httpx.Response:
        if self.alter is None or response.headers.get("content-type") != "application/json":
            return response
        body = json.loads(await response.aread())
        return httpx.Response(
            response.status_code, headers=_plain(response.headers), json=self.alter(request, body)
        )


class Cut(httpx.AsyncByteStream):
    """A body whose connection ends in the middle."""

    def __init__(self, head: bytes) -> None:
        self._head = head

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._head
        raise httpx.RemoteProtocolError("[test] peer closed connection")


def _plain(headers: httpx.Headers) -> list[tuple[str, str]]:
    unfit = ("content-length", "content-encoding", "transfer-encoding", "content-type")
    kept = [(name, value) for name, value in headers.items() if name not in unfit]
    return [*kept, ("content-type", headers.get("content-type", ""))]
