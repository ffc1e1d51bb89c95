"""The engine's routes: make a job, be told of its inputs, be asked for its results."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from threading import Lock
from typing import Any

from bridge.sandbox.loopback.server import Request, Response

from .bodies import WrongBody, ordered
from .jobs import Job, Jobs, Made
from .login import Login
from .storage import Storage

OLD = ("v1", "v2")
MINUTE_S = 60.0
BUSY_S = 5.0
METHODS = {"put": ("PUT",), "post": ("POST",), "both": ("PUT", "POST")}


class Engine:
    """Answers below `/{version}/`; `url` is set when its origin is known."""

    def __init__(self, jobs: Jobs, storage: Storage, login: Login, clock: Callable[[], float]) -> None:
        self._jobs, self._storage, self._login, self._clock = jobs, storage, login, clock
        self._lock = Lock()
        self._recent: deque[float] = deque()
        self._refusals = 0
        self.url = ""

    def answer(self, request: Request) -> Response:
        if not self._login.is_good(request.headers.get("Authorization", "")):
            return _says(401, "Unauthorized")
        if self._is_too_fast():
            return self._busy()
        version, _, route = request.path.strip("/").partition("/")
        if version not in self._jobs.behaviour.versions:
            return _says(404, "Not Found")
        creates = "generic-job" if version in OLD else "job"
        match (request.method, route.split("/")):
            case ("POST", [name]) if name == creates:
                return self._create(version, request)
            case ("GET", ["pollJobResults"]):
                return self._poll(request.parameters.get("jobId", ""))
            case (method, ["notify", job, name]):
                return self._notify(method, job, name)
            case _:
                return _says(404, "Not Found")

    def _create(self, version: str, request: Request) -> Response:
        most = self._jobs.limits.in_flight
        if most is not None and self._jobs.in_flight() >= most:
            return self._busy()
        try:
            wanted = ordered(json.loads(request.body.whole() or b"null"))
        except (WrongBody, ValueError) as error:
            return _says(400, str(error))
        job = self._jobs.create(version, wanted)
        pairs = {name: self._addresses(job, name) for name in wanted.inputs}
        return self._json(200, {"jobId": job.id, **self._spelled(pairs)})

    def _addresses(self, job: Job, name: str) -> tuple[str, str]:
        life_s = self._jobs.limits.upload_url_life_s
        upload = self._storage.signed_url("PUT", job.input_key(name), life_s)
        return upload, f"{self.url}/{job.version}/notify/{job.id}/{name}"

    def _spelled(self, pairs: dict[str, tuple[str, str]]) -> dict[str, Any]:
        """The quick start's outer key is that of an inner one; so it is in the vendor's answer."""
        match self._jobs.behaviour.spelling:
            case "quickstart":
                keys = ("presignedUploadUrl", "notifyFinishUploadUrl")
            case "pages":
                keys = ("uploadUrl", "notifyUrl")
            case "flat":
                if len(pairs) == 1:
                    ((upload, notify),) = pairs.values()
                    return {"presignedUploadUrl": upload, "notifyFinishUploadUrl": notify}
                return {
                    "presignedUploadUrl": {name: pair[0] for name, pair in pairs.items()},
                    "notifyFinishUploadUrl": {name: pair[1] for name, pair in pairs.items()},
                }
        return {
            "presignedUploadUrl": {name: dict(zip(keys, pair, strict=True)) for name, pair in pairs.items()}
        }

    def _notify(self, method: str, job_id: str, name: str) -> Response:
        job = self._jobs.all.get(job_id)
        if job is None or name not in job.ordered.inputs:
            return _says(404, "Not Found")
        if method not in METHODS[self._jobs.behaviour.notify]:
            return _says(405, "Method Not Allowed")
        if not self._storage.path(job.input_key(name)).is_file():
            return _says(400, "nothing was uploaded")
        self._jobs.tell(job, name)
        return Response(status=200)

    def _poll(self, job_id: str) -> Response:
        job = self._jobs.all.get(job_id)
        if job is None or self._is_forgotten(job):
            return _says(404, "Not Found")
        with self._jobs.lock:
            if job.finished_s is None:
                return self._waiting(job)
            if not job.is_good:
                return self._json(200, {"success": False, "message": "an input could not be read"})
            made = job.made
        files: dict[str, list[Any]] = {}
        for one in made:
            files.setdefault(one.wanted.family, []).append(self._told(one))
        return self._json(200, {"success": True, "outputFiles": files})

    def _is_forgotten(self, job: Job) -> bool:
        return (
            job.finished_s is not None and self._clock() > job.finished_s + self._jobs.limits.results_life_s
        )

    def _waiting(self, job: Job) -> Response:
        match self._jobs.behaviour.waiting:
            case "empty":
                return Response(status=202)
            case "text":
                return Response(status=202, headers=(("Content-Type", "text/plain"),), body=b"PROCESSING")
            case "json":
                return self._json(202, {"status": "waiting" if job.started_s is None else "processing"})

    def _told(self, made: Made) -> dict[str, Any]:
        behaviour = self._jobs.behaviour
        word = behaviour.status_word if made.status == "Available" else made.status
        word = {"upper": word.upper(), "lower": word.lower()}.get(behaviour.status_case, word)
        told: dict[str, Any] = {"status": word, "extension": made.wanted.extension}
        if made.wanted.structures:
            told["structures"] = list(made.wanted.structures)
        if made.key:
            told["size"] = made.size + behaviour.size_off
            key = "downloadUrl" if behaviour.spelling == "pages" else "url"
            told[key] = self._storage.signed_url("GET", made.key, self._jobs.limits.download_url_life_s)
        return told

    def _json(self, status: int, value: dict[str, Any]) -> Response:
        return Response.of_json(status, _with_more(value) if self._jobs.behaviour.extra_keys else value)

    def _is_too_fast(self) -> bool:
        most = self._jobs.limits.requests_per_minute
        now = self._clock()
        with self._lock:
            while self._recent and self._recent[0] <= now - MINUTE_S:
                self._recent.popleft()
            if most is not None and len(self._recent) >= most:
                return True
            self._recent.append(now)
            return False

    def _busy(self) -> Response:
        """The wish to be left alone, in seconds and as a date by turns."""
        with self._lock:
            self._refusals += 1
            as_date = self._refusals % 2 == 0
        until = format_datetime(datetime.fromtimestamp(self._clock() + BUSY_S, UTC), usegmt=True)
        return Response.of_json(
            429, {"message": "Too Many Requests"}, ("Retry-After", until if as_date else f"{BUSY_S:.0f}")
        )


def _says(status: int, message: str) -> Response:
    return Response.of_json(status, {"message": message})


def _with_more(value: Any) -> Any:
    if isinstance(value, dict):
        return {**{key: _with_more(inner) for key, inner in value.items()}, "since2031": True}
    return [_with_more(inner) for inner in value] if isinstance(value, list) else value
