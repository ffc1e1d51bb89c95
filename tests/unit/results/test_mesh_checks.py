"""What is known of a mesh: closed, oriented, how large, and whether it lies on the images."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.results.build import made_geometry
from tests.unit.results.shapes import CORNERS, CUBE, ball, box, joined, mesh, ring

from bridge.errors import Refused
from bridge.results.mesh import Mesh
from bridge.results.mesh_checks import check, check_fit
from bridge.results.output import MeshFrame

BOX = box((0, 0, 0), (2, 3, 5))
TURNED = mesh(BOX.vertices, BOX.faces[:, ::-1])
SOUP = mesh(BOX.vertices[BOX.faces].reshape(-1, 3), np.arange(36).reshape(-1, 3))


def test_size_of_a_box_is_that_of_school() -> None:
    found = check(BOX)
    assert found.volume_mm3 == pytest.approx(2 * 3 * 5, rel=1e-12)
    assert found.signed_volume_mm3 > 0
    assert found.area_mm2 == pytest.approx(2 * (2 * 3 + 3 * 5 + 2 * 5), rel=1e-12)
    assert found.extent_mm == (2, 3, 5)


def test_a_ring_has_about_the_volume_of_a_torus() -> None:
    found = check(ring(200, 100, 3.0, 1.0))
    assert found.volume_mm3 == pytest.approx(2 * np.pi**2 * 3, rel=2e-3)
    assert found.area_mm2 == pytest.approx(4 * np.pi**2 * 3, rel=2e-3)


def test_size_does_not_depend_on_the_place() -> None:
    far = mesh(BOX.vertices + np.array([1e6, -2e6, 3e6]) / 7, BOX.faces)
    assert check(far).volume_mm3 == pytest.approx(30, rel=1e-9)


@pytest.mark.parametrize(
    ("shape", "border", "turned", "components", "closed", "oriented"),
    [
        (BOX, 0, 0, 1, True, True),
        (SOUP, 0, 0, 1, True, True),
        (TURNED, 0, 0, 1, True, True),
        (mesh(BOX.vertices, BOX.faces[1:]), 3, 0, 1, False, False),
        (mesh(BOX.vertices, np.concatenate([BOX.faces[:1, ::-1], BOX.faces[1:]])), 0, 3, 1, True, False),
        (joined(BOX, box((9, 9, 9))), 0, 0, 2, True, True),
        # Two boxes that share an edge: four faces on it, two each way.
        (joined(box(), box((1, 1, 0))), 0, 0, 1, True, True),
        (mesh(CORNERS, np.concatenate([CUBE, [[0, 0, 1], [2, 2, 2]]])), 0, 0, 1, True, True),
        (mesh(np.zeros((3, 3)), np.array([[0, 1, 2]])), 1, 0, 0, False, False),
    ],
)
def test_holes_and_turned_faces_are_counted(
    shape: Mesh, border: int, turned: int, components: int, closed: bool, oriented: bool
) -> None:
    found = check(shape)
    assert (found.border_edges, found.turned_edges, found.components) == (border, turned, components)
    assert (found.is_closed, found.is_oriented) == (closed, oriented)
    assert (found.volume_mm3 is None) == (not oriented)


def test_edges_of_many_faces_are_counted() -> None:
    assert check(joined(box(), box((1, 1, 0)))).crowded_edges == 1
    assert check(BOX).crowded_edges == 0


def test_faces_without_three_places_are_counted() -> None:
    assert check(mesh(CORNERS, np.concatenate([CUBE, [[0, 0, 1]]]))).flat_faces == 1


def test_inside_out_is_a_negative_volume() -> None:
    assert check(TURNED).signed_volume_mm3 == pytest.approx(-30)
    assert check(TURNED).volume_mm3 == pytest.approx(30)


GEOMETRY = made_geometry((40, 50, 60), origin_lps=(-12.5, 30.25, 7.0), spacing_mm=(1.0, 0.75, 0.5))
"""x from -12.5 to 17, y from 30.25 to 67, z from 7 to 46."""
INSIDE = box((-8, 35, 10), (20, 25, 30))


def test_a_mesh_on_the_images_is_taken_in_silence() -> None:
    assert check_fit(INSIDE, GEOMETRY, "it") == ""


def test_a_mesh_that_reaches_beyond_is_taken_and_said() -> None:
    # Two of eight corners are outside.
    wide = mesh(
        np.where(np.arange(8)[:, None] < 2, INSIDE.vertices - [0, 0, 30], INSIDE.vertices), INSIDE.faces
    )
    assert check_fit(wide, GEOMETRY, "it") == "25% of its vertices lie outside the images"


@pytest.mark.parametrize(
    ("vertices", "cause"),
    [
        (INSIDE.vertices * [-1, -1, 1], "mesh_frame = ras-mm"),
        (INSIDE.vertices / 1000, "mesh_frame = lps-m"),
        (INSIDE.vertices * [-1, -1, 1] / 1000, "mesh_frame = ras-m"),
        (INSIDE.vertices - [-12.5, 30.25, 7.0], "mesh_frame = image-mm"),
    ],
)
def test_a_mesh_in_another_frame_is_refused_and_the_frame_named(vertices: np.ndarray, cause: str) -> None:
    with pytest.raises(Refused) as caught:
        check_fit(mesh(vertices, INSIDE.faces), GEOMETRY, "it")
    assert caught.value.code == "RES-093"
    assert cause in caught.value.found


def test_a_mesh_of_nowhere_is_refused_with_the_usual_causes() -> None:
    with pytest.raises(Refused) as caught:
        check_fit(mesh(INSIDE.vertices + 500, INSIDE.faces), GEOMETRY, "it")
    assert "mesh_frame =" not in caught.value.found
    assert "RAS for LPS" in str(caught.value)


def test_metres_around_the_origin_are_refused_though_they_lie_on_the_images() -> None:
    around = made_geometry((40, 50, 60), origin_lps=(-15, -19, -20), spacing_mm=(1.0, 0.75, 0.5))
    with pytest.raises(Refused) as caught:
        check_fit(mesh(ball(2, 12.0).vertices / 1000, ball(2).faces), around, "it")
    assert "mesh_frame = lps-m)" in caught.value.found


def test_a_mesh_in_the_stated_frame_is_taken() -> None:
    turned = mesh(INSIDE.vertices * [-1, -1, 1] / 1000, INSIDE.faces)
    assert check_fit(turned, GEOMETRY, "it", MeshFrame.RAS_M) == ""
