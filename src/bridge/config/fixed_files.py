"""Files of the site's own that a rule gives to an algorithm as they stand: `atlas = { file = "atlas.zip" }`.

Paths are relative to the folder of rules.toml. What a file holds is part of what a job is, so its digest is taken
when the rules are read and stands beside the path from then on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.config.load import Document, Key
from bridge.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedFile:
    """A file that a rule names. `path`: as the rule writes it; `sha256`: "" where it was not read yet."""

    path: str
    sha256: str = ""


def fixed_file(value: object) -> FixedFile | None:
    """The file that a value of a rule names; None for a value that is none of the kind."""
    if not isinstance(value, dict) or "file" not in value or not set(value) <= {"file", "sha256"}:
        return None
    path, sha256 = value["file"], value.get("sha256", "")
    return FixedFile(path=path, sha256=sha256) if isinstance(path, str) and isinstance(sha256, str) else None


def with_digests(document: Document, rule: str, values: Mapping[str, Any]) -> dict[str, Any] | ConfigError:
    """The values of a rule, each file among them with its digest.

    Gives ConfigError: CFG-012, a file that is not there, is empty, or is not the one whose digest the rule has.
    """
    found = dict(values)
    for socket, value in values.items():
        named = fixed_file(value)
        if named is None:
            continue
        key: Key = ("rules", rule, "values", socket)
        file = document.file.absolute().parent / named.path
        try:
            size_bytes, sha256 = file.stat().st_size, digest_of(file)
        except (OSError, ValueError) as error:
            reason = (getattr(error, "strerror", None) or "no path").lower()
            return document.error("CFG-012", key, f"the file cannot be read ({reason})", "a file of the site")
        if not size_bytes:
            return document.error("CFG-012", key, "the file is empty", "a file with content")
        if named.sha256 not in ("", sha256):
            remedy = "Put the file back, or write its new digest: it is another job then"
            return document.error("CFG-012", key, "a file with another digest", "that of `sha256`", remedy)
        found[socket] = {"file": named.path, "sha256": sha256}
    return found


def digest_of(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises OSError."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
