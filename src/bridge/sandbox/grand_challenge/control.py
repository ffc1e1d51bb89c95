"""The control API: `Controls` over HTTP, below /sandbox/ on the API's origin, where the real platform has nothing.

No token is asked for, no fault strikes here, and nothing of it is logged. Bodies and answers are JSON; an error is
400 or 404 with {"detail"}.

    GET    /sandbox/                      time, limits, behaviour, holds, number of jobs
    GET    /sandbox/clock                 {"now_s", "now"}
    POST   /sandbox/clock                 {"move_s": 86400} moves it
    GET    /sandbox/faults                what is armed, with hits
    POST   /sandbox/faults                the fields of `Fault`; answers {"fault": number}
    DELETE /sandbox/faults/               all of them; /sandbox/faults/NUMBER/ one
    PATCH  /sandbox/limits                fields of `Limits`
    PATCH  /sandbox/behaviour             fields of `Behaviour`
    POST   /sandbox/holds                 {"status": label}: jobs that reach it stay
    DELETE /sandbox/holds/                let all go on
    GET    /sandbox/jobs                  each with status and history
    PATCH  /sandbox/jobs/PK/              {"status": label, "reason": text} or {"let_go": true}
    POST   /sandbox/algorithms/SLUG/      {"is_ready": true}: another active version; answers {"image": pk}
    POST   /sandbox/images                {"file": path}: an image that is already there; answers {"image": pk}
    DELETE /sandbox/images/PK/            withdraw the right to see it
    POST   /sandbox/archives/SLUG/        {"contents": {socket: path or value}}: an item; answers {"item": pk}
    POST   /sandbox/users                 {"may_run": true}: another account; answers {"token"}
    DELETE /sandbox/users/TOKEN/          the token is unknown from now on
    GET    /sandbox/ledger                {"jobs", "credits", "lines"}
    GET    /sandbox/requests              {"lines"}, each with "authorization" and "token"
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bridge.errors import BridgeError
from bridge.sandbox.loopback.faults import Fault
from bridge.sandbox.loopback.records import iso
from bridge.sandbox.loopback.server import Request, Response

from .controls import Controls

ROOT = "/sandbox/"

Json = dict[str, Any]
Route = Callable[[str, Json], Json]


class ControlApi:
    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self._routes: dict[tuple[str, str], Route] = {
            ("GET", ""): lambda _, __: self._overview(),
            ("GET", "clock"): lambda _, __: self._time(),
            ("POST", "clock"): lambda _, body: self._move(body),
            ("GET", "faults"): lambda _, __: {"faults": list(controls.faults())},
            ("POST", "faults"): lambda _, body: {"fault": controls.arm(Fault.of_json(body))},
            ("DELETE", "faults"): _does(lambda name, _: controls.disarm(int(name) if name else None)),
            ("PATCH", "limits"): lambda _, body: asdict(controls.set_limits(**body)),
            ("PATCH", "behaviour"): lambda _, body: asdict(controls.behave(**body)),
            ("POST", "holds"): _does(lambda _, body: controls.hold(body["status"])),
            ("DELETE", "holds"): _does(lambda _, __: controls.release()),
            ("GET", "jobs"): lambda _, __: self._jobs(),
            ("PATCH", "jobs"): self._change_job,
            ("POST", "algorithms"): lambda slug, body: {"image": controls.new_version(slug, **body)},
            ("POST", "images"): lambda _, body: {"image": controls.add_image(Path(body["file"])).pk},
            ("DELETE", "images"): _does(lambda pk, _: controls.withdraw(pk)),
            ("POST", "archives"): lambda slug, body: {
                "item": controls.add_archive_item(slug, body["contents"]).pk
            },
            ("POST", "users"): lambda _, body: {"token": controls.add_user(**body)},
            ("DELETE", "users"): _does(lambda token, _: controls.revoke(token)),
            ("GET", "ledger"): lambda _, __: self._ledger(),
            ("GET", "requests"): lambda _, __: {"lines": controls.requests()},
        }

    def answer(self, request: Request) -> Response:
        what, _, name = request.path.removeprefix(ROOT).strip("/").partition("/")
        route = self._routes.get((request.method, what))
        if route is None:
            return Response.of_json(404, {"detail": "no such control"})
        try:
            return Response.of_json(200, route(name, json.loads(request.body.whole() or b"{}")))
        except (KeyError, StopIteration) as exc:
            return Response.of_json(404, {"detail": f"nothing here by that name: {exc}"})
        except (BridgeError, TypeError, ValueError, OSError) as exc:
            return Response.of_json(400, {"detail": str(exc)})

    def _overview(self) -> Json:
        platform = self._controls.platform
        return {
            **self._time(),
            "limits": asdict(platform.limits),
            "behaviour": asdict(platform.behaviour),
            "holds": sorted(platform.holds),
            "jobs": len(platform.jobs),
        }

    def _time(self) -> Json:
        now_s = self._controls.now_s()
        return {"now_s": now_s, "now": iso(now_s)}

    def _move(self, body: Json) -> Json:
        self._controls.move_clock(float(body["move_s"]))
        return self._time()

    def _jobs(self) -> Json:
        jobs = list(self._controls.platform.jobs.values())
        return {"jobs": [{"job": j.pk, "status": j.status, "history": j.history} for j in jobs]}

    def _change_job(self, pk: str, body: Json) -> Json:
        if "status" in body:
            self._controls.set_status(pk, body["status"], reason=body.get("reason", ""))
        if body.get("let_go"):
            self._controls.let_go(pk)
        return {"job": pk, "status": self._controls.platform.jobs[pk].status}

    def _ledger(self) -> Json:
        lines = self._controls.ledger()
        return {"jobs": len(lines), "credits": sum(line["credits"] for line in lines), "lines": lines}


def _does(action: Callable[[str, Json], object]) -> Route:
    """A control that has nothing to tell."""

    def route(name: str, body: Json) -> Json:
        action(name, body)
        return {}

    return route
