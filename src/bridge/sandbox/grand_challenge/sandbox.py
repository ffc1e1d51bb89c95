"""The sandbox as one object: a folder, two origins, a platform between them."""

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
from urllib.parse import unquote, urlsplit

from bridge.sandbox.loopback.certificate import certificate
from bridge.sandbox.loopback.clock import MovableClock
from bridge.sandbox.loopback.faults import Faults
from bridge.sandbox.loopback.records import LineFile, iso
from bridge.sandbox.loopback.server import Answer, Log, Origin, Request, Response

from .api import Api
from .archives import ArchiveEndpoints
from .catalogue import ALGORITHMS
from .control import ROOT, ControlApi
from .controls import Controls
from .imports import Imports
from .inputs import Inputs
from .objects import Job
from .platform import Platform
from .runner import Runner
from .settings import Behaviour, Limits
from .store import ObjectStore
from .submission import Submission
from .wire import Wire


class Sandbox(Controls):
    """Grand Challenge on loopback, over TLS with a certificate authority of its own.

    Writes into `folder`: ca.pem, token (mode 0600), requests.jsonl (one line per request), ledger.jsonl (one line
    per job created), store/ (what was uploaded and computed), errors.log (only when the sandbox itself failed).
    Uploads, sessions, images and jobs are forgotten when it stops; token, algorithms and their versions are not.

    Args:
        compute_seconds: the least time that a job spends in Executing.
        url_expiry_s: how long a signed URL is good.
        at_once: how many jobs compute at the same time.
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
        store_port: int = 0,
        compute_seconds: float = 0.0,
        url_expiry_s: int = 3600,
        at_once: int = 2,
        limits: Limits | None = None,
        behaviour: Behaviour | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        movable = MovableClock(clock)
        self.store = ObjectStore(folder / "store", clock=movable, url_expiry_s=url_expiry_s)
        platform = Platform(self.store, movable, limits or Limits(), behaviour or Behaviour())
        imports = Imports(platform, folder)
        runner = Runner(platform, imports, movable, compute_s=compute_seconds, at_once=at_once)
        super().__init__(folder, platform, runner, imports, Faults(movable, self.store), movable)

        self.ca_file, self.token_file = folder / "ca.pem", folder / "token"
        context = certificate(self.ca_file, host)
        platform.add_user(_token(self.token_file))
        self._lines, self._jobs = LineFile(self.requests_file), LineFile(self.ledger_file)
        errors = folder / "errors.log"
        self._api_origin = Origin(host, port, context, self._log("api"), errors)
        self._store_origin = Origin(host, store_port, context, self._log("store"), errors)
        self.store.url = self._store_origin.url
        wire, inputs = Wire(platform, self._api_origin.url), Inputs(platform)
        archives = ArchiveEndpoints(platform, wire, inputs, imports)
        submission = Submission(platform, inputs)
        self._api = Api(platform, wire, archives, submission, runner, self._bill)

    @property
    def base_url(self) -> str:
        return f"{self._api_origin.url}/api/v1/"

    @property
    def control_url(self) -> str:
        """Where the control API is; see `bridge.sandbox.grand_challenge.control`."""
        return f"{self._api_origin.url}{ROOT}"

    @property
    def token(self) -> str:
        return self.token_file.read_text(encoding="utf-8").strip()

    def start(self) -> None:
        self._store_origin.start(self._faults.around("store", self.store.answer))
        self._api_origin.start(_beside(ControlApi(self), self._faults.around("api", self._api.answer)))

    def stop(self) -> None:
        self._faults.stop()
        self._api_origin.stop()
        self._store_origin.stop()
        self._runner.stop()
        self._lines.close()
        self._jobs.close()

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
            if path.startswith(ROOT):
                return
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
        text = "\n".join((unquote(target), *(headers.values() if headers else ())))
        return any(token in text for token in list(self.platform.tokens))

    def _bill(self, job: Job) -> None:
        slug = self.platform.algorithms[job.algorithm].slug
        self._jobs.append(
            {"job": job.pk, "algorithm": slug, "time": iso(job.created_s), "credits": job.credits}
        )


def _beside(control: ControlApi, answer: Answer) -> Answer:
    def both(request: Request) -> Response:
        return control.answer(request) if request.path.startswith(ROOT) else answer(request)

    return both


def run(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    store_port: int = 0,
    compute_seconds: float = 0.0,
    url_expiry_s: int = 3600,
) -> None:
    """Serve until SIGTERM or SIGINT; one JSON line on stdout says when and where."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    sandbox = Sandbox(
        folder,
        host=host,
        port=port,
        store_port=store_port,
        compute_seconds=compute_seconds,
        url_expiry_s=url_expiry_s,
    )
    with sandbox:
        ready = {
            "ready": True,
            "base_url": sandbox.base_url,
            "ca": str(sandbox.ca_file.resolve()),
            "token_file": str(sandbox.token_file.resolve()),
            "algorithm": ALGORITHMS[0].slug,
            "control_url": sandbox.control_url,
        }
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        stop.wait()


def _token(file: Path) -> str:
    """The token of an earlier run in this folder, or a new one, readable by the owner only."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(32) + "\n", encoding="utf-8")
    return file.read_text(encoding="utf-8").strip()
