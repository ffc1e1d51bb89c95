"""One file into the platform's store: multipart, resumable, with flat memory.

What is already there is always asked for, never remembered. The name of an upload is derived from job, attempt and
digest, so the upload of a process that died is found in the account's list; the parts come from the store's own list.
Parts are completed with the ETags of that list: a lost answer to a PUT is then no loss.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import BinaryIO

from bridge.errors import BridgeError, Damaged, TryLater
from bridge.export.parcel import ParcelFile
from bridge.platforms.grand_challenge.api import Api, StoredPart, Upload
from bridge.platforms.grand_challenge.options import Options
from bridge.platforms.protocol import RemoteJob, Shelf

MIB = 1 << 20
PIECE_BYTES = MIB
MOST_PARTS = 1000
"""S3 lists a thousand parts at once."""
SIGNED_AT_ONCE = 16
"""Signed addresses live an hour: few enough that a slow line uses them in time."""
ROUNDS = 4
GOOD_FOR_S = 20 * 3600.0
"""Uploads are swept hourly, a day after they were made; import must have begun well before."""

COMPLETED, INITIALIZED = "completed", "initialized"


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


def upload_name(job: RemoteJob, file: ParcelFile) -> str:
    """A file name that only this job, attempt and content have, and that says nothing.

    The platform takes names of at most 128 characters.
    """
    name = PurePath(file.file_name)
    mark = hashlib.sha256(f"{job.key}/{job.attempt}/{file.input}/{file.sha256}".encode()).hexdigest()[:32]
    return f"{name.stem[:64]}-{mark}{name.suffix}"


def is_fresh(made: datetime, now_s: float) -> bool:
    return now_s - made.timestamp() < GOOD_FOR_S


class Uploader:
    """Brings files of a parcel to the platform, each once."""

    def __init__(self, api: Api, options: Options, clock: Callable[[], float]) -> None:
        self._api = api
        self._options = options
        self._clock = clock

    async def bring(self, job: RemoteJob, file: ParcelFile, shelf: Shelf) -> Upload:
        """The completed upload of a file: an earlier one, the rest of an earlier one, or a new one.

        Raises:
            Damaged: GC-201, the shelf holds another size than the parcel says.
            TryLater: GC-202, parts did not arrive; or what the table of answers says.
        """
        _check_size(shelf, file)
        name = upload_name(job, file)
        upload = await self._earlier(name) or await self._api.begin_upload(name)
        if upload.status.casefold() == COMPLETED:
            return upload
        stored = await self._send_missing(upload, file, shelf)
        try:
            return await self._api.complete_upload(upload, stored)
        except TryLater:
            # A second completion answers 500, and so does a wrong one: only the upload itself knows which it was.
            upload = await self._api.upload(upload.pk)
            if upload.status.casefold() == COMPLETED:
                return upload
            raise

    async def _earlier(self, name: str) -> Upload | None:
        """The list is in no order and holds at most some thousand uploads, each for a day."""
        found: list[Upload] = []
        seen = 0
        while True:
            page = await self._api.uploads(offset=seen)
            seen += len(page.results)
            found += [
                upload for upload in page.results if upload.filename == name and self._is_usable(upload)
            ]
            if not page.results or seen >= page.count:
                break
        return min(found, key=lambda upload: upload.status.casefold() != COMPLETED, default=None)

    def _is_usable(self, upload: Upload) -> bool:
        status = upload.status.casefold()
        return status in (COMPLETED, INITIALIZED) and is_fresh(upload.created, self._clock())

    async def _send_missing(self, upload: Upload, file: ParcelFile, shelf: Shelf) -> tuple[StoredPart, ...]:
        wanted = parts_of(file.size_bytes, self._options.part_mib * MIB)
        trouble: BridgeError | None = None
        for round_number in range(ROUNDS + 1):
            stored = {part.number: part for part in await self._api.stored_parts(upload)}
            missing = [part for part in wanted if not _is_stored(part, stored)]
            if not missing:
                return tuple(stored[part.number] for part in wanted)
            if round_number == ROUNDS:
                break
            if round_number:
                await asyncio.sleep(self._options.retry_s * 2 ** (round_number - 1))
            trouble = await self._send(upload, missing, file, shelf)
        raise TryLater(
            "GC-202",
            f"{len(missing)} of {len(wanted)} parts did not arrive"
            + (f": {trouble.found}" if trouble else ""),
            "every part in the platform's store",
            numbers={"missing": len(missing), "parts": len(wanted)},
            after_s=trouble.after_s if isinstance(trouble, TryLater) else None,
        )

    async def _send(
        self, upload: Upload, parts: Sequence[Part], file: ParcelFile, shelf: Shelf
    ) -> BridgeError | None:
        """Send parts side by side; the last trouble that another round may cure. Raises any other."""
        trouble: BridgeError | None = None
        for first in range(0, len(parts), SIGNED_AT_ONCE):
            batch = parts[first : first + SIGNED_AT_ONCE]
            urls = await self._api.presigned_urls(upload, tuple(part.number for part in batch))
            lanes = asyncio.Semaphore(self._options.parallel_parts)
            sent = [self._put(lanes, urls.get(part.number), part, file, shelf) for part in batch]
            for outcome in await asyncio.gather(*sent):
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
