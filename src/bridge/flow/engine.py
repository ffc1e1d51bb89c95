"""The only door to the durable engine (DBOS Transact on a SQLite file of its own).

The engine remembers how far the work of a job has got; what the job *is* stands in our own tables. A body of a step
runs at least once and its result is recorded at most once, so every step can be repeated. Its defaults are changed
in six places, each for a measured reason:

- `application_version` is fixed: the default, a hash of the sources, leaves waiting jobs behind after an upgrade;
- checkpoints are JSON or nothing: pickles would carry patient values and run code;
- the file is in write-ahead mode with `synchronous = FULL`;
- one process only (`fence.lock`), because a second one would run the same steps at the same time;
- waiting stages are restarted for ever, stages that can crash the process `CRASHES` times;
- queues are looked at each quarter of a second instead of each second.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bridge.errors import ConfigError
from bridge.flow.keeping.engine_file import shrink, write_ahead

VERSION = "engine-1"
"""Changed by hand only, together with a migration of waiting jobs; never the default source hash."""
NAME = "bridge"
EPOCH_2026 = 1_767_225_600
MOST = 2**31 - 1
ALONE = 3
AT_ONCE = 200
"""So many stages are forgotten in one transaction: the file has one writer at a time."""

Json = Any


def check_sqlite() -> None:
    """Raise ConfigError (ENG-001) for the one pair of Python and SQLite on which the engine cannot start."""
    if sys.version_info >= (3, 12) and sqlite3.sqlite_version_info < (3, 42):
        raise ConfigError(
            "ENG-001",
            f"Python {sys.version_info.major}.{sys.version_info.minor} with SQLite {sqlite3.sqlite_version}",
            "SQLite 3.42 or newer from Python 3.12 on",
            "Use Python 3.11, or a Python that brings a newer SQLite",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue and how many of its stages may run or wait at once."""

    name: str
    at_once: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """How far one stage has got, as the engine sees it."""

    id: str
    status: str
    attempts: int
    error: str = ""
    """The class of the error that ended it."""


class Engine:
    """Registers stages, launches, enqueues. One per process."""

    def __init__(self, file: Path, *, poll_s: float = 0.25) -> None:
        check_sqlite()
        if os.environ.get("DBOS__CLOUD"):
            raise ConfigError("ENG-002", "DBOS__CLOUD is set", "an engine on this machine", "Unset it")
        self._file = file
        self._url = f"sqlite:///{file}"
        self._poll_s = poll_s
        self._client: Any = None
        self._stages: list[Callable[[], None]] = []
        self._active: set[str] = set()
        self._alone: dict[str, int] = {}

    def register(self, name: str, body: Callable[..., Json], *, attempts: int | None) -> None:
        """Register a synchronous stage before `launch`. `attempts`: how often a crash may interrupt it."""

        def run(*arguments: str) -> Json:
            with self._at_work():
                return body(*arguments)

        self._stages.append(partial(_register, run, name, attempts))

    def register_async(
        self, name: str, body: Callable[..., Awaitable[Json]], *, attempts: int | None
    ) -> None:
        """Register a stage that waits; all of them share one event loop, so it must never block."""

        async def run(*arguments: str) -> Json:
            with self._at_work():
                return await body(*arguments)

        self._stages.append(partial(_register, run, name, attempts))

    def launch(self, queues: list[Queue]) -> None:
        """Start the engine; stages that were interrupted go on. Nothing touches the file before."""
        if self._client is not None:
            return
        from dbos import DBOS, DBOSClient

        write_ahead(self._file)
        DBOS(
            config={
                "name": NAME,
                "system_database_url": self._url,
                "serializer": _checkpoint(),
                "executor_id": "node-0",
                "application_version": VERSION,
                "log_level": "CRITICAL",
            }
        )
        for register in self._stages:
            register()
        DBOS.launch()
        self._client = DBOSClient(
            system_database_url=self._url, serializer=_checkpoint(), application_name=NAME
        )
        for queue in queues:
            DBOS.register_queue(
                queue.name,
                global_concurrency=queue.at_once,
                polling_interval_sec=self._poll_s,
                on_conflict="always_update",
            )

    def enqueue(
        self, workflow: str, queue: str, id: str, *arguments: str, due_at: float | None = None
    ) -> None:
        """Hand a stage to the engine. The same id again is the same stage: nothing happens twice.

        due_at: of stages that wait, the earliest goes first (POSIX seconds); None for now.
        """
        from dbos import EnqueueOptions

        # Ageing stands in the number, because the engine never changes it: a smaller one goes first.
        priority = int(time.time() if due_at is None else due_at) - EPOCH_2026
        options = EnqueueOptions(
            workflow_name=workflow,
            queue_name=queue,
            workflow_id=id,
            app_version=VERSION,
            priority=min(max(priority, 1), MOST),
        )
        self._client.enqueue(options, *arguments)

    def under_way(self) -> frozenset[str]:
        """Ids of stages that wait in a queue or run."""
        return frozenset(w.workflow_id for w in self._list(status=["PENDING", "ENQUEUED", "DELAYED"]))

    def interrupted(self, names: Collection[str]) -> list[str]:
        """Ids of stages of these names that were begun more than once: the process died while they ran."""
        found = self._list(status=["PENDING", "ENQUEUED"])
        return [w.workflow_id for w in found if w.name in names and (w.recovery_attempts or 0) > 1]

    def given_up(self) -> list[Workflow]:
        """Stages that the engine will not run again: interrupted too often, or ended by an error of their own."""
        found = self._list(status=["MAX_RECOVERY_ATTEMPTS_EXCEEDED", "ERROR"], load_output=True)
        return [
            Workflow(
                id=w.workflow_id,
                status=str(w.status),
                attempts=w.recovery_attempts or 0,
                error=str(w.error or "").partition(" ")[0],
            )
            for w in found
        ]

    def take_up(self) -> list[str]:
        """Give stages back to their queues that nobody works at: a full disk ends a thread and tells no one.

        Called now and then; a stage counts as left alone when it is found so at several looks in a row.
        """
        pending = {w.workflow_id: w.queue_name for w in self._list(status=["PENDING"])}
        self._alone = {id: self._alone.get(id, 0) + 1 for id in pending if id not in self._active}
        again = sorted(id for id, looks in self._alone.items() if looks >= ALONE)
        for id in again:
            self._client.resume_workflow(id, queue_name=pending[id])
            del self._alone[id]
        return again

    def clean(self, before: float, is_over: Callable[[str], bool]) -> int:
        """Forget stages that ended before a time (POSIX seconds) and whose job is over; returns how many.

        `is_over`: by the part of a stage's id before the first point. An id that was forgotten would run again if
        it were enqueued, so only those may go that never will be.
        """
        ended = self._list(
            status=["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"],
            completed_before=datetime.fromtimestamp(before, UTC).isoformat(),
        )
        gone = [w.workflow_id for w in ended if is_over(w.workflow_id.partition(".")[0])]
        for start in range(0, len(gone), AT_ONCE):
            self._client.delete_workflows(gone[start : start + AT_ONCE])
        shrink(self._file)
        return len(gone)

    def stop(self, within_s: float) -> None:
        """Let running steps end for so long; the rest goes on at the next start."""
        if self._client is None:
            return
        from dbos import DBOS

        DBOS.destroy(workflow_completion_timeout_sec=int(within_s))

    def _list(self, *, load_output: bool = False, **wanted: Any) -> list[Any]:
        found: list[Any] = self._client.list_workflows(load_input=False, load_output=load_output, **wanted)
        return found

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        from dbos import DBOS

        id = str(DBOS.workflow_id)
        self._active.add(id)
        try:
            yield
        finally:
            self._active.discard(id)


def step(name: str, function: Callable[..., Json], *arguments: Any) -> Json:
    """Run a durable step of a synchronous stage: its JSON result is kept, and not computed again."""
    from dbos import DBOS

    return DBOS.run_step({"name": name}, function, *arguments)


async def step_async(name: str, function: Callable[..., Awaitable[Json]], *arguments: Any) -> Json:
    """Run a durable step of a stage that waits."""
    from dbos import DBOS

    return await DBOS.run_step_async({"name": name}, function, *arguments)


def sleep(seconds: float) -> None:
    """A durable pause: the wake time is kept, a restart waits only for the rest."""
    from dbos import DBOS

    DBOS.sleep(seconds)


async def sleep_async(seconds: float) -> None:
    from dbos import DBOS

    await DBOS.sleep_async(seconds)


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run blocking work of a waiting stage beside the shared event loop."""
    return await asyncio.to_thread(function, *arguments)


def _checkpoint() -> Any:
    from dbos import Serializer

    class Checkpoint(Serializer):
        """JSON or nothing. Of an error only its class and code; no pickle, no value of a patient."""

        def name(self) -> str:
            return "bridge_json_1"

        def serialize(self, data: Any) -> str:
            if isinstance(data, BaseException):
                return json.dumps({"!error": type(data).__name__, "code": str(getattr(data, "code", ""))})
            try:
                return json.dumps(data, allow_nan=False)
            except (TypeError, ValueError):
                raise TypeError(f"not a checkpoint value: {type(data).__name__}") from None

        def deserialize(self, serialized_data: str) -> Any:
            data = json.loads(serialized_data)
            if isinstance(data, dict) and "!error" in data:
                return RuntimeError(f"{data['!error']} {data['code']}")
            return data

    return Checkpoint()


def _register(function: Callable[..., Any], name: str, attempts: int | None) -> None:
    from dbos import DBOS

    DBOS.workflow(name=name, max_recovery_attempts=attempts)(_named(function, name))


def _named(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    # The engine keys its registry by the qualified name of the function, which would be equal for all stages.
    function.__name__ = name
    function.__qualname__ = name
    return function
