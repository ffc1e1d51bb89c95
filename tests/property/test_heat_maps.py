"""A heat map keeps each number at its place, whatever the grid and the order of its axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.property.test_results import Case, cases, source_of
from tests.unit.results.build import answer, heat_part, made_geometry, read_back, wrapping

from bridge.results.encoders import encode
from bridge.results.interpolate import interpolated
from bridge.results.result import HeatMaps

pytestmark = pytest.mark.filterwarnings("ignore")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases())
def test_no_number_moves_on_its_way_into_a_parametric_map_and_back(case: Case) -> None:
    (result,) = encode(
        answer(heat_part(case.given, case.affine)),
        source_of(case),
        wrapping(heat_maps=HeatMaps.PARAMETRIC_MAP),
    )
    made = read_back(result.data)
    count, rows, columns = case.geometry.shape
    pixels = np.frombuffer(made.FloatPixelData, "<f4").reshape(count, rows, columns)
    shared = made.SharedFunctionalGroupsSequence[0]
    cosines = [float(v) for v in shared.PlaneOrientationSequence[0].ImageOrientationPatient]
    x, y = np.array(cosines[:3]), np.array(cosines[3:])
    between_rows, between_columns = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    to_index = np.linalg.inv(case.geometry.affine_lps)
    for pixel, groups in zip(pixels, made.PerFrameFunctionalGroupsSequence, strict=True):
        corner = np.array([float(v) for v in groups.PlanePositionSequence[0].ImagePositionPatient])
        for (row, column), number in np.ndenumerate(pixel):
            place = corner + x * column * between_columns + y * row * between_rows
            k, j, i = np.rint((to_index @ (*place, 1))[:3]).astype(int)
            assert number == np.float32(case.mask[k, j, i])


def field(places: NDArray[Any], slope: NDArray[Any]) -> NDArray[Any]:
    """A number that grows evenly in space: linear interpolation has to find it exactly."""
    return np.asarray(places @ slope)


@settings(max_examples=60, deadline=None)
@given(
    case=cases(),
    slope=st.tuples(*[st.floats(-5, 5)] * 3).map(np.array),
    step=st.tuples(*[st.floats(0.3, 3.0)] * 3),
    angle=st.floats(-0.7, 0.7),
)
def test_a_field_that_grows_evenly_is_found_between_the_voxels_of_any_grid(
    case: Case, slope: NDArray[Any], step: tuple[float, float, float], angle: float
) -> None:
    source = case.geometry
    centre = (source.affine_lps @ (*((np.array(source.shape) - 1) / 2), 1))[:3]
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ source.affine_lps[:3, :3] * step
    reach = np.linalg.norm(source.affine_lps[:3, :3] @ source.shape)
    shape = tuple(int(2 * reach / length) + 3 for length in np.linalg.norm(affine[:3, :3], axis=0))
    assume(np.prod(shape) < 200_000)
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    index = np.moveaxis(np.indices(shape), 0, -1)
    values = field(index @ affine[:3, :3].T + affine[:3, 3] - centre, slope)
    found = interpolated(values, affine, source)
    assert found.covered == 1
    here = np.moveaxis(np.indices(source.shape), 0, -1) @ source.affine_lps[:3, :3].T
    expected = field(here + source.affine_lps[:3, 3] - centre, slope)
    assert np.allclose(found.array, expected, rtol=1e-5, atol=1e-4 * (1 + np.abs(expected).max()))


def test_beyond_the_outermost_centres_the_outermost_numbers_hold_and_then_nothing() -> None:
    """One row of four voxels of 0.5 mm, and a map of two voxels of 0.5 mm over the first two and a half."""
    geometry = made_geometry((1, 1, 4))
    affine = geometry.affine_lps
    affine[0, 3] += 0.25
    found = interpolated(np.array([[[2.0, 4.0]]]), affine, geometry)
    # Centres of the source at -0.5, 0.5, 1.5 and 2.5 voxels of the map, whose voxels end at -0.5 and 1.5.
    assert found.array.ravel().tolist() == [2, 3, 4, 0]
    assert found.covered == 0.75
