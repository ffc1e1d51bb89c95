"""File names at the platform: they carry the job's key, so that what belongs to a job is found again without notes.

The platform keeps the name of an uploaded file as the name of the image that it makes of it, for ever, and as the end
of a file's address. Of such an address its database keeps 100 characters, of which half are the folder's, and cuts the
end of a longer name: there the key stands first. The key is a keyed hash made to be sent out: it says nothing about a
patient.
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import PurePath
from urllib.parse import unquote, urlsplit

from bridge.platforms.protocol import RemoteJob

LONGEST_STEM = 64
"""The platform takes names of at most 128 characters."""

_KEY_LAST = re.compile(r"-([0-9a-f]{32})-\d+(?:_\w+)?(?:\.\w+)*$")
_KEY_FIRST = re.compile(r"([0-9a-f]{32})-\d+-")
_STORAGE_MARK = re.compile(r"_[0-9A-Za-z]{7}$")


def upload_name(job: RemoteJob, file_name: str) -> str:
    """A name for an image that only this input of this job and attempt has."""
    name = PurePath(file_name)
    return f"{_stem(name)}-{job.key}-{job.attempt}{name.suffix}"


def file_upload_name(job: RemoteJob, file_name: str) -> str:
    """The same for a file that stays one."""
    name = PurePath(file_name)
    return f"{job.key}-{job.attempt}-{_stem(name)}{name.suffix}"


def _stem(name: PurePath) -> str:
    """Two long names that begin alike stay two: an upload is found again by its name."""
    if len(name.stem) <= LONGEST_STEM:
        return name.stem
    return f"{name.stem[: LONGEST_STEM - 9]}-{sha256(name.stem.encode()).hexdigest()[:8]}"


def is_named(ours: str, theirs: str) -> bool:
    """Whether a name at the platform is that of our file: storage may have put a mark behind its stem, or cut it."""
    mine, name = PurePath(ours), PurePath(theirs)
    if not ours or name.suffix != mine.suffix:
        return False
    if name.stem == mine.stem or name.stem.startswith(f"{mine.stem}_"):
        return True
    cut = _STORAGE_MARK.sub("", name.stem)
    return mine.stem.startswith(cut) and _KEY_FIRST.match(cut) is not None


def key_of(name: str) -> str:
    """The key of the job that a file was sent for; empty for the name of somebody else's file."""
    found = _KEY_FIRST.match(name) or _KEY_LAST.search(name)
    return found.group(1) if found else ""


def last_part(url: str) -> str:
    """The file name at the end of an address."""
    return unquote(urlsplit(url).path.rpartition("/")[2])


def pk_of(url: str) -> str:
    """The id at the end of an API address; host and scheme do not count, they differ behind proxies."""
    return urlsplit(url).path.rstrip("/").rpartition("/")[2]
