"""Find before create: whether a job exists already.

A volume tells by its upload session, and where that was not noted, by the name of its image: it holds the job's key
and stays for ever.

| what is seen | then |
|---|---|
| session Re-Queued, Started, an unknown word | a job exists, its image not yet: ask again |
| session Succeeded | the job that has the session's image as input |
| session Failed, Cancelled | a job exists and is cancelled, without inputs: one of those since the count |
| session Queued or not noted, an image of our name | the job that has it as input; none yet: ask again |
| session Queued or not noted, another session of our upload | as that session says |
| else | no job: using the session and making the job are one transaction |

A job without a volume of ours is told by the name of its files, or by all its inputs among the jobs since the count.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.errors import Held, Never
from bridge.export.parcel import Order, OrderedFile
from bridge.platforms.grand_challenge.api import LARGEST_PAGE, Api
from bridge.platforms.grand_challenge.names import (
    file_upload_name,
    is_named,
    last_part,
    pk_of,
    upload_name,
)
from bridge.platforms.grand_challenge.notes import BROKEN, IMPORTED, UNUSED, created, not_visible
from bridge.platforms.grand_challenge.options import Options
from bridge.platforms.grand_challenge.planning import (
    COUNT,
    CREATE,
    OMITTED,
    file_names,
    session_step,
    there_step,
)
from bridge.platforms.grand_challenge.shapes import Job, UploadSession
from bridge.platforms.grand_challenge.states import phase_of
from bridge.platforms.protocol import Absent, AskAgain, Found, Phase, RemoteJob, Verdict


class _Sight(StrEnum):
    NOTHING = "nothing"
    UNUSED = "unused"
    GOING = "going"
    IMPORTED = "imported"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trace:
    """What the platform has of one volume: the ids of its images, and of the session that it came by."""

    sight: _Sight
    images: tuple[str, ...] = ()
    session: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inputs:
    """What a job of ours has at its sockets: ids of images, values, names of files."""

    images: dict[str, tuple[str, ...]]
    values: dict[str, object]
    files: dict[str, tuple[str, ...]]


class Search:
    """Looks for the job of an order."""

    def __init__(self, api: Api, options: Options, clock: Callable[[], float]) -> None:
        self._api = api
        self._options = options
        self._clock = clock

    async def find(self, job: RemoteJob, order: Order) -> Found | Absent | AskAgain:
        """Raises Held: GC-222, a session is not visible; GC-230, none or several jobs fit where one must."""
        if CREATE in job.notes:
            return Found(job=replace(job, remote_id=str(job.notes[CREATE]["pk"])))
        if not order.files:
            return await self._without_volume(job, order)
        traces = {file.input: await self._trace(job, file) for file in order.files}
        inputs = _inputs(job, order, {socket: trace.images for socket, trace in traces.items()})
        sights = {trace.sight for trace in traces.values()}
        found = await self._with_image(order, inputs)
        if not found:
            if sights & {_Sight.UNUSED, _Sight.NOTHING}:
                return Absent()
            if sights <= {_Sight.IMPORTED} or _Sight.GOING in sights:
                # A job exists; its image is not bound to it yet.
                return self._ask_again()
            unbound = await self._unbound_since(job, order)
            if any(phase_of(one.status)[0] is not Phase.ENDED for one in unbound):
                # Ours may be one of those that are still being refused.
                return self._ask_again()
            found = {one.pk for one in unbound if phase_of(one.status)[1] is Verdict.CANCELLED}
        if len(found) != 1:
            raise _ambiguous(len(found))
        sessions = {session_step(name): trace.session for name, trace in traces.items() if trace.session}
        return self._found(job, found.pop(), order, sessions)

    async def duplicate(self, job: RemoteJob, order: Order) -> RemoteJob:
        """The job that the platform says exists: same images and values, the newest where several versions ran.

        Raises Held: GC-231, none is visible: another user's, or its inputs are hidden.
        """
        inputs = _inputs(job, order, {})
        images = [pk for pks in inputs.images.values() for pk in pks]
        if images:
            jobs = await self._api.jobs_with_input(images[0])
        else:
            jobs = tuple([one async for one in self._api.jobs(order.details["pk"])])
        same = [one.pk for one in jobs if _is_whole(one, order, inputs)]
        if not same:
            raise Held(
                "GC-231",
                "the platform has a job with these inputs already, and this account does not see it",
                "a job of this account",
                "Ask at the platform whose it is, or send the volume as a new upload",
            )
        return created(job, same[-1], order, found_s=self._clock())

    async def _trace(self, job: RemoteJob, file: OrderedFile) -> _Trace:
        note = job.notes.get(session_step(file.input), {})
        noted = await self._session(file.input, str(note["pk"])) if "pk" in note else None
        if noted is not None and noted.status.casefold() != UNUSED:
            return _trace_of(noted)
        # From here on: an earlier life, whose notes are lost, or a session that the platform made with the job.
        name = upload_name(job, file.file_name)
        named = await self._api.images_named(name)
        if named:
            return _Trace(sight=_Sight.IMPORTED, images=tuple(image.pk for image in named))
        uploads = {upload.pk for upload in await self._api.uploads_named(name)}
        used = await self._used_session(uploads) if uploads else None
        if used is not None:
            return _trace_of(used)
        return _Trace(sight=_Sight.NOTHING if noted is None else _Sight.UNUSED)

    async def _session(self, socket: str, pk: str) -> UploadSession:
        try:
            return await self._api.session(pk)
        except Never:
            raise not_visible(socket) from None

    async def _used_session(self, uploads: set[str]) -> UploadSession | None:
        async with aclosing(self._api.sessions()) as sessions:
            async for session in sessions:
                if uploads & set(session.user_uploads) and session.status.casefold() != UNUSED:
                    return session
        return None

    async def _with_image(self, order: Order, inputs: _Inputs) -> set[str]:
        """Ids of jobs that have one of our images as input: an image belongs to one session only."""
        found: set[str] = set()
        for socket in (file.input for file in order.files):
            for image in inputs.images.get(socket, ()):
                jobs = await self._api.jobs_with_input(image)
                found |= {one.pk for one in jobs if _is_ours(one, order, inputs)}
            if found:
                break
        return found

    async def _without_volume(self, job: RemoteJob, order: Order) -> Found | Absent | AskAgain:
        """By the names of files over all jobs; by all inputs over the jobs since the count.

        A job that is made again of images and values alone is refused by the platform as a duplicate.
        """
        inputs = _inputs(job, order, {})
        since = job.notes.get(COUNT, {}).get("count")
        found: set[str] = set()
        place = 0
        async with aclosing(self._api.jobs(order.details["pk"])) as jobs:
            async for one in jobs:
                is_since = isinstance(since, int) and place >= since
                place += 1
                if _has_file(one, inputs) or (
                    is_since and not inputs.files and _is_whole(one, order, inputs)
                ):
                    found.add(one.pk)
                elif is_since and _is_going(one) and _is_ours(one, order, inputs):
                    # Not all is bound yet: it may become ours.
                    return self._ask_again()
        if not found:
            return Absent()
        if len(found) > 1:
            raise _ambiguous(len(found))
        return self._found(job, found.pop(), order, {})

    async def _unbound_since(self, job: RemoteJob, order: Order) -> list[Job]:
        """Jobs of the algorithm without any image of ours, made since the count was noted.

        Empty where there are more than one page holds: then none can be told to be ours.
        """
        count = job.notes.get(COUNT, {}).get("count")
        if not isinstance(count, int):
            return []
        page = await self._api.jobs_page(count, LARGEST_PAGE, order.details["pk"])
        if page.next is not None:
            return []
        there_only = _inputs(job, order, {})
        return [one for one in page.results if _is_ours(one, order, there_only)]

    def _found(self, job: RemoteJob, pk: str, order: Order, sessions: dict[str, str]) -> Found:
        return Found(job=created(job, pk, order, found_s=self._clock(), sessions=sessions))

    def _ask_again(self) -> AskAgain:
        return AskAgain(after_s=self._options.poll_first_s)


def _trace_of(session: UploadSession) -> _Trace:
    status = session.status.casefold()
    if status in BROKEN:
        return _Trace(sight=_Sight.BROKEN, session=session.pk)
    if status == IMPORTED:
        images = tuple(pk_of(url) for url in session.image_set[:1])
        return _Trace(sight=_Sight.IMPORTED, images=images, session=session.pk)
    return _Trace(sight=_Sight.GOING, session=session.pk)


def _inputs(job: RemoteJob, order: Order, images: dict[str, tuple[str, ...]]) -> _Inputs:
    there = {
        socket: (str(job.notes[step]["pk"]),)
        for step in order.details
        if (socket := step.removeprefix(there_step(""))) != step and "pk" in job.notes.get(step, {})
    }
    files: dict[str, tuple[str, ...]] = {
        # The second is what an earlier release called it.
        socket: (file_upload_name(job, name), upload_name(job, name))
        for socket, name in file_names(order).items()
    }
    return _Inputs(
        images={**images, **there},
        values={value.input: value.value for value in order.values if value.input not in files},
        files=files,
    )


def _is_ours(job: Job, order: Order, inputs: _Inputs) -> bool:
    """Whether everything that is bound to a job so far is of this order. Inputs fill in while they are validated."""
    omitted = _omitted(order)
    for given in job.inputs:
        socket = given.socket.slug
        if socket in omitted:
            continue
        if given.image is not None:
            if pk_of(given.image) not in inputs.images.get(socket, ()):
                return False
        elif given.file is not None:
            if not _is_our_file(socket, given.file, inputs):
                return False
        elif socket not in inputs.values or inputs.values[socket] != given.value:
            return False
    return pk_of(job.algorithm) == order.details["pk"]


def _is_whole(job: Job, order: Order, inputs: _Inputs) -> bool:
    """Whether a job has all inputs of this order and no other."""
    wanted = {*inputs.images, *inputs.values, *inputs.files}
    return {given.socket.slug for given in job.inputs} - _omitted(order) == wanted and _is_ours(
        job, order, inputs
    )


def _omitted(order: Order) -> set[str]:
    return set(order.details.get(OMITTED, "").split())


def _has_file(job: Job, inputs: _Inputs) -> bool:
    return any(
        given.file is not None and _is_our_file(given.socket.slug, given.file, inputs) for given in job.inputs
    )


def _is_our_file(socket: str, url: str, inputs: _Inputs) -> bool:
    return any(is_named(name, last_part(url)) for name in inputs.files.get(socket, ()))


def _is_going(job: Job) -> bool:
    return phase_of(job.status)[0] is Phase.WAITING


def _ambiguous(candidates: int) -> Held:
    return Held(
        "GC-230",
        f"a job used the upload session, and {candidates} jobs at the platform fit it",
        "one",
        "Look at the platform, then cancel this job and run it again with `bridge jobs rerun`",
        {"candidates": candidates},
    )
