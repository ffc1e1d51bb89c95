"""Where each platform of the registry is tried: its sandbox, an input, and what the suite must know of its wire.

A new platform adds one function and one line in `BENCHES`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from bridge.itk import IDENTITY, ItkImage, write_image
from bridge.platforms import Account
from bridge.store.secrets import SecretFiles


class TokenFile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def reveal(self) -> str:
        return self.path.read_text(encoding="utf-8")


@dataclass(kw_only=True)
class Bench:
    """One sandbox that runs."""

    platform: str
    account: Account
    token_file: Path
    algorithm: str
    """Computes something; used once."""
    quick: str
    """Takes the same input and ends at once."""
    volumes: dict[str, bytes]
    """File contents by input: volumes, but for those named in `files`."""
    files: dict[str, str] = field(default_factory=dict)
    """Media types of the inputs that are files of the site's own."""
    values: dict[str, Any] = field(default_factory=dict)
    """What a rule says beside its inputs."""
    outputs: dict[str, str]
    """Media types of `algorithm`'s outputs by name."""
    billed: Callable[[], int]
    refusals: Callable[[], int]
    """How often a token, or what a token is asked for with, was refused."""
    storage_requests: Callable[[], list[dict[str, Any]]]
    """As the storage origin logged them, with `authorization`."""
    api_requests: Callable[[], list[dict[str, Any]]]
    is_commit: Callable[[httpx.Request], bool]
    make_strange: Callable[[httpx.Request, Any], Any]
    """A JSON answer as a later version of the platform might give it."""
    strange_words: set[str] = field(default_factory=set)
    hidden: Callable[[], Sequence[str]] = tuple
    """Secrets of the moment that nobody may read anywhere, beside the token file and signatures."""
    logins: str = ""
    """Where a token comes from, where that is an origin of its own."""

    def is_storage(self, request: httpx.Request) -> bool:
        others = [httpx.URL(one) for one in (self.account.base_url, self.logins) if one]
        return (request.url.host, request.url.port) not in [(one.host, one.port) for one in others]


def chest(folder: Path) -> bytes:
    """A block of tissue with two lungs and an airway between them, 16 x 48 x 48 at 6 mm, as .mha."""
    hu = np.full((16, 48, 48), -1000, dtype=np.int16)
    hu[:, 4:44, 4:44] = 40
    hu[3:13, 14:34, 8:20] = -850
    hu[3:13, 14:34, 27:40] = -850
    hu[5:9, 22:26, 18:30] = -1000
    image = ItkImage(array=hu, spacing_mm=(6.0, 6.0, 6.0), origin_lps=(-144, -144, 0), direction=IDENTITY)
    write_image(folder / "chest.mha", image)
    return (folder / "chest.mha").read_bytes()


@contextmanager
def grand_challenge(folder: Path) -> Iterator[Bench]:
    from bridge.sandbox.grand_challenge import Sandbox

    strange_words: set[str] = set()

    def make_strange(request: httpx.Request, body: Any) -> Any:
        is_job = request.method == "GET" and "/algorithms/jobs/" in request.url.path and "status" in body
        if is_job and "Dreaming" not in strange_words:
            strange_words.add("Dreaming")
            body["status"] = "Dreaming"
        return _with_news(body)

    with Sandbox(folder / "sandbox") as sandbox:
        token_file = folder / "token"
        token_file.write_text(sandbox.token + "\n", encoding="utf-8")
        yield Bench(
            platform="grand-challenge",
            account=Account(
                name="gc",
                base_url=sandbox.base_url,
                token=TokenFile(token_file),
                ca=str(sandbox.ca_file),
                timeout_s=10.0,
                options={"poll_first_s": 0.02, "poll_s": 0.05, "retry_s": 0.0},
            ),
            token_file=token_file,
            algorithm="lungs-and-airways",
            quick="identity-mask",
            volumes={"ct-image": chest(folder)},
            outputs={
                "lung-segmentation": "image/x-metaimage",
                "low-attenuation-percent": "application/json",
            },
            billed=lambda: len(_lines(sandbox.folder / "ledger.jsonl")),
            refusals=lambda: len([line for line in _of(sandbox.folder, "api") if line["status"] == 401]),
            storage_requests=lambda: _of(sandbox.folder, "store"),
            api_requests=lambda: _of(sandbox.folder, "api"),
            is_commit=lambda request: (
                request.method == "POST" and request.url.path.endswith("/algorithms/jobs/")
            ),
            make_strange=make_strange,
            strange_words=strange_words,
        )


def jaws(folder: Path) -> bytes:
    """A block of bone in air, 20 x 32 x 32 at 2 mm, as .nrrd."""
    hu = np.full((20, 32, 32), -1000, dtype=np.int16)
    hu[2:18, 4:28, 4:28] = 1200
    image = ItkImage(array=hu, spacing_mm=(2.0, 2.0, 2.0), origin_lps=(-32, -32, 0), direction=IDENTITY)
    write_image(folder / "jaws.nrrd", image)
    return (folder / "jaws.nrrd").read_bytes()


def scan() -> bytes:
    """A binary STL of one triangle, as an intra-oral scanner writes it."""
    corners = np.array([[0, 0, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype="<f4")
    return b"scan".ljust(80, b"\0") + struct.pack("<I", 1) + corners.tobytes() + b"\0\0"


@contextmanager
def virtual_patient_engine(folder: Path) -> Iterator[Bench]:
    from bridge.sandbox.virtual_patient_engine import Sandbox

    strange_words: set[str] = set()

    def make_strange(request: httpx.Request, body: Any) -> Any:
        if "success" in body and "Dreaming" not in strange_words:
            strange_words.add("Dreaming")
            body["success"] = "Dreaming"
        return _with_news(body)

    def outputs(*structures: str) -> dict[str, Any]:
        return {"meshes": [{"extension": ".stl", "structures": list(structures)}]}

    with Sandbox(folder / "sandbox") as sandbox:
        token_file = folder / "token"
        token_file.write_text(sandbox.secret + "\n", encoding="utf-8")
        yield Bench(
            platform="virtual-patient-engine",
            account=Account(
                name="vpe",
                base_url=sandbox.base_url,
                token=TokenFile(token_file),
                ca=str(sandbox.ca_file),
                timeout_s=10.0,
                options={
                    "client_id": sandbox.client_id,
                    "token_url": sandbox.token_url,
                    "version": "24.06",
                    "poll_s": 0.02,
                },
                secrets=SecretFiles(folder / "secrets"),
            ),
            token_file=token_file,
            algorithm="virtual-patient",
            quick="virtual-patient",
            volumes={"cbct": jaws(folder), "ios_upper": scan()},
            files={"ios_upper": ""},
            values={
                "inputs": {"cbct": {"extension": ".nrrd"}, "ios_upper": {"extension": ".stl"}},
                "outputs": outputs("mandible", "maxillary", "tooth11"),
            },
            outputs=dict.fromkeys(("mandible", "maxillary", "tooth11"), "model/stl"),
            billed=lambda: sandbox.ledger()["started"],
            refusals=lambda: len([line for line in _of(sandbox.folder, "token") if line["status"] >= 400]),
            storage_requests=lambda: _of(sandbox.folder, "storage"),
            api_requests=lambda: _of(sandbox.folder, "engine"),
            is_commit=lambda request: (
                request.url.path.endswith("/ios_upper") and "/notify/" in request.url.path
            ),
            make_strange=make_strange,
            strange_words=strange_words,
            hidden=sandbox.tokens,
            logins=sandbox.token_url,
        )


BENCHES: dict[str, Callable[[Path], AbstractContextManager[Bench]]] = {
    "grand-challenge": grand_challenge,
    "virtual-patient-engine": virtual_patient_engine,
}


def _with_news(value: Any) -> Any:
    """Every object with a key that nobody knows, and null where an empty list was."""
    if isinstance(value, dict):
        return {**{key: _with_news(inner) for key, inner in value.items()}, "x_new": {"since": 2031}}
    if isinstance(value, list):
        return [_with_news(inner) for inner in value] or None
    return value


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _of(folder: Path, origin: str) -> list[dict[str, Any]]:
    return [line for line in _lines(folder / "requests.jsonl") if line["origin"] == origin]
