from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property import strategies
from tests.unit.export.test_formats import DTYPES, OPEN, SINGLE_MM, affine_of, read_back, written

from bridge.dicom.instance import Instance
from bridge.volumes import Geometry, candidates_of, read_values
from bridge.volumes.pixels import Slices, TooNarrow, slices_of


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Any grid at right angles within 1 m, right-handed."""
    directions = draw(strategies.rotations())
    slice_step, row_step, column_step = (tuple(float(one) for one in step) for step in directions)
    return Geometry(
        shape=draw(st.tuples(*[st.integers(1, 5)] * 3)),
        origin_lps=draw(st.tuples(*[st.floats(-500, 500)] * 3)),
        slice_step_lps=slice_step,  # type: ignore[arg-type]
        row_step_lps=row_step,  # type: ignore[arg-type]
        column_step_lps=column_step,  # type: ignore[arg-type]
        spacing_mm=draw(st.tuples(st.floats(0.1, 10), st.floats(0.1, 4), st.floats(0.1, 4))),
    )


def voxels(shape: tuple[int, ...], dtype: str, seed: int) -> Any:
    """Numbers from the whole range of the type, its ends among them."""
    random, kind = np.random.default_rng(seed), np.dtype(dtype)
    if kind.kind == "f":
        return random.normal(0, 1e4, shape).astype(kind)
    ends = np.iinfo(kind)
    values = random.integers(ends.min, ends.max, shape, dtype=kind, endpoint=True)
    values.flat[0], values.flat[-1] = ends.min, ends.max
    return values


@pytest.mark.parametrize("name", OPEN)
@settings(deadline=None, max_examples=40)
@given(geometry=geometries(), dtype=st.sampled_from(DTYPES), seed=st.integers(0, 99))
def test_any_grid_and_type_come_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, geometry: Geometry, dtype: str, seed: int
) -> None:
    values = voxels(geometry.shape, dtype, seed)
    image = read_back(tmp_path_factory.mktemp("formats"), name, written(name, geometry, values))
    assert image.array.dtype == dtype
    np.testing.assert_array_equal(image.array, values)
    corners = np.array([[k, j, i, 1] for k in (0, 1) for j in (0, 1) for i in (0, 1)]) * [*values.shape, 1]
    tolerance = SINGLE_MM if name.startswith("nii") else 1e-5
    np.testing.assert_allclose(affine_of(image) @ corners.T, geometry.affine_lps @ corners.T, atol=tolerance)


class Frugal:
    """A reader of a made series that says what a header would, and reads in place."""

    def __init__(self, series: strategies.Series, stored_range: tuple[int, int]) -> None:
        self.series, self.range, self.read = series, stored_range, 0

    def __call__(self, instance: Instance, frame: int) -> Any:
        return self.into(instance, frame, None)

    def into(self, instance: Instance, frame: int, room: Any) -> Any:
        self.read += 1
        stored = self.series.read(instance, frame)
        if room is None:
            return stored
        out = room.view(stored.dtype)
        out[...] = stored
        return out

    def stored_range(self, instance: Instance) -> tuple[int, int]:
        return self.range

    def is_plain(self, instance: Instance) -> bool:
        return True


@settings(deadline=None, max_examples=60)
@given(
    series=strategies.regular_series(), known=st.booleans(), slope=st.sampled_from(("", "20", "-3", "0.5"))
)
def test_slice_by_slice_and_at_once_are_the_same(series: strategies.Series, known: bool, slope: str) -> None:
    for instance in series.instances:
        instance.header.RescaleSlope = slope or instance.header.RescaleSlope
    (candidate,) = candidates_of(series.instances)
    assert candidate.volume is not None
    reader = Frugal(series, (-2000, 4000) if known else (-(2**15), 2**15 - 1))
    at_once, one_by_one = read_values(candidate.volume, series.read), slices_of(candidate.volume, reader)
    assert isinstance(one_by_one, Slices)
    assert one_by_one.dtype == at_once.dtype
    np.testing.assert_array_equal(np.stack(list(one_by_one)), at_once)
    np.testing.assert_array_equal(read_values(candidate.volume, reader), at_once)
    hopeful = slices_of(candidate.volume, reader, hoping=True)
    if hopeful.dtype == at_once.dtype:
        np.testing.assert_array_equal(np.stack(list(hopeful)), at_once)
    else:
        with pytest.raises(TooNarrow):
            list(hopeful)
