"""The table of formats in which a volume may leave: one row per writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from bridge.errors import ConfigError, Refused
from bridge.export.mha import write_mha, write_mha_compressed
from bridge.export.nifti import write_nifti, write_nifti_gz
from bridge.export.nrrd import write_nrrd, write_nrrd_compressed
from bridge.export.written import Sink, Voxels, Written
from bridge.volumes.volume import Geometry

__all__ = ["FORMATS", "Format", "Sink", "Voxels", "Written", "format_named"]

BYTES = "application/octet-stream"
"""None is registered for MetaImage, NIfTI or NRRD."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A way to write geometry and voxels into one file, and nothing else."""

    name: str
    """As a rule or a platform names it."""
    extension: str
    """With its dot."""
    media_type: str
    write: Callable[[Geometry, Voxels, Sink], Written]
    names_the_patient: bool = False
    """It carries the header of its source: refused as long as nothing takes the patient out of it."""


def refuse(geometry: Geometry, voxels: Voxels, sink: Sink) -> Written:
    """What stands where a writer would.

    Raises:
        Refused: EXP-005, always.
    """
    raise _names_the_patient()


def _names_the_patient() -> Refused:
    return Refused(
        "EXP-005",
        "a DICOM format, which carries the header of its source",
        "a format without one, as long as headers are not de-identified: mha, nii or nrrd",
        "Choose an input of the algorithm that takes one of them",
    )


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        one.name: one
        for one in (
            Format(name="mha", extension=".mha", media_type=BYTES, write=write_mha),
            Format(name="mha-compressed", extension=".mha", media_type=BYTES, write=write_mha_compressed),
            Format(name="nii", extension=".nii", media_type=BYTES, write=write_nifti),
            Format(name="nii.gz", extension=".nii.gz", media_type="application/gzip", write=write_nifti_gz),
            Format(name="nrrd", extension=".nrrd", media_type=BYTES, write=write_nrrd),
            Format(name="nrrd-compressed", extension=".nrrd", media_type=BYTES, write=write_nrrd_compressed),
            Format(
                name="dicom",
                extension=".dcm",
                media_type="application/dicom",
                write=refuse,
                names_the_patient=True,
            ),
            Format(
                name="dicom-zip",
                extension=".zip",
                media_type="application/zip",
                write=refuse,
                names_the_patient=True,
            ),
            Format(
                name="dicom-multi-frame",
                extension=".dcm",
                media_type="application/dicom",
                write=refuse,
                names_the_patient=True,
            ),
        )
    }
)


def format_named(name: str) -> Format:
    """The format of that name.

    Raises:
        ConfigError: EXP-001, no such format; names the known ones.
        Refused: EXP-005, it is known and must not leave.
    """
    if name in FORMATS:
        if FORMATS[name].names_the_patient:
            raise _names_the_patient()
        return FORMATS[name]
    near = get_close_matches(name, FORMATS, n=1)
    raise ConfigError(
        "EXP-001",
        f"unknown format {name!r}",
        "one of " + ", ".join(sorted(FORMATS)),
        f"Did you mean {near[0]!r}?" if near else "",
    )
