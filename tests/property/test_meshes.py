"""Closed meshes anywhere on any grid: their voxels, their numbers and their files agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.property.test_results import rotation
from tests.unit.results.build import made_geometry
from tests.unit.results.shapes import ball, box, mesh, ring, stl

from bridge.results.mesh import Mesh
from bridge.results.mesh_checks import check
from bridge.results.mesh_files import read_mesh
from bridge.results.voxelise import voxelise
from bridge.volumes.volume import Geometry

ANGLE = st.floats(-3.1, 3.1).map(lambda one: round(one, 3))
SLANT = st.floats(0.2, 0.6).map(lambda one: round(one, 3))
STEP = st.floats(0.25, 0.6).map(lambda one: round(one, 3))
SHAPES = (ball(3, 8.0), box((-6, -4, -7), (12, 8, 14)), ring(24, 12, 6.0, 2.5))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Mesh, Geometry]:
    """A shape under a random affine map, and a grid at a random angle that holds all of it."""
    shape = draw(st.sampled_from(SHAPES))
    stretch = np.diag([draw(st.floats(0.6, 1.4)) for _ in range(3)])
    turn = rotation((draw(ANGLE), draw(ANGLE), draw(ANGLE)))
    place = np.array([draw(st.floats(-300, 300)) for _ in range(3)])
    moved = mesh(shape.vertices @ (turn @ stretch).T + place, shape.faces)
    # Flat faces along the grid between two layers of centres are half a voxel off: that is no rounding.
    column, row, normal = (turn @ rotation((draw(SLANT), draw(SLANT), draw(SLANT)))).T
    spacing = np.array([draw(STEP), draw(STEP), draw(STEP)])
    axes = np.stack([normal, row, column])
    along = moved.vertices @ axes.T
    low, high = along.min(axis=0) - spacing, along.max(axis=0) + spacing
    geometry = made_geometry(
        tuple(int(one) for one in np.ceil((high - low) / spacing) + 1),
        origin_lps=tuple((low @ axes).tolist()),
        column_step_lps=tuple(column.tolist()),
        row_step_lps=tuple(row.tolist()),
        slice_step_lps=tuple(normal.tolist()),
        spacing_mm=tuple(spacing.tolist()),
    )
    return moved, geometry


@settings(max_examples=60, deadline=None)
@given(cases())
def test_volume_of_the_voxels_is_that_of_the_mesh(case: tuple[Mesh, Geometry]) -> None:
    shape, geometry = case
    checks, voxels = check(shape), voxelise(shape, geometry)
    assert checks.volume_mm3 is not None
    volume = voxels.count * geometry.voxel_ml * 1000
    # The rule of the project: 1 % for solids, else 0.05 of area times spacing.
    bound = max(0.01 * checks.volume_mm3, 0.05 * checks.area_mm2 * max(geometry.spacing_mm))
    assert abs(volume - checks.volume_mm3) <= bound
    assert voxels.doubtful == 0


@settings(max_examples=25, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_order_of_faces_and_corners_changes_no_voxel(case: tuple[Mesh, Geometry], luck: Any) -> None:
    shape, geometry = case
    order = list(range(len(shape.faces)))
    luck.shuffle(order)
    faces = np.roll(shape.faces[order], luck.randrange(3), axis=1)
    one, other = voxelise(shape, geometry), voxelise(mesh(shape.vertices, faces), geometry)
    assert one.place == other.place
    assert np.array_equal(one.inside, other.inside)


@settings(max_examples=25, deadline=None)
@given(cases())
def test_a_mesh_inside_out_has_the_same_voxels_and_the_other_sign(case: tuple[Mesh, Geometry]) -> None:
    shape, geometry = case
    turned = mesh(shape.vertices, shape.faces[:, ::-1])
    assert np.array_equal(voxelise(shape, geometry).inside, voxelise(turned, geometry).inside)
    assert check(turned).signed_volume_mm3 == pytest.approx(-check(shape).signed_volume_mm3, rel=1e-9)
    assert check(shape).signed_volume_mm3 > 0


@settings(max_examples=25, deadline=None)
@given(cases(), st.integers(0, 10**6))
def test_one_face_turned_or_lost_is_noticed(case: tuple[Mesh, Geometry], which: int) -> None:
    shape, _ = case
    which %= len(shape.faces)
    turned, lost = shape.faces.copy(), np.delete(shape.faces, which, axis=0)
    turned[which] = turned[which, ::-1]
    assert check(mesh(shape.vertices, turned)).turned_edges == 3
    assert check(mesh(shape.vertices, lost)).border_edges == 3


@settings(max_examples=25, deadline=None)
@given(cases())
def test_through_a_file_it_stays_closed_and_has_its_volume(case: tuple[Mesh, Geometry]) -> None:
    shape, _ = case
    there, _ = read_mesh(stl(shape), "it")
    assert check(there).is_oriented
    assert check(there).volume_mm3 == pytest.approx(check(shape).volume_mm3, rel=1e-3)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["stl", "obj", "ply", "text"]), st.integers(0, 4000))
def test_no_bytes_do_worse_than_a_refusal(noise: bytes, kind: str, place: int) -> None:
    from tests.unit.results.shapes import ascii_stl, obj, ply

    from bridge.errors import BridgeError

    whole = {"stl": stl, "obj": obj, "ply": ply, "text": ascii_stl}[kind](SHAPES[1])
    at = place % len(whole)
    for data in (
        noise,
        whole[:at] + noise,
        whole[:at] + noise + whole[at:],
        whole[:at] + noise[:3] + whole[at + 3 :],
    ):
        try:
            found, _ = read_mesh(data, "it")
        except BridgeError:
            continue
        assert np.isfinite(found.vertices).all()
        assert found.faces.max() < len(found.vertices)


@settings(max_examples=40, deadline=None)
@given(cases())
def test_voxels_are_those_of_a_point_in_polyhedron_test(case: tuple[Mesh, Geometry]) -> None:
    """Winding numbers by solid angles (van Oosterom and Strackee 1983) at some centres, none near the surface."""
    shape, geometry = case
    found = voxelise(shape, geometry)
    whole = np.zeros(geometry.shape, np.bool_)
    whole[found.place] = found.inside
    picks = np.random.default_rng(3).integers(0, geometry.shape, (12, 3))
    affine = geometry.affine_lps
    for index in picks:
        point = affine[:3, :3] @ index + affine[:3, 3]
        turns = winding(shape, point)
        if abs(turns - round(turns)) < 1e-6:
            assert whole[tuple(index)] == bool(round(turns))


def winding(shape: Mesh, point: NDArray[Any]) -> float:
    a, b, c = np.moveaxis(shape.vertices[shape.faces] - point, 1, 0)
    la, lb, lc = (np.linalg.norm(one, axis=1) for one in (a, b, c))
    above = np.einsum("ij,ij->i", a, np.cross(b, c))
    below = la * lb * lc + (a * b).sum(1) * lc + (b * c).sum(1) * la + (c * a).sum(1) * lb
    return float(np.arctan2(above, below).sum() / (2 * np.pi))
