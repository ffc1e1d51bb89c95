"""Which jobs of the account are young, though the platform tells no job's age.

Jobs are listed oldest first, so they are read from the end. What tells a time is storage: a file's `Last-Modified`. An
output was written after its job was made, so a job with an output from before the time in question ends the search:
every job before it is older still. Inputs end nothing: an image may be older than the job that it was given to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from bridge.errors import Never
from bridge.platforms.grand_challenge.api import Api
from bridge.platforms.grand_challenge.downloads import file_of
from bridge.platforms.grand_challenge.names import key_of, last_part, pk_of
from bridge.platforms.grand_challenge.shapes import Image, Job, SocketValue
from bridge.platforms.protocol import Newer

AT_ONCE = 8
"""Jobs that are asked about side by side: each takes some requests, and a start waits for the answers."""
SLACK_S = 300.0
"""Clocks of this machine, the platform and its storage need not agree."""


class Recent:
    """Reads the account's jobs from the newest back."""

    def __init__(self, api: Api, clock: Callable[[], float]) -> None:
        self._api = api
        self._clock = clock

    async def newer(self, since: float) -> tuple[Newer, ...]:
        """Jobs made after `since`, the newest first; also those whose age nothing tells."""
        found: list[Newer] = []
        latest = self._clock()
        async with aclosing(self._backwards()) as batches:
            async for batch in batches:
                told = await asyncio.gather(*(self._told(job, since - SLACK_S) for job in batch))
                for job, (key, written) in zip(batch, told, strict=True):
                    if written is not None and written < since - SLACK_S:
                        return tuple(found)
                    # No job is younger than one that was made after it, nor than what came out of it.
                    latest = min(latest, latest if written is None else written)
                    found.append(Newer(remote_id=job.pk, made_at=max(latest, since), key=key))
        return tuple(found)

    async def _told(self, job: Job, end_s: float) -> tuple[str, float | None]:
        """The key of a job and when its first output was written; no key is asked of a job that is too old."""
        written = await self._outputs_s(job)
        if written is not None and written < end_s:
            return "", written
        return await own_key(self._api, job), written

    async def _backwards(self) -> AsyncGenerator[tuple[Job, ...], None]:
        """A job that is made meanwhile moves nothing: it stands behind the end that was counted."""
        end = await self._api.count_jobs()
        while end > 0:
            start = max(0, end - AT_ONCE)
            page = await self._api.jobs_page(start, end - start)
            yield page.results[::-1]
            end = start

    async def _outputs_s(self, job: Job) -> float | None:
        for value in job.outputs:
            if value.file is not None:
                return await self._modified_s(value.file)
            image = await image_of(self._api, value)
            if image is not None:
                return await self._written_s(image)
        return None

    async def _written_s(self, image: Image) -> float | None:
        try:
            return await self._modified_s(file_of(image).file or "")
        except Never:
            return None

    async def _modified_s(self, url: str) -> float | None:
        try:
            async with self._api.media(url, 1) as download:
                return download.modified_s()
        except Never:
            return None


async def own_key(api: Api, job: Job) -> str:
    """The key that the names of a job's own inputs tell; "" where none does.

    Another job may be given the image of ours: the key is that of the oldest job on an image, which it was sent for.
    """
    for value in job.inputs:
        if value.file is not None and (key := key_of(last_part(value.file))):
            return key
        image = await image_of(api, value)
        if image is not None and (key := key_of(image.name)):
            first, *_ = await api.jobs_with_input(image.pk) or (job,)
            if first.pk == job.pk:
                return key
    return ""


async def image_of(api: Api, value: SocketValue) -> Image | None:
    """None also where the link dangles: a permission was withdrawn."""
    try:
        return await api.image(pk_of(value.image)) if value.image else None
    except Never:
        return None
