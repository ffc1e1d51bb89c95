"""The endpoints that are used, each answer read or turned into an error of the table in `answers`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

from pydantic import ValidationError

from bridge.errors import Damaged, TryLater
from bridge.export.parcel import Json
from bridge.platforms.http import Answer, Download, Http
from bridge.platforms.virtual_patient_engine.answers import Call, error_for
from bridge.platforms.virtual_patient_engine.options import Options
from bridge.platforms.virtual_patient_engine.shapes import MadeJob, Polled, Wire

M = TypeVar("M", bound=Wire)
REFUSES_PUT = (404, 405, 501)
NOBODY = "00000000-0000-0000-0000-000000000000"


class Api:
    """Every method may raise TryLater and Unauthorized."""

    def __init__(self, http: Http, options: Options) -> None:
        self._http, self._options = http, options
        self._method = "POST" if options.notify == "post" else "PUT"

    async def create(self, version: str, body: Json) -> MadeJob:
        """Raises also Never; Damaged: VPE-131, an answer of an unknown shape."""
        path = f"{version}/{self._options.route(version)}"
        answer = await self._http.api("POST", path, json=body)
        _raise(Call.CREATE, answer)
        return _read(MadeJob, answer)

    async def upload(self, url: str, content: AsyncIterator[bytes], size_bytes: int) -> Answer:
        answer = await self._http.put(url, content, size_bytes, self._options.upload_headers)
        _raise(Call.UPLOAD, answer)
        return answer

    async def notify(self, url: str, *, commits: bool) -> Answer:
        """PUT, and from the first refusal on POST, where the account leaves it open. Raises also Unsure.

        A refusal of the request itself (4xx) is an answer: only the poll tells what it means.
        """
        answer = await self._http.call(self._method, url, commits=commits)
        if self._options.notify == "auto" and self._method == "PUT" and answer.status in REFUSES_PUT:
            answer = await self._http.call("POST", url, commits=commits)
            if 200 <= answer.status < 300:
                self._method = "POST"
        if answer.status == 401 or answer.status in (408, 425, 429) or not 400 <= answer.status < 500:
            _raise(Call.NOTIFY, answer)
        return answer

    async def poll(self, version: str, job: str) -> Polled | None:
        """None while it waits or computes. Raises also Never: VPE-122, it is not there."""
        answer = await self._http.api("GET", f"{version}/pollJobResults", params={"jobId": job})
        _raise(Call.POLL, answer)
        return None if answer.status == 202 else _read(Polled, answer)

    async def probe(self, version: str) -> Answer:
        """A job that nobody has: any answer but a refused token will do."""
        return await self._http.api("GET", f"{version}/pollJobResults", params={"jobId": NOBODY})

    @asynccontextmanager
    async def file(self, url: str) -> AsyncIterator[Download]:
        """Raises TryLater: VPE-130, the address has expired; what the table says of a file."""
        async with self._http.download(url) as download:
            if download.status != 200:
                error = error_for(Call.FETCH, await download.answer())
                raise error or Damaged("VPE-132", f"a file came with HTTP {download.status}", "HTTP 200")
            yield download


def _raise(call: Call, answer: Answer) -> None:
    error = error_for(call, answer)
    if error is not None:
        raise error


def _read(model: type[M], answer: Answer) -> M:
    """Raises TryLater: VPE-133, not JSON (a proxy's own page); Damaged: VPE-131, naming the keys that came."""
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise TryLater(
            "VPE-133",
            "the platform answered with something other than JSON",
            "JSON",
            "If this lasts, look whether a proxy answers in the platform's place",
        ) from None
    try:
        return model.model_validate(told)
    except ValidationError:
        raise unknown_shape(model.__name__, told) from None


def unknown_shape(what: str, told: object) -> Damaged:
    """VPE-131: names of keys only, and no more than some."""
    keys = sorted(map(str, told)) if isinstance(told, Mapping) else [type(told).__name__]
    return Damaged(
        "VPE-131",
        f"the platform's {what} has another shape than known: {', '.join(key[:40] for key in keys[:8])}",
        "the keys that the vendor documents",
    )
