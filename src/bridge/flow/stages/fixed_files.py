"""Files of the site's own on their way to a platform: copied to the job's shelf, and known by what they hold."""

from __future__ import annotations

import codecs
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from bridge.config.fixed_files import FixedFile, fixed_file
from bridge.errors import Held, Refused
from bridge.flow.stages.shelf import PARCEL, JobShelf
from bridge.platforms.protocol import RequestedFile

FIXED = f"{PARCEL}/fixed"
CHUNK_BYTES = 1 << 20
MOST_JSON_BYTES = 64 << 20
"""More is not parsed, and so counts as text."""
STARTS = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (4, b"ftyp", "video/mp4"),
    (128, b"DICM", "application/dicom"),
)
"""Offset, bytes and media type; the last is PS3.10 7.1."""
DICOM, ZIP = "application/dicom", "application/zip"
HEAD_BYTES = 132


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A file on the shelf."""

    ref: str
    sha256: str
    requested: RequestedFile


def copy_all(folder: Path, shelf: JobShelf, values: Mapping[str, Any]) -> dict[str, Copied]:
    """Copies of the files that the values of a rule name, by socket. `folder`: what their paths are relative to.

    Raises:
        Held: PRE-003, a file is gone or is not the one that the rule was read with.
        Refused: PRE-004, a DICOM object, or an archive with one: nothing takes a person out of it.
    """
    named = {socket: file for socket, value in values.items() if (file := fixed_file(value))}
    # By number: a socket's name is a word of rules.toml and no name of a file.
    return {
        socket: _copied(socket, folder / file.path, file, shelf, f"{FIXED}-{number:02d}")
        for number, (socket, file) in enumerate(sorted(named.items()))
    }


def _copied(socket: str, source: Path, file: FixedFile, shelf: JobShelf, ref: str) -> Copied:
    with shelf.sink(ref) as sink:
        # Only reading is caught: a full disk is trouble of this machine, and the job waits for it.
        for chunk in _chunks(socket, source):
            sink.write(chunk)
    if sink.sha256 != file.sha256:
        raise _changed(socket, "is another than when the rules were read")
    media_type = media_type_of(shelf.path(ref))
    if why := _why_not(shelf.path(ref), media_type):
        raise Refused(
            "PRE-004",
            f"the file for {socket} {why}",
            "a file without patients in it",
            "Nothing takes a person out of a file that goes as it stands: name another one in the rule",
        )
    return Copied(
        ref=ref,
        sha256=sink.sha256,
        requested=RequestedFile(input=socket, media_type=media_type, size_bytes=sink.size_bytes),
    )


def _chunks(socket: str, source: Path) -> Iterator[bytes]:
    try:
        stream = source.open("rb")
    except (OSError, ValueError):
        raise _changed(socket, "cannot be read any more") from None
    with stream:
        while True:
            try:
                chunk = stream.read(CHUNK_BYTES)
            except OSError:
                raise _changed(socket, "cannot be read any more") from None
            if not chunk:
                return
            yield chunk


def media_type_of(file: Path) -> str:
    """By what a file holds, whatever it is called; "" where nothing tells."""
    with file.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    for offset, start, media_type in STARTS:
        if head[offset:].startswith(start):
            return media_type
    if not _is_text(file):
        return ""
    return "application/json" if _is_json(file) else "text/plain"


def _is_text(file: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                if "\0" in decoder.decode(chunk):
                    return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _is_json(file: Path) -> bool:
    if file.stat().st_size > MOST_JSON_BYTES:
        return False
    try:
        json.loads(file.read_bytes(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        return False
    return True


def _no_number(word: str) -> NoReturn:
    # Python reads NaN and Infinity, which RFC 8259 does not know.
    raise ValueError(word)


def _why_not(file: Path, media_type: str) -> str:
    """Why a file must not leave; "" where nothing speaks against it."""
    if media_type == DICOM:
        return "is a DICOM object"
    if media_type != ZIP:
        return ""
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                with archive.open(member) as stream:
                    if stream.read(HEAD_BYTES)[128:] == b"DICM":
                        return "is an archive with a DICOM object in it"
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError, EOFError, zlib.error):
        return "is an archive that cannot be looked into"
    return ""


def _changed(socket: str, what: str) -> Held:
    return Held(
        "PRE-003",
        f"the file for {socket} {what}",
        "the file that the rule names, as it was",
        "Put it back and retry the job; for a new one, `bridge rules reload`, then cancel this job",
    )
