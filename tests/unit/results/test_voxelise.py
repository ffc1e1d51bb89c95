"""Closed meshes to voxels: centres inside count once, whatever lies exactly on the surface."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.unit.results.build import made_geometry
from tests.unit.results.shapes import ball, box, joined, mesh, ring

from bridge.results import voxelise as module
from bridge.results.mesh import Mesh
from bridge.results.voxelise import voxelise
from bridge.volumes.volume import Geometry

PLAIN = made_geometry((8, 9, 10), origin_lps=(0, 0, 0), spacing_mm=(1.0, 1.0, 1.0))
OBLIQUE = made_geometry(
    (11, 13, 12),
    origin_lps=(-5.1, 3.3, -6.7),
    column_step_lps=(0.8, 0.6, 0.0),
    row_step_lps=(-0.36, 0.48, 0.8),
    slice_step_lps=(0.48, -0.64, 0.6),
    spacing_mm=(1.1, 0.7, 0.9),
)


def on_grid(shape: Mesh, geometry: Geometry) -> NDArray[np.bool_]:
    found = voxelise(shape, geometry)
    whole = np.zeros(geometry.shape, np.bool_)
    whole[found.place] = found.inside
    assert found.count == whole.sum()
    return whole


def centres(geometry: Geometry) -> NDArray[Any]:
    """(slices, rows, columns, 3), x y z in mm."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij"), axis=-1)
    affine = geometry.affine_lps
    return np.asarray(index @ affine[:3, :3].T + affine[:3, 3])


@pytest.mark.parametrize("low", [0.5, 1.0, 1.25])
def test_a_box_holds_the_centres_from_its_lower_faces_up_to_its_upper_ones(low: float) -> None:
    found = on_grid(box((low, low, low), (4, 3, 2)), PLAIN)
    first = int(np.ceil(low))
    expected = np.zeros(PLAIN.shape, np.bool_)
    expected[first : first + 2, first : first + 3, first : first + 4] = True
    assert np.array_equal(found, expected)


def test_boxes_side_by_side_share_out_the_centres_between_them() -> None:
    """Faces, edges and corners through centres: each centre is in just one of eight boxes."""
    total = sum(
        on_grid(box((x, y, z), (2, 2, 2)), PLAIN).astype(int) for x in (1, 3) for y in (1, 3) for z in (1, 3)
    )
    expected = np.zeros(PLAIN.shape, int)
    expected[1:5, 1:5, 1:5] = 1
    assert np.array_equal(total, expected)


def test_a_diamond_with_corners_on_centres_is_counted_once() -> None:
    diamond = ball(0, 3.0)
    found = on_grid(mesh(diamond.vertices + 4, diamond.faces), PLAIN)
    away = np.abs(centres(PLAIN) - 4).sum(axis=-1)
    assert found[away < 3 - 1e-9].all()
    assert not found[away > 3 + 1e-9].any()


@pytest.mark.parametrize("turned", [False, True])
def test_an_oblique_grid_holds_the_centres_nearer_than_the_radius(turned: bool) -> None:
    middle = centres(OBLIQUE).reshape(-1, 3).mean(axis=0) + np.array([0.11, 0.07, -0.05])
    shape = ball(4, 3.7)
    faces = shape.faces[:, ::-1] if turned else shape.faces
    found = voxelise(mesh(shape.vertices + middle, faces), OBLIQUE)
    away = np.linalg.norm(centres(OBLIQUE) - middle, axis=-1)
    whole = np.zeros(OBLIQUE.shape, np.bool_)
    whole[found.place] = found.inside
    # Flat faces of this ball come within 0.02 mm of its radius.
    assert whole[away < 3.68].all()
    assert not whole[away > 3.7].any()
    assert found.doubtful == 0


def test_a_ring_has_a_hole() -> None:
    shape = ring(60, 30, 3.0, 0.9)
    found = on_grid(mesh(shape.vertices + np.array([4, 4, 3]), shape.faces), PLAIN)
    assert not found[:, 4, 4].any()
    assert found[3, 4, 1]
    assert found[3, 4, 7]


def test_order_of_faces_changes_nothing() -> None:
    shape = ball(3, 3.3)
    here = mesh(shape.vertices + 4, shape.faces)
    mixed = mesh(here.vertices, np.roll(np.random.default_rng(7).permutation(here.faces), 1, axis=1))
    assert np.array_equal(on_grid(here, PLAIN), on_grid(mixed, PLAIN))


@pytest.mark.parametrize(
    ("low", "size"), [((-5, -5, -5), (30, 30, 30)), ((-5, 2, -5), (30, 3, 30)), ((2, 2, -40), (3, 3, 80))]
)
def test_what_lies_outside_the_grid_is_cut_off(low: tuple[float, ...], size: tuple[float, ...]) -> None:
    found = on_grid(box(low, size), PLAIN)
    inside = ((centres(PLAIN) >= low) & (centres(PLAIN) < np.array(low) + size)).all(axis=-1)
    assert np.array_equal(found, inside)


@pytest.mark.parametrize(
    "shape", [box((50, 50, 50)), box((-50, 2, 2)), box((2.2, 2.2, 2.2), (0.5, 0.5, 0.5))]
)
def test_a_mesh_beside_the_grid_or_between_centres_has_no_voxel(shape: Mesh) -> None:
    assert voxelise(shape, PLAIN).count == 0


def test_an_overlap_is_left_out_and_counted() -> None:
    two = joined(box((0.5, 0.5, 0.5), (4, 4, 4)), box((2.5, 2.5, 2.5), (4, 4, 4)))
    found = voxelise(two, PLAIN)
    assert found.doubtful == 2**3
    assert found.count == 64 + 64 - 2 * 8


def test_a_hole_whose_faces_look_inwards_is_not_in_doubt() -> None:
    hole = box((2.5, 2.5, 2.5), (2, 2, 2))
    found = voxelise(joined(box((0.5, 0.5, 0.5), (6, 6, 6)), mesh(hole.vertices, hole.faces[:, ::-1])), PLAIN)
    assert (found.count, found.doubtful) == (216 - 8, 0)
    assert voxelise(joined(box((0.5, 0.5, 0.5), (6, 6, 6)), hole), PLAIN).doubtful == 8


def test_small_pieces_of_work_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = ball(1, 4.3)
    here = mesh(shape.vertices + 4.1, shape.faces)
    expected = on_grid(here, PLAIN)
    for many in (1, 3, 8):
        monkeypatch.setattr(module, "_AT_ONCE", many)
        assert np.array_equal(on_grid(here, PLAIN), expected)
