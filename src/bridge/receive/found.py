"""The DICOM objects in a file that lies in a watched folder: a Part 10 file, or a zip archive of them.

An archive is read where it lies: nothing is unpacked, so no name in it ever becomes a path.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from bridge.dicom.headers import Header, body_of, read_header
from bridge.dicom.whole import is_whole
from bridge.errors import Refused
from bridge.receive.filing import CLASS, INSTANCE, OF_STUDY, check_filed

MESHES = frozenset({".stl", ".obj", ".ply", ".drc"})
DIRECTORY = "1.2.840.10008.1.3.10"
"""Media Storage Directory: the table of contents of a disc, and no object of a study (PS3.3 F)."""
MOST_ENTRIES = 50_000
MOST_RATIO = 300
"""Bytes for each byte of an archive, over all of it; air of a CT comes to a few dozen."""
RATIO_FROM_BYTES = 1 << 30
"""Less than that harms nobody, however small it was packed."""
_PREAMBLE = 132
LOCAL_HEADER, EMPTY_ARCHIVE = b"PK\x03\x04", b"PK\x05\x06"
"""How a zip archive begins (APPNOTE 4.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One object, as it is to be kept."""

    encoded: bytes
    header: Header
    transfer_syntax_uid: str

    @property
    def sop_class_uid(self) -> str:
        return self.header.uid(CLASS)

    @property
    def sop_instance_uid(self) -> str:
        return self.header.uid(INSTANCE)


class PassedOver:
    """What is no object and no fault: a table of contents of a disc, a viewer that lies beside the images."""


def objects_of(path: Path, maximum_bytes: int) -> Iterator[Found | PassedOver | Refused]:
    """The objects of a file, one at a time; of one that holds none, why.

    Args:
        maximum_bytes: of one object.
    Raises OSError when the file cannot be read.
    """
    with path.open("rb") as stream:
        head = stream.read(_PREAMBLE)
    if head[128:] == b"DICM":
        yield _object(path, maximum_bytes)
    elif head.startswith((LOCAL_HEADER, EMPTY_ARCHIVE)):
        yield from _of_archive(path, maximum_bytes)
    else:
        yield _no_object(path.suffix, "a file")


def _object(path: Path, maximum_bytes: int) -> Found | PassedOver | Refused:
    size = path.stat().st_size
    if size > maximum_bytes:
        return _too_large(size, maximum_bytes)
    return _parsed(path.read_bytes())


def _parsed(data: bytes) -> Found | PassedOver | Refused:
    try:
        encoded, syntax = body_of(BytesIO(data))
        header = read_header(encoded, syntax)
        is_directory = "DirectoryRecordSequence" in header.data_set
        if header.uid(CLASS) == DIRECTORY or (is_directory and not header.uid(CLASS)):
            return PassedOver()
        check_filed(header, (*OF_STUDY, CLASS, INSTANCE))
        if not is_whole(encoded, syntax):
            return Refused(
                "FLD-009", "an object that breaks off in the middle", "a whole one", "Copy it once more"
            )
    except Refused as refusal:
        return refusal
    except zlib.error:
        return Refused("FLD-009", "a deflated object that breaks off", "a whole one", "Copy it once more")
    return Found(encoded=encoded, header=header, transfer_syntax_uid=syntax)


def _of_archive(path: Path, maximum_bytes: int) -> Iterator[Found | PassedOver | Refused]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, UnicodeError):
        yield Refused("FLD-004", "a zip archive that cannot be read", "a whole one", "Pack it again")
        return
    with archive:
        entries = [one for one in archive.infolist() if not one.is_dir()]
        size, packed = sum(one.file_size for one in entries), path.stat().st_size
        if len(entries) > MOST_ENTRIES or (size > RATIO_FROM_BYTES and size > MOST_RATIO * packed):
            yield Refused(
                "FLD-005",
                f"a zip archive of {len(entries)} entries and {size} bytes in {packed}",
                f"at most {MOST_ENTRIES} entries, and {MOST_RATIO} bytes for each",
                "Lay the files themselves into the folder",
                numbers={"entries": len(entries), "size_bytes": size, "packed_bytes": packed},
            )
            return
        any_object = False
        for number, entry in enumerate(entries, start=1):
            one = _entry(archive, entry, number, maximum_bytes)
            any_object = any_object or not isinstance(one, PassedOver)
            yield one
        if not any_object:
            yield Refused("FLD-007", "a zip archive without a DICOM object", "Part 10 files (PS3.10 7.1)")


def _entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, number: int, maximum_bytes: int
) -> Found | PassedOver | Refused:
    where = f"entry {number} of the archive"
    if entry.flag_bits & 1:
        return Refused("FLD-006", f"{where} has a password", "an archive without one", "Pack it again")
    if entry.file_size > maximum_bytes:
        return _too_large(entry.file_size, maximum_bytes)
    try:
        with archive.open(entry) as stream:
            # One byte more than it says tells an entry that lies about its size.
            data = stream.read(_PREAMBLE)
            if data[128:] != b"DICM":
                suffix = Path(entry.filename).suffix
                if data.startswith(LOCAL_HEADER) or suffix.lower() in MESHES:
                    return _no_object(suffix, where, is_archive=data.startswith(LOCAL_HEADER))
                return PassedOver()
            data += stream.read(maximum_bytes + 1 - len(data))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError):
        return Refused("FLD-004", f"{where} cannot be read", "a whole archive", "Pack it again")
    if len(data) > maximum_bytes:
        return _too_large(len(data), maximum_bytes)
    return _parsed(data)


def _no_object(suffix: str, what: str, *, is_archive: bool = False) -> Refused:
    if is_archive:
        return Refused(
            "FLD-008",
            f"{what} is an archive in the archive, which is not looked into",
            "DICOM objects",
            "Lay it into the folder by itself",
        )
    if suffix.lower() in MESHES:
        return Refused(
            "FLD-003",
            f"{what} is a mesh, which does not say of whom it is",
            "an Encapsulated STL or OBJ object (PS3.3 A.85) of the patient's study",
            "Let the scanner or the planning program write DICOM; a name of a file binds to nobody",
        )
    return Refused("FLD-001", f"{what} is no DICOM object", "a Part 10 file (PS3.10 7.1)")


def _too_large(size: int, maximum_bytes: int) -> Refused:
    return Refused(
        "FLD-002",
        f"an object of {size} bytes",
        f"at most {maximum_bytes}",
        "Raise `maximum_instance_bytes` in [receive] if this machine has the memory for it",
    )
