"""What came back from a platform, named by its socket or structure and not yet interpreted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OutputKind(StrEnum):
    IMAGE = "image"
    MASK = "mask"
    MESH = "mesh"
    POLYGONS = "polygons"
    TABLE = "table"
    VALUE = "value"
    FILE = "file"


class Presence(StrEnum):
    HERE = "here"
    MISSING = "missing"
    """The platform looked and there is none: a finding, not an error."""
    FAILED = "failed"


class MeshFrame(StrEnum):
    """Axes and unit of the numbers in a mesh: the file itself says neither."""

    LPS_MM = "lps-mm"
    """Those of DICOM: to the left, to the back, to the head."""
    RAS_MM = "ras-mm"
    LPS_M = "lps-m"
    RAS_M = "ras-m"
    IMAGE_MM = "image-mm"
    """Along columns, rows and slices of the image, from the centre of its first voxel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What the platform calls a voxel value of a mask."""

    value: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One thing that came back. `ref` is the platform's own and never a URL: those expire and are secrets."""

    name: str
    kind: OutputKind
    media_type: str
    ref: str
    item: str = ""
    size_bytes: int | None = None
    sha256: str | None = None
    presence: Presence = Presence.HERE
    reason: str = ""
    """Why it is not here."""
    labels: tuple[Label, ...] = ()
    word: str = ""
    """The platform's own word for its kind, for example `Heat Map`."""
    title: str = ""
    """What the platform calls it where people read."""
    path: str = ""
    """Where the algorithm laid it, relative: a folder for images, a file name for the rest."""
    frame: MeshFrame | None = None
    """Of a mesh. None: nobody says, so that it cannot be placed."""
