"""The API and media origin: routes, who is asking, and everything that is only read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from .answers import FORBIDDEN, NOT_FOUND, UNAUTHENTICATED, Answered, Call, choice, detail, is_uuid, listing
from .objects import Job, Platform, User
from .runner import Runner
from .server import Request, Response
from .store import PROTECTED
from .submission import Submission
from .uploads import SessionEndpoints, UploadEndpoints
from .wire import Wire

LATEST_CLIENT, LOWEST_CLIENT = "0.16.1", "0.13.0"
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
        submission: Submission,
        runner: Runner,
        ledger: Callable[[Job], None],
    ) -> None:
        self._platform, self._wire = platform, wire
        self._submission, self._runner, self._ledger = submission, runner, ledger
        uploads, sessions = UploadEndpoints(platform, wire), SessionEndpoints(platform, wire)
        action = "uploads/{}/{}/"
        self._routes = (
            _route("gcapi/", GET=self._versions),
            _route("algorithms/", GET=self._algorithms),
            _route("algorithms/images/", GET=self._algorithm_images),
            _route("algorithms/images/{}/", GET=self._algorithm_image),
            _route("algorithms/jobs/", GET=self._jobs, POST=self._submit),
            _route("algorithms/jobs/{}/", GET=self._job),
            _route("algorithms/{}/", GET=self._algorithm),
            _route("components/interfaces/", GET=self._sockets),
            _route("components/interfaces/{}/", GET=self._socket),
            _route("uploads/", GET=uploads.list, POST=uploads.create),
            _route("uploads/{}/", GET=uploads.read),
            _route(f"{action}generate-presigned-urls/", PATCH=uploads.presign, is_action=True),
            _route(f"{action}list-parts/", GET=uploads.list_parts, is_action=True),
            _route(f"{action}complete-multipart-upload/", PATCH=uploads.complete, is_action=True),
            _route(f"{action}abort-multipart-upload/", PATCH=uploads.abort, is_action=True),
            _route("cases/upload-sessions/", GET=sessions.list, POST=sessions.create),
            _route("cases/upload-sessions/{}/", GET=sessions.read),
            _route("cases/images/", GET=self._images),
            _route("cases/images/{}/", GET=self._image),
        )

    def answer(self, request: Request) -> Response:
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
        """A file of an image the caller owns: 302 to the object store. Other media: 404, a page."""
        try:
            user = self._user(request)
        except Answered:
            user = None
        key = request.path.removeprefix("/media/")
        if not key.startswith("images/"):
            return Response.of_html(404)
        if not any(image.key == key for image in self._platform.images_of(user)):
            return Response.of_html(403)
        url = self._platform.store.signed_url("GET", PROTECTED, key)
        return Response.of_html(302, ("Location", url), empty=True)

    def _versions(self, call: Call) -> Response:
        versions = {"latest_version": LATEST_CLIENT, "lowest_supported_version": LOWEST_CLIENT}
        return Response.of_json(200, versions)

    def _algorithms(self, call: Call) -> Response:
        slug = call.request.parameters.get("slug")
        known = self._platform.algorithms.values() if call.user and call.user.may_run else ()
        return listing(call, [a for a in known if slug in (None, "", a.slug)], self._wire.algorithm)

    def _algorithm(self, call: Call) -> Response:
        algorithm = self._platform.algorithms.get(_pk(call))
        if algorithm is None or call.user is None or not call.user.may_run:
            raise _none("Algorithm")
        return Response.of_json(200, self._wire.algorithm(algorithm))

    def _algorithm_images(self, call: Call) -> Response:
        # Versions are for editors; a user of the algorithm is not told.
        return listing(call, (), lambda _: None)

    def _algorithm_image(self, call: Call) -> Response:
        _pk(call)
        raise _none("AlgorithmImage")

    def _sockets(self, call: Call) -> Response:
        slug = call.request.parameters.get("slug")
        if call.user is None:
            raise detail(401, UNAUTHENTICATED)
        sockets = [s for s in self._platform.sockets.values() if slug in (None, "", s.slug)]
        return listing(call, sockets, self._wire.socket)

    def _socket(self, call: Call) -> Response:
        if call.user is None:
            raise detail(401, UNAUTHENTICATED)
        for socket in self._platform.sockets.values():
            if str(socket.pk) == call.arguments[0]:
                return Response.of_json(200, self._wire.socket(socket))
        raise _none("ComponentInterface")

    def _images(self, call: Call) -> Response:
        given = call.request.parameters
        if "job_input" in given or "job_output" in given:
            return Response.of_html(500)  # the platform's own defect
        origin = choice(call, "origin", lambda pk: pk in self._platform.sessions)
        images = [
            image
            for image in self._platform.images_of(call.user)
            if origin in (None, image.origin) and given.get("name") in (None, "", image.name)
        ]
        return listing(call, images, self._wire.image)

    def _image(self, call: Call) -> Response:
        image = self._platform.images.get(_pk(call))
        if image is None or call.user is None or image.creator != call.user.pk:
            raise _none("Image")
        return Response.of_json(200, self._wire.image(image))

    def _jobs(self, call: Call) -> Response:
        algorithm = choice(call, "algorithm_image__algorithm", lambda pk: pk in self._platform.algorithms)
        input_image = choice(call, "input_image", lambda pk: pk in self._platform.images)
        output_image = choice(call, "output_image", lambda pk: pk in self._platform.images)
        jobs = [
            job
            for job in self._platform.jobs_of(call.user)
            if algorithm in (None, job.algorithm)
            and (input_image is None or any(v.image == input_image for v in job.inputs))
            and (output_image is None or any(v.image == output_image for v in job.outputs))
        ]
        return listing(call, jobs, self._wire.job)

    def _job(self, call: Call) -> Response:
        job = self._platform.jobs.get(_pk(call))
        if job is None or call.user is None or job.creator != call.user.pk:
            raise _none("Job")
        return Response.of_json(200, self._wire.job(job))

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


def _pk(call: Call) -> str:
    if not is_uuid(call.arguments[0]):
        raise detail(404, NOT_FOUND)
    return call.arguments[0]


def _none(model: str) -> Answered:
    return detail(404, f"No {model} matches the given query.")
