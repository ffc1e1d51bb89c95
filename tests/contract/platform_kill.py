"""A process that submits one job and is killed by the kernel at a request: before it, in its middle, or after it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
from tests.contract.platform_engine import Engine, JobBench

from bridge.export.parcel import Parcel
from bridge.platforms import Spec, Verdict

BEFORE, IN, AFTER = "before", "in", "after"
MOMENTS = (BEFORE, IN, AFTER)
CLEAN = get_context("forkserver")
"""Processes that hold none of the locks and sockets of the test's own."""
CLEAN.set_forkserver_preload(
    [__name__, "bridge.platforms.grand_challenge", "bridge.platforms.virtual_patient_engine"]
)


@dataclass(frozen=True, kw_only=True)
class Life:
    """What a process is given; it must survive pickling. `kill`: number of the request from 0, and the moment."""

    bench: JobBench
    key: str
    spec: Spec
    parcel: Parcel
    folder: Path
    kill: tuple[int, str] | None = None

    @property
    def row_file(self) -> Path:
        return self.folder / "row.json"

    @property
    def requests_file(self) -> Path:
        return self.folder / "requests.json"


class DurableEngine(Engine):
    """Its row is a file that is whole at any moment."""

    def __init__(self, life: Life) -> None:
        super().__init__(life.bench, life.key)
        self.spec, self.parcel = life.spec, life.parcel
        self._file = life.row_file
        if self._file.exists():
            self.row = self._file.read_bytes()

    def keep(self, job: Any) -> None:
        super().keep(job)
        part = self._file.with_suffix(".part")
        part.write_bytes(self.row)
        part.replace(self._file)


def live(life: Life) -> int | None:
    """Run one process to its end; its exit code, negative for a signal."""
    process = CLEAN.Process(target=_live, args=(life,))
    process.start()
    process.join(60)
    return process.exitcode


def _live(life: Life) -> None:
    seen: list[str] = []
    submitted: list[int] = []
    real = httpx.AsyncHTTPTransport.handle_async_request

    async def handle(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        moment = life.kill[1] if life.kill and life.kill[0] == len(seen) else ""
        seen.append(f"{request.method} {request.url.path}")
        if moment == BEFORE:
            _die()
        if moment == IN:
            assert isinstance(request.stream, httpx.AsyncByteStream)
            request.stream = _Torn(request.stream)
        response = await real(transport, request)
        if moment in (IN, AFTER):
            # A request without a body cannot be torn: its answer has begun.
            if moment == AFTER:
                await response.aread()
            _die()
        return response

    httpx.AsyncHTTPTransport.handle_async_request = handle  # type: ignore[method-assign]

    async def submit() -> None:
        engine = DurableEngine(life)
        platform = engine.platform()
        await engine.submit(platform)
        submitted.append(len(seen))
        state = await engine.wait(platform)
        assert state.verdict is Verdict.DONE
        assert await engine.fetch(platform)
        await platform.close()

    asyncio.run(submit())
    life.requests_file.write_text(json.dumps([seen, submitted[0]]), encoding="utf-8")


class _Torn(httpx.AsyncByteStream):
    """A body in whose middle the process ends."""

    def __init__(self, whole: httpx.AsyncByteStream) -> None:
        self._whole = whole

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._whole:
            if len(chunk) > 1:
                yield chunk[: len(chunk) // 2]
                # The kernel has the first half before the process is gone.
                await asyncio.sleep(0.01)
                _die()
            yield chunk


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
