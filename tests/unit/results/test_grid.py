from __future__ import annotations

from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.unit.results.build import made_geometry

from bridge.errors import Refused
from bridge.results.grid import on_source_grid
from bridge.volumes.volume import FloatArray

OBLIQUE = made_geometry(
    (3, 4, 5),
    column_step_lps=(0.96, 0.28, 0.0),
    row_step_lps=(-0.28, 0.96, 0.0),
    slice_step_lps=(0.0, 0.0, 1.0),
    spacing_mm=(2.0, 0.7, 0.9),
)


def painted(affine: FloatArray, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """A number for each voxel that depends on its place in space alone."""
    places = np.stack([*np.indices(shape), np.ones(shape)], axis=-1) @ affine.T
    return np.rint(places[..., :3] @ (1000.0, 31000.0, 970000.0)).astype(np.int64)


def turned(
    affine: FloatArray, shape: tuple[int, ...], order: tuple[int, ...], flips: tuple[bool, ...]
) -> tuple[FloatArray, tuple[int, ...]]:
    """The affine and shape of the same lattice with axes permuted and then reversed."""
    moved = affine[:, [*order, 3]].copy()
    extent = tuple(shape[axis] for axis in order)
    for axis, flip in enumerate(flips):
        if flip:
            moved[:, 3] += moved[:, axis] * (extent[axis] - 1)
            moved[:, axis] *= -1
    return moved, extent


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product((False, True), repeat=3)))
def test_the_same_lattice_in_any_order_of_axes_is_put_back(
    order: tuple[int, ...], flips: tuple[bool, ...]
) -> None:
    affine, shape = turned(OBLIQUE.affine_lps, OBLIQUE.shape, order, flips)
    found = on_source_grid(painted(affine, shape), affine, OBLIQUE)
    assert np.array_equal(found.array, painted(OBLIQUE.affine_lps, OBLIQUE.shape))
    assert not found.resampled
    assert (found.how == "") is (order == (0, 1, 2) and not any(flips))


def shifted(by: tuple[float, float, float]) -> FloatArray:
    affine = OBLIQUE.affine_lps.copy()
    affine[:3, 3] += by
    return affine


def scaled(factor: float) -> FloatArray:
    affine = OBLIQUE.affine_lps.copy()
    affine[:3, 2] *= factor
    return affine


def test_a_deviation_of_a_micrometre_is_rounding() -> None:
    mask = np.zeros(OBLIQUE.shape)
    assert on_source_grid(mask, shifted((0.0009, 0.0, 0.0)), OBLIQUE).how == ""
    # 4 columns of 0.9 mm: 0.0009 mm at the far end.
    assert on_source_grid(mask, scaled(1.00025), OBLIQUE).how == ""


def nearest_by_brute_force(mask: NDArray[Any], affine: FloatArray) -> NDArray[Any]:
    """For each voxel of OBLIQUE the mask's voxel whose centre is nearest, 0 where that is more than half a step off."""
    centres = np.stack([*np.indices(mask.shape), np.ones(mask.shape)], axis=-1) @ affine.T
    expected = np.zeros(OBLIQUE.shape, dtype=mask.dtype)
    for index in np.ndindex(*OBLIQUE.shape):
        place = OBLIQUE.affine_lps @ (*index, 1.0)
        distance = np.linalg.norm((centres - place)[..., :3], axis=-1)
        nearest = np.unravel_index(distance.argmin(), mask.shape)
        off = np.linalg.solve(affine, place)[:3] - nearest
        if np.abs(off).max() <= 0.5:
            expected[index] = mask[nearest]
    return expected


@pytest.mark.parametrize(
    ("affine", "shape"),
    [
        (shifted((0.3, 0.0, 0.0)), OBLIQUE.shape),
        (shifted((0.0, 0.0, 0.7)), OBLIQUE.shape),
        (shifted((0.0, 0.0, 2.0)), OBLIQUE.shape),
        (scaled(1.1), OBLIQUE.shape),
        (scaled(1.9), OBLIQUE.shape),
        (OBLIQUE.affine_lps, (3, 4, 6)),
        (OBLIQUE.affine_lps, (2, 4, 5)),
        (OBLIQUE.affine_lps, (3, 5, 4)),
    ],
)
def test_another_grid_is_resampled_by_nearest_neighbour(affine: FloatArray, shape: tuple[int, ...]) -> None:
    mask = np.arange(1, np.prod(shape) + 1).reshape(shape)
    found = on_source_grid(mask, affine, OBLIQUE)
    assert found.resampled and found.how.startswith("resampled by nearest neighbour from")
    assert np.array_equal(found.array, nearest_by_brute_force(mask, affine))


def test_centres_on_a_border_go_the_same_way_in_every_row() -> None:
    columns = np.broadcast_to(np.arange(5), OBLIQUE.shape)
    found = on_source_grid(columns, scaled(2.0), OBLIQUE).array
    assert (found == (0, 1, 1, 2, 2)).all()


def test_what_resampling_lost_is_told() -> None:
    mask = np.ones((3, 4, 5), dtype=np.int16)
    found = on_source_grid(mask, shifted((0.0, 0.0, 2.0)), OBLIQUE)
    assert "33.3% of the source's voxels are outside the mask's grid" in found.how
    assert "20 marked voxels lie outside the source" in found.how


def test_mask_beside_its_source_is_refused_with_numbers() -> None:
    with pytest.raises(Refused) as caught:
        on_source_grid(np.ones(OBLIQUE.shape), shifted((500.0, 0.0, 0.0)), OBLIQUE)
    assert caught.value.code == "RES-012"


def test_mask_whose_marks_all_lie_outside_the_source_is_refused() -> None:
    mask = np.zeros(OBLIQUE.shape, dtype=np.uint8)
    mask[2] = 1
    with pytest.raises(Refused) as caught:
        on_source_grid(mask, shifted((0.0, 0.0, 2.0)), OBLIQUE)
    assert (caught.value.code, caught.value.numbers["marked"]) == ("RES-013", 20)


@pytest.mark.parametrize(
    ("mask", "affine"),
    [
        (np.zeros((4, 5)), OBLIQUE.affine_lps),
        (np.zeros((3, 4, 5, 2)), OBLIQUE.affine_lps),
        (np.zeros((3, 4, 5)), OBLIQUE.affine_lps * np.nan),
        (np.zeros((3, 4, 5)), np.eye(3)),
        (np.zeros((3, 4, 5)), np.zeros((4, 4))),
    ],
)
def test_what_is_no_volume_is_refused(mask: NDArray[Any], affine: FloatArray) -> None:
    with pytest.raises(Refused) as caught:
        on_source_grid(mask, affine, OBLIQUE)
    assert caught.value.code == "RES-010"


def test_thickness_of_a_single_slice_does_not_matter() -> None:
    single = made_geometry((1, 4, 5))
    affine = single.affine_lps.copy()
    affine[:3, 0] = (0.0, 0.0, 17.0)
    mask = np.arange(20).reshape(1, 4, 5)
    assert np.array_equal(on_source_grid(mask, affine, single).array, mask)
