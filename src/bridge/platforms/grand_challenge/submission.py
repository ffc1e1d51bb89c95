"""How a job is submitted: the plan, and the steps one by one.

    upload:<socket> -> session:<socket>   for each image
    count                                 jobs of the algorithm so far
    create                                costs credits

The upload session is the idempotency key that the API has not: it can be used by one job only, and using it and making
the job are one transaction. So its id is in a note before `create` begins. Notes hold ids, numbers and times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from bridge.errors import ConfigError, Held, Never, Refused, TryLater, Unsure
from bridge.export.parcel import Json, Order, OrderedFile, OrderedValue, Parcel, Repeat, Step
from bridge.platforms.grand_challenge.api import Api, UploadSession
from bridge.platforms.grand_challenge.options import Options
from bridge.platforms.grand_challenge.upload import Uploader, is_fresh
from bridge.platforms.protocol import (
    RESTART,
    InputSpec,
    Interface,
    RemoteJob,
    Request,
    Shelf,
    Spec,
)
from bridge.results.output import OutputKind

FORMAT = "mha"
COUNT, CREATE = "count", "create"
UNUSED = "queued"
"""Status of an upload session that no job has used."""


def upload_step(socket: str) -> str:
    return f"upload:{socket}"


def session_step(socket: str) -> str:
    return f"session:{socket}"


def plan(spec: Spec, request: Request) -> Order:
    """The order for one interface, which the request's inputs must match exactly: a superset is refused too.

    Raises:
        ConfigError: GC-210, no interface takes this set of inputs; GC-211, a value without content; GC-213, no
            volume: without an upload session a job whose answer is lost cannot be found again.
        Refused: GC-212, a socket takes something else than what it was given.
    """
    given = {volume.input for volume in request.volumes}
    interface = _match(spec, given | set(request.values))
    for taken in interface.inputs:
        _check_kind(taken, is_volume=taken.name in given, is_value=taken.name in request.values)
    if not given:
        raise ConfigError("GC-213", f"the rule gives {spec.algorithm} no volume", "at least one")
    empty = sorted(name for name, value in request.values.items() if value is None)
    if empty:
        raise ConfigError(
            "GC-211", f"the value for {', '.join(empty)} is empty", "a value: null is always refused"
        )
    sockets = sorted(given)
    steps: list[Step] = []
    for socket in sockets:
        steps.append(Step(name=upload_step(socket)))
        steps.append(Step(name=session_step(socket), needs=(upload_step(socket),)))
    steps.append(Step(name=COUNT))
    steps.append(
        Step(
            name=CREATE,
            needs=(*(session_step(socket) for socket in sockets), COUNT),
            commits=True,
            repeat=Repeat.FIND_FIRST,
        )
    )
    typical = {} if spec.typical_seconds is None else {"typical_s": f"{spec.typical_seconds:g}"}
    return Order(
        files=tuple(
            OrderedFile(input=socket, format=FORMAT, file_name=f"{socket}.{FORMAT}") for socket in sockets
        ),
        values=tuple(OrderedValue(input=name, value=value) for name, value in sorted(request.values.items())),
        steps=tuple(steps),
        details={"pk": spec.details["pk"], "api_url": spec.details["api_url"], **typical},
    )


def _match(spec: Spec, given: set[str]) -> Interface:
    for interface in spec.interfaces:
        allowed = {socket.name for socket in interface.inputs}
        needed = {socket.name for socket in interface.inputs if not socket.optional}
        if needed <= given <= allowed:
            return interface
    takes = [", ".join(sorted(socket.name for socket in interface.inputs)) for interface in spec.interfaces]
    raise ConfigError(
        "GC-210",
        f"the rule gives {', '.join(sorted(given)) or 'nothing'} to {spec.algorithm}",
        "exactly " + " or ".join(f"({names})" for names in takes),
        "Name the inputs and values of the rule as the platform names its sockets",
    )


def _check_kind(socket: InputSpec, *, is_volume: bool, is_value: bool) -> None:
    takes = {OutputKind.IMAGE: "a volume", OutputKind.VALUE: "a value"}.get(socket.kind)
    if takes is None:
        raise Refused(
            "GC-212",
            f"the socket {socket.name} takes a {socket.kind}",
            "a volume or a value: nothing else can be sent yet",
            "Choose another algorithm",
        )
    gives = "a volume" if is_volume else "a value" if is_value else takes
    if gives != takes:
        raise Refused("GC-212", f"the socket {socket.name} takes {takes} and the rule gives {gives}")


class Submission:
    """Performs the steps of an order."""

    def __init__(self, api: Api, options: Options, clock: Callable[[], float]) -> None:
        self._api = api
        self._clock = clock
        self._uploader = Uploader(api, options, clock)

    async def perform(self, step: Step, job: RemoteJob, parcel: Parcel, shelf: Shelf) -> RemoteJob:
        """Raises what the wire raises, and GC-220, GC-221, GC-222 of `_usable_session`."""
        kind, _, socket = step.name.partition(":")
        match kind:
            case "upload":
                return await self._upload(step, job, parcel, shelf, socket)
            case "session":
                return await self._session(step, job, socket)
            case "count":
                count = await self._api.count_jobs(parcel.order.details["pk"])
                return job.with_note(COUNT, {"count": count})
            case "create":
                return await self._create(job, parcel)
            case _:
                raise Never("GC-223", f"a step {step.name!r} is not known", "a step that `plan` gives")

    async def _upload(
        self, step: Step, job: RemoteJob, parcel: Parcel, shelf: Shelf, socket: str
    ) -> RemoteJob:
        upload = await self._uploader.bring(job, parcel.file(socket), shelf)
        return job.with_note(
            step.name, {"pk": upload.pk, "api_url": upload.api_url, "made": upload.created.isoformat()}
        )

    async def _session(self, step: Step, job: RemoteJob, socket: str) -> RemoteJob:
        """A session that is not used yet is kept; one whose answer was lost dies with its upload in a day."""
        earlier = job.notes.get(step.name)
        if earlier and _is_unused(await self._api.session(str(earlier["pk"]))):
            return job
        upload = _note(job, upload_step(socket), restart=upload_step(socket))
        if not is_fresh(datetime.fromisoformat(str(upload["made"])), self._clock()):
            raise _stale(socket, "is older than 20 hours")
        try:
            session = await self._api.make_session(str(upload["api_url"]))
        except TryLater as error:
            if error.code == "GC-109":
                raise _stale(socket, "was used or swept") from None
            raise
        return job.with_note(
            step.name, {"pk": session.pk, "api_url": session.api_url, "made": upload["made"]}
        )

    async def _create(self, job: RemoteJob, parcel: Parcel) -> RemoteJob:
        inputs: list[Json] = []
        for file in parcel.order.files:
            note = await self._usable_session(job, file.input)
            inputs.append({"interface": file.input, "upload_session": note["api_url"]})
        inputs += [{"interface": value.input, "value": value.value} for value in parcel.values]
        made = await self._api.make_job(parcel.order.details["api_url"], inputs)
        return created(job, made.pk, parcel.order, made_s=self._clock())

    async def _usable_session(self, job: RemoteJob, socket: str) -> dict[str, Json]:
        """The note of a session that a job may use.

        A session whose upload was swept still says Queued: a job made from it would be paid and then cancelled.

        Raises:
            TryLater: GC-220 with RESTART, the note no longer holds.
            Unsure: GC-221, a job has used the session.
            Held: GC-222, the session is not visible: perhaps the token is another user's.
        """
        note = _note(job, session_step(socket), restart=session_step(socket))
        try:
            session = await self._api.session(str(note["pk"]))
        except Never:
            raise not_visible(socket) from None
        if session.status.casefold() != UNUSED:
            raise Unsure("GC-221", f"the upload session of {socket} was used by a job", after_s=0.0)
        if not _is_unused(session) or not is_fresh(datetime.fromisoformat(str(note["made"])), self._clock()):
            raise _stale(socket, "was swept or is about to be")
        return note


def created(job: RemoteJob, pk: str, order: Order, *, made_s: float | None) -> RemoteJob:
    """The job with the note of `create`. `made_s` is None for a job that was found later."""
    note: dict[str, Json] = {"pk": pk}
    if made_s is not None:
        note["made_s"] = made_s
    if "typical_s" in order.details:
        note["typical_s"] = float(order.details["typical_s"])
    return replace(job, remote_id=pk).with_note(CREATE, note)


def not_visible(socket: str) -> Held:
    return Held(
        "GC-222",
        f"the upload session of {socket} is not visible with this account's token",
        "the token of the user who made it",
        "Put the earlier token back, or look at the platform whether the job exists, then retry or cancel",
    )


def _is_unused(session: UploadSession) -> bool:
    return session.status.casefold() == UNUSED and bool(session.user_uploads)


def _note(job: RemoteJob, step: str, *, restart: str) -> dict[str, Json]:
    note = job.notes.get(step)
    if note is None:
        raise TryLater(
            "GC-220", f"the note of {step} is missing", "it", numbers={RESTART: restart}, after_s=0.0
        )
    return note


def _stale(socket: str, what: str) -> TryLater:
    return TryLater(
        "GC-220",
        f"the upload of {socket} {what}",
        "one of less than 20 hours",
        "It is sent again",
        {RESTART: upload_step(socket)},
        after_s=0.0,
    )
