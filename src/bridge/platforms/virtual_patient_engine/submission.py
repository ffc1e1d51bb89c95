"""The steps of an order, one by one.

A job without its inputs never runs, so `create` may be repeated: one too many costs nothing. The point of no return is
the last `notify`; before it is sent, that is written down where an old index cannot undo it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, BinaryIO

from bridge.errors import Damaged, Held, Never, Refused, TryLater
from bridge.export.parcel import Json, Order, Parcel, ParcelFile, Step
from bridge.platforms.http import Http
from bridge.platforms.protocol import RESTART, Absent, Found, RemoteJob, Shelf
from bridge.platforms.virtual_patient_engine.answers import CREATE_STEP
from bridge.platforms.virtual_patient_engine.api import Api, unknown_shape
from bridge.platforms.virtual_patient_engine.kept import Keeper, Kept
from bridge.platforms.virtual_patient_engine.options import Options

PIECE_BYTES = 1 << 20
FOUND = "found"
"""In the note of a step that an earlier life of this job performed."""
TOLD_AT = "at_s"
"""In the note of a notify step: POSIX seconds."""
_MD5 = re.compile(r"[0-9a-f]{32}")


class Submission:
    """Performs the steps of an order."""

    def __init__(
        self, api: Api, http: Http, options: Options, keeper: Keeper, clock: Callable[[], float]
    ) -> None:
        self._api, self._http, self._options = api, http, options
        self._keeper, self._clock = keeper, clock

    async def perform(self, step: Step, job: RemoteJob, parcel: Parcel, shelf: Shelf) -> RemoteJob:
        """Raises what the wire raises, and VPE-030 to VPE-036."""
        kind, _, name = step.name.partition(":")
        match kind:
            case "create":
                return await self._create(job, parcel)
            case "upload":
                return await self._upload(step, job, parcel.file(name), shelf)
            case "notify":
                return await self._notify(step, job, name)
            case _:
                raise Never("VPE-036", f"a step {step.name!r} is not known", "a step that `plan` gives")

    async def find(self, job: RemoteJob, order: Order) -> Found | Absent:
        """By what is kept of the job: the platform has no list. A job that has ended is found whole."""
        await self._http.log_in()
        kept = await self._keeper.get(job)
        if kept is None or not kept.job:
            return Found(job=job) if job.remote_id else Absent()
        ended = await self._api.poll(kept.version, kept.job) is not None
        if not kept.is_committing and not ended:
            return Found(job=_made(job, kept, order))
        notes = _made(job, kept, order).notes
        for step in order.steps:
            if ended or not step.commits:
                notes.setdefault(step.name, {FOUND: True})
        return Found(job=replace(_made(job, kept, order), notes=notes))

    async def _create(self, job: RemoteJob, parcel: Parcel) -> RemoteJob:
        """Raises also Refused: VPE-030, a file is too large."""
        for file in parcel.files:
            self._check_size(file)
        order = parcel.order
        kept = await self._keeper.get(job) or Kept()
        if kept.job and (kept.is_committing or self._is_fresh(kept)):
            return _made(job, kept, order)
        orphans = kept.orphans + bool(kept.job)
        # Counted before it is asked for: without the answer it is one that nobody knows.
        await self._keeper.put(job, Kept(orphans=orphans + 1))
        version = order.details["version"]
        body: Any = json.loads(order.details["body"])
        began = self._clock()
        made = await self._api.create(version, body)
        inputs = tuple(body["inputFiles"])
        addresses = made.addresses(inputs)
        if set(addresses) != set(inputs):
            raise unknown_shape("answer to a new job", _keys(made))
        kept = Kept(job=made.jobId, version=version, made_s=began, orphans=orphans, addresses=addresses)
        await self._keeper.put(job, kept)
        return _made(job, kept, order)

    async def _upload(self, step: Step, job: RemoteJob, file: ParcelFile, shelf: Shelf) -> RemoteJob:
        """Nothing leaves while the account is not logged in: it could not be told of afterwards.

        Raises TryLater: VPE-031 and VPE-110 with RESTART; VPE-032, storage has other bytes.
        """
        await self._http.log_in()
        kept = await self._kept(job)
        if kept.is_committing:
            return job.with_note(step.name, {FOUND: True})
        if not self._is_fresh(kept):
            await self._give_up(job, kept)
            raise _restart("the address of an upload is older than it is good for")
        url, _ = kept.addresses[file.input]
        digest = hashlib.md5(usedforsecurity=False)
        try:
            async with aclosing(_pieces(shelf, file, digest)) as content:
                answer = await self._api.upload(url, content, file.size_bytes)
        except TryLater as error:
            if RESTART in error.numbers:
                await self._give_up(job, kept)
            raise
        etag = answer.headers.get("etag", "").strip('"').lower()
        # S3 gives the MD5 of a single PUT, unless a key service encrypts: then it is no MD5 of anything of ours.
        if (
            _MD5.fullmatch(etag)
            and etag != digest.hexdigest()
            and "x-amz-server-side-encryption" not in answer.headers
        ):
            raise TryLater("VPE-032", f"storage has other bytes of {file.input}", "ours", tries=3)
        return job.with_note(step.name, {"sha256": file.sha256})

    async def _notify(self, step: Step, job: RemoteJob, name: str) -> RemoteJob:
        """Raises Unsure: VPE-120, NET-003; Held: VPE-034, the platform refuses it and has no such job; VPE-035."""
        await self._http.log_in()
        kept = await self._keeper.get(job)
        if kept is None:
            return await self._without_addresses(step, job)
        if kept.job != job.remote_id:
            raise _restart("the job is another than that of the row")
        if kept.has_ended:
            return job.with_note(step.name, {FOUND: True})
        if step.commits:
            if kept.is_committing and await self._api.poll(kept.version, kept.job) is not None:
                return job.with_note(step.name, {FOUND: True})
            await self._keeper.put(job, replace(kept, is_committing=True))
        _, url = kept.addresses[name]
        answer = await self._api.notify(url, commits=step.commits)
        if answer.status >= 400:
            await self._check_there(kept, answer.status)
        return job.with_note(step.name, {TOLD_AT: self._clock()})

    async def _check_there(self, kept: Kept, status: int) -> None:
        """A repetition may be refused; the job counts as told as long as the platform has it."""
        try:
            await self._api.poll(kept.version, kept.job)
        except Never:
            raise Held(
                "VPE-034",
                f"the platform refuses to be told of an input (HTTP {status}) and has no such job",
                "a job that waits for its inputs",
                "Ask the vendor what became of the job; `bridge jobs show` has its number",
            ) from None

    async def _without_addresses(self, step: Step, job: RemoteJob) -> RemoteJob:
        """The secrets are gone, and with them whether the work was begun."""
        version = job.pin
        if job.remote_id and await self._api.poll(version, job.remote_id) is not None:
            return job.with_note(step.name, {FOUND: True})
        raise Held(
            "VPE-035",
            "the addresses of the job are gone, and nothing tells whether the platform was told to begin",
            "the folder `secrets` of the data directory",
            "Ask the vendor whether the job runs; a new one is made by `bridge jobs rerun`, and billed",
        )

    async def _kept(self, job: RemoteJob) -> Kept:
        kept = await self._keeper.get(job)
        if kept is None or kept.job != job.remote_id:
            raise _restart("the addresses of the job are gone")
        return kept

    async def _give_up(self, job: RemoteJob, kept: Kept) -> None:
        await self._keeper.put(job, Kept(orphans=kept.orphans + 1))

    def _is_fresh(self, kept: Kept) -> bool:
        return self._clock() - kept.made_s < self._options.upload_url_lifetime_s

    def _check_size(self, file: ParcelFile) -> None:
        if file.size_bytes > self._options.max_input_bytes:
            raise Refused(
                "VPE-030",
                f"the file for {file.input} has {file.size_bytes} bytes",
                f"at most {self._options.max_input_bytes}",
                "Choose a smaller volume, or raise max_input_bytes of the account",
                {"size": file.size_bytes, "most": self._options.max_input_bytes},
            )


def _made(job: RemoteJob, kept: Kept, order: Order) -> RemoteJob:
    """The job with the note of `create`."""
    wanted: Json = json.loads(order.details["wanted"])
    note: dict[str, Json] = {
        "job": kept.job,
        "version": kept.version,
        "made_s": kept.made_s,
        "wanted": wanted,
    }
    if kept.orphans:
        note["orphans"] = kept.orphans
    return replace(job, remote_id=kept.job, pin=kept.version, notes={**job.notes, CREATE_STEP: note})


def _keys(made: Any) -> dict[str, Any]:
    """Names of the keys that came; of the inner object where there is one."""
    outer = made.presignedUploadUrl or made.uploadUrl
    if not isinstance(outer, dict):
        return {key: None for key, value in made.model_dump().items() if value is not None}
    inner = next((one for one in outer.values() if isinstance(one, dict)), {})
    return {**dict.fromkeys(outer), **dict.fromkeys(inner)}


def _restart(found: str) -> TryLater:
    return TryLater(
        "VPE-031", found, "a fresh one", "The job is made anew", {RESTART: CREATE_STEP}, after_s=0.0
    )


async def _pieces(shelf: Shelf, file: ParcelFile, digest: Any) -> AsyncGenerator[bytes, None]:
    """The file in small pieces; reading waits for a disk, so it is done in a thread.

    Raises Damaged: VPE-033, the shelf does not hold what the parcel says.
    """
    stream = await asyncio.to_thread(_open, shelf, file)
    sha256, size = hashlib.sha256(), 0
    held = b""
    try:
        while piece := await asyncio.to_thread(stream.read, PIECE_BYTES):
            size += len(piece)
            sha256.update(piece)
            digest.update(piece)
            # One piece behind, so that the last one leaves only when the whole was right.
            if held:
                yield held
            held = piece
        if size != file.size_bytes or sha256.hexdigest() != file.sha256:
            raise _not_the_parcel(file, f"{size} bytes")
        if held:
            yield held
    finally:
        stream.close()


def _open(shelf: Shelf, file: ParcelFile) -> BinaryIO:
    try:
        return shelf.open(file.ref)
    except OSError as error:
        raise _not_the_parcel(file, f"nothing that can be read ({type(error).__name__})") from None


def _not_the_parcel(file: ParcelFile, found: str) -> Damaged:
    return Damaged(
        "VPE-033",
        f"the shelf holds {found} for {file.input}, or other ones",
        f"{file.size_bytes} bytes as the parcel says",
        "Retry the job from its start",
        {"expected": file.size_bytes},
    )
