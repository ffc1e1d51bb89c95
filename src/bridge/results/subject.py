"""What all results of one answer are about, and where their frames lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from bridge.results.planes import instances_of
from bridge.volumes.geometry import vector
from bridge.volumes.volume import Geometry, Plane, Vector, Volume

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """The source of an answer."""

    volume: Volume
    """Its geometry is the grid of the answer."""
    planes: tuple[Plane, ...]
    """The images as they came, in the order of the grid."""
    context: Dataset
    """Patient, study and image identity of the first plane."""
    corrected: bool = False
    """Frames lie on the grid of a mended volume, and not on its images."""

    @property
    def frames(self) -> Geometry:
        """Of the frames; where images were mended, their step only stands for their distance."""
        return self.volume.geometry if self.corrected else self.volume.original.geometry

    @property
    def positions_lps(self) -> list[Vector]:
        """Of the first voxel of each frame."""
        if not self.corrected:
            return [plane.position_lps for plane in self.planes]
        affine = self.frames.affine_lps
        return [vector(affine[:3, 3] + k * affine[:3, 0]) for k in range(self.frames.shape[0])]

    @property
    def modality(self) -> str:
        return self.volume.modality

    @property
    def study_instance_uid(self) -> str:
        return self.volume.study_instance_uid

    def sources(self) -> list[Dataset]:
        """One bare data set for each image behind the answer: enough to refer to it."""
        return instances_of(self.planes, self.volume)

    def laid(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array on the volume's grid, brought to the frames."""
        mending = self.volume.mending
        return array if mending is None or self.corrected else mending.back(array)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudySubject:
    """A study of which the algorithm was given no image: an answer can be filed there, and lies on nothing in it."""

    study_instance_uid: str
    context: Dataset
    """Patient and study of one of its objects."""
    modality: str = ""

    def sources(self) -> list[Dataset]:
        return []


About = Subject | StudySubject
