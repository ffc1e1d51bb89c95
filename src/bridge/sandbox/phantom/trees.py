"""Tubes: airways with walls, great vessels by hand, and lung vessels that branch until they are thin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .shapes import Point

Vectors: TypeAlias = npt.NDArray[np.float64]

_TAPER = 0.88
"""End radius of a branch over its start radius."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tube:
    """A straight tapering tube from `start` to `end` (LPS, mm) with rounded ends."""

    start: Point
    end: Point
    radius_mm: tuple[float, float]


def _path(radius_mm: float, *points: Point) -> list[Tube]:
    return [Tube(start=a, end=b, radius_mm=(radius_mm, radius_mm)) for a, b in pairwise(points)]


# The trachea starts above the field of view, so that it is open at the top as in any thorax.
TRACHEA_AND_BRONCHI = (
    Tube(start=(0, 4, 150), end=(1, 13, 34), radius_mm=(8.5, 8.5)),
    Tube(start=(0, 13, 36), end=(-30, 15, 14), radius_mm=(7.0, 6.5)),
    Tube(start=(-30, 15, 14), end=(-44, 20, -14), radius_mm=(5.8, 5.2)),
    Tube(start=(0, 13, 36), end=(42, 20, 6), radius_mm=(6.6, 5.8)),
)
LOBAR_BRONCHI = (
    Tube(start=(-24, 15, 19), end=(-58, 8, 38), radius_mm=(4.8, 4.0)),
    Tube(start=(-44, 20, -14), end=(-74, -18, -26), radius_mm=(4.0, 3.0)),
    Tube(start=(-44, 20, -14), end=(-64, 38, -46), radius_mm=(4.8, 3.8)),
    Tube(start=(42, 20, 6), end=(66, 0, 32), radius_mm=(4.8, 4.0)),
    Tube(start=(48, 16, 8), end=(82, -22, -4), radius_mm=(3.8, 3.0)),
    Tube(start=(42, 20, 6), end=(64, 42, -40), radius_mm=(4.8, 3.8)),
)
OESOPHAGUS = tuple(_path(6.0, (6, 25, 150), (5, 27, -40), (10, 18, -90), (26, 0, -112)))
GREAT_VESSELS = tuple(
    _path(15.0, (-2, -28, -8), (-18, -32, 22), (-18, -30, 42))  # ascending aorta
    + _path(13.0, (-18, -30, 42), (-8, -14, 58), (12, 12, 58), (26, 34, 44))  # arch
    + _path(11.5, (26, 34, 44), (24, 34, -50), (10, 24, -150))  # descending aorta
    + _path(8.5, (-27, -24, 72), (-31, -20, -8))  # superior vena cava
    + _path(7.0, (-27, -24, 72), (-34, -14, 150))
    + _path(6.5, (-27, -26, 70), (6, -34, 82), (30, -20, 104), (34, -12, 150))
    + _path(6.0, (-10, -14, 62), (-20, 0, 108), (-24, 4, 150))
    + _path(4.0, (3, 0, 66), (16, 6, 110), (18, 8, 150))
    + _path(5.0, (14, 14, 64), (25, 16, 112), (48, 10, 150))
    + _path(13.5, (16, -46, -10), (12, -32, 20))  # pulmonary trunk and its two arteries
    + _path(10.0, (12, -28, 20), (-16, -6, 12), (-44, 2, 10))
    + _path(10.0, (12, -28, 22), (40, 2, 24))
    + _path(6.5, (-24, 6, -20), (-52, 10, -18))  # pulmonary veins
    + _path(6.5, (28, 8, -18), (54, 10, -16))
    + _path(11.0, (-24, -2, -56), (-22, 12, -150))  # inferior vena cava
)

RIGHT_HILUM: Point = (-46, 8, 0)
LEFT_HILUM: Point = (50, 10, 2)


Inside: TypeAlias = Callable[[Vectors], Vectors]
"""Distance (n,) to the surface the branches must stay within, negative inside, of points (n, 3)."""

_MARGIN_MM = -3.0
_TRIES = 8


def lung_vessels(rng: np.random.Generator, hilum: Point, inside_mm: Inside, *, trunks: int) -> list[Tube]:
    """Vessels of one lung, fanning out from its hilum.

    Args:
        rng: source of the branching; the same state gives the same tree.
        hilum: where all of them start.
        inside_mm: the lung; no branch ends nearer to its surface than 3 mm.
        trunks: first branches, spread evenly over the sphere; those that would leave the lung are left out.
    """
    step = np.arange(trunks) + 0.5
    height, turn = 1.0 - 2.0 * step / trunks, np.pi * (3.0 - np.sqrt(5.0)) * step
    ring = np.sqrt(1.0 - height * height)
    directions = np.stack([ring * np.cos(turn), ring * np.sin(turn), height], axis=1)
    directions = directions[inside_mm(np.array(hilum) + 36.0 * directions) < _MARGIN_MM]
    start = np.broadcast_to(np.array(hilum, dtype=np.float64), directions.shape)
    ends = start + 26.0 * directions
    radii = np.full(len(ends), 3.4)
    return _tubes(start, ends, radii) + _grown(
        rng, ends, directions, radii, (25, 22, 19, 16, 14, 12), inside_mm
    )


def distal_bronchi(rng: np.random.Generator, inside_mm: Inside) -> list[Tube]:
    """Three more generations beyond the lobar bronchi, so that these do not end as stumps."""
    start = np.array([tube.start for tube in LOBAR_BRONCHI], dtype=np.float64)
    ends = np.array([tube.end for tube in LOBAR_BRONCHI], dtype=np.float64)
    directions = (ends - start) / np.linalg.norm(ends - start, axis=1, keepdims=True)
    radii = np.array([tube.radius_mm[1] for tube in LOBAR_BRONCHI])
    return _grown(rng, ends, directions, radii, (26, 22, 18), inside_mm)


def opened(tube: Tube, by_mm: float) -> Tube:
    """The same tube ending earlier: a wall that leaves the last stretch of its lumen open."""
    start, end = np.array(tube.start, dtype=np.float64), np.array(tube.end, dtype=np.float64)
    length = float(np.linalg.norm(end - start))
    return replace(tube, end=_point(end + (start - end) * min(by_mm / length, 0.9)))


def _grown(
    rng: np.random.Generator,
    tips: Vectors,
    directions: Vectors,
    radii: Vectors,
    lengths_mm: tuple[float, ...],
    inside_mm: Inside,
) -> list[Tube]:
    """Every tip forks in two, once per length given; a branch that finds no room within a few tries stops."""
    tubes: list[Tube] = []
    for length_mm in lengths_mm:
        azimuth = rng.uniform(0.0, 2.0 * np.pi, (len(tips), 1))
        grown = []
        for half_turn in (0.0, np.pi):
            bend = rng.uniform(0.25, 0.7, (len(tips), _TRIES))
            turned = _turned(directions, bend, azimuth + half_turn + rng.uniform(-0.7, 0.7, bend.shape))
            lengths = length_mm * rng.uniform(0.7, 1.2, (*bend.shape, 1))
            ends = tips[:, None, :] + lengths * turned
            fits = inside_mm(ends.reshape(-1, 3)).reshape(bend.shape) < _MARGIN_MM
            room, first = fits.any(axis=1), fits.argmax(axis=1)
            row = np.flatnonzero(room)
            grown.append((tips[row], ends[row, first[row]], turned[row, first[row]], radii[row] * 0.84))
        starts, tips, directions, radii = (np.concatenate(both) for both in zip(*grown, strict=True))
        tubes += _tubes(starts, tips, radii)
        radii = radii * _TAPER
    return tubes


def _tubes(starts: Vectors, ends: Vectors, radii: Vectors) -> list[Tube]:
    return [
        Tube(start=_point(start), end=_point(end), radius_mm=(float(radius), float(radius) * _TAPER))
        for start, end, radius in zip(starts, ends, radii, strict=True)
    ]


def _turned(directions: Vectors, bend: Vectors, azimuth: Vectors) -> Vectors:
    """Unit vectors (n, tries, 3): each of `directions` (n, 3) bent by `bend` towards `azimuth`, radians."""
    sideways = np.abs(directions[:, :1]) < 0.8
    helper = np.where(sideways, np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    u = np.cross(directions, helper)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v = np.cross(directions, u)
    aside = np.cos(azimuth)[..., None] * u[:, None, :] + np.sin(azimuth)[..., None] * v[:, None, :]
    return np.asarray(np.cos(bend)[..., None] * directions[:, None, :] + np.sin(bend)[..., None] * aside)


def _point(vector: Vectors) -> Point:
    return float(vector[0]), float(vector[1]), float(vector[2])
