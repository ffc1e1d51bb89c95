"""What goes into an encoder, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from numpy.typing import NDArray

from bridge.dicom.codes import Anatomy
from bridge.dicom.uids import UUID_ROOT
from bridge.errors import Refused
from bridge.results.meaning import TableMeaning, ValueMeaning
from bridge.results.output import Label, Output
from bridge.volumes.volume import FloatArray, Volume

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelMap:
    """A mask as it came back: one number per voxel, 0 for nothing."""

    array: NDArray[Any]
    """(slices, rows, columns) of any numeric type; only whole numbers from 0 are meaningful."""
    affine_lps: FloatArray
    """(4, 4): homogeneous (k, j, i) index -> LPS mm of the voxel's centre."""
    labels: tuple[Label, ...] = ()
    """Names of the numbers. Empty: `Output.labels` holds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeatMap:
    """A number for each place, such as a probability."""

    array: NDArray[Any]
    """(slices, rows, columns) of any real type."""
    affine_lps: FloatArray
    """(4, 4): homogeneous (k, j, i) index -> LPS mm of the voxel's centre."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """A table of texts, as a CSV file has it."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Document:
    """A file for people, as it came."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeshFile:
    """A surface as it came; what kind of file it is, its bytes say."""

    data: bytes = field(repr=False)


Content = LabelMap | HeatMap | Table | Document | MeshFile | Json


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """One output and its decoded content."""

    output: Output
    content: Content
    """None: nothing is made of it, and so it was not read."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """All that one job got back."""

    parts: tuple[Part, ...]
    absent: tuple[Output, ...] = ()
    """What was asked for and did not come: because there is none, or because it could not be made."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """The volume the answer is about, and its numbers."""

    volume: Volume
    values: NDArray[Any]
    """(slices, rows, columns), rescaled, in the unit of `volume.units`."""

    def __post_init__(self) -> None:
        if self.values.shape != self.volume.geometry.shape:
            raise Refused(
                "RES-001",
                f"voxel values of shape {self.values.shape}",
                f"the shape of the volume, {self.volume.geometry.shape}",
                "Read the values of the volume again",
            )


class Form(StrEnum):
    """How a mask is written."""

    BINARY = "binary"
    """Segmentation: one bit for each pixel of each segment (PS3.3 A.51)."""
    LABELMAP = "labelmap"
    """Label Map Segmentation: one number for each pixel (PS3.3 A.51, Segmentation Type LABELMAP)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What destinations may want differently. The usual one has the empty name, and UIDs as if there were no other."""

    form: Form = Form.BINARY
    empty_frames: bool = False
    """A frame for each slice and segment, also where nothing is marked."""
    corrected_grid: bool = False
    """Of a mended volume: results lie on its grid, and not on the images as they came."""
    series_number_base: int | None = None
    """None: that of the wrapping."""

    @property
    def numbering(self) -> str:
        """What objects differ by that no mask is in: they are one object for all forms of it."""
        grid = "corrected" if self.corrected_grid else ""
        base = "" if self.series_number_base is None else str(self.series_number_base)
        return "-".join(part for part in (grid, base) if part)

    @property
    def name(self) -> str:
        """What segmentations differ by, and what refers to them; part of their UIDs and file names."""
        form = "" if self.form is Form.BINARY else self.form.value
        empty = "empty-frames" if self.empty_frames else ""
        return "-".join(part for part in (form, empty, self.numbering) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMeaning:
    """What a rule knows of a label value; what it does not say is the algorithm's or follows from the name."""

    name: str
    anatomy: Anatomy | None = None
    rgb: tuple[int, int, int] | None = None
    """Recommended display colour, sRGB."""


class HeatMaps(StrEnum):
    """What becomes of a heat map."""

    OFF = "off"
    PARAMETRIC_MAP = "parametric-map"
    FRACTIONAL = "fractional"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapping:
    """Everything about a result that is not in the answer: names, numbers, time, key."""

    job: str
    key: bytes = field(repr=False)
    """Key of the installation; all UIDs are derived from it."""
    at: datetime
    """Time of the job, with its zone. DICOM dates and times are written in that zone."""
    algorithm: str
    algorithm_version: str
    rule: str
    bridge_version: str
    device_uid: str
    """UID of this installation as an observer."""
    uid_root: str = UUID_ROOT
    """Root of all UIDs that a result is given."""
    series_number_base: int = 9000
    variant: Variant = Variant()
    segmentation: bool = True
    measurement_report: bool = True
    picture: bool = False
    heat_maps: HeatMaps = HeatMaps.OFF
    documents: bool = True
    meshes: bool = True
    labels: Mapping[str, Mapping[int, LabelMeaning]] = field(default_factory=dict)
    """What the label values of masks are, by output; the rule knows better than the platform."""
    values: Sequence[ValueMeaning] = ()
    """What single values mean."""
    tables: Mapping[str, TableMeaning] = field(default_factory=dict)
    """What tables mean, by output."""
    repairs: Sequence[str] = ()
    """Names of what was done to the images before the algorithm saw them; `encode` takes them from the volume."""
    repaired: str = ""
    """The same in words, with numbers."""
    private_codes: bool = True
    """A private code stands for a value that is not in `values`; otherwise it stays with the job."""

    @property
    def wants_nothing(self) -> bool:
        """Everything is switched off, but perhaps meshes: those are made by few algorithms, and so their switch counts
        where there are some (`use_of`)."""
        masks = self.segmentation or self.measurement_report or self.picture
        return not masks and not self.documents and self.heat_maps is HeatMaps.OFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A DICOM object, ready to send."""

    kind: str
    """What it is, one word; the objects of one kind are a series: SEG, SR, SC, PM, FRACTIONAL, DOC, M3D."""
    output_name: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    data: bytes = field(repr=False)
    """A complete Part 10 file, Explicit VR Little Endian."""
    variant: str = ""
    """What it differs by from its usual form: `Variant.name` where a mask is in it, else `Variant.numbering`."""
    notes: tuple[str, ...] = ()
    """What a reader of the job should know: renumbered, kept out, not mapped. No value of a patient."""
