"""Two jaws with teeth and canals, each of a volume that a formula gives.

Everything is drawn along one arch, a half circle with two straight legs, in its own coordinates: `along` from the
middle of the front (mm, the same on both sides), `across` (mm, outwards) and z. A shape that is even in `across` has in
space the volume that it has there, because what the bend adds outside it takes inside (Pappus). Space is LPS in mm;
z 0 lies between the rows of teeth.

No voxel is shared: each belongs to the tissue that its centre lies in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from .shapes import FloatArray

RADIUS, LEG = 24.0, 36.0
HALF_ROUND = RADIUS * math.pi / 2
ARCH = HALF_ROUND + LEG
HALF_WIDTH = 7.5
CREST = 10.0
"""Height of the edge of both bones over z 0, up and down: necks of teeth lie there."""
ROUND_FROM, ROUND = 28.0, 10.0
"""The mandible's lower edge is rounded from there on, over so many mm."""
MAXILLA_TOP = 30.0
PALATE = (24.0, 29.0)
CANAL_RADIUS, CANAL_Z, CANAL_FROM, CANAL_TO = 1.6, -30.0, 28.0, ARCH + 14.0
RAMUS_HALF_WIDTH = 5.0
LIGAMENT, SEPTUM = 0.6, 0.9
"""Between a root and bone, and between the sockets of neighbours."""
CROWN_POWER, ROOT_POWER = 6, 2

NOD, TURN = math.radians(6.0), math.radians(4.0)

Doubles = npt.NDArray[np.float64]
Size = tuple[float, float, float, float]
UPPER: tuple[Size, ...] = (
    (8.0, 7.0, 8.8, 13.0),
    (6.2, 6.2, 8.4, 13.0),
    (7.4, 8.0, 8.8, 15.0),
    (6.8, 8.8, 8.2, 13.0),
    (6.6, 8.6, 8.0, 13.0),
    (9.8, 10.4, 7.6, 12.5),
    (9.4, 10.4, 7.2, 12.0),
)
"""Of each tooth from the middle on: along and across the arch, height of the crown, length of the root, in mm."""
LOWER: tuple[Size, ...] = (
    (5.3, 6.0, 8.8, 12.5),
    (5.9, 6.3, 8.8, 13.5),
    (6.9, 7.8, 9.0, 15.0),
    (7.1, 7.8, 8.4, 14.0),
    (7.2, 8.2, 8.2, 14.0),
    (11.0, 10.2, 7.6, 13.5),
    (10.5, 9.8, 7.2, 13.0),
)
Polygon = tuple[tuple[float, float], ...]
RAMUS: tuple[Polygon, ...] = (
    ((ARCH, -36.0), (ARCH + 22.0, -34.0), (ARCH + 30.0, 2.0), (ARCH, 2.0)),
    ((ARCH + 2.0, 2.0), (ARCH + 12.0, 2.0), (ARCH + 5.0, 14.0)),
    ((ARCH + 18.0, 2.0), (ARCH + 30.0, 2.0), (ARCH + 32.0, 15.0), (ARCH + 24.0, 15.0)),
)
"""Convex, in (along, z), counter-clockwise: the branch, and its two horns."""


class Tissue(IntEnum):
    """What a voxel is. Teeth are one tissue: they do not touch."""

    AIR = 0
    SOFT = 1
    CANAL = 2
    MANDIBLE = 3
    MAXILLA = 4
    TOOTH = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tooth:
    """A crown and a root on one neck. `half_along`, `half_across`, `crown`, `root`: mm; `up`: 1 or -1, of its root."""

    name: str
    side: int
    """-1 right, 1 left."""
    up: int
    at: float
    half_along: float
    half_across: float
    crown: float
    root: float

    @property
    def volume_mm3(self) -> float:
        base = math.pi * self.half_along * self.half_across
        return base * (_filled(CROWN_POWER) * self.crown + _filled(ROOT_POWER) * self.root)

    @property
    def socket_mm3(self) -> float:
        base = math.pi * (self.half_along + LIGAMENT) * (self.half_across + LIGAMENT)
        return base * _filled(ROOT_POWER) * (self.root + LIGAMENT)


def teeth() -> Iterator[Tooth]:
    """All 28, named as `tooth11`: the third molars are not there (ISO 3950)."""
    for (up, side), quadrant in {(1, -1): 1, (1, 1): 2, (-1, 1): 3, (-1, -1): 4}.items():
        start = 0.0
        for number, (along, across, crown, root) in enumerate(UPPER if up > 0 else LOWER, start=1):
            room = along + 2 * LIGAMENT + SEPTUM
            yield Tooth(
                name=f"tooth{quadrant}{number}",
                side=side,
                up=up,
                at=start + room / 2,
                half_along=along / 2,
                half_across=across / 2,
                crown=crown,
                root=root,
            )
            start += room


def volumes_mm3() -> Mapping[str, float]:
    """By structure, from formulas. Bones are without sockets, the mandible without its canals too."""
    all_teeth = tuple(teeth())
    sockets = {up: sum(tooth.socket_mm3 for tooth in all_teeth if tooth.up == up) for up in (-1, 1)}
    # A quarter of a superellipse of power 4 fills so much of its box.
    corner = math.gamma(1.25) ** 2 / math.gamma(1.5)
    across = 2 * HALF_WIDTH * (ROUND_FROM - CREST + corner * ROUND)
    ramus = 2 * RAMUS_HALF_WIDTH * sum(map(_area, RAMUS))
    canal = math.pi * CANAL_RADIUS**2 * (CANAL_TO - CANAL_FROM)
    inner = RADIUS - HALF_WIDTH
    palate = (math.pi * inner**2 / 2 + 2 * inner * LEG) * (PALATE[1] - PALATE[0])
    maxilla = 2 * ARCH * 2 * HALF_WIDTH * (MAXILLA_TOP - CREST) + palate
    return {
        "mandible": 2 * (ARCH * across + ramus - canal) - sockets[-1],
        "maxillary": maxilla - sockets[1],
        "right_nerve": canal,
        "left_nerve": canal,
        **{tooth.name: tooth.volume_mm3 for tooth in all_teeth},
    }


def draw(x: FloatArray, y: FloatArray, z: FloatArray) -> npt.NDArray[np.uint8]:
    """(slice, row, column) of `Tissue`. Args: mm, of the columns, rows and slices, each one-dimensional."""
    plane_x, plane_y = np.meshgrid(np.asarray(x, np.float64), np.asarray(y, np.float64))
    all_teeth = tuple(teeth())
    found = np.empty((len(z), *plane_x.shape), np.uint8)
    for number, height in enumerate(np.asarray(z, np.float64)):
        found[number] = _slice(*_posed(plane_x, plane_y, float(height)), all_teeth)
    return found


def _posed(x: Doubles, y: Doubles, z: float) -> tuple[Doubles, Doubles, Doubles]:
    """Coordinates of the jaws: the head is nodded and turned a little, as nobody bites straight.

    Faces along the voxels' own would gain or lose half a voxel each.
    """
    (nod_cos, nod_sin), (turn_cos, turn_sin) = ((math.cos(a), math.sin(a)) for a in (NOD, TURN))
    y, z_of = nod_cos * y - nod_sin * z, nod_sin * y + nod_cos * z
    return turn_cos * x - turn_sin * y, turn_sin * x + turn_cos * y, z_of


def _slice(x: Doubles, y: Doubles, z: Doubles, all_teeth: tuple[Tooth, ...]) -> npt.NDArray[np.uint8]:
    along = np.where(y < 0, RADIUS * np.arctan2(np.abs(x), -y), HALF_ROUND + y)
    across = np.where(y < 0, np.hypot(x, y), np.abs(x)) - RADIUS
    row = (np.abs(across) <= HALF_WIDTH) & (along <= ARCH)
    head = (x / 46.0) ** 4 + ((y - 18.0) / 62.0) ** 4 <= 1.0
    tissue = np.where(head, Tissue.SOFT, Tissue.AIR).astype(np.uint8)
    tissue[row & (z >= CREST) & (z <= MAXILLA_TOP)] = Tissue.MAXILLA
    palate = (across < -HALF_WIDTH) & (y < LEG) & (z >= PALATE[0]) & (z <= PALATE[1])
    tissue[palate] = Tissue.MAXILLA
    below = np.maximum(-z - ROUND_FROM, 0.0) / ROUND
    rounded = (below == 0) | ((across / HALF_WIDTH) ** 4 + below**4 <= 1.0)
    tissue[row & (z <= -CREST) & rounded] = Tissue.MANDIBLE
    tissue[_in_any(RAMUS, along, z) & (np.abs(across) <= RAMUS_HALF_WIDTH)] = Tissue.MANDIBLE
    canal = across**2 + (z - CANAL_Z) ** 2 <= CANAL_RADIUS**2
    tissue[canal & (along >= CANAL_FROM) & (along <= CANAL_TO)] = Tissue.CANAL
    side = np.where(x < 0, -1, 1)
    for tooth in all_teeth:
        near = row & (side == tooth.side) & (np.abs(along - tooth.at) <= tooth.half_along + LIGAMENT)
        near &= tooth.up * z >= CREST - tooth.crown
        near &= tooth.up * z <= CREST + tooth.root + LIGAMENT
        if near.any():
            tissue[near] = _around(tooth, along[near], across[near], z[near], tissue[near])
    return tissue


def _around(
    tooth: Tooth, along: Doubles, across: Doubles, z: Doubles, tissue: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Tissues of the points, with the tooth and its socket in them."""
    over_neck = tooth.up * z - CREST
    is_root = over_neck >= 0.0

    def section(gap: float) -> Doubles:
        squares = ((along - tooth.at) / (tooth.half_along + gap)) ** 2
        found: Doubles = squares + (across / (tooth.half_across + gap)) ** 2
        return found

    socket = is_root & (section(LIGAMENT) + (over_neck / (tooth.root + LIGAMENT)) ** ROOT_POWER <= 1.0)
    root = is_root & (section(0.0) + (over_neck / tooth.root) ** ROOT_POWER <= 1.0)
    crown = ~is_root & (section(0.0) + (over_neck / tooth.crown) ** CROWN_POWER <= 1.0)
    return np.where(root | crown, Tissue.TOOTH, np.where(socket, Tissue.SOFT, tissue)).astype(np.uint8)


def _filled(power: int) -> float:
    """How much of its cylinder a half superellipsoid fills whose section shrinks as 1 - t**power."""
    return power / (power + 1)


def _area(polygon: Polygon) -> float:
    after = (*polygon[1:], polygon[0])
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(polygon, after, strict=True)) / 2


def _in_any(polygons: tuple[Polygon, ...], along: Doubles, z: Doubles) -> npt.NDArray[np.bool_]:
    found = np.zeros(along.shape, np.bool_)
    for polygon in polygons:
        inside = np.ones(along.shape, np.bool_)
        for (x0, y0), (x1, y1) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
            inside &= (x1 - x0) * (z - y0) - (y1 - y0) * (along - x0) >= 0
        found |= inside
    return found
