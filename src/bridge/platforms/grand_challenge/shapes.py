"""The shapes of the platform's JSON.

Only keys that are used are named; others may come and go. `socket` is the new word for `interface` of a value, and
servers before 2025-12-19 send the old one only.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

T = TypeVar("T")

Many = Annotated[tuple[T, ...], BeforeValidator(lambda value: () if value is None else value)]
Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
Table = Annotated[dict[str, Any], BeforeValidator(lambda value: {} if value is None else value)]


class Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Listing(Wire, Generic[T]):
    count: int
    next: str | None = None
    results: Many[T] = ()


class Segment(Wire):
    name: Text = ""
    voxel_value: int


class Socket(Wire):
    slug: str
    title: Text = ""
    kind: Text = ""
    super_kind: Text = ""
    default_value: Any = None
    relative_path: Text = ""
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
    api_url: Text = ""
    name: Text = ""
    files: Many[ImageFile] = ()


class Archive(Wire):
    pk: str


class ArchiveItem(Wire):
    pk: str
    values: Many[SocketValue] = ()
