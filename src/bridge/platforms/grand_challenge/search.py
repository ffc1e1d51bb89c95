"""Find before create: whether a job exists already, by its upload session first, by the count of jobs where that fails.

| the session says | then |
|---|---|
| Queued | no job: using the session and making the job are one transaction |
| Re-Queued, Started, an unknown word | a job exists, its image not yet: ask again |
| Succeeded | the job that has the session's image as input |
| Failed, Cancelled | a job exists and is cancelled, without inputs: one of those made since the count was noted |
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from bridge.errors import Held, Never
from bridge.export.parcel import Json, Order
from bridge.platforms.grand_challenge.api import Api, Job, UploadSession
from bridge.platforms.grand_challenge.options import Options
from bridge.platforms.grand_challenge.states import phase_of
from bridge.platforms.grand_challenge.submission import (
    COUNT,
    CREATE,
    UNUSED,
    created,
    not_visible,
    session_step,
)
from bridge.platforms.protocol import Absent, AskAgain, Found, Phase, RemoteJob, Verdict

BROKEN = ("failed", "cancelled")
IMPORTED = "succeeded"


class Search:
    """Looks for the job of an order."""

    def __init__(self, api: Api, options: Options) -> None:
        self._api = api
        self._options = options

    async def find(self, job: RemoteJob, order: Order) -> Found | Absent | AskAgain:
        """Raises Held: GC-222, a session is not visible; GC-230, none or several jobs fit where one must."""
        if CREATE in job.notes:
            return Found(job=replace(job, remote_id=str(job.notes[CREATE]["pk"])))
        notes = {file.input: job.notes.get(session_step(file.input)) for file in order.files}
        if any(note is None for note in notes.values()):
            # A session is noted before `create` begins, so there is no job without one.
            return Absent()
        sessions = {socket: await self._session(socket, note) for socket, note in notes.items() if note}
        words = {session.status.casefold() for session in sessions.values()}
        if UNUSED in words:
            return Absent()
        if not words <= {IMPORTED, *BROKEN}:
            return AskAgain(after_s=self._options.poll_first_s)
        images = {
            socket: pk_of(session.image_set[0]) for socket, session in sessions.items() if session.image_set
        }
        found = await self._with_image(order, images)
        if not found and not words & set(BROKEN):
            # Imported, and not yet bound to the job.
            return AskAgain(after_s=self._options.poll_first_s)
        if not found:
            jobs = await self._unbound_since(job, order)
            if any(phase_of(one.status)[0] is not Phase.ENDED for one in jobs):
                # Ours may be one of those that are still being refused.
                return AskAgain(after_s=self._options.poll_first_s)
            found = {one.pk for one in jobs if phase_of(one.status)[1] is Verdict.CANCELLED}
        if len(found) != 1:
            raise Held(
                "GC-230",
                f"a job used the upload session, and {len(found)} jobs at the platform fit it",
                "one",
                "Look at the platform, then retry the job (with a new upload) or cancel it",
                {"candidates": len(found)},
            )
        return Found(job=created(job, found.pop(), order, made_s=None))

    async def _session(self, socket: str, note: dict[str, Json]) -> UploadSession:
        try:
            return await self._api.session(str(note["pk"]))
        except Never:
            raise not_visible(socket) from None

    async def _with_image(self, order: Order, images: dict[str, str]) -> set[str]:
        """Ids of jobs that have one of our images as input: an image belongs to one session only."""
        for image in images.values():
            page = await self._api.jobs_with_input(image)
            found = {one.pk for one in page.results if _is_ours(one, order, images)}
            if found:
                return found
        return set()

    async def _unbound_since(self, job: RemoteJob, order: Order) -> list[Job]:
        """Jobs of the algorithm without any image, made since the count was noted.

        Empty where there are more than one page holds: then none can be told to be ours.
        """
        count = job.notes.get(COUNT, {}).get("count")
        if not isinstance(count, int):
            return []
        page = await self._api.jobs_after(order.details["pk"], count)
        if page.next is not None:
            return []
        return [one for one in page.results if _is_ours(one, order, {})]


def _is_ours(job: Job, order: Order, images: dict[str, str]) -> bool:
    """Whether everything that is bound to a job so far is of this order. Inputs fill in while they are validated."""
    values = {value.input: value.value for value in order.values}
    for given in job.inputs:
        socket = given.socket.slug
        if given.image is not None:
            if images.get(socket) != pk_of(given.image):
                return False
        elif socket not in values or values[socket] != given.value:
            return False
    return pk_of(job.algorithm) == order.details["pk"]


def pk_of(url: str) -> str:
    """The id at the end of an API address; host and scheme do not count, they differ behind proxies."""
    return urlsplit(url).path.rstrip("/").rpartition("/")[2]
