"""Numbered keys in files of the owner alone, beside the index: those that make names, and those that seal rows.

A key is never changed; a new one gets the next number. What was made with an older one says its number.
"""

from __future__ import annotations

import os
import secrets
from enum import StrEnum
from pathlib import Path

from bridge.errors import Damaged
from bridge.store.files import sync_folder

FOLDER = "keys"
KEY_BYTES = 32


class Kind(StrEnum):
    NAMES = "names"
    """Behind pseudonyms, outward UIDs and the shift of dates."""
    SEAL = "seal"
    """Encrypts the rows of the crosswalk."""


class Keys:
    """`<data>/keys/`, mode 0700; one file for each key, mode 0600."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def numbers(self, kind: Kind) -> list[int]:
        """Those that are here, the oldest first."""
        found = (file.stem.rpartition("-") for file in self._folder.glob(f"{kind}-*.key"))
        return sorted(int(number) for name, _, number in found if name == kind and number.isdecimal())

    def newest(self, kind: Kind) -> int | None:
        return max(self.numbers(kind), default=None)

    def get(self, kind: Kind, number: int) -> bytes:
        """Raises Damaged: KEY-001, the file is gone or is not a key."""
        try:
            key = self._file(kind, number).read_bytes()
        except OSError:
            key = b""
        if len(key) != KEY_BYTES:
            raise Damaged(
                "KEY-001",
                f"{self._file(kind, number).name} with {len(key)} bytes"
                if key
                else f"no key {kind} {number}",
                f"{KEY_BYTES} bytes, in the folder {FOLDER} of the data directory",
                "Restore it from the back-up: nothing else can make these names, or read these rows",
            )
        return key

    def make(self, kind: Kind) -> int:
        """A new key; durable when this returns. Returns its number."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = (self.newest(kind) or 0) + 1
        part = self._file(kind, number).with_suffix(".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(secrets.token_bytes(KEY_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(self._file(kind, number))
        sync_folder(self._folder)
        return number

    def drop(self, kind: Kind, number: int) -> None:
        self._file(kind, number).unlink(missing_ok=True)

    def _file(self, kind: Kind, number: int) -> Path:
        return self._folder / f"{kind}-{number:04d}.key"

    def __repr__(self) -> str:
        return "Keys(...)"
