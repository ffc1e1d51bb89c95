"""The `Volume` value: an ordered set of planes on one regular grid in patient space."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bridge.dicom.instance import Instance
from bridge.errors import Refused
from bridge.volumes.ways import Shift, Way

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
class Mending:
    """What declared repairs did to slices that are no volume as they lie."""

    repairs: tuple[str, ...]
    """Names of those that were needed, in the order of `repair.Repair`; part of a job's identity."""
    notes: tuple[str, ...]
    """The same with numbers, for the job, the segmentation and the report; no value of the patient."""
    lean_degrees: float = 0.0
    """Of the stack as it came."""
    ways: tuple[Way, ...] = ()
    """From the slices to the grid; () where they lie on it without those that were dropped."""
    dropped: tuple[Instance, ...] = ()
    """Instances that repeat others of the volume."""

    def values(self, values: NDArray[Any]) -> NDArray[Any]:
        """The numbers of the slices, (slices, rows, columns), on the grid."""
        for way in self.ways:
            values = way.values(values)
        return values

    def back(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array on the grid to the original slices, voxel for voxel: (slices of the volume, rows, columns)."""
        for way in reversed(self.ways):
            array = way.back(array)
        return array

    def forth(self, mask: NDArray[Any]) -> NDArray[Any]:
        """A mask on the original slices to the grid, so that `back` returns it voxel by voxel."""
        for way in self.ways:
            mask = way.forth(mask)
        return mask

    def places(self, slices: int) -> tuple[int, ...]:
        """The number in the grid of each of so many original slices."""
        numbers = np.arange(slices)
        for way in self.ways:
            if not isinstance(way, Shift):
                numbers = np.asarray(way.kept)[numbers]
        return tuple(int(one) for one in numbers)


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
    mending: Mending | None = None
    """How the planes came onto the geometry, where they do not lie on it by themselves (`repair`)."""

    slots: tuple[int, ...] = ()
    """Of a mask: the slice of each plane. Its planes are marked frames, whose slope is their label; a slice may have
    several or none. () of an image."""

    @property
    def instances(self) -> tuple[Instance, ...]:
        """The instances behind the planes, each once, in the order of the planes."""
        return tuple(dict.fromkeys(plane.instance for plane in self.planes))

    @property
    def chosen(self) -> tuple[Instance, ...]:
        """`instances`, and those that were dropped: all from which this volume is made again."""
        return self.instances + (self.mending.dropped if self.mending else ())

    @property
    def original(self) -> Volume:
        """The slices as they came; where they were mended, the step of the geometry is that of the mended grid."""
        if self.mending is None or not self.mending.ways:
            return replace(self, mending=None)
        sizes = [way.inner for way in self.mending.ways if isinstance(way, Shift)]
        rows, columns = sizes[0] if sizes else self.geometry.shape[1:]
        return replace(
            self,
            mending=None,
            geometry=replace(
                self.geometry,
                shape=(len(self.planes), rows, columns),
                origin_lps=self.planes[0].position_lps,
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Images of one series that belong together: a volume, or the reason why they are none."""

    series_instance_uid: str
    instances: tuple[Instance, ...]
    volume: Volume | None = None
    refusal: Refused | None = None
    """Why the images are no volume as they lie. With a volume too, it was mended."""
    stack: Stack | None = None
    """The slices of one orientation that are no volume as they lie: what `repair` begins with."""
    document: Instance | None = None
    """The object, where it holds a mesh instead of slices."""
