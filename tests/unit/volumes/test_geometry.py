from __future__ import annotations

import math

import numpy as np
import pytest

from bridge.errors import Refused
from bridge.volumes.geometry import orthonormal, regular_grid, slice_positions_mm

AXIAL = np.array([1.0, 0, 0, 0, 1, 0])


def grid_of(
    z: list[float], x: list[float] | None = None, pixel: float = 0.5
) -> tuple[tuple[int, ...], float]:
    positions = np.array([[dx, 30.0, one] for dx, one in zip(x or [0.0] * len(z), z, strict=True)])
    order, geometry = regular_grid(positions, np.tile(AXIAL, (len(z), 1)), (pixel, 0.7), (4, 6))
    return order, geometry.spacing_mm[0]


def test_exact_directions_come_back_unchanged() -> None:
    for orientation in ([1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [-1, 0, 0, 0, 1, 0]):
        column_step, row_step, normal = orthonormal(np.array(orientation, float))
        assert [*column_step, *row_step] == orientation
        assert list(normal) == list(np.cross(orientation[:3], orientation[3:]))


def test_crooked_directions_share_the_error() -> None:
    angle = 8e-4  # the two enclose 90 degrees less this
    first, second, normal = orthonormal(np.array([1, 0, 0, math.sin(angle), math.cos(angle), 0]) * 1.0004)
    assert [float(v @ v) for v in (first, second, normal)] == pytest.approx([1, 1, 1], abs=1e-15)
    assert float(first @ second) == pytest.approx(0, abs=1e-15)
    assert math.atan2(-first[1], first[0]) == pytest.approx(angle / 2, rel=1e-3)
    assert math.atan2(-second[0], second[1]) == pytest.approx(-angle / 2, rel=1e-3)


def test_slice_positions_keep_the_order_given() -> None:
    ipp = np.array([[1.0, 2, 9], [1, 2, -3]])
    assert list(slice_positions_mm(ipp, np.array([0, 0, 1.0]))) == [9, -3]


def test_spacing_is_the_whole_way_divided() -> None:
    # Rounded to 0.1 mm the single steps are 3.3, 3.4 and 3.3.
    assert grid_of([0, 3.33, 6.67, 10.0])[1] == pytest.approx(10 / 3, abs=1e-12)


def test_order_follows_the_normal_of_the_orientation() -> None:
    positions = np.array([[0.0, 0, z] for z in (4, 0, 2)])
    up, _ = regular_grid(positions, np.tile(AXIAL, (3, 1)), (1, 1), (4, 6))
    down, geometry = regular_grid(positions, np.tile([-1.0, 0, 0, 0, 1, 0], (3, 1)), (1, 1), (4, 6))
    assert (up, down) == ((1, 2, 0), (0, 2, 1))
    assert geometry.origin_lps == (0, 0, 4)
    assert geometry.slice_step_lps == (0, 0, -1)


def test_pixel_spacing_is_rows_before_columns() -> None:
    _, geometry = regular_grid(np.array([[0.0, 0, 0], [0, 0, 3]]), np.tile(AXIAL, (2, 1)), (0.5, 0.7), (4, 6))
    # Voxel (slice 1, row 2, column 5): 5 columns of 0.7 in x, 2 rows of 0.5 in y.
    assert list(geometry.affine_lps @ [1, 2, 5, 1]) == pytest.approx([3.5, 1.0, 3.0, 1])
    assert geometry.shape == (2, 4, 6)


def test_negative_zeros_of_headers_do_not_show() -> None:
    orientation = np.array([1.0, -0.0, -0.0, -0.0, 1.0, -0.0])
    _, geometry = regular_grid(
        np.array([[-0.0, 0, 0], [0, 0, 3]]), np.tile(orientation, (2, 1)), (1, 1), (4, 6)
    )
    assert "-0.0" not in repr(geometry)


@pytest.mark.parametrize(
    ("z", "code", "numbers"),
    [
        ([0, 5, 10, 15], "", {}),
        ([0, 5, 10, 15.049], "", {}),
        ([0, 5, 10, 15.051], "GEO-025", {"step": 3, "step_mm": 5.051, "median_mm": 5}),
        ([0, 0.3, 0.6, 0.909], "", {}),
        ([0, 0.3, 0.6, 0.911], "GEO-025", {"step": 3}),
        ([0, 5, 10, 17.4], "GEO-025", {"step_mm": 7.4}),
        ([0, 5, 10, 17.6], "GEO-024", {"step": 3, "step_mm": 7.6, "median_mm": 5, "steps": 3}),
        ([0, 5, 15], "GEO-024", {"step": 2, "step_mm": 10, "median_mm": 5}),
        ([0, 10, 15], "GEO-024", {"step": 1}),
        ([0, 5, 5.005, 10], "GEO-021", {"images": 4, "positions": 3}),
        ([0, 5, 5.02, 10], "GEO-025", {"step": 2, "step_mm": 0.02}),
        ([7], "GEO-020", {"slices": 1}),
        # Each step within one percent of the median, and the stack in the middle 0.45 mm off.
        ([*np.cumsum([1.009] * 50), *(50.45 + np.cumsum([0.991] * 51))], "GEO-025", {}),
    ],
)
def test_steps(z: list[float], code: str, numbers: dict[str, float]) -> None:
    if not code:
        assert grid_of(z)[0] == tuple(range(len(z)))
        return
    with pytest.raises(Refused) as refusal:
        grid_of(z)
    assert refusal.value.code == code
    for name, value in numbers.items():
        assert refusal.value.numbers[name] == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(
    ("shift_per_mm", "count", "code"),
    [
        (math.tan(math.radians(18.5)), 10, "GEO-023"),
        (math.tan(math.radians(0.11)), 10, "GEO-023"),
        (math.tan(math.radians(0.09)), 10, ""),
        (math.tan(math.radians(0.09)), 100, "GEO-023"),  # 0.78 mm over the stack, pixels of 0.5 mm
        (math.tan(math.radians(0.09)), 30, ""),  # 0.23 mm
    ],
)
def test_lean_is_measured_by_position(shift_per_mm: float, count: int, code: str) -> None:
    z = [5.0 * k for k in range(count)]
    x = [shift_per_mm * one for one in z]
    if not code:
        grid_of(z, x)
        return
    with pytest.raises(Refused) as refusal:
        grid_of(z, x)
    assert refusal.value.code == code
    assert refusal.value.numbers["lean_degrees"] == pytest.approx(math.degrees(math.atan(shift_per_mm)))
    assert refusal.value.numbers["drift_mm"] == pytest.approx(x[-1])


@pytest.mark.parametrize("which", [0, 2, 5])
def test_a_slice_beside_the_others_is_named(which: int) -> None:
    with pytest.raises(Refused) as refusal:
        grid_of([2.0 * k for k in range(6)], [1.3 * (k == which) for k in range(6)])
    assert refusal.value.code == "GEO-022"
    assert refusal.value.numbers["slice"] == which + 1
    assert refusal.value.numbers["beside_mm"] == pytest.approx(1.3)
