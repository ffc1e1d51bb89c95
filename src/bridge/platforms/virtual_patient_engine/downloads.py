"""What came back, and its bytes. An address is asked for anew each time: it is a secret and dies soon."""

from __future__ import annotations

import hashlib
import logging

from bridge.errors import Never, TryLater
from bridge.export.parcel import Json
from bridge.log import event
from bridge.platforms.protocol import Fetched, RemoteJob, Sink
from bridge.platforms.virtual_patient_engine.answers import CREATE_STEP
from bridge.platforms.virtual_patient_engine.api import Api
from bridge.platforms.virtual_patient_engine.options import Options
from bridge.platforms.virtual_patient_engine.results import Came, came
from bridge.platforms.virtual_patient_engine.wishes import WANTED, Wanted
from bridge.results.output import Output, Presence

log = logging.getLogger("bridge.cloud")

FRESH_LINKS = 5
SIZE_TRIES = 3


class Downloads:
    """Reads the outputs of jobs that have ended."""

    def __init__(self, api: Api, options: Options) -> None:
        self._api, self._options = api, options

    async def came(self, job: RemoteJob) -> tuple[Came, ...]:
        """Raises TryLater: VPE-142, it has not ended; Damaged: VPE-140, VPE-141."""
        polled = await self._api.poll(version_of(job), job.remote_id)
        if polled is None:
            raise TryLater("VPE-142", "the platform has not finished the job", "its files")
        return came(polled, wanted_of(job))

    async def outputs(self, job: RemoteJob) -> tuple[Output, ...]:
        return tuple([one.output(self._options.mesh_frame) for one in await self.came(job)])

    async def fetch(self, job: RemoteJob, output: Output, sink: Sink) -> Fetched:
        """A dead address is replaced as long as nothing was written: the sink cannot go back.

        Raises TryLater: VPE-130, five fresh addresses died; VPE-143, another size than told, three times;
        Never: VPE-144, the job no longer has it.
        """
        for fresh in range(FRESH_LINKS):
            file = next((one for one in await self.came(job) if one.ref == output.ref), None)
            link = file.file.link() if file and file.file else ""
            if file is None or file.presence is not Presence.HERE or not link:
                raise Never(
                    "VPE-144",
                    f"the platform no longer offers {output.name}",
                    "the file that it had",
                    "Results are not kept for ever; a new job is made by `bridge jobs rerun`",
                )
            try:
                return await self._stream(link, output, sink)
            except TryLater as error:
                if error.code != "VPE-130" or fresh == FRESH_LINKS - 1:
                    raise
        raise AssertionError("the last round returns or raises")

    async def _stream(self, url: str, output: Output, sink: Sink) -> Fetched:
        digest, size = hashlib.sha256(), 0
        async with self._api.file(url) as download:
            async for chunk in download.chunks():
                sink.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            on_the_way = download.size_told()
        if on_the_way is not None and on_the_way != size:
            raise _other_size(output, size, on_the_way)
        if output.size_bytes is not None and output.size_bytes != size:
            if self._options.size_check == "strict":
                raise _other_size(output, size, output.size_bytes)
            event(log, "platform.other-size", level=logging.WARNING, told=output.size_bytes, came=size)
        return Fetched(size_bytes=size, sha256=digest.hexdigest())


def version_of(job: RemoteJob) -> str:
    return str(job.notes.get(CREATE_STEP, {}).get("version") or job.pin)


def wanted_of(job: RemoteJob) -> tuple[Wanted, ...]:
    told: Json = job.notes.get(CREATE_STEP, {}).get("wanted", [])
    return WANTED.validate_python(told)


def _other_size(output: Output, size: int, told: int) -> TryLater:
    return TryLater(
        "VPE-143",
        f"{output.name} came with {size} bytes",
        f"{told} as the platform told",
        'If it stays so, `size_check = "warn"` in the account\'s options takes it as it comes',
        {"size": size, "told": told},
        tries=SIZE_TRIES,
    )
