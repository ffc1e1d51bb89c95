"""What the phantoms' objects have in common: names that follow from arguments, file heads, files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import NAMESPACE_OID, uuid5

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """UIDs for one set of arguments; another argument, another UID, since the bytes differ too."""

    root: str

    def uid(self, *parts: str | int) -> str:
        name = "/".join(("bridge-phantom", self.root, *map(str, parts)))
        return f"2.25.{uuid5(NAMESPACE_OID, name).int}"


class HasObjects(Protocol):
    @property
    def datasets(self) -> tuple[Dataset, ...]: ...


def with_head(ds: Dataset) -> Dataset:
    """The object with the head of its file, uncompressed. PS3.10 7.1."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


def write_study(study: HasObjects, folder: Path) -> list[Path]:
    """Write every instance as a Part 10 file under a neutral name, `000001.dcm` and on, in the study's order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, dataset in enumerate(study.datasets, start=1):
        path = folder / f"{number:06d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def date_of(when: datetime) -> str:
    return when.strftime("%Y%m%d")


def time_of(when: datetime) -> str:
    return when.strftime("%H%M%S.%f")
