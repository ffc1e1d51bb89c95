"""File names at the platform: they carry the job's key, so that what belongs to a job is found again without notes.

The platform keeps the name of an uploaded file as the name of the image that it makes of it, for ever, and as the end
of a file's address. The key is a keyed hash made to be sent out: it says nothing about a patient.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from urllib.parse import unquote, urlsplit

from bridge.platforms.protocol import RemoteJob

LONGEST_STEM = 64
"""The platform takes names of at most 128 characters."""

_MARK = re.compile(r"-([0-9a-f]{32})-\d+(?:_\w+)?(?:\.\w+)*$")


def upload_name(job: RemoteJob, file_name: str) -> str:
    """A name that only this input of this job and attempt has."""
    name = PurePath(file_name)
    return f"{name.stem[:LONGEST_STEM]}-{job.key}-{job.attempt}{name.suffix}"


def is_named(ours: str, theirs: str) -> bool:
    """Whether a name at the platform is that of our file; storage may have put a mark behind its stem."""
    mine, name = PurePath(ours), PurePath(theirs)
    is_same = name.stem == mine.stem or name.stem.startswith(f"{mine.stem}_")
    return bool(ours) and name.suffix == mine.suffix and is_same


def key_of(name: str) -> str:
    """The key of the job that a file was sent for; empty for the name of somebody else's file."""
    found = _MARK.search(name)
    return found.group(1) if found else ""


def last_part(url: str) -> str:
    """The file name at the end of an address."""
    return unquote(urlsplit(url).path.rpartition("/")[2])


def pk_of(url: str) -> str:
    """The id at the end of an API address; host and scheme do not count, they differ behind proxies."""
    return urlsplit(url).path.rstrip("/").rpartition("/")[2]
