"""Tokens and signed addresses that must outlive the process: files of the owner alone, beside the index.

Not in the index, because a back-up of the index must hold none of them; and not put back with it, so that what was
made at a platform is still known when an earlier index was put back.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from uuid import uuid4

from bridge.errors import TryLater
from bridge.store.files import sync_folder


class SecretFiles:
    """One file per secret in a folder of mode 0700; its name is hashed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> str | None:
        """Raises TryLater: SEC-001, it is there and cannot be read."""
        try:
            return self._file(name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise _trouble("read", problem) from None

    def put(self, name: str, value: str) -> None:
        """Whole and durable when it returns. Raises TryLater: SEC-001."""
        file = self._file(name)
        part = file.with_name(f"{file.name}.{uuid4().hex}.part")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                    stream.write(value.encode())
                    stream.flush()
                    os.fsync(stream.fileno())
                part.replace(file)
            finally:
                part.unlink(missing_ok=True)
            sync_folder(self._folder)
        except OSError as problem:
            raise _trouble("written", problem) from None

    def drop(self, name: str) -> None:
        """Raises TryLater: SEC-001."""
        try:
            self._file(name).unlink(missing_ok=True)
        except OSError as problem:
            raise _trouble("removed", problem) from None

    def _file(self, name: str) -> Path:
        return self._folder / hashlib.sha256(name.encode()).hexdigest()

    def __repr__(self) -> str:
        return "SecretFiles(...)"


def _trouble(verb: str, problem: OSError) -> TryLater:
    return TryLater(
        "SEC-001",
        f"a secret of a platform cannot be {verb} ({problem.strerror})",
        "a folder `secrets` in the data directory that this user can write",
        "Look at the disk and at the owner of the data directory",
    )
