"""The shapes of a thorax, each as a signed distance in LPS mm; z 0 is a little below the carina.

Measures are those of a middle-sized adult, lying on the back, arms up, breath held.
"""

from __future__ import annotations

import numpy as np

from .shapes import FloatArray, Number, ellipse, ellipsoid, smooth_max, smooth_min

# z (mm) -> half width, half depth, middle in y (mm) of the thoracic cavity, of the muscles and of the skin.
_LEVELS_Z = (-150.0, -100.0, -40.0, 0.0, 30.0, 55.0, 75.0, 92.0, 106.0, 116.0, 124.0, 150.0)
_CAVITY_HALF_WIDTH = (118.0, 127.0, 130.0, 127.0, 121.0, 111.0, 99.0, 84.0, 69.0, 56.0, 42.0, 12.0)
_CAVITY_HALF_DEPTH = (84.0, 88.0, 88.0, 85.0, 80.0, 72.0, 63.0, 54.0, 45.0, 37.0, 29.0, 10.0)
_CAVITY_Y = (-6.0, -6.0, -6.0, -5.0, -3.0, 0.0, 4.0, 8.0, 11.0, 13.0, 14.0, 14.0)
_SKIN_HALF_WIDTH = (156.0, 160.0, 163.0, 163.0, 163.0, 164.0, 164.0, 161.0, 156.0, 151.0, 146.0, 128.0)
_SKIN_HALF_DEPTH = (114.0, 116.0, 117.0, 116.0, 113.0, 109.0, 104.0, 99.0, 95.0, 92.0, 90.0, 84.0)
_SKIN_Y = (0.0, 0.0, 0.0, 1.0, 3.0, 6.0, 9.0, 11.0, 13.0, 14.0, 15.0, 18.0)

VERTEBRA_MM = 24.0
RIB_MM = 24.0
RIB_DROP_MM = 84.0


def _at(z: Number, values: tuple[float, ...]) -> Number:
    return np.asarray(np.interp(z, _LEVELS_Z, values), dtype=np.float32)


def skin(x: Number, y: Number, z: Number) -> FloatArray:
    return ellipse(x, y, (0.0, _at(z, _SKIN_Y)), (_at(z, _SKIN_HALF_WIDTH), _at(z, _SKIN_HALF_DEPTH)), 2.35)


def muscle(x: Number, y: Number, z: Number) -> FloatArray:
    """Surface below the fat: thinner fat at the back and in front, thicker at the flanks and to the feet."""
    flank = 4.0 + np.clip(-np.asarray(z) / 35.0, 0.0, 3.0)
    width, depth = _at(z, _SKIN_HALF_WIDTH) - 10.0 - flank, _at(z, _SKIN_HALF_DEPTH) - 13.0
    return ellipse(x, y, (0.0, _at(z, _SKIN_Y) + 1.0), (width, depth), 2.5)


def cavity(x: Number, y: Number, z: Number) -> FloatArray:
    """Inner surface of the chest wall, and below the diaphragm of the upper abdomen."""
    radii = (_at(z, _CAVITY_HALF_WIDTH), _at(z, _CAVITY_HALF_DEPTH))
    return ellipse(x, y, (0.0, _at(z, _CAVITY_Y)), radii, 2.3)


def rows_mm(z: float) -> tuple[float, float]:
    """Front and back of the body at height `z`, mm."""
    middle, half = float(_at(z, _SKIN_Y)), float(_at(z, _SKIN_HALF_DEPTH))
    return middle - half, middle + half


def cavity_front(z: Number) -> Number:
    return _at(z, _CAVITY_Y) - _at(z, _CAVITY_HALF_DEPTH)


def heart(x: Number, y: Number, z: Number) -> FloatArray:
    """Ventricles along the heart's own axis (to the left, the front and the feet), and the left atrium."""
    dx, dy, dz = x - 20.0, y + 34.0, z + 40.0
    along = (0.74 * dx - 0.42 * dy - 0.526 * dz) / 64.0
    across = (0.494 * dx + 0.869 * dy) / 45.0
    upright = (0.457 * dx - 0.26 * dy + 0.85 * dz) / 46.0
    ventricles = (np.sqrt(along**2 + across**2 + upright**2) - 1.0) * 45.0
    return smooth_min(ventricles, ellipsoid(x, y, z, (0, 4, -20), (36, 19, 22)), 10.0)


def diaphragm_mm(x: Number, y: Number, *, right: bool) -> FloatArray:
    """Height of the dome above each point, mm; the right one stands higher because of the liver."""
    top, middle = (-54.0, -58.0) if right else (-66.0, 62.0)
    drop = 44.0 * ((x - middle) / 66.0) ** 2 + 44.0 * ((y + 22.0) / 78.0) ** 2
    return np.asarray(top - drop, dtype=np.float32)


def mediastinum(x: Number, y: Number, z: Number, beating: FloatArray) -> FloatArray:
    """What keeps the lungs apart: `heart` (of the same points) with its fat, great vessels, hila, spine, septum."""
    upper = ellipsoid(x, y, z, (0, -2, 76), (32, 42, 86))
    hila = ellipsoid(np.abs(x), y, z, (33, 11, 8), (20, 17, 26))
    spine = smooth_min(
        ellipse(x, y, (0.0, 44.0), (24.0, 22.0)), ellipse(x, y, (0.0, 74.0), (24.0, 26.0)), 10.0
    )
    aorta_and_oesophagus = ellipse(x, y, (12.0, 28.0), (24.0, 16.0))
    whole = smooth_min(smooth_min(upper, beating - 5.0, 22.0), hila, 10.0)
    whole = smooth_min(smooth_min(whole, spine, 14.0), aorta_and_oesophagus, 10.0)
    return smooth_min(whole, np.abs(x) - 2.5, 6.0)


def lungs(
    x: Number, y: Number, z: Number, wall: FloatArray, beating: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The right and the left lung: the room beside the mediastinum, above the diaphragm and below the apex.

    `wall` and `beating` are the `cavity` and the `heart` of the same points.
    """
    apex_mm = 117.0 - 14.0 * ((np.abs(x) - 42.0) / 40.0) ** 2 - 14.0 * ((y - 13.0) / 62.0) ** 2
    space = smooth_max(wall + 2.5, -mediastinum(x, y, z, beating), 12.0)
    # The slope of a dome makes the height above it longer than the distance to it.
    space = smooth_max(space, (z - apex_mm) * 0.7, 8.0)
    right = smooth_max(space, (diaphragm_mm(x, y, right=True) - z) * 0.8, 9.0)
    left = smooth_max(space, (diaphragm_mm(x, y, right=False) - z) * 0.8, 9.0)
    return smooth_max(right, x, 2.0), smooth_max(left, -x, 2.0)


def ribs(x: Number, y: Number, z: Number, wall: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distance to the nearest rib, and the angle around the chest: 0 at the spine, pi at the breastbone.

    `wall` is the `cavity` of the same points: ribs run in a sheet at one distance from it.
    Ribs hang: each goes down on its way to the front, so a slice cuts several of them.
    """
    half_width, half_depth = _at(z, _CAVITY_HALF_WIDTH), _at(z, _CAVITY_HALF_DEPTH)
    angle = np.arctan2(np.abs(x) / half_width, (y - _at(z, _CAVITY_Y)) / half_depth)
    height = z + RIB_DROP_MM * 0.5 * (1.0 - np.cos(angle)) + 4.0
    off = np.mod(height + RIB_MM / 2.0, RIB_MM) - RIB_MM / 2.0
    depth = wall - 7.5
    distance = (np.sqrt((off / 7.0) ** 2 + (depth / 4.6) ** 2) - 1.0) * 4.6
    at_spine = (0.17 - angle) * 60.0
    below_apex = np.asarray(z, dtype=np.float32) - 112.0
    distance = np.maximum(np.maximum(distance, at_spine), below_apex)
    return np.asarray(distance, dtype=np.float32), np.asarray(angle, dtype=np.float32)


def disc_share(z: Number) -> Number:
    """0 in the middle of a vertebral body, 1 in a disc."""
    off = np.abs(np.mod(np.asarray(z) + 5.0, VERTEBRA_MM) - VERTEBRA_MM / 2.0)
    return np.asarray(np.clip((off - 9.0) / 1.5, 0.0, 1.0), dtype=np.float32)
