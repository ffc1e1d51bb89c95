"""A Virtual Patient Engine account whose every answer is written down, and one at the sandbox."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import numpy as np

from bridge.export.parcel import Parcel, ParcelFile
from bridge.itk import IDENTITY, ItkImage, write_image
from bridge.platforms import Account, RemoteJob, Request, RequestedVolume
from bridge.platforms.http import Http
from bridge.platforms.oauth import ClientCredentials
from bridge.platforms.virtual_patient_engine import VirtualPatientEngine
from bridge.platforms.virtual_patient_engine.options import Options
from bridge.sandbox.virtual_patient_engine import Sandbox

ENGINE = "https://eu.engine.example"
LOGIN = "https://login.example/oauth/token"
STORAGE = "https://storage.example"
SECRET = "5ec3e7" * 8
NOW_S = 1_800_000_000.0
KEY = "0123456789abcdef" * 2
CBCT = b"the bytes of a volume"


class Secret:
    def __init__(self, text: str = SECRET) -> None:
        self.text = text

    def reveal(self) -> str:
        return self.text


class Clock:
    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


class Files:
    def __init__(self, **files: bytes) -> None:
        self.files = files

    def open(self, ref: str) -> BinaryIO:
        return io.BytesIO(self.files[ref])


class Script:
    """Answers by `METHOD url` without query; a list is used up to its last. Keeps what was asked."""

    def __init__(self, answers: dict[str, Any] | None = None) -> None:
        self.answers: dict[str, Any] = {
            f"POST {LOGIN}": {"access_token": "t0ken", "expires_in": 86400, "token_type": "Bearer"},
            f"POST {ENGINE}/24.06/job": made("one"),
            f"PUT {STORAGE}/cbct": httpx.Response(200),
            f"PUT {ENGINE}/24.06/notify/one": httpx.Response(200),
            f"GET {ENGINE}/24.06/pollJobResults": httpx.Response(202),
            **(answers or {}),
        }
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        key = f"{request.method} {str(request.url).partition('?')[0]}"
        answer = self.answers.get(key)
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer is None:
            raise AssertionError(f"not written down: {key}")
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return httpx.Response(status, json=body)

    @property
    def lines(self) -> list[str]:
        return [f"{one.method} {str(one.url).partition('?')[0]}" for one in self.asked]

    def count(self, line: str) -> int:
        return self.lines.count(line)


def made(job: str, **keys: Any) -> dict[str, Any]:
    pair = {
        "presignedUploadUrl": f"{STORAGE}/cbct?X-Amz-Signature=5ecret",
        "notifyFinishUploadUrl": f"{ENGINE}/24.06/notify/{job}",
    }
    return {"jobId": job, "presignedUploadUrl": {"cbct": pair}, **keys}


def account(**changes: Any) -> Account:
    options = {"client_id": "us", "token_url": LOGIN, "version": "24.06", **changes.pop("options", {})}
    settings: dict[str, Any] = {"name": "vpe", "base_url": ENGINE, "token": Secret(), "options": options}
    return Account(**{**settings, **changes})


def scripted(
    script: Callable[[httpx.Request], httpx.Response], clock: Clock | None = None, **changes: Any
) -> VirtualPatientEngine:
    clock = clock or Clock()
    given = account(**changes)

    def http(account: Account, options: Options) -> Http:
        def credential(http: Http) -> ClientCredentials:
            return ClientCredentials(
                account,
                http.elsewhere,
                token_url=options.token_url,
                audience=options.audience,
                client_id=options.client_id,
                clock=clock,
            )

        return Http(account, httpx.MockTransport(script), credential=credential)

    return VirtualPatientEngine(given, http, clock)


def request(*structures: str, **values: Any) -> Request:
    volume = RequestedVolume(input="cbct", modality="CT", shape=(20, 32, 32), spacing_mm=(2.0, 2.0, 2.0))
    return Request(
        volumes=(volume,),
        values={
            "inputs": {"cbct": {"extension": ".nrrd"}},
            "outputs": {"meshes": [{"structures": list(structures or ("mandible",))}]},
            **values,
        },
    )


def parcel_of(order: Any, data: bytes = CBCT) -> Parcel:
    files = tuple(
        ParcelFile(
            input=file.input,
            ref=file.input,
            file_name=file.file_name,
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        for file in order.files
    )
    return Parcel(order=order, files=files, values=order.values)


async def submitted(
    platform: VirtualPatientEngine, wanted: Request | None = None, data: bytes = CBCT
) -> RemoteJob:
    """A job of which every step is done."""
    spec = await platform.describe("virtual-patient")
    order = platform.plan(spec, wanted or request())
    job = RemoteJob(key=KEY)
    for step in order.steps:
        job = await platform.perform(step, job, parcel_of(order, data), Files(cbct=data))
    return job


def jaws(folder: Path) -> bytes:
    """A block of bone in air, 20 x 32 x 32 at 2 mm, as .nrrd."""
    hu = np.full((20, 32, 32), -1000, dtype=np.int16)
    hu[2:18, 4:28, 4:28] = 1200
    image = ItkImage(array=hu, spacing_mm=(2.0, 2.0, 2.0), origin_lps=(-32, -32, 0), direction=IDENTITY)
    write_image(folder / "jaws.nrrd", image)
    return (folder / "jaws.nrrd").read_bytes()


def at_sandbox(sandbox: Sandbox, **options: Any) -> Account:
    return Account(
        name="vpe",
        base_url=sandbox.base_url,
        token=Secret(sandbox.secret),
        ca=str(sandbox.ca_file),
        timeout_s=10.0,
        options={
            "client_id": sandbox.client_id,
            "token_url": sandbox.token_url,
            "version": "24.06",
            "poll_s": 0.02,
            **options,
        },
    )


def told(request: httpx.Request) -> Any:
    return json.loads(request.content)
