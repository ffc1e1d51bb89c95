"""What a test may do to the platform that no client can, as methods and below /sandbox/ of the engine's origin.

No token is asked for there, no fault strikes, and nothing of it is logged. Bodies and answers are JSON; an error is
400 or 404 with {"detail"}.

    GET    /sandbox/                time, limits, behaviour, and the numbers of `ledger`
    POST   /sandbox/clock           {"move_s": 7200} moves it
    GET    /sandbox/faults          what is armed, with hits
    POST   /sandbox/faults          the fields of `Fault`; answers {"fault": number}
    DELETE /sandbox/faults          all of them
    PATCH  /sandbox/limits          fields of `Limits`
    PATCH  /sandbox/behaviour       fields of `Behaviour`
    DELETE /sandbox/tokens          every token that was given is unknown from now on
    GET    /sandbox/ledger          {"created", "started", "finished", "orphans", "tokens", "bytes_in", "bytes_out"}
    GET    /sandbox/requests        {"lines"}
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from bridge.errors import BridgeError, ConfigError
from bridge.sandbox.loopback.clock import MovableClock
from bridge.sandbox.loopback.faults import Fault, Faults
from bridge.sandbox.loopback.server import Answer, Request, Response

from .jobs import Jobs
from .login import Login
from .settings import Behaviour, Limits
from .storage import Storage

ROOT = "/sandbox/"
Json = dict[str, Any]
S = TypeVar("S", Limits, Behaviour)


class Controls:
    """The sandbox's hands."""

    def __init__(
        self, folder: Path, jobs: Jobs, storage: Storage, login: Login, faults: Faults, clock: MovableClock
    ) -> None:
        self.folder = folder
        self._jobs, self._storage, self._login = jobs, storage, login
        self._faults, self._clock = faults, clock

    def arm(self, fault: Fault) -> int:
        """Let something go wrong with the next requests that match; gives the fault's number."""
        return self._faults.arm(fault)

    def disarm(self) -> None:
        self._faults.disarm()

    def faults(self) -> tuple[Json, ...]:
        """What is armed, each with `hits` and `left`."""
        return self._faults.armed()

    def move_clock(self, seconds: float) -> float:
        """Every deadline, signature and duration of the sandbox sees the new time, which is given back."""
        return self._clock.move(seconds)

    def set_limits(self, **changes: Any) -> Limits:
        """Raises ConfigError SBX-002 for a name that is no limit."""
        self._jobs.limits = self._login.limits = _changed(self._jobs.limits, changes)
        return self._jobs.limits

    def behave(self, **changes: Any) -> Behaviour:
        """Raises ConfigError SBX-002 for a name that is no behaviour."""
        listed = {key: tuple(one) if isinstance(one, list) else one for key, one in changes.items()}
        self._jobs.behaviour = _changed(self._jobs.behaviour, listed)
        self._storage.gzip = self._jobs.behaviour.gzip
        return self._jobs.behaviour

    def tokens(self) -> tuple[str, ...]:
        """Those that were given and not revoked."""
        return self._login.tokens()

    def revoke_tokens(self) -> None:
        """Every token that was given is unknown from now on."""
        self._login.revoke()

    def ledger(self) -> dict[str, Any]:
        """Jobs created, started (billed) and finished, orphans, tokens asked for and given, bytes in and out."""
        with self._jobs.lock:
            jobs = list(self._jobs.all.values())
        return {
            "created": len(jobs),
            "started": sum(job.started_s is not None for job in jobs),
            "finished": sum(job.finished_s is not None for job in jobs),
            "orphans": list(self._jobs.orphans()),
            "token_requests": self._login.asked,
            "tokens": self._login.issued,
            "bytes_in": self._storage.bytes_in,
            "bytes_out": self._storage.bytes_out,
        }

    def requests(self) -> list[Json]:
        """Every request, oldest first, with its origin and whether it carried `Authorization`."""
        return [json.loads(line) for line in (self.folder / "requests.jsonl").read_text().splitlines()]


def beside(controls: Controls, answer: Answer) -> Answer:
    """The engine's answers, and the control API's below its root."""
    routes: dict[tuple[str, str], Callable[[Json], Json]] = {
        ("GET", ""): lambda _: {
            "limits": asdict(controls.set_limits()),
            "behaviour": asdict(controls.behave()),
            "now_s": controls.move_clock(0.0),
            **controls.ledger(),
        },
        ("POST", "clock"): lambda body: {"now_s": controls.move_clock(float(body["move_s"]))},
        ("GET", "faults"): lambda _: {"faults": list(controls.faults())},
        ("POST", "faults"): lambda body: {"fault": controls.arm(Fault.of_json(body))},
        ("DELETE", "faults"): _does(lambda _: controls.disarm()),
        ("PATCH", "limits"): lambda body: asdict(controls.set_limits(**body)),
        ("PATCH", "behaviour"): lambda body: asdict(controls.behave(**body)),
        ("DELETE", "tokens"): _does(lambda _: controls.revoke_tokens()),
        ("GET", "ledger"): lambda _: controls.ledger(),
        ("GET", "requests"): lambda _: {"lines": controls.requests()},
    }

    def both(request: Request) -> Response:
        if not request.path.startswith(ROOT):
            return answer(request)
        route = routes.get((request.method, request.path.removeprefix(ROOT).strip("/")))
        if route is None:
            return Response.of_json(404, {"detail": "no such control"})
        try:
            return Response.of_json(200, route(json.loads(request.body.whole() or b"{}")))
        except (BridgeError, KeyError, TypeError, ValueError) as error:
            return Response.of_json(400, {"detail": str(error)})

    return both


def _does(action: Callable[[Json], object]) -> Callable[[Json], Json]:
    """A control that has nothing to tell."""

    def route(body: Json) -> Json:
        action(body)
        return {}

    return route


def _changed(settings: S, changes: Json) -> S:
    known = {one.name for one in fields(settings)}
    unknown = sorted(set(changes) - known)
    if unknown:
        raise ConfigError(
            "SBX-002", f"no such setting: {', '.join(unknown)}", "one of " + ", ".join(sorted(known))
        )
    return replace(settings, **changes)
