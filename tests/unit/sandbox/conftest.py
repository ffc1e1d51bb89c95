"""A running Grand Challenge sandbox, and a client that does by hand what the platform's documents ask for."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from bridge.itk import IDENTITY, ItkImage, write_image
from bridge.sandbox.grand_challenge import Sandbox


class Cloud:
    """A sandbox with two clients: `api` sends the token, `plain` never does. Keeps every JSON answer."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.tls = ssl.create_default_context(cafile=str(sandbox.ca_file))
        self.plain = httpx.Client(verify=self.tls, base_url=sandbox.base_url)
        self.api = self.client(sandbox.token)
        self.answers: list[tuple[str, str, int, Any]] = []

    def client(self, token: str) -> httpx.Client:
        return httpx.Client(
            verify=self.tls,
            base_url=self.sandbox.base_url,
            headers={"Authorization": f"Bearer {token}"},
            event_hooks={"response": [self._keep]},
        )

    def _keep(self, response: httpx.Response) -> None:
        response.read()
        if response.headers.get("content-type") == "application/json":
            request = response.request
            self.answers.append((request.method, request.url.path, response.status_code, response.json()))

    def upload(self, content: bytes, name: str = "ct.mha", part_size: int = 8 << 20) -> str:
        """The address of a completed upload."""
        made = self.api.post("uploads/", json={"filename": name}).json()
        pieces = [content[i : i + part_size] for i in range(0, len(content), part_size)]
        actions = f"uploads/{made['pk']}/{made['s3_upload_id']}"
        numbers = list(range(1, len(pieces) + 1))
        urls = self.api.patch(f"{actions}/generate-presigned-urls/", json={"part_numbers": numbers}).json()
        parts = []
        for number, piece in zip(numbers, pieces, strict=True):
            sent = self.plain.put(urls["presigned_urls"][str(number)], content=piece)
            assert sent.status_code == 200
            parts.append({"ETag": sent.headers["ETag"], "PartNumber": number})
        done = self.api.patch(f"{actions}/complete-multipart-upload/", json={"parts": parts})
        assert done.json()["status"] == "Completed"
        return made["api_url"]

    def session(self, *uploads: str) -> dict[str, Any]:
        return self.api.post("cases/upload-sessions/", json={"uploads": list(uploads)}).json()

    def algorithm(self, slug: str = "identity-mask") -> str:
        return self.api.get("algorithms/", params={"slug": slug}).json()["results"][0]["api_url"]

    def submit(self, slug: str = "identity-mask", **given: Any) -> httpx.Response:
        body = {"algorithm": self.algorithm(slug), "inputs": [{"interface": "ct-image", **given}]}
        return self.api.post("algorithms/jobs/", json=body)

    def post(self, slug: str, **inputs: dict[str, Any]) -> httpx.Response:
        """A job; each input by its socket, "_" for "-"."""
        given = [{"interface": name.replace("_", "-"), **keys} for name, keys in inputs.items()]
        return self.api.post("algorithms/jobs/", json={"algorithm": self.algorithm(slug), "inputs": given})

    def job(self, pk: str) -> dict[str, Any]:
        return self.api.get(f"algorithms/jobs/{pk}/").json()

    def wait_for(self, pk: str, status: str, timeout_s: float = 10.0) -> dict[str, Any]:
        until = time.monotonic() + timeout_s
        while (job := self.job(pk))["status"] != status:
            assert time.monotonic() < until, f"still {job['status']}"
            time.sleep(0.01)
        return job

    def finished(self, pk: str, timeout_s: float = 20.0) -> dict[str, Any]:
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            job = self.api.get(f"algorithms/jobs/{pk}/").json()
            if job["status"] in ("Succeeded", "Failed", "Cancelled"):
                return job
            time.sleep(0.01)
        raise AssertionError(f"still {job['status']}")

    def run(self, content: bytes, slug: str = "identity-mask") -> dict[str, Any]:
        session = self.session(self.upload(content))
        return self.finished(self.submit(slug, upload_session=session["api_url"]).json()["pk"])

    def download(self, image_url: str, to: Path) -> Path:
        """The one file of an image, token dropped at the redirect as httpx does."""
        file = self.api.get(image_url).json()["files"][0]["file"]
        answer = self.api.get(file, follow_redirects=True)
        assert answer.status_code == 200
        to.write_bytes(answer.content)
        return to

    def lines(self, file: Path) -> list[dict[str, Any]]:
        return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def start_cloud(tmp_path: Path) -> Iterator[Callable[..., Cloud]]:
    started: list[Cloud] = []

    def start(**settings: Any) -> Cloud:
        sandbox = Sandbox(tmp_path / f"sandbox-{len(started)}", **settings)
        sandbox.start()
        started.append(Cloud(sandbox))
        return started[-1]

    yield start
    for cloud in started:
        cloud.api.close()
        cloud.plain.close()
        cloud.sandbox.stop()
        assert not (cloud.sandbox.folder / "errors.log").exists()


@pytest.fixture
def cloud(start_cloud: Callable[..., Cloud]) -> Cloud:
    return start_cloud()


@pytest.fixture(scope="session")
def chest() -> ItkImage:
    """A drawn chest, 24 x 64 x 64 at 5 mm: -850 HU lungs, the right one larger, and -1000 HU airways."""
    z, y, x = np.meshgrid(np.arange(24), np.arange(64), np.arange(64), indexing="ij")

    def ball(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Any:
        return sum(((a - c) / r) ** 2 for a, c, r in zip((z, y, x), centre, radii, strict=True)) <= 1

    hu = np.full(z.shape, -1000, dtype=np.int16)
    hu[((y - 32) / 22) ** 2 + ((x - 32) / 29) ** 2 <= 1] = 40
    right = ball((10, 32, 18), (9, 14, 9))
    left = ball((10, 32, 46), (8, 13, 8))
    hu[right | left] = -850
    trachea = (np.hypot(y - 30, x - 32) <= 2.2) & (z >= 10) & (z <= 23)
    bronchi = (np.hypot(z - 11, y - 30) <= 1.6) & (x >= 24) & (x <= 40)
    hu[trachea | bronchi] = -1000
    return ItkImage(
        array=hu, spacing_mm=(5.0, 5.0, 5.0), origin_lps=(-160.0, -150.0, -300.0), direction=IDENTITY
    )


@pytest.fixture(scope="session")
def mha(tmp_path_factory: pytest.TempPathFactory) -> Callable[[ItkImage], bytes]:
    folder = tmp_path_factory.mktemp("mha")

    def encode(image: ItkImage) -> bytes:
        write_image(folder / "x.mha", image)
        return (folder / "x.mha").read_bytes()

    return encode


@pytest.fixture(scope="session")
def chest_mha(chest: ItkImage, mha: Callable[[ItkImage], bytes]) -> bytes:
    return mha(chest)
