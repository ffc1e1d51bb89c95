"""The objects of a folder as `Instance` values, read where they lie: nothing is copied, and no pixel is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bridge.dicom.headers import Header, read_file
from bridge.dicom.instance import Instance
from bridge.errors import BridgeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What a folder holds."""

    instances: tuple[Instance, ...]
    """In the order of their paths."""
    left_out: int
    """Files that are no DICOM, or whose header cannot be read."""


def read_folder(where: Path, is_own: Callable[[Header], bool] = lambda header: False) -> Folder:
    """Read one file, or every file below a folder.

    is_own: whether an object is a result of this bridge.
    """
    files = [where] if where.is_file() else sorted(path for path in where.rglob("*") if path.is_file())
    found = []
    for number, file in enumerate(files, start=1):
        try:
            header, syntax = read_file(file)
        except BridgeError:
            continue
        found.append(
            Instance(
                number=number,
                sop_class_uid=header.uid("SOPClassUID"),
                sop_instance_uid=header.uid("SOPInstanceUID"),
                series_instance_uid=header.uid("SeriesInstanceUID"),
                study_instance_uid=header.uid("StudyInstanceUID"),
                transfer_syntax_uid=syntax,
                file=file,
                header=header.data_set,
                own=is_own(header),
            )
        )
    return Folder(instances=tuple(found), left_out=len(files) - len(found))
