"""The `Volume` value: an ordered set of planes on one regular grid in patient space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bridge.dicom.instance import Instance
from bridge.errors import Refused

if TYPE_CHECKING:
    from bridge.volumes.stack import Stack

FloatArray = NDArray[np.float64]
Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """A regular grid in LPS, mm. Array axes are (slices, rows, columns), index order (k, j, i).

    PS3.3 C.7.6.2.1.1. A frame is stored row by row: `column_step_lps` is the direction in which the column
    index grows (the first three values of Image Orientation (Patient)), `row_step_lps` that of the row index.
    """

    shape: tuple[int, int, int]
    """(slices, rows, columns)"""
    origin_lps: Vector
    """Centre of voxel (0, 0, 0), mm."""
    slice_step_lps: Vector
    """Unit vector in which the slice index grows; row x column direction, so the grid is right-handed."""
    row_step_lps: Vector
    """Unit vector in which the row index grows (second triple of Image Orientation)."""
    column_step_lps: Vector
    """Unit vector in which the column index grows (first triple of Image Orientation)."""
    spacing_mm: Vector
    """(between slices, between rows, between columns), mm"""

    @property
    def affine_lps(self) -> FloatArray:
        """(4, 4) float64: homogeneous (k, j, i) index -> LPS mm of the voxel's centre."""
        affine = np.eye(4)
        steps = (self.slice_step_lps, self.row_step_lps, self.column_step_lps)
        for axis, (step, spacing) in enumerate(zip(steps, self.spacing_mm, strict=True)):
            affine[:3, axis] = np.asarray(step) * spacing
        affine[:3, 3] = self.origin_lps
        return affine

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel, ml."""
        k, j, i = self.spacing_mm
        return k * j * i / 1000.0

    @property
    def length_mm(self) -> float:
        """Extent along the stack, first to last slice centre plus one step, mm."""
        return self.shape[0] * self.spacing_mm[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One slice of a volume: which frame of which instance it is, and how its numbers are read."""

    instance: Instance
    frame: int
    """Frame number within the instance, from 1 (PS3.3 C.7.6.6)."""
    position_lps: Vector
    """Image Position (Patient), centre of the first voxel, mm."""
    slope: float
    intercept: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """Planes in the order of the geometry's slice axis, all of one series and one frame of reference."""

    study_instance_uid: str
    series_instance_uid: str
    frame_of_reference_uid: str
    sop_class_uid: str
    modality: str
    units: str
    """What the rescaled numbers mean: "HU", "BQML" ..., "" when the headers do not say."""
    geometry: Geometry
    planes: tuple[Plane, ...]
    key: tuple[tuple[str, str], ...] = ()
    """(keyword, value) by which it was told from other volumes on the same positions of its series; () when alone."""

    @property
    def instances(self) -> tuple[Instance, ...]:
        """The instances behind the planes, each once, in the order of the planes."""
        return tuple(dict.fromkeys(plane.instance for plane in self.planes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Images of one series that belong together: a volume, or the reason why they are none."""

    series_instance_uid: str
    instances: tuple[Instance, ...]
    volume: Volume | None = None
    refusal: Refused | None = None
    stack: Stack | None = None
    """The slices of one orientation that are no volume as they lie: what `repair` begins with."""
