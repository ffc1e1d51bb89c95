"""One file into the platform's store: multipart, resumable, with flat memory.

What is already there is always asked for, never remembered. The name of an upload holds the job's key, so the upload
of a process that died is found in the account's list; the parts come from the store's own list. A part that another
process sent is kept only where its ETag is the MD5 of our bytes: two versions of the same file never mix. Parts are
completed with the ETags of the store's list: a lost answer to a PUT is then no loss.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import BinaryIO

from bridge.errors import BridgeError, Damaged, TryLater, Unsure
from bridge.export.parcel import ParcelFile
from bridge.platforms.grand_challenge.api import Api
from bridge.platforms.grand_challenge.names import file_upload_name, upload_name
from bridge.platforms.grand_challenge.notes import is_fresh
from bridge.platforms.grand_challenge.options import Options
from bridge.platforms.grand_challenge.shapes import StoredPart, Upload
from bridge.platforms.protocol import RemoteJob, Shelf

MIB = 1 << 20
PIECE_BYTES = MIB
MOST_PARTS = 1000
"""S3 lists a thousand parts at once."""
SIGNED_AT_ONCE = 16
"""Signed addresses live an hour: few enough that a slow line uses them in time."""
ROUNDS = 4
COMPLETED, INITIALIZED = "completed", "initialized"
NOT_LISTED = "GC-204"
"""Parts of a finished, aborted or swept upload: the platform answers 500."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Bytes [start, start + size_bytes) of a file; `number` counts from 1."""

    number: int
    start: int
    size_bytes: int


def parts_of(size_bytes: int, part_bytes: int) -> tuple[Part, ...]:
    """Equal parts and a shorter last one, at most 1000. The same size always gives the same parts."""
    least = -(-size_bytes // MOST_PARTS)
    step = max(part_bytes, -(-least // MIB) * MIB)
    starts = range(0, size_bytes, step)
    return tuple(
        Part(number=number, start=start, size_bytes=min(step, size_bytes - start))
        for number, start in enumerate(starts, start=1)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A complete upload. `is_earlier`: another process completed it, and may have gone on from there."""

    upload: Upload
    is_earlier: bool


class _Gone(Exception):
    """The store no longer knows an upload that the platform still lists."""


class Uploader:
    """Brings files of a parcel to the platform, each once."""

    def __init__(self, api: Api, options: Options, clock: Callable[[], float]) -> None:
        self._api = api
        self._options = options
        self._clock = clock

    async def bring(
        self, job: RemoteJob, file: ParcelFile, shelf: Shelf, *, is_image: bool = True
    ) -> Brought:
        """The completed upload of a file: an earlier one, the rest of an earlier one, or a new one.

        `is_image`: the platform makes an image of it, which keeps the name.

        Raises:
            Damaged: GC-201, the shelf holds another size than the parcel says.
            Unsure: GC-224, the platform has an image of this name: an earlier life of this job made the job.
            TryLater: GC-202, parts did not arrive; or what the table of answers says.
        """
        _check_size(shelf, file)
        name = (upload_name if is_image else file_upload_name)(job, file.file_name)
        earlier = await self._earlier(name)
        if earlier is None and is_image and await self._api.images_named(name):
            raise Unsure(
                "GC-224",
                f"the platform has the image of {file.input} already: a job was made of it",
                "none before this job is made",
                after_s=0.0,
            )
        if earlier is not None:
            if earlier.status.casefold() == COMPLETED:
                return Brought(upload=earlier, is_earlier=True)
            try:
                return await self._finish(earlier, file, shelf)
            except _Gone:
                earlier = None
        upload = await self._api.begin_upload(name)
        try:
            return await self._finish(upload, file, shelf)
        except _Gone:
            raise TryLater(NOT_LISTED, f"storage does not know the upload of {file.input}", "it") from None

    async def _finish(self, upload: Upload, file: ParcelFile, shelf: Shelf) -> Brought:
        """Send what is missing and complete. A full quota and a complete upload answer alike, and so do a second
        and a wrong completion: only the upload itself knows which it was."""
        try:
            stored = await self._send_missing(upload, file, shelf)
            return Brought(upload=await self._api.complete_upload(upload, stored), is_earlier=False)
        except TryLater as error:
            if error.code == "GC-115":
                raise _Gone from None
            now = await self._api.upload(upload.pk)
            if now.status.casefold() == COMPLETED:
                return Brought(upload=now, is_earlier=True)
            if error.code == NOT_LISTED:
                # The platform lists it and its store does not know it, or the store is ill: sending again cures both.
                raise _Gone from None
            raise

    async def _earlier(self, name: str) -> Upload | None:
        found = [upload for upload in await self._api.uploads_named(name) if self._is_usable(upload)]
        return min(found, key=lambda upload: upload.status.casefold() != COMPLETED, default=None)

    def _is_usable(self, upload: Upload) -> bool:
        status = upload.status.casefold()
        return status in (COMPLETED, INITIALIZED) and is_fresh(upload.created, self._clock())

    async def _send_missing(self, upload: Upload, file: ParcelFile, shelf: Shelf) -> tuple[StoredPart, ...]:
        wanted = parts_of(file.size_bytes, self._options.part_mib * MIB)
        others: set[int] = set()
        trouble: BridgeError | None = None
        for round_number in range(ROUNDS + 1):
            stored = {part.number: part for part in await self._stored(upload)}
            if not round_number:
                others = await self._others(wanted, stored, file, shelf)
            missing = [part for part in wanted if part.number in others or not _is_stored(part, stored)]
            if not missing:
                return tuple(stored[part.number] for part in wanted)
            if round_number == ROUNDS:
                break
            if round_number:
                await asyncio.sleep(self._options.retry_s * 2 ** (round_number - 1))
            trouble = await self._send(upload, missing, file, shelf, others)
        raise TryLater(
            "GC-202",
            f"{len(missing)} of {len(wanted)} parts did not arrive"
            + (f": {trouble.found}" if trouble else ""),
            "every part in the platform's store",
            numbers={"missing": len(missing), "parts": len(wanted)},
            after_s=trouble.after_s if isinstance(trouble, TryLater) else None,
        )

    async def _stored(self, upload: Upload) -> tuple[StoredPart, ...]:
        try:
            return await self._api.stored_parts(upload)
        except TryLater as error:
            if error.numbers.get("status") != 500:
                raise
            raise TryLater(NOT_LISTED, "storage cannot list the parts of an upload", after_s=0.0) from None

    async def _others(
        self, wanted: Sequence[Part], stored: dict[int, StoredPart], file: ParcelFile, shelf: Shelf
    ) -> set[int]:
        """Numbers of the parts that another process stored and of which nothing says that they hold our bytes.

        Where the store's ETag is no MD5 (encryption by a key service), those are all: they are sent again.
        """
        others = set()
        for part in wanted:
            if _is_stored(part, stored):
                digest = hashlib.md5(usedforsecurity=False)
                async with aclosing(_read_part(shelf, file, part)) as content:
                    async for piece in content:
                        await asyncio.to_thread(digest.update, piece)
                if stored[part.number].etag.strip('"').lower() != digest.hexdigest():
                    others.add(part.number)
        return others

    async def _send(
        self, upload: Upload, parts: Sequence[Part], file: ParcelFile, shelf: Shelf, others: set[int]
    ) -> BridgeError | None:
        """Send parts side by side; a trouble that another round may cure. Raises any other.

        `others` loses the parts that arrived: what stands in their place is ours now.
        """
        trouble: BridgeError | None = None
        for first in range(0, len(parts), SIGNED_AT_ONCE):
            batch = parts[first : first + SIGNED_AT_ONCE]
            urls = await self._api.presigned_urls(upload, tuple(part.number for part in batch))
            lanes = asyncio.Semaphore(self._options.parallel_parts)
            sent = [self._put(lanes, urls.get(part.number), part, file, shelf) for part in batch]
            for part, outcome in zip(batch, await asyncio.gather(*sent), strict=True):
                if outcome is None:
                    others.discard(part.number)
                if outcome is not None and not isinstance(outcome, TryLater):
                    raise outcome
                trouble = outcome or trouble
        return trouble

    async def _put(
        self, lanes: asyncio.Semaphore, url: str | None, part: Part, file: ParcelFile, shelf: Shelf
    ) -> BridgeError | None:
        """Give the error back instead of raising it: one part that fails must not end its neighbours."""
        async with lanes:
            if url is None:
                return TryLater("GC-203", f"the platform gave no address for part {part.number}")
            try:
                async with aclosing(_read_part(shelf, file, part)) as content:
                    await self._api.put_part(url, content, part.size_bytes)
            except BridgeError as error:
                return error
            return None


def _is_stored(part: Part, stored: dict[int, StoredPart]) -> bool:
    return part.number in stored and stored[part.number].size_bytes == part.size_bytes


def _check_size(shelf: Shelf, file: ParcelFile) -> None:
    with _open(shelf, file) as stream:
        size = stream.seek(0, 2)
    if size != file.size_bytes or size == 0:
        raise Damaged(
            "GC-201",
            f"the file for {file.input} has {size} bytes",
            f"{file.size_bytes} as its parcel says, and more than none",
            "Retry the job from its start",
            {"size": size, "expected": file.size_bytes},
        )


def _open(shelf: Shelf, file: ParcelFile) -> BinaryIO:
    try:
        return shelf.open(file.ref)
    except OSError as error:
        raise Damaged(
            "GC-201",
            f"the file for {file.input} cannot be read ({type(error).__name__})",
            "a file on the job's shelf",
            "Retry the job from its start",
        ) from None


async def _read_part(shelf: Shelf, file: ParcelFile, part: Part) -> AsyncGenerator[bytes, None]:
    """The bytes of a part in small pieces; reading waits for a disk, so it is done in a thread."""
    stream = await asyncio.to_thread(_open, shelf, file)
    try:
        stream.seek(part.start)
        left = part.size_bytes
        while left:
            piece = await asyncio.to_thread(stream.read, min(PIECE_BYTES, left))
            if not piece:
                raise Damaged("GC-201", f"the file for {file.input} became shorter while it was sent")
            left -= len(piece)
            yield piece
    finally:
        stream.close()
