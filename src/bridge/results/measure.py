"""How large a labelled structure is, and what numbers the source has in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Of one label. The statistics are NaN for a label without voxels."""

    voxels: int
    volume_ml: float
    mean: float
    sd: float
    """Of the population: divided by n, not n - 1. The voxels are all there are, not a sample."""
    minimum: float
    maximum: float


def measure(
    labels: NDArray[np.unsignedinteger[Any]], values: NDArray[Any], count: int, voxel_ml: float
) -> tuple[Measurement, ...]:
    """Measure labels 1..count, the first of the answer being label 1.

    Args:
        labels: (slices, rows, columns), 0 is background, nothing above `count`.
        values: same shape, any real type; sums are float64.
        count: number of labels.
        voxel_ml: volume of one voxel, ml.
    Goes slice by slice, so that the memory needed does not grow with the number of slices.
    """
    size = count + 1
    n = np.zeros(size)
    mean = np.zeros(size)
    spread = np.zeros(size)
    low = np.full(size, np.inf)
    high = np.full(size, -np.inf)
    for plane, numbers in zip(labels, values, strict=True):
        inside = plane > 0
        found = plane[inside].astype(np.intp)
        if not found.size:
            continue
        picked = numbers[inside].astype(np.float64)
        here = np.bincount(found, minlength=size).astype(np.float64)
        some = np.maximum(here, 1.0)
        here_mean = np.bincount(found, weights=picked, minlength=size) / some
        here_spread = np.bincount(found, weights=(picked - here_mean[found]) ** 2, minlength=size)
        # Joining means and squared deviations of parts keeps digits that a sum of squares would lose
        # (Chan, Golub, LeVeque 1983).
        total = np.maximum(n + here, 1.0)
        shift = here_mean - mean
        mean = np.where(here > 0, mean + shift * here / total, mean)
        spread += here_spread + np.where(here > 0, shift**2 * n * here / total, 0.0)
        n += here
        np.minimum.at(low, found, picked)
        np.maximum.at(high, found, picked)
    return tuple(
        Measurement(
            voxels=int(n[label]),
            volume_ml=float(n[label]) * voxel_ml,
            mean=float(mean[label]) if n[label] else float("nan"),
            sd=float(np.sqrt(spread[label] / n[label])) if n[label] else float("nan"),
            minimum=float(low[label]) if n[label] else float("nan"),
            maximum=float(high[label]) if n[label] else float("nan"),
        )
        for label in range(1, size)
    )
