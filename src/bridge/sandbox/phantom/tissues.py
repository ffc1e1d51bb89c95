"""One axial slice: which tissue lies where, painted from the outside in."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from . import anatomy
from .shapes import FloatArray, blend, coverage, ellipse, ellipsoid, smooth_max

AIR_HU, SKIN_HU, FAT_HU, MUSCLE_HU, BLOOD_HU = -1000.0, 15.0, -100.0, 50.0, 42.0
WALL_HU, OESOPHAGUS_HU, HEART_HU, LIVER_HU, SPLEEN_HU, STOMACH_HU = 40.0, 35.0, 45.0, 58.0, 48.0, 18.0
CORTEX_HU, MARROW_HU, CARTILAGE_HU, DISC_HU, CORD_HU = 650.0, 320.0, 120.0, 85.0, 30.0
LUNG_HU = -855.0
LUNG_HU_PER_MM = 0.35
"""Lung at the back carries more blood: denser by this much per mm towards the back."""
TABLE_FOAM_HU, TABLE_SHELL_HU = -930.0, -150.0


Paint: TypeAlias = Callable[[float | FloatArray, FloatArray], None]
"""Lay a value (HU) wherever a distance is negative."""


class Label(IntEnum):
    """What a voxel is, as far as the truth needs it."""

    OTHER = 0
    RIGHT_LUNG = 1
    LEFT_LUNG = 2
    AIRWAY = 3
    VESSEL = 4
    WALL = 5


def draw_slice(
    hu: FloatArray, labels: npt.NDArray[np.uint8], x: FloatArray, y: FloatArray, z: float, pixel_mm: float
) -> None:
    """Paint the body at height `z` into `hu` and `labels`, both (row, column).

    Args:
        x: (1, columns) mm. y: (rows, 1) mm.
    """

    def put(value: float | FloatArray, distance: FloatArray) -> None:
        blend(hu, value, coverage(distance, pixel_mm))

    cavity = anatomy.cavity(x, y, z)
    _soft_wall(put, x, y, z, cavity)
    _ribs(put, x, y, z, cavity)
    _girdle(put, x, y, z)
    put(FAT_HU, cavity)
    _abdomen(put, x, y, z, cavity)
    heart = anatomy.heart(x, y, z)
    put(FAT_HU, heart - 4.0)
    put(HEART_HU, heart)
    _spine(put, x, y, z)
    sides = (Label.RIGHT_LUNG, Label.LEFT_LUNG)
    for label, lung in zip(sides, anatomy.lungs(x, y, z, cavity, heart), strict=True):
        share = coverage(lung, pixel_mm)
        blend(hu, LUNG_HU + LUNG_HU_PER_MM * y, share)
        labels[share >= 0.5] = label


def draw_table(hu: FloatArray, x: FloatArray, y: FloatArray, pixel_mm: float) -> None:
    """Paint the table, which is the same in all slices, into `hu` (row, column)."""
    # Wider than the field of view: its foam is open to the border, so it can never pass for a closed air space.
    top = y - (121.0 - 14.0 * (x / 178.0) ** 2)
    blend(hu, TABLE_SHELL_HU, coverage(np.maximum(-top, top - 24.0), pixel_mm))
    blend(hu, TABLE_FOAM_HU, coverage(np.maximum(2.0 - top, top - 22.0), pixel_mm))


def _soft_wall(put: Paint, x: FloatArray, y: FloatArray, z: float, cavity: FloatArray) -> None:
    skin, muscle, side = anatomy.skin(x, y, z), anatomy.muscle(x, y, z), np.abs(x)
    put(SKIN_HU, skin)
    put(FAT_HU, skin + 2.2)
    put(MUSCLE_HU, muscle)
    # The armpits' fat, and the sheets of fat between the layers of muscle.
    put(FAT_HU, np.maximum(ellipsoid(side, y, z, (126, 4, 78), (20, 30, 46)), 16.0 - cavity))
    wave = np.sin(0.055 * y + 0.02 * z) + np.sin(0.031 * side - 0.05 * z)
    sheets = np.minimum(np.abs(cavity - 15.0 - 1.2 * wave), np.abs(cavity - 24.0 + 0.05 * y + 3.0 * wave))
    put(
        FAT_HU,
        np.maximum(np.maximum(sheets - 0.9 - 0.5 * wave, muscle + 4.0), np.float32(abs(z - 20.0) - 95.0)),
    )


def _ribs(put: Paint, x: FloatArray, y: FloatArray, z: float, cavity: FloatArray) -> None:
    distance, angle = anatomy.ribs(x, y, z, cavity)
    # Bone turns to cartilage on the way to the breastbone.
    ahead = np.clip((angle - 2.4) / 0.1, 0.0, 1.0)
    put(CORTEX_HU + ahead * (CARTILAGE_HU - CORTEX_HU), distance)
    put(MARROW_HU + ahead * (CARTILAGE_HU - MARROW_HU), distance + 1.7)


def _girdle(put: Paint, x: FloatArray, y: FloatArray, z: float) -> None:
    side = np.abs(x)
    if -62.0 < z < 88.0:
        broad = float(np.interp(z, (-62.0, -50.0, 45.0, 88.0), (10.0, 14.0, 15.0, 26.0)))
        _bone(put, ellipse(x, y, (0.0, float(anatomy.cavity_front(z)) - 9.0), (broad, 5.5), 2.6))
    if 10.0 < z < 130.0:
        # Blade of the scapula: a thin plate along the back of the ribs, turned outwards.
        turned_x = 0.64 * (side - 106.0) - 0.77 * (y - 62.0)
        turned_y = 0.77 * (side - 106.0) + 0.64 * (y - 62.0)
        length = 14.0 + 0.16 * (z - 10.0)
        _bone(put, ellipse(turned_x, turned_y, (0.0, 0.0), (length, 3.4)))
    if z > 78.0:
        # The clavicle climbs outwards: a slice cuts it further out the higher it lies.
        out = 24.0 + (z - 84.0) * 1.9
        _bone(put, ellipse(side, y, (out, float(anatomy.cavity_front(z)) - 12.0 + 0.1 * out), (13.0, 5.6)))


def _bone(put: Paint, distance: FloatArray) -> None:
    put(CORTEX_HU, distance)
    put(MARROW_HU, distance + 1.6)


def _abdomen(put: Paint, x: FloatArray, y: FloatArray, z: float, cavity: FloatArray) -> None:
    if z > -40.0:
        return
    below_right = z - anatomy.diaphragm_mm(x, y, right=True) + 1.5
    below_left = z - anatomy.diaphragm_mm(x, y, right=False) + 1.5
    inside = cavity + 1.0
    put(MUSCLE_HU, np.maximum(smooth_max(inside, below_right, 4.0), x))
    put(MUSCLE_HU, np.maximum(smooth_max(inside, below_left, 4.0), -x))
    put(FAT_HU, np.maximum(np.maximum(inside + 3.0, below_left + 3.0), -x))
    liver = smooth_max(inside + 3.0, np.where(x < 0, below_right, below_left) + 3.0, 6.0)
    tapering = x + 0.55 * y - (18.0 - 0.3 * (z + 90.0))
    put(LIVER_HU, smooth_max(liver, tapering, 12.0))
    put(SPLEEN_HU, np.maximum(ellipsoid(x, y, z, (92, 34, -122), (28, 40, 40)), inside + 5.0))
    put(STOMACH_HU + 25.0, np.maximum(ellipsoid(x, y, z, (62, -26, -122), (40, 34, 38)), inside + 5.0))
    put(STOMACH_HU, np.maximum(ellipsoid(x, y, z, (62, -26, -122), (36, 30, 34)), inside + 8.0))


def _spine(put: Paint, x: FloatArray, y: FloatArray, z: float) -> None:
    side = np.abs(x)
    disc = float(anatomy.disc_share(z))
    put(MUSCLE_HU, ellipse(x, y, (0.0, 45.0), (23.0, 20.0)))
    # A vertebral body: round in front, flat behind, where the canal begins.
    body = smooth_max(ellipse(x, y, (0.0, 43.0), (18.5, 16.0), 2.2), y - 54.0, 5.0)
    put(CORTEX_HU + disc * (DISC_HU - CORTEX_HU), body)
    put(MARROW_HU + disc * (DISC_HU - MARROW_HU), body + 1.8)
    arch = ellipse(x, y, (0.0, 63.0), (14.5, 13.0))
    # Between two vertebrae the arch is open at the sides, where the nerves leave.
    _bone(put, np.maximum(arch, (66.0 - y) * disc))
    if disc < 0.5:
        _bone(put, ellipse(side, y + 0.35 * side, (22.0, 78.0), (17.0, 5.0)))
    _bone(
        put, smooth_max(ellipse(x, y, (0.0, 84.0), (3.8, 15.0)), np.float32(-1.0 + disc * 2.0) + 0 * x, 1.0)
    )
    put(FAT_HU, ellipse(x, y, (0.0, 62.5), (9.5, 8.5)))
    put(CORD_HU, ellipse(x, y, (0.0, 62.5), (7.5, 6.5)))
