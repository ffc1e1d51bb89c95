"""A Grand Challenge account whose every answer is written down, and the recorded answers of the real server."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import httpx
import pytest

from bridge.platforms import Account, RemoteJob, RequestedVolume
from bridge.platforms.grand_challenge import GrandChallenge
from bridge.platforms.http import Http

T = TypeVar("T")
BASE = "https://api.example/api/v1/"
TOKEN = "5ec3e7" * 10
NOW_S = 1_800_000_000.0
TRANSCRIPT = Path(__file__).resolve().parents[4] / "shared" / "apis" / "grand-challenge.transcript.json"


class Token:
    def __init__(self, text: str = TOKEN) -> None:
        self.text = text

    def reveal(self) -> str:
        return self.text


class Files:
    def __init__(self, **files: bytes) -> None:
        self.files = files

    def open(self, ref: str) -> BinaryIO:
        return io.BytesIO(self.files[ref])


class Script:
    """Answers by `METHOD path?query` below the base URL, or by `METHOD url`; keeps what was asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        key = f"{request.method} {str(request.url).removeprefix(BASE)}"
        answer = self.answers.get(key)
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer is None:
            raise AssertionError(f"not written down: {key}")
        if isinstance(answer, httpx.Response):
            return answer
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return httpx.Response(status, json=body)

    @property
    def lines(self) -> list[str]:
        return [f"{one.method} {str(one.url).removeprefix(BASE)}" for one in self.asked]


def account(**changes: Any) -> Account:
    settings: dict[str, Any] = {"name": "gc", "base_url": BASE, "token": Token()}
    return Account(**{**settings, **changes})


def scripted(
    script: Callable[[httpx.Request], httpx.Response], now_s: float = NOW_S, **changes: Any
) -> GrandChallenge:
    given = account(**changes)
    return GrandChallenge(given, Http(given, httpx.MockTransport(script)), lambda: now_s)


def run(awaitable: Awaitable[T]) -> T:
    async def wrapped() -> T:
        return await awaitable

    return asyncio.run(wrapped())


def recorded(label: str) -> dict[str, Any]:
    """One exchange with the server's own code. Skips where the record is absent."""
    if not TRANSCRIPT.exists():
        pytest.skip(
            "needs recorded answers beside the checkout: ../shared/apis/grand-challenge.transcript.json"
        )
    for exchange in json.loads(TRANSCRIPT.read_text(encoding="utf-8"))["exchanges"]:
        if exchange["label"] == label:
            found: dict[str, Any] = exchange
            return found
    raise AssertionError(f"no exchange {label!r} in the record")


def volume(name: str) -> RequestedVolume:
    return RequestedVolume(input=name, modality="CT", shape=(120, 512, 512), spacing_mm=(2.5, 0.7, 0.7))


def job(**notes: dict[str, Any]) -> RemoteJob:
    """Notes with `__` for the colon in a step's name."""
    return RemoteJob(
        key="0123abcd",
        notes={name.replace("__", ":").replace("_", "-"): note for name, note in notes.items()},
    )
