"""The wire: endpoints of Grand Challenge. Every path ends with a slash: without it the server redirects."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from pydantic import ValidationError

from bridge.errors import Damaged, Never, TryLater, Unsure
from bridge.export.parcel import Json
from bridge.platforms.grand_challenge.answers import Call, error_for
from bridge.platforms.grand_challenge.shapes import (
    Algorithm,
    Archive,
    ArchiveItem,
    Image,
    Job,
    Listing,
    MadeJob,
    StoredPart,
    Upload,
    UploadSession,
    Wire,
)
from bridge.platforms.http import Answer, Download, Http

M = TypeVar("M", bound=Wire)
Params = dict[str, str | int]
LARGEST_PAGE = 1000


class Api:
    """The endpoints that are used, each answer read or turned into an error of the table in `answers`.

    Every method may raise TryLater and Unauthorized, and Damaged: GC-130 for JSON of an unknown shape.
    """

    def __init__(self, http: Http) -> None:
        self._http = http

    async def check_token(self) -> Answer:
        """Sockets are never public: 200 says that the token is good. `algorithms/` would say 200 to anyone."""
        return await self._send(Call.LOOK, "GET", "components/interfaces/", params={"limit": 1})

    async def algorithms(self, slug: str = "") -> Listing[Algorithm]:
        params: Params = {"slug": slug} if slug else {"limit": LARGEST_PAGE}
        return await self._look(Listing[Algorithm], "algorithms/", params)

    async def begin_upload(self, filename: str) -> Upload:
        answer = await self._send(Call.UPLOAD, "POST", "uploads/", json={"filename": filename})
        return _read(Upload, answer)

    def uploads(self) -> AsyncGenerator[Upload, None]:
        """Uploads of the account, in no order: at most some thousand, each for a day."""
        return self._all(Listing[Upload], "uploads/", {})

    async def upload(self, pk: str) -> Upload:
        """Raises TryLater: GC-115 where it is gone."""
        return _read(Upload, await self._send(Call.UPLOAD, "GET", f"uploads/{pk}/"))

    async def stored_parts(self, upload: Upload) -> tuple[StoredPart, ...]:
        return _read(Upload, await self._multipart(upload, "GET", "list-parts")).parts

    async def presigned_urls(self, upload: Upload, numbers: tuple[int, ...]) -> dict[int, str]:
        body: Json = {"part_numbers": list(numbers)}
        answer = await self._multipart(upload, "PATCH", "generate-presigned-urls", body)
        urls = _read(Upload, answer).presigned_urls
        return {number: url for number in numbers if isinstance(url := urls.get(str(number)), str)}

    async def complete_upload(self, upload: Upload, parts: tuple[StoredPart, ...]) -> Upload:
        """Servers before 2025-12 hand the parts to S3 in the order given, and S3 wants them sorted."""
        in_order = sorted(parts, key=lambda part: part.number)
        body: Json = {"parts": [{"ETag": part.etag, "PartNumber": part.number} for part in in_order]}
        return _read(Upload, await self._multipart(upload, "PATCH", "complete-multipart-upload", body))

    async def abort_upload(self, upload: Upload) -> None:
        await self._multipart(upload, "PATCH", "abort-multipart-upload")

    async def make_session(self, upload_url: str) -> UploadSession:
        body: Json = {"uploads": [upload_url]}
        return _read(
            UploadSession, await self._send(Call.SESSION, "POST", "cases/upload-sessions/", json=body)
        )

    async def session(self, pk: str) -> UploadSession:
        """Raises Never: GC-116 where it is not visible."""
        return await self._look(UploadSession, f"cases/upload-sessions/{pk}/")

    async def make_job(self, algorithm_url: str, inputs: list[Json]) -> MadeJob:
        """The call that costs. Raises also Unsure: the effect may have happened, GC-131 for an unreadable yes."""
        body: Json = {"algorithm": algorithm_url, "inputs": inputs}
        answer = await self._send(Call.CREATE, "POST", "algorithms/jobs/", json=body, commits=True)
        try:
            return _read(MadeJob, answer)
        except (Damaged, TryLater):
            raise Unsure("GC-131", "the platform's answer to a new job cannot be read", after_s=0.0) from None

    async def job(self, pk: str) -> Job:
        """Raises Never: GC-116 where it is gone or not visible."""
        return await self._look(Job, f"algorithms/jobs/{pk}/")

    async def uploads_named(self, name: str) -> tuple[Upload, ...]:
        return tuple([upload async for upload in self.uploads() if upload.filename == name])

    def sessions(self) -> AsyncGenerator[UploadSession, None]:
        """Upload sessions of the account, in no order, for ever."""
        return self._all(Listing[UploadSession], "cases/upload-sessions/", {})

    async def count_jobs(self, algorithm_pk: str = "") -> int:
        """Jobs of the account, of one algorithm or of all."""
        return (await self.jobs_page(0, 1, algorithm_pk)).count

    async def jobs_page(self, offset: int, limit: int, algorithm_pk: str = "") -> Listing[Job]:
        """Jobs of the account, oldest first. The filter is `algorithm_image__algorithm`; `algorithm` is ignored."""
        params: Params = {"algorithm_image__algorithm": algorithm_pk} if algorithm_pk else {}
        return await self._look(
            Listing[Job], "algorithms/jobs/", {**params, "limit": limit, "offset": offset}
        )

    def jobs(self, algorithm_pk: str) -> AsyncGenerator[Job, None]:
        """All jobs of an algorithm, oldest first."""
        return self._all(Listing[Job], "algorithms/jobs/", {"algorithm_image__algorithm": algorithm_pk})

    async def jobs_with_input(self, image_pk: str) -> tuple[Job, ...]:
        """None where the image is not visible: the filter refuses what it does not know."""
        try:
            page = await self._look(Listing[Job], "algorithms/jobs/", {"input_image": image_pk})
        except Never as error:
            if error.code != "GC-113":
                raise
            return ()
        return page.results

    async def images_named(self, name: str) -> tuple[Image, ...]:
        """Images of exactly that name; a filter that a server does not know would give all, so it is checked."""
        page = await self._look(Listing[Image], "cases/images/", {"name": name})
        return tuple(image for image in page.results if image.name == name)

    async def archive(self, slug: str) -> Listing[Archive]:
        return await self._look(Listing[Archive], "archives/", {"slug": slug})

    def archive_items(self, archive_pk: str) -> AsyncGenerator[ArchiveItem, None]:
        return self._all(Listing[ArchiveItem], "archives/items/", {"archive": archive_pk})

    async def archive_item(self, pk: str) -> ArchiveItem:
        """Raises Never: GC-116 where it is not visible."""
        return await self._look(ArchiveItem, f"archives/items/{pk}/")

    async def image(self, pk: str) -> Image:
        return await self._look(Image, f"cases/images/{pk}/")

    async def put_part(self, url: str, content: AsyncIterator[bytes], size_bytes: int) -> None:
        """Raises what the table says of a part."""
        error = error_for(Call.PART, await self._http.put(url, content, size_bytes))
        if error is not None:
            raise error

    @asynccontextmanager
    async def media(self, url: str, first_bytes: int | None = None) -> AsyncIterator[Download]:
        """A file behind its media address. Raises Never: GC-124; TryLater: GC-123 for a dead signature."""
        async with self._http.download(url, first_bytes) as download:
            if download.status != 200 and not (first_bytes and download.status == 206):
                call = Call.STORAGE if download.from_storage else Call.MEDIA
                error = error_for(call, await download.answer())
                raise error or Damaged("GC-132", f"a file came with HTTP {download.status}", "HTTP 200")
            yield download

    async def _look(self, model: type[M], path: str, params: Params | None = None) -> M:
        return _read(model, await self._send(Call.LOOK, "GET", path, params=params))

    async def _all(self, model: type[Listing[M]], path: str, params: Params) -> AsyncGenerator[M, None]:
        """Page by page, each page asked for when the one before it is used up."""
        seen = 0
        while True:
            page = await self._look(model, path, {**params, "limit": LARGEST_PAGE, "offset": seen})
            for one in page.results:
                yield one
            seen += len(page.results)
            if not page.results or seen >= page.count:
                return

    async def _multipart(self, upload: Upload, method: str, action: str, json: Json = None) -> Answer:
        path = f"uploads/{upload.pk}/{upload.s3_upload_id}/{action}/"
        return await self._send(Call.UPLOAD, method, path, json=json)

    async def _send(
        self,
        call: Call,
        method: str,
        path: str,
        *,
        json: Json = None,
        params: Params | None = None,
        commits: bool = False,
    ) -> Answer:
        answer = await self._http.api(method, path, json=json, params=params, commits=commits)
        error = error_for(call, answer)
        if error is not None:
            raise error
        return answer


def _read(model: type[M], answer: Answer) -> M:
    """Raises TryLater: GC-133, not JSON (a proxy's own page); Damaged: GC-130, JSON of an unknown shape."""
    try:
        return model.model_validate_json(answer.body)
    except ValidationError as error:
        if any(problem["type"] == "json_invalid" for problem in error.errors(include_input=False)):
            raise TryLater(
                "GC-133",
                "the platform answered with something other than JSON",
                "JSON",
                "If this lasts, look whether a proxy answers in the platform's place",
            ) from None
        places = {".".join(map(str, problem["loc"])) for problem in error.errors(include_input=False)}
        name = model.__name__.partition("[")[0]
        raise Damaged(
            "GC-130",
            f"the platform's {name} has another shape than known: {', '.join(sorted(places)[:5])}",
            "the keys of its API of 2025 and 2026",
        ) from None
