"""Structures of the jaw phantom, found by their grey levels and their places: it knows no other anatomy.

Teeth are the brightest, each a piece of its own; a piece of bone is above or below their middle; canals are darker than
bone and no part of it. Nothing is known here of the phantom's shapes, so their volumes are a true test.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridge.itk import ItkImage, components

from .surfaces import Floats, Ints, Surface, surface_of

CANAL_FROM, BONE_FROM, TOOTH_FROM = 300.0, 800.0, 1500.0
LEAST_TOOTH_MM3 = 50.0
GROUPS = {
    "all_nerves": ("right_nerve", "left_nerve"),
    "skull": ("maxillary",),
}


class Jaws:
    """Voxels by structure: `mandible`, `maxillary`, `right_nerve`, `left_nerve`, `tooth11` and on."""

    def __init__(self, image: ItkImage) -> None:
        self._matrix = np.asarray(image.direction).reshape(3, 3) * np.asarray(image.spacing_mm)
        self._origin = np.asarray(image.origin_lps, dtype=np.float64)
        self._found: dict[str, Ints] = {}
        grey = image.array
        voxel_mm3 = abs(float(np.linalg.det(self._matrix)))
        teeth = [one for one in _pieces(grey > TOOTH_FROM) if len(one) * voxel_mm3 >= LEAST_TOOTH_MM3]
        if not teeth:
            return
        every = self._lps(np.concatenate(teeth))
        middle, back = (every.min(axis=0) + every.max(axis=0)) / 2, every[:, 1].max()
        self._name(teeth, middle, float(back))
        # By pieces: the branches of the mandible reach above the lower edge of the maxilla.
        bones: dict[bool, list[Ints]] = {False: [], True: []}
        for piece in _pieces((grey > BONE_FROM) & (grey <= TOOTH_FROM)):
            bones[bool(self._lps(piece)[:, 2].mean() > middle[2])].append(piece)
        none = np.zeros((0, 3), dtype=np.int64)
        self._found["mandible"], self._found["maxillary"] = (
            np.concatenate([none, *bones[above]]) for above in (False, True)
        )
        canals = _voxels((grey > CANAL_FROM) & (grey <= BONE_FROM))
        is_left = self._lps(canals)[:, 0] > middle[0]
        self._found["right_nerve"], self._found["left_nerve"] = canals[~is_left], canals[is_left]
        every_tooth = tuple(name for name in self._found if name.startswith("tooth"))
        for group, names in {**GROUPS, "all_teeth": every_tooth, "all_permanent_teeth": every_tooth}.items():
            self._found[group] = np.concatenate([self._found[name] for name in names])

    def voxels_of(self, structure: str) -> Ints:
        """(n, 3) in ITK's order; none for what is not there."""
        return self._found.get(structure, np.zeros((0, 3), dtype=np.int64))

    def surface(self, structure: str) -> Surface:
        return surface_of(self.voxels_of(structure), self._matrix, self._origin)

    def _name(self, teeth: list[Ints], middle: Floats, back: float) -> None:
        """ISO 3950: quadrants 1 upper right, 2 upper left, 3 lower left, 4 lower right; numbers from the middle."""
        rows: dict[int, list[tuple[float, Ints]]] = {}
        for piece in teeth:
            x, y, z = self._lps(piece).mean(axis=0) - middle
            quadrant = (2 if x > 0 else 1) if z > 0 else (3 if x > 0 else 4)
            angle = float(np.arctan2(abs(x), back - (y + middle[1])))
            rows.setdefault(quadrant, []).append((angle, piece))
        for quadrant, row in rows.items():
            for number, (_, piece) in enumerate(sorted(row, key=lambda one: one[0]), start=1):
                self._found[f"tooth{quadrant}{number}"] = piece

    def _lps(self, voxels: Ints) -> Floats:
        found: Floats = self._origin + voxels @ self._matrix.T
        return found


def _pieces(mask: NDArray[np.bool_]) -> list[Ints]:
    """Voxels that are joined through faces, the largest piece first."""
    if not mask.any():
        return []
    numbers = components(mask)[mask]
    order = np.argsort(numbers, kind="stable")
    return list(np.split(_voxels(mask)[order], np.cumsum(np.bincount(numbers)[1:])[:-1]))


def _voxels(mask: NDArray[np.bool_]) -> Ints:
    return np.argwhere(mask)[:, ::-1].astype(np.int64)
