"""One input of a request body, for a job or an archive item alike: its fields, its links, its kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .answers import NO_OBJECT, REQUIRED, BadLink, linked
from .imports import segments_error
from .kinds import value_error
from .objects import QUEUED, REQUEUED, Pending, SocketValue, User
from .platform import Platform
from .sockets import Socket
from .uploads import files_error

KEYS = ("image", "value", "file", "user_upload", "upload_session", "image_name", "user_uploads")
POSSIBLE = "['image', 'value', 'file', 'user_upload', 'upload_session', ('image_name', 'user_uploads')]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One input that passed its own checks: exactly one of image, session, uploads, upload, value is set."""

    socket: Socket
    image: str | None = None
    session: str | None = None
    uploads: tuple[str, ...] = ()
    upload: str | None = None
    value: Any = None
    as_dicom: bool = False

    @property
    def is_bound(self) -> bool:
        """Nothing of it has to be imported."""
        return self.image is not None or self.value is not None


class InputError(ValueError):
    """One input is wrong: `errors` as the platform nests them."""

    def __init__(self, **errors: list[str]) -> None:
        super().__init__(str(errors))
        self.errors = errors


class Inputs:
    """Reads inputs for one user at a time; take the platform's lock around reading and using."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def drafts(self, given: list[Any], user: User) -> tuple[tuple[Draft, ...], list[dict[str, list[str]]]]:
        """What was read, and the errors of each input, empty where there are none."""
        drafts: list[Draft] = []
        errors: list[dict[str, list[str]]] = []
        for one in given:
            try:
                drafts.append(self._draft(one, user))
                errors.append({})
            except InputError as exc:
                errors.append(exc.errors)
        return tuple(drafts), errors

    def take(
        self, drafts: tuple[Draft, ...], user: User
    ) -> tuple[tuple[SocketValue, ...], tuple[Pending, ...]]:
        """What can be bound at once, and what waits for its import; sessions are taken, each by one job only."""
        bound, pending = [], []
        for draft in drafts:
            if draft.is_bound:
                bound.append(self._platform.bind(draft.socket, image=draft.image, value=draft.value))
                continue
            session = draft.session
            if draft.uploads:
                session = self._platform.new_session(user, draft.uploads, as_dicom=draft.as_dicom).pk
            if session:
                self._platform.change_session(session, status=REQUEUED)
            pending.append(Pending(socket=draft.socket, session=session, upload=draft.upload))
        return tuple(bound), tuple(pending)

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
        image = _link(given, "image", errors, lambda link: self._image(link, user))
        session = _link(given, "upload_session", errors, lambda link: self._session(link, user))
        upload = _link(given, "user_upload", errors, lambda link: self._upload(link, user))
        uploads: tuple[str, ...] = ()
        try:
            uploads = tuple(self._upload(link, user) for link in given.get("user_uploads") or ())
        except BadLink as exc:
            errors["user_uploads"] = [str(exc)]
        if errors or socket is None:
            raise InputError(**errors)
        self._check(socket, given, uploads, image)
        match socket.super_kind:
            case "Value":
                return Draft(socket=socket, value=given["value"])
            case "File":
                return Draft(socket=socket, upload=upload)
            case _:
                as_dicom = given.get("image_name") is not None
                return Draft(socket=socket, image=image, session=session, uploads=uploads, as_dicom=as_dicom)

    def _check(
        self, socket: Socket, given: dict[str, Any], uploads: tuple[str, ...], image: str | None
    ) -> None:
        if not any(key in given for key in KEYS):
            raise InputError(non_field_errors=[f"You must provide at least one of {POSSIBLE}."])
        used = {key for key in KEYS if given.get(key) is not None}
        if len(used) > 1 and used != {"image_name", "user_uploads"}:
            raise InputError(non_field_errors=[f"You can only provide one of {POSSIBLE} for each socket."])
        missing = _missing(socket, given)
        if missing:
            raise InputError(non_field_errors=[f"{missing} required for interface kind {socket.kind_code}"])
        if uploads and (wrong := files_error(self._platform, uploads)):
            raise InputError(non_field_errors=[wrong])
        wrong = value_error(socket.kind, given["value"]) if socket.super_kind == "Value" else None
        if image:
            wrong = segments_error(socket, self._platform.images[image])
        if wrong:
            raise InputError(__all__=[wrong])

    def _image(self, link: object, user: User) -> str:
        image = self._platform.images.get(linked(link, "cases/images"))
        if image is None or not self._platform.may_see(user, image):
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


def _link(
    given: dict[str, Any], key: str, errors: dict[str, list[str]], find: Callable[[object], str]
) -> str | None:
    link = given.get(key)
    if link is None:
        return None
    try:
        return find(link)
    except BadLink as exc:
        errors[key] = [str(exc)]
        return None


def _missing(socket: Socket, given: dict[str, Any]) -> str | None:
    """What the super kind needs and the input has not, with its verb."""
    if socket.super_kind == "Value":
        return "value is" if given.get("value") is None else None
    if socket.super_kind == "File":
        return None if given.get("user_upload") or given.get("file") else "user_upload or file is"
    has_files = bool(given.get("user_uploads"))
    if socket.kind_code == "DCMIS":
        is_whole = given.get("image") or (has_files and given.get("image_name"))
        return None if is_whole else "either user_uploads with image_name, or image are"
    if given.get("image") or given.get("upload_session") or has_files:
        return None
    return "upload_session, user_uploads or image are"
