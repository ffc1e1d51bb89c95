"""The sandbox as one object: a folder, three origins, jobs between them."""

from __future__ import annotations

import json
import secrets
import signal
import sys
import time
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from threading import Event
from types import TracebackType
from urllib.parse import urlsplit

from bridge.sandbox.loopback.certificate import certificate
from bridge.sandbox.loopback.clock import MovableClock
from bridge.sandbox.loopback.faults import Faults
from bridge.sandbox.loopback.records import LineFile, iso
from bridge.sandbox.loopback.server import Log, Origin

from .controls import ROOT, Controls, beside
from .engine import Engine
from .jobs import Jobs
from .login import CLIENT, PATH, Login
from .storage import Storage


class Sandbox(Controls):
    """A Virtual Patient Engine on loopback, over TLS with a certificate authority of its own.

    Writes into `folder`: ca.pem, token (the client's secret, mode 0600), requests.jsonl (one line per request),
    ledger.jsonl (a line when a job is created, started and finished), store/, errors.log (only when the sandbox
    itself failed). Jobs are forgotten when it stops.

    Args:
        compute_seconds: the least time between a job's start and its end.
        anatomy: how structures are found, see `Behaviour`.
        clock: seconds since 1970, below the clock that `move_clock` moves.
    Raises:
        ConfigError: SBX-001, the package `trustme` is missing.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        compute_seconds: float = 0.0,
        anatomy: str = "planes",
        clock: Callable[[], float] = time.time,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        movable = MovableClock(clock)
        storage = Storage(folder / "store", movable)
        self.ca_file, self.token_file = folder / "ca.pem", folder / "token"
        self._lines, self._ledger = LineFile(folder / "requests.jsonl"), LineFile(folder / "ledger.jsonl")
        jobs = Jobs(storage, movable, self._ledger, compute_s=compute_seconds)
        login = Login(lambda: self.secret, movable)
        super().__init__(folder, jobs, storage, login, Faults(movable, storage), movable)
        self.behave(anatomy=anatomy)
        context = certificate(self.ca_file, host)
        _secret(self.token_file)
        errors = folder / "errors.log"

        def origin(name: str, port: int = 0) -> Origin:
            return Origin(host, port, context, self._log(name), errors, movable)

        self._engine = Engine(jobs, storage, login, movable)
        self._origins = {
            "token": origin("token"),
            "engine": origin("engine", port),
            "storage": origin("storage"),
        }
        storage.url = self._origins["storage"].url
        self._engine.url = self.base_url

    @property
    def base_url(self) -> str:
        return self._origins["engine"].url

    @property
    def token_url(self) -> str:
        return self._origins["token"].url + PATH

    @property
    def control_url(self) -> str:
        """Where the control API is; see `bridge.sandbox.virtual_patient_engine.controls`."""
        return f"{self.base_url}{ROOT}"

    @property
    def client_id(self) -> str:
        return CLIENT

    @property
    def secret(self) -> str:
        return self.token_file.read_text(encoding="utf-8").strip()

    def start(self) -> None:
        self._origins["token"].start(self._faults.around("token", self._login.answer))
        self._origins["storage"].start(self._faults.around("storage", self._storage.answer))
        self._origins["engine"].start(beside(self, self._faults.around("engine", self._engine.answer)))

    def stop(self) -> None:
        self._faults.stop()
        for origin in self._origins.values():
            origin.stop()
        self._jobs.stop()
        self._lines.close()
        self._ledger.close()

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _log(self, origin: str) -> Log:
        def log(method: str, target: str, headers: Message | None, status: int) -> None:
            path = urlsplit(target).path
            if not path.startswith(ROOT):
                self._lines.append(
                    {
                        "time": iso(self._clock()),
                        "origin": origin,
                        "method": method,
                        "path": path,
                        "authorization": headers is not None and "Authorization" in headers,
                        "token": self._shows_token(target, headers),
                        "status": status,
                    }
                )

        return log

    def _shows_token(self, target: str, headers: Message | None) -> bool:
        text = "\n".join((target, *(headers.values() if headers else ())))
        return any(token in text for token in (self.secret, *self._login.tokens()))


def run(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    compute_seconds: float = 0.0,
    anatomy: str = "planes",
) -> None:
    """Serve until SIGTERM or SIGINT; one JSON line on stdout says when and where."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Sandbox(folder, host=host, port=port, compute_seconds=compute_seconds, anatomy=anatomy) as sandbox:
        ready = {
            "ready": True,
            "base_url": sandbox.base_url,
            "token_url": sandbox.token_url,
            "client_id": sandbox.client_id,
            "ca": str(sandbox.ca_file.resolve()),
            "token_file": str(sandbox.token_file.resolve()),
            "algorithm": "virtual-patient",
            "version": "24.06",
            "control_url": sandbox.control_url,
        }
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        stop.wait()


def _secret(file: Path) -> None:
    """The secret of an earlier run in this folder, or a new one, readable by the owner only."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(32) + "\n", encoding="utf-8")
