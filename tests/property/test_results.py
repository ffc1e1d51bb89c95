"""Encoding a mask and decoding it again moves no voxel, whatever the grid, the labels and the order of things."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from tests.unit.results.build import (
    answer,
    made_geometry,
    made_source,
    mask_part,
    read_back,
    wrapping,
)

from bridge.results.encoders import encode
from bridge.results.grid import on_source_grid
from bridge.results.measure import measure
from bridge.results.result import Source
from bridge.volumes.volume import Geometry

pytestmark = pytest.mark.filterwarnings("ignore")

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    geometry: Geometry
    mask: Array
    """On the grid of `geometry`, label values."""
    given: Array
    """The same lattice with axes permuted and reversed."""
    affine: Array
    order: tuple[int, ...]
    """In which the volume names its planes."""


def rotation(angles: tuple[float, float, float]) -> Array:
    """(3, 3), columns orthonormal and right-handed."""
    a, b, c = angles
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(x @ y @ z)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    # At least 8 pixels in a plane: fewer are refused.
    shape = (draw(st.integers(1, 4)), draw(st.integers(2, 5)), draw(st.integers(4, 6)))
    turn = st.floats(-3.1, 3.1).map(lambda one: round(one, 3))
    column, row, normal = rotation((draw(turn), draw(turn), draw(turn))).T
    step = st.floats(0.2, 6.0).map(lambda one: round(one, 4))
    place = st.floats(-900, 900).map(lambda one: round(one, 4))
    geometry = made_geometry(
        shape,
        origin_lps=(draw(place), draw(place), draw(place)),
        column_step_lps=tuple(column.tolist()),
        row_step_lps=tuple(row.tolist()),
        slice_step_lps=tuple(normal.tolist()),
        spacing_mm=(draw(step), draw(step), draw(step)),
    )
    values = draw(st.lists(st.integers(1, 300), min_size=1, max_size=4, unique=True))
    flat = draw(
        st.lists(st.sampled_from([0, 0, *values]), min_size=int(np.prod(shape)), max_size=int(np.prod(shape)))
    )
    kind = draw(st.sampled_from([np.uint16, np.int16, np.int32, np.float32, np.float64]))
    mask = np.array(flat, dtype=kind).reshape(shape)
    axes = draw(st.permutations(range(3)))
    flips = tuple(axis for axis in range(3) if draw(st.booleans()))
    affine = geometry.affine_lps[:, [*axes, 3]].copy()
    turned = np.transpose(mask, axes)
    for axis in flips:
        affine[:, 3] += affine[:, axis] * (turned.shape[axis] - 1)
        affine[:, axis] *= -1
    order = tuple(draw(st.permutations(range(shape[0]))))
    return Case(geometry, mask, np.flip(turned, flips), affine, order)


def source_of(case: Case) -> Source:
    source = made_source(case.geometry)
    planes = tuple(source.volume.planes[k] for k in case.order)
    return replace(source, volume=replace(source.volume, planes=planes))


def voxels_in_space(segmentation: Dataset) -> dict[int, Array]:
    """Segment Number -> (n, 3) LPS mm of its voxels, by PS3.3 C.7.6.2.1.1 and nothing of ours."""
    shape = (int(segmentation.NumberOfFrames), segmentation.Rows, segmentation.Columns)
    bits = np.unpackbits(np.frombuffer(segmentation.PixelData, np.uint8), bitorder="little")
    pixels = bits[: int(np.prod(shape))].reshape(shape)
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    x = np.array([float(v) for v in shared.PlaneOrientationSequence[0].ImageOrientationPatient[:3]])
    y = np.array([float(v) for v in shared.PlaneOrientationSequence[0].ImageOrientationPatient[3:]])
    between_rows, between_columns = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    found: dict[int, list[Array]] = {}
    for pixel, groups in zip(pixels, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        owner = groups if "SegmentIdentificationSequence" in groups else shared
        number = int(owner.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        corner = np.array([float(v) for v in groups.PlanePositionSequence[0].ImagePositionPatient])
        for row, column in np.argwhere(pixel):
            found.setdefault(number, []).append(
                corner + x * column * between_columns + y * row * between_rows
            )
    return {number: np.array(places) for number, places in found.items()}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases())
def test_no_voxel_moves_on_its_way_into_a_segmentation_and_back(case: Case) -> None:
    (result,) = encode(
        answer(mask_part(case.given, case.affine)), source_of(case), wrapping(measurement_report=False)
    )
    found = voxels_in_space(read_back(result.data))
    values = sorted({int(one) for one in np.unique(case.mask)} - {0})
    assert set(found) == set(range(1, len(values) + 1))
    for number, value in enumerate(values, start=1):
        index = np.argwhere(case.mask == value)
        expected = np.c_[index, np.ones(len(index))] @ case.geometry.affine_lps.T
        assert found[number].shape == (len(index), 3)
        nearest = np.linalg.norm(found[number][:, None] - expected[None, :, :3], axis=2)
        assert nearest.min(axis=0).max() < 1e-3
        assert nearest.min(axis=1).max() < 1e-3


@settings(max_examples=150, deadline=None)
@given(case=cases(), by=st.tuples(*[st.floats(-0.00057, 0.00057)] * 3))
def test_a_lattice_is_found_again_under_any_order_of_axes_and_a_small_shift(
    case: Case, by: tuple[float, float, float]
) -> None:
    affine = case.affine.copy()
    affine[:3, 3] += by
    assert np.array_equal(on_source_grid(case.given, affine, case.geometry).array, case.mask)


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    shape=st.tuples(*[st.integers(1, 4)] * 3),
    offset=st.sampled_from([0.0, -1000.0, 1e6]),
)
def test_measures_do_not_depend_on_the_order_of_slices(
    data: st.DataObject, shape: tuple[int, int, int], offset: float
) -> None:
    count = int(np.prod(shape))
    labels = np.array(
        data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)), np.uint8
    ).reshape(shape)
    values = offset + np.array(
        data.draw(st.lists(st.integers(-3000, 3000), min_size=count, max_size=count)), float
    ).reshape(shape)
    order = data.draw(st.sampled_from(list(permutations(range(shape[0])))))
    one = measure(labels, values, 3, 0.1)
    other = measure(labels[list(order)], values[list(order)], 3, 0.1)
    for mine, theirs in zip(one, other, strict=True):
        assert (mine.voxels, mine.volume_ml) == (theirs.voxels, theirs.volume_ml)
        if mine.voxels:
            assert (mine.minimum, mine.maximum) == (theirs.minimum, theirs.maximum)
            assert mine.mean == pytest.approx(theirs.mean, abs=1e-6)
            assert mine.sd == pytest.approx(theirs.sd, abs=1e-6)
