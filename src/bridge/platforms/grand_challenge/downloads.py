"""What came back: the outputs of a job as `Output`, and their bytes.

A file is addressed by a chain that is walked anew each time: job -> image -> media address -> redirect -> signed
address. Only the first ids are kept; signed addresses are secrets and die within minutes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable

from bridge.errors import Damaged, Never, TryLater
from bridge.platforms.grand_challenge.api import Api
from bridge.platforms.grand_challenge.names import last_part, pk_of
from bridge.platforms.grand_challenge.shapes import Image, ImageFile, SocketValue
from bridge.platforms.grand_challenge.sockets import kind_of, labels_of, media_type
from bridge.platforms.protocol import Fetched, RemoteJob, Sink
from bridge.results.output import Output, OutputKind, Presence

FRESH_LINKS = 3
IMAGE_TYPES = ("MHD", "TIFF")
"""In the order of preference; DZI is a pyramid for viewers."""


class Downloads:
    """Reads the outputs of jobs that have ended."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def outputs(self, job: RemoteJob) -> tuple[Output, ...]:
        """One Output per value, of whatever kind, in the platform's order.

        A link that dangles (GC-116), or an image without a file that can be read (GC-240), is an output that failed:
        the others are as good as before.
        """
        return tuple([await self.output(value) for value in (await self._api.job(job.remote_id)).outputs])

    async def output(self, value: SocketValue) -> Output:
        socket, kind = value.socket, kind_of(value.socket)
        reason = ""
        if value.image is not None:
            image = pk_of(value.image)
            ref, name = f"image/{image}", ""
            try:
                name = file_of(await self._api.image(image)).file or ""
            except Never as error:
                reason = error.found
        elif value.file is not None:
            ref, name = f"file/{value.pk}", value.file
        else:
            ref, name = f"value/{value.pk}", "value.json"
        return Output(
            name=socket.slug,
            kind=kind,
            media_type=media_type(last_part(name)),
            ref=ref,
            presence=Presence.FAILED if reason else Presence.HERE,
            reason=reason,
            labels=labels_of(socket) if kind is OutputKind.MASK else (),
            word=socket.kind,
            title=socket.title,
            path=socket.relative_path,
        )

    async def fetch(self, job: RemoteJob, output: Output, sink: Sink) -> Fetched:
        """Write the bytes of an output; a value is written as JSON.

        Raises:
            TryLater: the transfer broke off; GC-123, three fresh links died before the first byte.
            Damaged: GC-241, more or fewer bytes, or another digest, than told.
            Never: GC-242, the job no longer has this output.
        """
        kind, _, pk = output.ref.partition("/")
        match kind:
            case "image":

                async def link() -> str:
                    return file_of(await self._api.image(pk)).file or ""

                return await self._download(link, output, sink)
            case "file":

                async def link() -> str:
                    return (await self._value(job, pk)).file or ""

                return await self._download(link, output, sink)
            case "value":
                value = (await self._value(job, pk)).value
                data = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
                sink.write(data)
                return _verified(output, len(data), hashlib.sha256(data).hexdigest())
            case _:
                raise Never("GC-242", "an output of a kind that is not known", "image, file or value")

    async def _value(self, job: RemoteJob, pk: str) -> SocketValue:
        for value in (await self._api.job(job.remote_id)).outputs:
            if str(value.pk) == pk:
                return value
        raise Never("GC-242", "the platform's job no longer has an output that it had", "it")

    async def _download(self, link: Callable[[], Awaitable[str]], output: Output, sink: Sink) -> Fetched:
        """A dead link is replaced as long as nothing was written: the sink cannot go back."""
        for fresh in range(FRESH_LINKS):
            try:
                return await self._stream(await link(), output, sink)
            except TryLater as error:
                if error.code != "GC-123" or fresh == FRESH_LINKS - 1:
                    raise
        raise AssertionError("the last round returns or raises")

    async def _stream(self, url: str, output: Output, sink: Sink) -> Fetched:
        digest, size = hashlib.sha256(), 0
        async with self._api.media(url) as download:
            async for chunk in download.chunks():
                sink.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            told = download.size_told()
        if told is not None and told != size:
            raise _damaged(output, f"{size} bytes", f"{told} as the server said")
        return _verified(output, size, digest.hexdigest())


def _verified(output: Output, size: int, sha256: str) -> Fetched:
    if output.size_bytes is not None and output.size_bytes != size:
        raise _damaged(output, f"{size} bytes", f"{output.size_bytes} as before")
    if output.sha256 is not None and output.sha256 != sha256:
        raise _damaged(output, "another digest", "the digest of before")
    return Fetched(size_bytes=size, sha256=sha256)


def _damaged(output: Output, found: str, expected: str) -> Damaged:
    return Damaged("GC-241", f"{output.name} came with {found}", expected, "Fetch it again")


def file_of(image: Image) -> ImageFile:
    """The file of a volume. Raises Never: GC-240."""
    for wanted in IMAGE_TYPES:
        for file in image.files:
            if file.image_type.upper() == wanted and file.file:
                return file
    raise Never("GC-240", "an image output has no file that can be read", " or ".join(IMAGE_TYPES))
