"""The recorded exchanges with the platform's own server, reduced to shapes that answers can be compared with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

TRANSCRIPT = Path(__file__).resolve().parents[4] / "shared" / "apis" / "grand-challenge.transcript.json"


def exchanges() -> list[dict[str, Any]]:
    """All of them; the test is skipped, with the reason, where they are absent."""
    if not TRANSCRIPT.exists():
        pytest.skip("needs the recorded exchanges beside the checkout: ../shared/apis")
    return list(json.loads(TRANSCRIPT.read_text())["exchanges"])


def shape(value: Any) -> Any:
    """Keys without values, and of each list the first element."""
    if isinstance(value, dict):
        return {"<number>" if key.isdigit() else key: shape(inner) for key, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value) in (list, dict)


def differences(ours: Any, recorded: Any, at: str = "") -> list[str]:
    """Where key sets differ; an empty list or null on either side says nothing."""
    if isinstance(ours, dict) and isinstance(recorded, dict):
        here = [f"{at}: {set(ours) ^ set(recorded)}"] if set(ours) != set(recorded) else []
        return here + [
            d for k in ours if k in recorded for d in differences(ours[k], recorded[k], f"{at}/{k}")
        ]
    if isinstance(ours, list) and isinstance(recorded, list):
        return differences(ours[0], recorded[0], f"{at}[]")
    return []


def route(url: str) -> str:
    """The path with {pk} in place of identifiers, so that the same call is the same text."""
    path = re.sub(r"(/uploads/[^/]+/)[^/]+/", r"\1{s3}/", urlsplit(url).path)
    path = re.sub(r"(/media/images/)../../", r"\1", path)
    path = re.sub(r"(componentinterfacevalue/).*", r"\1{file}", path)
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "{pk}", path)
