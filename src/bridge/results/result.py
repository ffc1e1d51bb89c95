"""What goes into an encoder, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from numpy.typing import NDArray

from bridge.dicom.codes import Quantity
from bridge.errors import Refused
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
class Part:
    """One output and its decoded content."""

    output: Output
    content: LabelMap | Json


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """All that one job got back."""

    parts: tuple[Part, ...]


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
    series_number_base: int = 9000
    segmentation: bool = True
    measurement_report: bool = True
    quantities: Mapping[str, Quantity] = field(default_factory=dict)
    """What the value of a socket is."""
    private_codes: bool = True
    """A private code stands for a socket that is not in `quantities`; otherwise its value stays with the job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A DICOM object, ready to send."""

    kind: str
    """Modality of the object: "SEG", "SR"."""
    output_name: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    data: bytes = field(repr=False)
    """A complete Part 10 file, Explicit VR Little Endian."""
    notes: tuple[str, ...] = ()
    """What a reader of the job should know: renumbered, kept out, not mapped. No value of a patient."""
