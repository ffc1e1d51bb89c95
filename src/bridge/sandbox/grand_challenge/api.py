"""The API and media origin: routes, who is asking, and what is done."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bridge.sandbox.loopback.server import Request, Response

from .answers import FORBIDDEN, UNAUTHENTICATED, Answered, Call, detail
from .archives import ArchiveEndpoints
from .objects import Job, User
from .platform import Platform
from .reading import Reading
from .runner import Runner
from .store import PROTECTED
from .submission import Submission
from .uploads import SessionEndpoints, UploadEndpoints
from .wire import Wire

BASE = "/api/v1/"

Handler = Callable[[Call], Response]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`is_action`: an operation on an object, where another method is 405; elsewhere the right is missing, 403."""

    pattern: re.Pattern[str]
    handlers: Mapping[str, Handler]
    is_action: bool

    @property
    def allow(self) -> str:
        reading = ("HEAD",) if "GET" in self.handlers else ()
        return ", ".join((*self.handlers, *reading, "OPTIONS"))


class Api:
    """Answers for one platform under the addresses of one origin."""

    def __init__(
        self,
        platform: Platform,
        wire: Wire,
        archives: ArchiveEndpoints,
        submission: Submission,
        runner: Runner,
        ledger: Callable[[Job], None],
    ) -> None:
        self._platform, self._wire = platform, wire
        self._submission, self._runner, self._ledger = submission, runner, ledger
        reading = Reading(platform, wire)
        uploads, sessions = UploadEndpoints(platform, wire), SessionEndpoints(platform, wire)
        action = "uploads/{}/{}/"
        self._routes = (
            _route("gcapi/", GET=reading.versions),
            _route("algorithms/", GET=reading.algorithms),
            _route("algorithms/images/", GET=reading.algorithm_images),
            _route("algorithms/images/{}/", GET=reading.algorithm_image),
            _route("algorithms/jobs/", GET=reading.jobs, POST=self._submit),
            _route("algorithms/jobs/{}/", GET=reading.job),
            _route("algorithms/{}/", GET=reading.algorithm),
            _route("components/interfaces/", GET=reading.sockets),
            _route("components/interfaces/{}/", GET=reading.socket),
            _route("uploads/", GET=uploads.list, POST=uploads.create),
            _route("uploads/{}/", GET=uploads.read),
            _route(f"{action}generate-presigned-urls/", PATCH=uploads.presign, is_action=True),
            _route(f"{action}list-parts/", GET=uploads.list_parts, is_action=True),
            _route(f"{action}complete-multipart-upload/", PATCH=uploads.complete, is_action=True),
            _route(f"{action}abort-multipart-upload/", PATCH=uploads.abort, is_action=True),
            _route("cases/upload-sessions/", GET=sessions.list, POST=sessions.create),
            _route("cases/upload-sessions/{}/", GET=sessions.read),
            _route("cases/images/", GET=reading.images),
            _route("cases/images/{}/", GET=reading.image),
            _route("archives/", GET=archives.list),
            _route("archives/items/", GET=archives.items, POST=archives.create),
            _route("archives/items/{}/", GET=archives.item, PUT=archives.update, PATCH=archives.update),
            _route("archives/{}/", GET=archives.read),
        )

    def answer(self, request: Request) -> Response:
        self._platform.sweep()
        try:
            if request.path.startswith("/media/"):
                return self._media(request)
            found = self._find(request.path)
            if found is None:
                return self._no_route(request)
            return self._call(request, *found)
        except Answered as exc:
            return exc.response

    def _call(self, request: Request, route: Route, arguments: tuple[str, ...]) -> Response:
        allow = ("Allow", route.allow)
        try:
            user = self._user(request)
            call = Call(
                request=request, user=user, arguments=arguments, url=f"{self._wire.origin}{request.path}"
            )
            handler = route.handlers.get("GET" if request.method == "HEAD" else request.method)
            if handler is None or (user is None and request.method not in ("GET", "HEAD")):
                raise _wrong_method(route, request.method, user)
            response = handler(call)
        except Answered as exc:
            response = exc.response
        is_json = ("Content-Type", "application/json") in response.headers
        return replace(response, headers=(*response.headers, allow)) if is_json else response

    def _find(self, path: str) -> tuple[Route, tuple[str, ...]] | None:
        for route in self._routes:
            match = route.pattern.fullmatch(path)
            if match:
                return route, match.groups()
        return None

    def _no_route(self, request: Request) -> Response:
        if not self._find(f"{request.path}/"):
            return Response.of_html(404)
        query = f"?{request.query}" if request.query else ""
        return Response.of_html(301, ("Location", f"{request.path}/{query}"), empty=True)

    def _user(self, request: Request) -> User | None:
        """Who asks; None without a Bearer header. Raises Answered 401 for a Bearer that is no good."""
        words = request.headers.get("Authorization", "").split()
        if not words or words[0].lower() != "bearer":
            return None
        if len(words) == 1:
            raise detail(401, "Invalid token header. No credentials provided.")
        if len(words) > 2:
            raise detail(401, "Invalid token header. Token string should not contain spaces.")
        user = self._platform.users.get(words[1])
        if user is None:
            raise detail(401, "Invalid token.")
        return user

    def _media(self, request: Request) -> Response:
        """A file the caller may see: 302 to the object store. Others: 403 for images, 404 else, as pages."""
        try:
            user = self._user(request)
        except Answered:
            user = None
        key = request.path.removeprefix("/media/")
        if key.startswith("images/"):
            if not any(image.key == key for image in self._platform.images_of(user)):
                return Response.of_html(403)
        elif not self._platform.may_see_file(user, key):
            return Response.of_html(404)
        url = self._platform.store.signed_url("GET", PROTECTED, key)
        return Response.of_html(302, ("Location", url), empty=True)

    def _submit(self, call: Call) -> Response:
        job = self._submission.create(call)
        self._ledger(job)
        self._runner.launch(job.pk)
        # The job as it was created: its thread may already be further.
        return Response.of_json(201, self._wire.posted_job(job))


def _route(path: str, *, is_action: bool = False, **handlers: Handler) -> Route:
    pattern = re.compile(BASE + path.replace("{}", "([^/.]+)"))
    return Route(pattern=pattern, handlers=handlers, is_action=is_action)


def _wrong_method(route: Route, method: str, user: User | None) -> Answered:
    if user is None:
        return detail(401, UNAUTHENTICATED)
    return detail(405, f'Method "{method}" not allowed.') if route.is_action else detail(403, FORBIDDEN)
