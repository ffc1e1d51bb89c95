from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from bridge.results.measure import measure

RNG = np.random.default_rng(7)


@pytest.mark.parametrize(
    "values",
    [
        RNG.integers(-1024, 3000, (5, 6, 7)).astype(np.int16),
        RNG.normal(0, 1, (5, 6, 7)).astype(np.float32),
        RNG.normal(1e9, 1e-2, (5, 6, 7)),
        RNG.integers(0, 65536, (5, 6, 7)).astype(np.uint16),
    ],
    ids=["HU", "small floats", "small spread far from zero", "uint16"],
)
def test_numbers_are_those_of_the_voxels_taken_together(values: np.ndarray) -> None:
    labels = RNG.integers(0, 5, values.shape).astype(np.uint8)
    labels[labels == 3] = 0
    found = measure(labels, values, 4, 0.5)
    for label in (1, 2, 4):
        inside = values[labels == label].astype(np.float64)
        got = found[label - 1]
        assert got.voxels == inside.size
        assert got.volume_ml == inside.size * 0.5
        assert got.mean == pytest.approx(inside.mean(), rel=1e-12)
        assert got.sd == pytest.approx(inside.std(ddof=0), rel=1e-5)
        assert (got.minimum, got.maximum) == (inside.min(), inside.max())


def test_a_label_without_voxels_has_no_statistics() -> None:
    (found,) = measure(np.zeros((2, 2, 2), np.uint8), np.ones((2, 2, 2)), 1, 1.0)
    assert (found.voxels, found.volume_ml) == (0, 0.0)
    assert all(math.isnan(value) for value in (found.mean, found.sd, found.minimum, found.maximum))


def test_one_voxel_has_no_spread() -> None:
    labels = np.zeros((2, 2, 2), np.uint16)
    labels[1, 0, 1] = 300
    found = measure(labels, np.full((2, 2, 2), -7, np.int16), 300, 0.25)[299]
    assert (found.voxels, found.mean, found.sd, found.minimum, found.maximum) == (1, -7.0, 0.0, -7.0, -7.0)


def test_memory_does_not_grow_with_the_number_of_slices() -> None:
    def peak(slices: int) -> int:
        labels = np.ones((slices, 64, 64), np.uint8)
        values = np.zeros((slices, 64, 64), np.int16)
        tracemalloc.start()
        measure(labels, values, 1, 1.0)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(2)
    assert peak(200) < 1.2 * peak(4)
