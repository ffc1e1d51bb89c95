"""The steps of an order, one by one.

The upload session is the idempotency key that the API has not: it can be used by one job only, and using it and making
the job are one transaction. So its id is in a note before `create` begins. Where the platform lets nobody make
sessions, the job takes the uploads themselves, and is found again by the names of its images. Notes hold ids, numbers
and times.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime
from typing import BinaryIO

from bridge.errors import Never, TryLater, Unsure
from bridge.export.parcel import Json, Order, OrderedValue, Parcel, ParcelFile, Step
from bridge.platforms.grand_challenge.api import Api
from bridge.platforms.grand_challenge.labels import check_labels
from bridge.platforms.grand_challenge.notes import (
    BY_UPLOADS,
    UNUSED,
    created,
    is_fresh,
    is_unused,
    not_visible,
    note_of,
    stale,
)
from bridge.platforms.grand_challenge.options import Options
from bridge.platforms.grand_challenge.planning import (
    COUNT,
    file_names,
    session_step,
    there_step,
    upload_step,
    value_bytes,
)
from bridge.platforms.grand_challenge.search import Search
from bridge.platforms.grand_challenge.shapes import UploadSession
from bridge.platforms.grand_challenge.there import resolve
from bridge.platforms.grand_challenge.upload import COMPLETED, Uploader
from bridge.platforms.protocol import RESTART, AskAgain, Found, RemoteJob, Shelf

SETTLE_S = 60.0
"""Before a job without a session is made again: a request that a proxy gave up may still be at work."""


class Submission:
    """Performs the steps of an order."""

    def __init__(self, api: Api, options: Options, search: Search, clock: Callable[[], float]) -> None:
        self._api = api
        self._clock = clock
        self._search = search
        self._uploader = Uploader(api, options, clock)

    async def perform(self, step: Step, job: RemoteJob, parcel: Parcel, shelf: Shelf) -> RemoteJob:
        """Raises what the wire raises, and GC-220 to GC-228."""
        kind, _, socket = step.name.partition(":")
        order = parcel.order
        match kind:
            case "there":
                note = await resolve(self._api, socket, order.details[there_step(socket)])
                return job.with_note(step.name, note)
            case "upload":
                return await self._upload(step, job, parcel, shelf, socket)
            case "session":
                return await self._session(step, job, socket)
            case "count":
                return await self._count(job, order)
            case "create":
                return await self._create(job, order)
            case _:
                raise Never("GC-223", f"a step {step.name!r} is not known", "a step that `plan` gives")

    async def _upload(
        self, step: Step, job: RemoteJob, parcel: Parcel, shelf: Shelf, socket: str
    ) -> RemoteJob:
        """Raises also Unsure: GC-224, the platform has an image that only an earlier life of this job can have sent.

        Refused: GC-228, a file for labels that are not 8-bit.
        """
        value = next((one for one in parcel.order.values if one.input == socket), None)
        if value is not None:
            file, shelf = _as_file(value, file_names(parcel.order)[socket])
        else:
            file = parcel.file(socket)
            check_labels(parcel.order, file, shelf)
        is_image = socket not in file_names(parcel.order)
        brought = await self._uploader.bring(job, file, shelf, is_image=is_image)
        note: dict[str, Json] = {
            "pk": brought.upload.pk,
            "api_url": brought.upload.api_url,
            "made": brought.upload.created.isoformat(),
        }
        if brought.is_earlier:
            note["earlier"] = True
        return job.with_note(step.name, note)

    async def _session(self, step: Step, job: RemoteJob, socket: str) -> RemoteJob:
        """A session that is not used yet is kept; one whose answer was lost dies with its upload in a day."""
        earlier = job.notes.get(step.name)
        if earlier and "pk" in earlier and is_unused(await self._api.session(str(earlier["pk"]))):
            return job
        upload = note_of(job, upload_step(socket), restart=upload_step(socket))
        if not is_fresh(datetime.fromisoformat(str(upload["made"])), self._clock()):
            raise stale(socket, "is older than 20 hours")
        note: dict[str, Json] = {"made": upload["made"]}
        try:
            session = await self._session_with(str(upload["pk"])) if upload.get("earlier") else None
            session = session or await self._api.make_session(str(upload["api_url"]))
        except TryLater as error:
            if error.code == "GC-109":
                raise stale(socket, "was used or swept") from None
            raise
        except Never as error:
            if error.code != "GC-125":
                raise
            return job.with_note(step.name, {**note, BY_UPLOADS: True})
        return job.with_note(step.name, {"pk": session.pk, "api_url": session.api_url, **note})

    async def _session_with(self, upload_pk: str) -> UploadSession | None:
        """A session that an earlier process made of this upload. Raises Unsure: GC-221, a job has used it."""
        async with aclosing(self._api.sessions()) as sessions:
            async for session in sessions:
                if upload_pk in session.user_uploads:
                    if not is_unused(session):
                        raise Unsure("GC-221", "an earlier session of this upload was used", after_s=0.0)
                    return session
        return None

    async def _count(self, job: RemoteJob, order: Order) -> RemoteJob:
        """Raises Unsure: GC-224, files without a volume are with a job of an earlier life, which no image tells."""
        if file_names(order) and not order.files and isinstance(await self._search.find(job, order), Found):
            raise Unsure(
                "GC-224", "the platform has a job with files of this one already", "none", after_s=0.0
            )
        return job.with_note(COUNT, {"count": await self._api.count_jobs(order.details["pk"])})

    async def _create(self, job: RemoteJob, order: Order) -> RemoteJob:
        """Raises also Held: GC-231, the platform has such a job and does not show it."""
        inputs, has_key = await self._inputs(job, order)
        try:
            made = await self._api.make_job(order.details["api_url"], inputs)
        except Unsure as error:
            match error.code:
                case "GC-107":
                    return await self._search.duplicate(job, order)
                case "GC-128":
                    return await self._after_gone_file(job, order, error)
            if not has_key:
                error.after_s = max(error.after_s or 0.0, SETTLE_S)
            raise
        return created(job, made.pk, order, made_s=self._clock())

    async def _inputs(self, job: RemoteJob, order: Order) -> tuple[list[Json], bool]:
        """The inputs of the request, and whether a session among them makes it harmless to repeat."""
        inputs: list[Json] = []
        has_key = False
        for file in order.files:
            note = note_of(job, session_step(file.input), restart=session_step(file.input))
            if note.get(BY_UPLOADS):
                url = await self._usable_upload(job, file.input)
                inputs.append({"interface": file.input, "user_uploads": [url]})
            else:
                await self._check_session(note, file.input)
                inputs.append({"interface": file.input, "upload_session": note["api_url"]})
                has_key = True
        as_files = file_names(order)
        for socket in as_files:
            # Only a key says for sure that no job took the file; without one, the platform's answer does.
            url = await self._usable_upload(job, socket, may_be_used=not has_key)
            inputs.append({"interface": socket, "user_upload": url})
        for value in order.values:
            if value.input not in as_files:
                inputs.append({"interface": value.input, "value": value.value})
        for step in order.steps:
            kind, _, socket = step.name.partition(":")
            if kind == "there":
                note = note_of(job, step.name, restart=step.name)
                inputs.append({"interface": socket, "image": note["api_url"]})
        return inputs, has_key

    async def _usable_upload(self, job: RemoteJob, socket: str, *, may_be_used: bool = False) -> Json:
        """Address of a complete upload: the platform takes incomplete ones and cancels the paid job.

        `may_be_used`: one that is gone is named all the same, and what the platform says of it decides.
        Raises TryLater: GC-220 with RESTART.
        """
        note = note_of(job, upload_step(socket), restart=upload_step(socket))
        if not is_fresh(datetime.fromisoformat(str(note["made"])), self._clock()):
            raise stale(socket, "is older than 20 hours")
        try:
            upload = await self._api.upload(str(note["pk"]))
        except TryLater as error:
            if error.code != "GC-115":
                raise
            if may_be_used:
                return note["api_url"]
            raise stale(socket, "is gone") from None
        if upload.status.casefold() != COMPLETED:
            raise stale(socket, "is not complete")
        return note["api_url"]

    async def _check_session(self, note: dict[str, Json], socket: str) -> None:
        """Whether a job may use the session.

        A session whose upload was swept still says Queued: a job made from it would be paid and then cancelled.

        Raises:
            TryLater: GC-220 with RESTART, the note no longer holds.
            Unsure: GC-221, a job has used the session.
            Held: GC-222, the session is not visible: perhaps the token is another user's.
        """
        try:
            session = await self._api.session(str(note["pk"]))
        except Never:
            raise not_visible(socket) from None
        if session.status.casefold() != UNUSED:
            raise Unsure("GC-221", f"the upload session of {socket} was used by a job", after_s=0.0)
        if not is_unused(session) or not is_fresh(datetime.fromisoformat(str(note["made"])), self._clock()):
            raise stale(socket, "was swept or is about to be")

    async def _after_gone_file(self, job: RemoteJob, order: Order, error: Unsure) -> RemoteJob:
        """An upload is gone: an earlier request made the job, or it was swept and is sent again."""
        found = await self._search.find(job, order)
        match found:
            case Found():
                return found.job
            case AskAgain():
                raise error
        first = next(step.name for step in order.steps if step.name.startswith(upload_step("")))
        raise TryLater("GC-220", error.found, "an upload", "It is sent again", {RESTART: first}, after_s=0.0)


class _Memory:
    """The shelf of a value that is sent as a file."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def open(self, ref: str) -> BinaryIO:
        return io.BytesIO(self._data)


def _as_file(value: OrderedValue, file_name: str) -> tuple[ParcelFile, _Memory]:
    data = value_bytes(file_name, value.value)
    file = ParcelFile(
        input=value.input,
        ref=file_name,
        file_name=file_name,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    return file, _Memory(data)
