"""Line files that tests and the demo read: what was asked, and which jobs would have been billed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any


class LineFile:
    """Appends JSON objects, one per line, whole and flushed before `append` returns."""

    def __init__(self, path: Path) -> None:
        self._lock = Lock()
        self._file = path.open("a", encoding="utf-8")

    def append(self, line: dict[str, Any]) -> None:
        with self._lock:
            if self._file.closed:
                return
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._file.flush()

    def close(self) -> None:
        with self._lock:
            self._file.close()


def iso(seconds: float) -> str:
    """A POSIX time as the platform writes it, "2026-11-21T00:12:21.976218Z"."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
