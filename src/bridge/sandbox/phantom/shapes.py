"""Signed distances and soft edges: the few shapes the phantom is drawn with.

Space is LPS in mm throughout (x to the patient's left, y to the back, z to the head). A distance is negative
inside and only near the surface in mm. All functions broadcast, so the same shape serves a whole slice and one
point.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
"""float32 wherever a whole slice is drawn: half the memory traffic of float64."""
Number: TypeAlias = float | FloatArray
Point: TypeAlias = tuple[float, float, float]


def ellipse(
    x: Number, y: Number, centre: tuple[Number, Number], radii: tuple[Number, Number], power: float = 2.0
) -> FloatArray:
    """Distance to a superellipse in a slice; `power` 2 is an ellipse, more is boxier."""
    total = np.abs((x - centre[0]) / radii[0]) ** power + np.abs((y - centre[1]) / radii[1]) ** power
    norm = np.sqrt(total) if power == 2.0 else total ** (1.0 / power)
    return np.asarray((norm - 1.0) * np.minimum(radii[0], radii[1]), dtype=np.float32)


def ellipsoid(x: Number, y: Number, z: Number, centre: Point, radii: Point) -> FloatArray:
    """Distance to an ellipsoid along the axes."""
    squares = ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2
    squares = squares + ((z - centre[2]) / radii[2]) ** 2
    return np.asarray((np.sqrt(squares) - 1.0) * min(radii), dtype=np.float32)


def smooth_max(a: Number, b: Number, rounding_mm: float) -> FloatArray:
    """Intersection of two shapes with its edge rounded off."""
    near = np.maximum(rounding_mm - np.abs(a - b), 0.0)
    return np.asarray(np.maximum(a, b) + near * near / (4.0 * rounding_mm), dtype=np.float32)


def smooth_min(a: Number, b: Number, rounding_mm: float) -> FloatArray:
    """Union of two shapes with its groove filled."""
    return -smooth_max(-a, -b, rounding_mm)


def coverage(distance_mm: FloatArray, pixel_mm: float) -> FloatArray:
    """How much of a pixel a shape covers, 0 to 1, so that edges carry partial volume as a scanner's do."""
    return np.asarray(np.clip(0.5 - distance_mm / pixel_mm, 0.0, 1.0), dtype=np.float32)


def blend(image: FloatArray, value: Number, share: FloatArray) -> None:
    """Lay `value` over `image`, in place, with the share 0 to 1 of each pixel."""
    image += share * (value - image)
