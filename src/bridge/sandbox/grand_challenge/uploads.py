"""Uploads and upload sessions: the endpoints that bring files in."""

from __future__ import annotations

from bridge.sandbox.loopback.server import Response

from .answers import (
    NO_OBJECT,
    NOT_FOUND,
    REQUIRED,
    BadLink,
    Call,
    detail,
    is_uuid,
    linked,
    listing,
    not_a_list,
    page_500,
    refuse,
)
from .objects import ABORTED, COMPLETED, INITIALIZED, Upload
from .platform import Platform
from .store import UPLOADS, StoreRefusal
from .wire import Wire

LONGEST_NAME = 128
MOST_PARTS = 10_000
MOST_FILES = 2000


class UploadEndpoints:
    def __init__(self, platform: Platform, wire: Wire) -> None:
        self._platform, self._wire = platform, wire

    def list(self, call: Call) -> Response:
        return listing(call, self._platform.uploads_of(call.user), self._wire.upload)

    def create(self, call: Call) -> Response:
        user = call.known_user
        name = call.json().get("filename")
        if name is None:
            raise refuse(400, {"filename": [REQUIRED]})
        if not isinstance(name, str) or not name.strip():
            raise refuse(400, {"filename": ["This field may not be blank."]})
        if len(name) > LONGEST_NAME:
            sentence = f"Ensure this field has no more than {LONGEST_NAME} characters."
            raise refuse(400, {"filename": [sentence]})
        if "/" in name or name in (".", ".."):
            raise refuse(400, {"filename": [f"{name} is not a valid filename"]})
        if len(self._platform.uploads_of(user)) > self._platform.limits.uploads:
            text = "You have created too many uploads. Please try again later."
            raise refuse(400, {"non_field_errors": [text]})
        return Response.of_json(201, self._wire.upload(self._platform.new_upload(user, name)))

    def read(self, call: Call) -> Response:
        return Response.of_json(200, self._wire.upload(self._own(call)))

    def presign(self, call: Call) -> Response:
        upload = self._addressed(call)
        numbers = call.json().get("part_numbers")
        if numbers is None:
            raise refuse(400, {"non_field_errors": ["The `part_numbers` field is required"]})
        if not isinstance(numbers, list):
            raise refuse(400, {"part_numbers": [not_a_list(numbers)]})
        wrong = {str(i): [text] for i, n in enumerate(numbers) if (text := _part_number_error(n))}
        if wrong:
            raise refuse(400, {"part_numbers": wrong})
        is_full = self._platform.upload_bytes_of(call.known_user) > self._platform.limits.upload_bytes
        if upload.status != INITIALIZED or is_full:
            # One sentence for both: the platform does not tell them apart.
            raise detail(403, "Upload limit reached")
        urls = {
            str(n): self._platform.store.signed_url(
                "PUT", UPLOADS, upload.key, uploadId=upload.s3_upload_id, partNumber=n
            )
            for n in numbers
        }
        return Response.of_json(200, {**self._wire.upload(upload), "presigned_urls": urls})

    def list_parts(self, call: Call) -> Response:
        upload = self._addressed(call)
        try:
            parts = self._platform.store.parts(upload.s3_upload_id)
        except StoreRefusal:
            raise page_500() from None
        return Response.of_json(
            200, {**self._wire.upload(upload), "parts": [self._wire.part(p) for p in parts]}
        )

    def complete(self, call: Call) -> Response:
        upload = self._addressed(call)
        parts = call.json().get("parts")
        if parts is None:
            raise refuse(400, {"non_field_errors": ["The `parts` field is required"]})
        try:
            wanted = [(int(part["PartNumber"]), str(part["ETag"])) for part in parts]
        except (KeyError, TypeError, ValueError):
            raise page_500() from None
        if not self._platform.behaviour.parts_as_sent:
            wanted = sorted(wanted)
        try:
            self._platform.store.complete(upload.s3_upload_id, upload.key, wanted)
        except StoreRefusal:
            raise page_500() from None
        return Response.of_json(
            200, self._wire.upload(self._platform.change_upload(upload.pk, status=COMPLETED))
        )

    def abort(self, call: Call) -> Response:
        upload = self._addressed(call)
        try:
            self._platform.store.abort(upload.s3_upload_id)
        except StoreRefusal:
            raise page_500() from None
        changed = self._platform.change_upload(upload.pk, status=ABORTED, s3_upload_id="")
        return Response.of_json(200, self._wire.upload(changed))

    def _own(self, call: Call) -> Upload:
        pk = call.arguments[0]
        upload = self._platform.uploads.get(pk)
        if not is_uuid(pk):
            raise detail(404, NOT_FOUND)
        if upload is None or call.user is None or upload.creator != call.user.pk:
            raise detail(404, "No UserUpload matches the given query.")
        return upload

    def _addressed(self, call: Call) -> Upload:
        """The upload named by its pk and the store's own id together."""
        upload = self._own(call)
        if call.arguments[1] != upload.s3_upload_id:
            raise detail(404, NOT_FOUND)
        return upload


class SessionEndpoints:
    def __init__(self, platform: Platform, wire: Wire) -> None:
        self._platform, self._wire = platform, wire

    def list(self, call: Call) -> Response:
        return listing(call, self._platform.sessions_of(call.user), self._wire.session)

    def create(self, call: Call) -> Response:
        user = call.known_user
        if self._platform.behaviour.sessions_view_only:
            raise detail(405, 'Method "POST" not allowed.')
        links = call.json().get("uploads")
        if links is None:
            raise refuse(400, {"uploads": [REQUIRED]})
        if not isinstance(links, list):
            raise refuse(400, {"uploads": [not_a_list(links)]})
        if not links:
            raise page_500()
        with self._platform.lock:
            try:
                uploads = tuple(self._completed(link, user.pk) for link in links)
            except BadLink as exc:
                raise refuse(400, {"uploads": [str(exc)]}) from None
            wrong = files_error(self._platform, uploads)
            if wrong:
                raise refuse(400, {"non_field_errors": [wrong]})
            session = self._platform.new_session(user, uploads)
        return Response.of_json(201, self._wire.session(session))

    def _completed(self, link: object, user: int) -> str:
        upload = self._platform.uploads.get(linked(link, "uploads"))
        if upload is None or upload.creator != user or upload.status != COMPLETED:
            raise BadLink(NO_OBJECT)
        return upload.pk

    def read(self, call: Call) -> Response:
        pk = call.arguments[0]
        session = self._platform.sessions.get(pk)
        if not is_uuid(pk):
            raise detail(404, NOT_FOUND)
        if session is None or call.user is None or session.creator != call.user.pk:
            raise detail(404, "No RawImageUploadSession matches the given query.")
        return Response.of_json(200, self._wire.session(session))


def files_error(platform: Platform, uploads: tuple[str, ...]) -> str | None:
    """Why these uploads cannot be imported together, in the platform's words; None when they can."""
    limits = platform.limits
    if limits.image_tasks_active >= limits.image_tasks:
        return (
            f"You currently have {limits.image_tasks_active} active image post processing tasks. "
            "Please wait for them to complete before trying again."
        )
    if len(uploads) > MOST_FILES:
        return f"Too many files uploaded. A maximum of {MOST_FILES} files may be uploaded per session."
    if len({platform.uploads[pk].filename for pk in uploads}) != len(uploads):
        return "Filenames must be unique"
    return None


def _part_number_error(number: object) -> str | None:
    if isinstance(number, bool) or not isinstance(number, int):
        return "A valid integer is required."
    if number < 1:
        return "Ensure this value is greater than or equal to 1."
    if number > MOST_PARTS:
        return f"Ensure this value is less than or equal to {MOST_PARTS}."
    return None
