"""The table of formats in which a volume may leave: one row per writer.

Of voxels, or of the objects they came in; only the second kind carries a header, de-identified.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from bridge.errors import ConfigError
from bridge.export.mha import write_mha, write_mha_compressed
from bridge.export.nifti import write_nifti, write_nifti_gz
from bridge.export.nrrd import write_nrrd, write_nrrd_compressed
from bridge.export.objects import Objects, Sinks, write_archive, write_files, write_multi_frame
from bridge.export.written import Sink, Voxels, Written
from bridge.volumes.volume import Geometry

__all__ = ["FORMATS", "Format", "ObjectFormat", "Sink", "Voxels", "Written", "format_named"]

BYTES = "application/octet-stream"
"""None is registered for MetaImage, NIfTI or NRRD."""
DICOM = "application/dicom"


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A way to write geometry and voxels into one file, and nothing else."""

    name: str
    """As a rule or a platform names it."""
    extension: str
    """With its dot."""
    media_type: str
    write: Callable[[Geometry, Voxels, Sink], Written]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFormat:
    """A way to write the de-identified objects of a volume, which carry headers, into files."""

    name: str
    extension: str
    media_type: str
    write: Callable[[Objects, Sinks], tuple[Written, ...]]
    multi_frame: bool = False
    """Takes one multi-frame object only."""
    many: bool = False
    """A file for each object; else one."""


FORMATS: Mapping[str, Format | ObjectFormat] = MappingProxyType(
    {
        one.name: one
        for one in (
            Format(name="mha", extension=".mha", media_type=BYTES, write=write_mha),
            Format(name="mha-compressed", extension=".mha", media_type=BYTES, write=write_mha_compressed),
            Format(name="nii", extension=".nii", media_type=BYTES, write=write_nifti),
            Format(name="nii.gz", extension=".nii.gz", media_type="application/gzip", write=write_nifti_gz),
            Format(name="nrrd", extension=".nrrd", media_type=BYTES, write=write_nrrd),
            Format(name="nrrd-compressed", extension=".nrrd", media_type=BYTES, write=write_nrrd_compressed),
            ObjectFormat(name="dicom", extension=".dcm", media_type=DICOM, write=write_files, many=True),
            ObjectFormat(
                name="dicom-zip", extension=".zip", media_type="application/zip", write=write_archive
            ),
            ObjectFormat(
                name="dicom-multi-frame",
                extension=".dcm",
                media_type=DICOM,
                write=write_multi_frame,
                multi_frame=True,
            ),
        )
    }
)


def format_named(name: str) -> Format | ObjectFormat:
    """The format of that name.

    Raises:
        ConfigError: EXP-001, no such format; names the known ones.
    """
    if name in FORMATS:
        return FORMATS[name]
    near = get_close_matches(name, FORMATS, n=1)
    raise ConfigError(
        "EXP-001",
        f"unknown format {name!r}",
        "one of " + ", ".join(sorted(FORMATS)),
        f"Did you mean {near[0]!r}?" if near else "",
    )
