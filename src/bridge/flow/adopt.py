"""Results of jobs of earlier days, fetched into a folder: what the platform has, whoever made it.

No data directory takes part. Beside the files of a job stands `job.json`, written after each of them: the same
command goes on where it stopped, and a file whose digest is right is not fetched again.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from bridge.errors import BridgeError, ConfigError, Damaged, TryLater, Unauthorized
from bridge.flow.stages.cloud import SUFFIXES
from bridge.flow.stages.shelf import JobShelf
from bridge.flow.verdicts import pause
from bridge.platforms.optional import Adoption, Adopts, Earlier
from bridge.platforms.protocol import Platform, Verdict
from bridge.results.output import Output, Presence

T = TypeVar("T")

RECORD_FILE = "job.json"
TRIES = 4
LONGEST_S = 60.0
"""A person waits for this command: after so few tries and pauses what is left is said, and the command is repeated."""
PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which jobs are wanted; () and "" want all of the algorithm's."""

    algorithm: str
    pin: str = ""
    images: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    archive: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One output of a job. `file` is its name in the job's folder, empty while it is not there."""

    output: Output
    """With size and digest of the file, once it is there."""
    file: str = ""
    reason: str = ""
    """Why it is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A job of an earlier day, and what the folder has of it."""

    job: Earlier
    folder: str = ""
    """Below the folder of all; empty where the job gave nothing that could be fetched."""
    outputs: tuple[Kept, ...] = ()
    reason: str = ""
    """Why its outputs are not even listed."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left that another try could bring."""
        return not self.reason and all(one.file for one in self.outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """Jobs, the oldest first, and the images or items that were asked for and have none."""

    jobs: tuple[Taken, ...]
    without: tuple[str, ...]


RECORD = TypeAdapter(Taken)


async def adopt(
    platform: Platform, asked: Asked, shelf: JobShelf, retry_s: Sequence[float], tell: Callable[[str], None]
) -> Adopted:
    """Find the jobs and fetch what is not on the shelf yet. `tell` hears what begins.

    Raises:
        ConfigError: ADO-001, a platform that cannot find earlier jobs; what it says of the algorithm or archive.
        TryLater: it is away. Unauthorized: the token is refused.
    """
    if not isinstance(platform, Adopts):
        raise ConfigError(
            "ADO-001",
            "the account's platform cannot look for jobs of earlier days",
            "an account of a platform that can, for example grand-challenge",
        )
    finder: Adopts = platform
    tell(f"looking for jobs of {asked.algorithm}")

    async def look() -> Adoption:
        return await finder.earlier(
            asked.algorithm, pin=asked.pin, images=asked.images, items=asked.items, archive=asked.archive
        )

    found = await _patiently(look, retry_s)
    taken = []
    for number, one in enumerate(found.jobs, start=1):
        tell(f"job {number} of {len(found.jobs)}")
        taken.append(await _take(platform, one, shelf, retry_s))
    return Adopted(jobs=tuple(taken), without=found.without)


async def _take(platform: Platform, one: Earlier, shelf: JobShelf, retry_s: Sequence[float]) -> Taken:
    if one.state.verdict not in (Verdict.DONE, Verdict.PARTLY):
        return Taken(job=one)
    folder = _folder(one)
    here = _here(shelf, folder)
    try:
        told = await _patiently(lambda: platform.outputs(one.job), retry_s)
    except Unauthorized:
        raise
    except BridgeError as error:
        return Taken(job=one, folder=folder, outputs=tuple(here.values()), reason=error.sentence())
    kept: list[Kept] = []
    for number, output in enumerate(told):
        known = here.pop(output.ref, None)
        kept.append(known or await _fetch(platform, one, output, number, shelf, retry_s))
        # With those whose turn comes yet: a stop between two files forgets neither.
        record = Taken(job=one, folder=folder, outputs=(*kept, *here.values()))
        shelf.write(f"{folder}/{RECORD_FILE}", RECORD.dump_json(record, indent=1))
    return Taken(job=one, folder=folder, outputs=tuple(kept))


async def _fetch(
    platform: Platform,
    one: Earlier,
    output: Output,
    number: int,
    shelf: JobShelf,
    retry_s: Sequence[float],
) -> Kept:
    if output.presence is not Presence.HERE:
        return Kept(output=output, reason=output.reason or output.presence)
    file = f"{number:02d}-{_plain(output.name)}{SUFFIXES.get(output.media_type, '')}"

    async def bring() -> Output:
        with shelf.sink(f"{_folder(one)}/{file}") as sink:
            fetched = await platform.fetch(one.job, output, sink)
            if fetched.sha256 != sink.sha256:
                raise Damaged("CLD-002", f"output {number} changed on its way", "equal digests")
        return replace(output, size_bytes=fetched.size_bytes, sha256=fetched.sha256)

    try:
        return Kept(output=await _patiently(bring, retry_s), file=file)
    except Unauthorized:
        raise
    except BridgeError as error:
        return Kept(output=output, reason=error.sentence())


def _here(shelf: JobShelf, folder: str) -> dict[str, Kept]:
    """What an earlier call of this command fetched whole, by the platform's own name of it."""
    try:
        with shelf.open(f"{folder}/{RECORD_FILE}") as stream:
            record = RECORD.validate_json(stream.read())
    except (OSError, ValidationError):
        return {}
    return {
        one.output.ref: one
        for one in record.outputs
        if one.file and _digest(shelf, f"{folder}/{one.file}") == one.output.sha256
    }


def _digest(shelf: JobShelf, ref: str) -> str:
    digest = hashlib.sha256()
    try:
        with shelf.open(ref) as stream:
            while piece := stream.read(PIECE_BYTES):
                digest.update(piece)
    except OSError:
        return ""
    return digest.hexdigest()


def _folder(one: Earlier) -> str:
    """By the platform's ids, which say nothing of a patient and are the same on every day."""
    job = f"job-{_plain(one.job.remote_id)}"
    return f"item-{_plain(one.item)}/{job}" if one.item else job


def _plain(word: str) -> str:
    """A platform's word as a part of a file name: nothing in it leads elsewhere."""
    return re.sub(r"[^0-9A-Za-z_-]", "_", word)[:100]


async def _patiently(act: Callable[[], Awaitable[T]], retry_s: Sequence[float]) -> T:
    """Raises the last TryLater after `TRIES`; the time that the platform names goes before our own pauses."""
    for attempt in range(TRIES - 1):
        try:
            return await act()
        except TryLater as trouble:
            wish_s = pause(retry_s, attempt) if trouble.after_s is None else trouble.after_s
            await asyncio.sleep(min(wish_s, LONGEST_S))
    return await act()
