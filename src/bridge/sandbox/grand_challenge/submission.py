"""POST algorithms/jobs/: the platform's checks in the platform's order, with its sentences.

Fields and links of all inputs at once, then the active image, credits, active jobs, the set of sockets, the
duplicate. So a full queue hides a wrong set of inputs, as it does there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from .answers import NO_OBJECT, REQUIRED, BadLink, Call, linked, not_a_list, refuse
from .catalogue import Algorithm, Interface, Socket, Value
from .objects import QUEUED, REQUEUED, Job, Platform, User

KEYS = ("image", "value", "file", "user_upload", "upload_session", "image_name", "user_uploads")
NO_KEY = (
    "You must provide at least one of ['image', 'value', 'file', 'user_upload', 'upload_session', "
    "('image_name', 'user_uploads')]."
)
JSON_TYPES: dict[str, tuple[str, tuple[type, ...]]] = {
    "Float": ("number", (int, float)),
    "Integer": ("integer", (int,)),
    "String": ("string", (str,)),
    "Bool": ("boolean", (bool,)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One input that passed its own checks: exactly one of image, session, uploads, value is set."""

    socket: Socket
    image: str | None = None
    session: str | None = None
    uploads: tuple[str, ...] = ()
    value: Value | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`credits_left`: how many more jobs are paid for; None is without end."""

    active_jobs: int = 16
    credits_left: int | None = None


class InputError(ValueError):
    """One input is wrong: `errors` as the platform nests them."""

    def __init__(self, **errors: list[str]) -> None:
        super().__init__(str(errors))
        self.errors = errors


class Submission:
    """Turns a body into a job or a refusal, in one transaction."""

    def __init__(self, platform: Platform, limits: Limits) -> None:
        self._platform, self._limits = platform, limits
        self._used = 0

    def create(self, call: Call) -> Job:
        """Raises Answered 400 with the first refusal that applies."""
        user = call.known_user
        body = call.json()
        with self._platform.lock:
            algorithm, drafts = self._fields(body, user)
            image_pk = algorithm.image_pk
            if image_pk is None:
                raise _refusal("Algorithm image is not ready to be used")
            if self._limits.credits_left is not None and self._used >= self._limits.credits_left:
                raise _refusal("You have run out of algorithm credits")
            if self._platform.active_jobs_of(user) >= self._limits.active_jobs:
                raise _refusal("You have too many active jobs, please try again after they have completed")
            sockets = frozenset(draft.socket.slug for draft in drafts)
            if len(sockets) != len(drafts) or not _interface_for(algorithm, sockets):
                raise _refusal(
                    "The set of inputs provided does not match any of the algorithm's interfaces. This algorithm "
                    f"supports the following input combinations: {_combinations(algorithm)}"
                )
            if self._exists(image_pk, drafts):
                raise _refusal("A result for these inputs with the current image and model already exists.")
            self._used += 1
            return self._store(user, algorithm, image_pk, drafts)

    def _store(self, user: User, algorithm: Algorithm, image_pk: str, drafts: tuple[Draft, ...]) -> Job:
        pending = []
        for draft in drafts:
            session = draft.session
            if draft.uploads:
                session = self._platform.new_session(user, draft.uploads).pk
            if session:
                # One session, one job: from here on nobody else can take it.
                self._platform.change_session(session, status=REQUEUED)
                pending.append((draft.socket, session))
        bound = tuple(
            self._platform.bind(draft.socket, image=draft.image, value=draft.value)
            for draft in drafts
            if draft.image or draft.value is not None
        )
        job = Job(
            pk=str(uuid4()),
            creator=user.pk,
            algorithm=algorithm.pk,
            algorithm_image=image_pk,
            sockets=frozenset(draft.socket.slug for draft in drafts),
            inputs=bound,
            pending=tuple(pending),
        )
        self._platform.jobs[job.pk] = job
        return job

    def _exists(self, image_pk: str, drafts: tuple[Draft, ...]) -> bool:
        # Only inputs by image and value count: a fresh upload never equals an earlier one.
        if any(draft.session or draft.uploads for draft in drafts):
            return False
        wanted = {(draft.socket.slug, draft.image, draft.value) for draft in drafts}
        return any(
            job.algorithm_image == image_pk
            and not job.pending
            and {(v.socket.slug, v.image, v.value) for v in job.inputs} == wanted
            for job in self._platform.jobs.values()
        )

    def _fields(self, body: dict[str, Any], user: User) -> tuple[Algorithm, tuple[Draft, ...]]:
        errors: dict[str, Any] = {}
        algorithm, drafts = None, []
        try:
            algorithm = self._algorithm(body.get("algorithm"), user)
        except BadLink as exc:
            errors["algorithm"] = [str(exc)]
        inputs = body.get("inputs")
        if inputs is None:
            errors["inputs"] = [REQUIRED]
        elif not isinstance(inputs, list):
            errors["inputs"] = {"non_field_errors": [not_a_list(inputs)]}
        else:
            found: list[dict[str, list[str]]] = []
            for given in inputs:
                try:
                    drafts.append(self._draft(given, user))
                    found.append({})
                except InputError as exc:
                    found.append(exc.errors)
            if any(found):
                errors["inputs"] = found
        if errors or algorithm is None:
            raise refuse(400, errors)
        return algorithm, tuple(drafts)

    def _algorithm(self, link: object, user: User) -> Algorithm:
        if link is None:
            raise BadLink(REQUIRED)
        algorithm = self._platform.algorithms.get(linked(link, "algorithms"))
        if algorithm is None or not user.may_run:
            raise BadLink(NO_OBJECT)
        return algorithm

    def _draft(self, given: Any, user: User) -> Draft:
        if not isinstance(given, dict):
            text = f"Invalid data. Expected a dictionary, but got {type(given).__name__}."
            raise InputError(non_field_errors=[text])
        errors: dict[str, list[str]] = {}
        slug = given.get("interface")
        socket = self._platform.sockets.get(slug) if isinstance(slug, str) else None
        if slug is None:
            errors["interface"] = [REQUIRED]
        elif socket is None:
            errors["interface"] = [f"Object with slug={slug} does not exist."]
        image = self._link(given, "image", errors, self._image, user)
        session = self._link(given, "upload_session", errors, self._session, user)
        self._link(given, "user_upload", errors, self._upload, user)
        uploads: tuple[str, ...] = ()
        try:
            uploads = tuple(self._upload(link, user) for link in given.get("user_uploads") or ())
        except BadLink as exc:
            errors["user_uploads"] = [str(exc)]
        if errors or socket is None:
            raise InputError(**errors)
        if socket.super_kind == "Value":
            draft = Draft(socket=socket, value=given.get("value"))
        else:
            draft = Draft(socket=socket, image=image, session=session, uploads=uploads)
        self._check_kind(draft, given)
        return draft

    def _check_kind(self, draft: Draft, given: dict[str, Any]) -> None:
        socket, code = draft.socket, draft.socket.kind_code
        if not any(key in given for key in KEYS):
            raise InputError(non_field_errors=[NO_KEY])
        names = [self._platform.uploads[pk].filename for pk in draft.uploads]
        if len(set(names)) != len(names):
            raise InputError(non_field_errors=["Filenames must be unique"])
        if socket.super_kind == "Image" and not (draft.image or draft.session or draft.uploads):
            text = f"upload_session, user_uploads or image are required for interface kind {code}"
            raise InputError(non_field_errors=[text])
        if sum(map(bool, (draft.image, draft.session, draft.uploads))) > 1:
            text = "Only one of upload_session, user_uploads and image may be given"
            raise InputError(non_field_errors=[text])
        if socket.super_kind == "File" and not given.get("user_upload"):
            raise InputError(non_field_errors=[f"user_upload or file is required for interface kind {code}"])
        if socket.super_kind == "Value":
            _check_value(socket, draft.value)

    def _link(
        self, given: dict[str, Any], key: str, errors: dict[str, list[str]], find: Any, user: User
    ) -> Any:
        link = given.get(key)
        if link is None:
            return None
        try:
            return find(link, user)
        except BadLink as exc:
            errors[key] = [str(exc)]
            return None

    def _image(self, link: object, user: User) -> str:
        image = self._platform.images.get(linked(link, "cases/images"))
        if image is None or image.creator != user.pk:
            raise BadLink(NO_OBJECT)
        return image.pk

    def _session(self, link: object, user: User) -> str:
        session = self._platform.sessions.get(linked(link, "cases/upload-sessions"))
        if session is None or session.creator != user.pk or session.status != QUEUED:
            raise BadLink(NO_OBJECT)
        return session.pk

    def _upload(self, link: object, user: User) -> str:
        # Also one that is not complete: the platform finds out only when it imports.
        upload = self._platform.uploads.get(linked(link, "uploads"))
        if upload is None or upload.creator != user.pk:
            raise BadLink(NO_OBJECT)
        return upload.pk


def _refusal(sentence: str) -> Exception:
    return refuse(400, {"non_field_errors": [sentence]})


def _check_value(socket: Socket, value: object) -> None:
    if value is None:
        raise InputError(non_field_errors=[f"value is required for interface kind {socket.kind_code}"])
    name, types = JSON_TYPES[socket.kind]
    # To Python a bool is an int; to JSON it is not.
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        text = f"JSON does not fulfill schema: instance {value!r} is not of type {name!r}"
        raise InputError(__all__=[text])


def _interface_for(algorithm: Algorithm, sockets: frozenset[str]) -> Interface | None:
    return next((i for i in algorithm.interfaces if {s.slug for s in i.inputs} == sockets), None)


def _combinations(algorithm: Algorithm) -> str:
    return _listed(
        [
            f"Interface {n}: {_listed([f'{s.title} ({s.kind})' for s in interface.inputs])}"
            for n, interface in enumerate(algorithm.interfaces, start=1)
        ]
    )


def _listed(names: list[str]) -> str:
    if len(names) < 3:
        return " and ".join(names)
    return f"{', '.join(names[:-1])}, and {names[-1]}"
