"""The wire: endpoints of Grand Challenge and the shape of its JSON.

Only keys that are used are named; others may come and go. `socket` is the new word for `interface` of a value, and
servers before 2025-12-19 send the old one only. Every path ends with a slash: without it the server redirects.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bridge.errors import Damaged, TryLater, Unsure
from bridge.export.parcel import Json
from bridge.platforms.grand_challenge.answers import Call, error_for
from bridge.platforms.http import Answer, Download, Http

T = TypeVar("T")
LARGEST_PAGE = 1000

Many = Annotated[tuple[T, ...], BeforeValidator(lambda value: () if value is None else value)]
Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
Table = Annotated[dict[str, Any], BeforeValidator(lambda value: {} if value is None else value)]


class Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


M = TypeVar("M", bound=Wire)


class Listing(Wire, Generic[T]):
    count: int
    next: str | None = None
    results: Many[T] = ()


class Segment(Wire):
    name: Text = ""
    voxel_value: int


class Socket(Wire):
    slug: str
    kind: Text = ""
    super_kind: Text = ""
    default_value: Any = None
    overlay_segments: Many[Segment] = ()


class SocketSet(Wire):
    inputs: Many[Socket] = ()
    outputs: Many[Socket] = ()


class Algorithm(Wire):
    """`interfaces` since 2025-03-04, `inputs` and `outputs` at the top before."""

    pk: str
    api_url: str
    slug: str
    title: Text = ""
    average_duration: float | None = None
    interfaces: Many[SocketSet] = ()
    inputs: Many[Socket] = ()
    outputs: Many[Socket] = ()


class StoredPart(Wire):
    etag: str = Field(alias="ETag")
    number: int = Field(alias="PartNumber")
    size_bytes: int = Field(alias="Size")


class Upload(Wire):
    pk: str
    api_url: str
    filename: Text = ""
    s3_upload_id: Text = ""
    status: Text = ""
    created: datetime
    presigned_urls: Table = Field(default_factory=dict)
    """Address by part number."""
    parts: Many[StoredPart] = ()


class UploadSession(Wire):
    pk: str
    api_url: str
    status: Text = ""
    error_message: Text = ""
    image_set: Many[str] = ()
    user_uploads: Many[str] = ()


class SocketValue(Wire):
    pk: int | str
    socket: Socket = Field(validation_alias=AliasChoices("socket", "interface"))
    value: Any = None
    file: str | None = None
    image: str | None = None


class Job(Wire):
    pk: str
    status: Text = ""
    algorithm: Text = ""
    algorithm_image: Text = ""
    inputs: Many[SocketValue] = ()
    outputs: Many[SocketValue] = ()


class MadeJob(Wire):
    pk: str


class ImageFile(Wire):
    file: str | None = None
    image_type: Text = ""


class Image(Wire):
    pk: str
    files: Many[ImageFile] = ()


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
        params: dict[str, str | int] = {"slug": slug} if slug else {"limit": LARGEST_PAGE}
        return await self._look(Listing[Algorithm], "algorithms/", params)

    async def begin_upload(self, filename: str) -> Upload:
        answer = await self._send(Call.UPLOAD, "POST", "uploads/", json={"filename": filename})
        return _read(Upload, answer)

    async def uploads(self, offset: int = 0) -> Listing[Upload]:
        return await self._look(Listing[Upload], "uploads/", {"limit": LARGEST_PAGE, "offset": offset})

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

    async def count_jobs(self, algorithm_pk: str) -> int:
        params: dict[str, str | int] = {"algorithm_image__algorithm": algorithm_pk, "limit": 1}
        return (await self._look(Listing[Any], "algorithms/jobs/", params)).count

    async def jobs_after(self, algorithm_pk: str, offset: int) -> Listing[Job]:
        """Jobs of the algorithm, oldest first, without the first `offset`."""
        params: dict[str, str | int] = {"algorithm_image__algorithm": algorithm_pk}
        params |= {"limit": LARGEST_PAGE, "offset": offset}
        return await self._look(Listing[Job], "algorithms/jobs/", params)

    async def jobs_with_input(self, image_pk: str) -> Listing[Job]:
        return await self._look(Listing[Job], "algorithms/jobs/", {"input_image": image_pk})

    async def image(self, pk: str) -> Image:
        return await self._look(Image, f"cases/images/{pk}/")

    async def put_part(self, url: str, content: AsyncIterator[bytes], size_bytes: int) -> None:
        """Raises what the table says of a part."""
        error = error_for(Call.PART, await self._http.put(url, content, size_bytes))
        if error is not None:
            raise error

    @asynccontextmanager
    async def media(self, url: str) -> AsyncIterator[Download]:
        """A file behind its media address. Raises Never: GC-124; TryLater: GC-123 for a dead signature."""
        async with self._http.download(url) as download:
            if download.status != 200:
                call = Call.STORAGE if download.from_storage else Call.MEDIA
                error = error_for(call, await download.answer())
                raise error or Damaged("GC-132", f"a file came with HTTP {download.status}", "HTTP 200")
            yield download

    async def _look(self, model: type[M], path: str, params: dict[str, str | int] | None = None) -> M:
        return _read(model, await self._send(Call.LOOK, "GET", path, params=params))

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
        params: dict[str, str | int] | None = None,
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
