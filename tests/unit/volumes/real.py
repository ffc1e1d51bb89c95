"""Instances from files, as the receiver would make them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bridge.dicom.headers import read_file, text
from bridge.dicom.instance import Instance


def instance_of(path: Path, number: int = 1) -> Instance:
    header, syntax = read_file(path)
    return Instance(
        number=number,
        sop_class_uid=text(header.data_set, "SOPClassUID") or "",
        sop_instance_uid=text(header.data_set, "SOPInstanceUID") or "",
        series_instance_uid=text(header.data_set, "SeriesInstanceUID") or "",
        study_instance_uid=text(header.data_set, "StudyInstanceUID") or "",
        transfer_syntax_uid=syntax,
        file=path,
        header=header.data_set,
    )


def instances_of(paths: Iterable[Path] | Path) -> tuple[Instance, ...]:
    """Of all files of a folder, or of a list; numbered from 1 in the order of their names."""
    if isinstance(paths, Path):
        paths = [paths] if paths.is_file() else (path for path in paths.rglob("*") if path.is_file())
    return tuple(instance_of(path, number) for number, path in enumerate(sorted(paths), start=1))
