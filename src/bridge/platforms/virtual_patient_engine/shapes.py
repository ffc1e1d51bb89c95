"""The shapes of the platform's JSON, in each spelling that its documents have.

Only keys that are used are named; others may come and go.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Many = Annotated[tuple[str, ...], BeforeValidator(lambda value: () if value is None else value)]
Table = Annotated[dict[str, Any], BeforeValidator(lambda value: {} if value is None else value)]
Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]

UPLOAD_KEYS = ("presignedUploadUrl", "uploadUrl", "presignedUrl")
"""The quick start's word, that of the pages on the job body, and a third for good measure."""
NOTIFY_KEYS = ("notifyFinishUploadUrl", "notifyUrl")
LINK_KEYS = ("url", "downloadUrl")


class Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class MadeJob(Wire):
    """The outer key is that of an inner one: an object by input in the quick start, a text in simpler answers."""

    jobId: str = Field(min_length=1)  # noqa: N815
    presignedUploadUrl: Any = None  # noqa: N815
    uploadUrl: Any = None  # noqa: N815
    notifyFinishUploadUrl: Any = None  # noqa: N815
    notifyUrl: Any = None  # noqa: N815

    def addresses(self, inputs: tuple[str, ...]) -> dict[str, tuple[str, str]]:
        """Upload and notify address by input; those that cannot be told are missing."""
        outer = self.presignedUploadUrl if self.presignedUploadUrl is not None else self.uploadUrl
        notify = self.notifyFinishUploadUrl or self.notifyUrl
        if isinstance(outer, str):
            given = {inputs[0]: (outer, notify)} if len(inputs) == 1 else {}
        else:
            tables = outer if isinstance(outer, dict) else {}
            given = {name: _pair(tables.get(name), notify, name) for name in inputs}
        return {
            name: (upload, told)
            for name, (upload, told) in given.items()
            if isinstance(upload, str) and isinstance(told, str)
        }


def _pair(entry: Any, notify: Any, name: str) -> tuple[Any, Any]:
    if isinstance(entry, dict):
        return _first(entry, UPLOAD_KEYS), _first(entry, NOTIFY_KEYS)
    return entry, notify.get(name) if isinstance(notify, dict) else None


class OutputFile(Wire):
    status: Text = ""
    size: int | None = None
    extension: Text = ""
    structures: Many = ()
    url: Any = None
    downloadUrl: Any = None  # noqa: N815

    def link(self) -> str:
        found = _first({"url": self.url, "downloadUrl": self.downloadUrl}, LINK_KEYS)
        return found if isinstance(found, str) else ""


class Polled(Wire):
    """A 200 of the poll. `success` is looked at before it is believed; other keys may say why a job failed."""

    model_config = ConfigDict(extra="allow", frozen=True)

    success: Any = None
    outputFiles: Table = Field(default_factory=dict)  # noqa: N815
    """By family: a list of files, or one."""


def _first(entry: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((entry[key] for key in keys if entry.get(key)), None)
