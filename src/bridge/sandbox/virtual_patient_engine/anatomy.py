"""Named structures, cut out of bone by planes: the same names as the platform's, and no anatomy.

Bone is what is brighter than a threshold. Its box in LPS is divided: the lowest 40 % are the mandible, then come a row
of lower and a row of upper teeth of 10 % each, and above them maxilla and skull. `levels` has another way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bridge.itk import ItkImage

from .surfaces import Floats, Ints, Surface, surface_of

Mask = NDArray[np.bool_]


class Anatomy(Protocol):
    """What was found in a volume."""

    def voxels_of(self, structure: str) -> Ints:
        """(n, 3) voxels in ITK's order; none for what is not there."""

    def surface(self, structure: str) -> Surface: ...


MANDIBLE_END, LOWER_END, UPPER_END, CANAL_END = 0.4, 0.5, 0.6, 0.2
TEETH = 16
PERMANENT = tuple(f"tooth{quadrant}{number}" for quadrant in (1, 2, 3, 4) for number in range(1, 9))
DECIDUOUS = tuple(f"tooth{quadrant}{number}" for quadrant in (5, 6, 7, 8) for number in range(1, 6))
GROUPS: Mapping[str, Callable[[Floats], Mask]] = {
    "mandible": lambda at: at[:, 2] < MANDIBLE_END,
    "maxillary": lambda at: at[:, 2] >= UPPER_END,
    "skull": lambda at: at[:, 2] >= UPPER_END,
    "right_nerve": lambda at: (at[:, 2] < CANAL_END) & (at[:, 0] < 0.5),
    "left_nerve": lambda at: (at[:, 2] < CANAL_END) & (at[:, 0] >= 0.5),
    "all_nerves": lambda at: at[:, 2] < CANAL_END,
    "all_teeth": lambda at: _tooth_rows(at),
    "all_permanent_teeth": lambda at: _tooth_rows(at),
}
STRUCTURES = frozenset({*GROUPS, *PERMANENT, *DECIDUOUS})


class Bone:
    """Voxels of bone, and where each lies in their box: 0 right, front and below, 1 left, behind and above."""

    def __init__(self, image: ItkImage, above: float) -> None:
        self.matrix = np.asarray(image.direction).reshape(3, 3) * np.asarray(image.spacing_mm)
        self.origin = np.asarray(image.origin_lps, dtype=np.float64)
        self.voxels: Ints = np.argwhere(image.array > above)[:, ::-1].astype(np.int64)
        places = self.origin + self.voxels @ self.matrix.T
        low = places.min(axis=0) if len(places) else np.zeros(3)
        size = np.ptp(places, axis=0) if len(places) else np.ones(3)
        self._at = (places - low) / np.where(size > 0, size, 1.0)

    def voxels_of(self, structure: str) -> Ints:
        """(n, 3) of the whole's; none for a structure that no plane cuts out."""
        cut = GROUPS.get(structure)
        inside = cut(self._at) if cut else _tooth(structure, self._at)
        return self.voxels[inside]

    def surface(self, structure: str) -> Surface:
        return surface_of(self.voxels_of(structure), self.matrix, self.origin)


def _tooth_rows(at: Floats) -> Mask:
    return (at[:, 2] >= MANDIBLE_END) & (at[:, 2] < UPPER_END)


def _tooth(name: str, at: Floats) -> Mask:
    """ISO 3950: quadrants 1 upper right, 2 upper left, 3 lower left, 4 lower right; numbers from the middle."""
    if name not in PERMANENT:
        return np.zeros(len(at), dtype=bool)
    quadrant, number = int(name[-2]), int(name[-1])
    low, high = (LOWER_END, UPPER_END) if quadrant < 3 else (MANDIBLE_END, LOWER_END)
    column = TEETH // 2 - number if quadrant in (1, 4) else TEETH // 2 + number - 1
    columns = np.minimum((at[:, 0] * TEETH).astype(np.int64), TEETH - 1)
    found: Mask = (at[:, 2] >= low) & (at[:, 2] < high) & (columns == column)
    return found
