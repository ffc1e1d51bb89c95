"""Frames as a stream against the library's own: the same bytes, whatever the mask."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.conftest import data_folder
from tests.unit.results.build import (
    answer,
    made_geometry,
    made_source,
    mask_part,
    real_source,
    wrapping,
)
from tests.unit.results.test_segmentation import ENHANCED_CT, as_frames

from bridge.results import segmentation
from bridge.results.encoders import encode
from bridge.results.output import Label
from bridge.results.result import Form, Result, Source, Variant

pytestmark = pytest.mark.filterwarnings("ignore")

VARIANTS = [Variant(form=form, empty_frames=empty) for form in Form for empty in (False, True)]
_BUILD = segmentation.build


def encoded(source: Source, mask: NDArray[Any], variant: Variant, labels: tuple[Label, ...] = ()) -> Result:
    part = mask_part(mask, source.volume.geometry.affine_lps, labels)
    return encode(answer(part), source, wrapping(variant=variant, measurement_report=False))[0]


def whole(data_set: Any, *_: object, **__: object) -> tuple[()]:
    segmentation._pad(data_set)
    return ()


def by_the_library(
    source: Source, mask: NDArray[Any], variant: Variant, labels: tuple[Label, ...] = ()
) -> Result:
    """The same, with every frame built and written by the library."""

    def build(pixels: Any, descriptions: Any, subject: Any, **how: Any) -> Any:
        return _BUILD(pixels, descriptions, subject, **(how | {"empty_frames": variant.empty_frames}))

    with (
        mock.patch.object(segmentation, "sketch_of", lambda numbers, **_: numbers),
        mock.patch.object(segmentation, "spread", whole),
        mock.patch.object(segmentation, "build", build),
    ):
        return encoded(source, mask, variant, labels)


@st.composite
def masks(draw: st.DrawFn) -> NDArray[Any]:
    """Few to many segments, here and there missing, on frames that end within a byte as often as not."""
    shape = draw(st.tuples(st.integers(1, 5), st.integers(3, 7), st.integers(3, 9)))
    highest = draw(st.sampled_from([1, 2, 3, 7, 300]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = rng.integers(0, highest + 1, shape)
    mask[rng.random(shape) < draw(st.sampled_from([0.0, 0.5, 0.95]))] = 0
    for k in range(shape[0]):
        if rng.random() < 0.3:
            mask[k] = 0
    return mask.astype(draw(st.sampled_from(["uint8", "uint16", "int16", "float32"])))


@settings(max_examples=40, deadline=None)
@given(mask=masks(), variant=st.sampled_from(VARIANTS), down=st.booleans(), frames=st.booleans())
def test_streamed_frames_are_those_of_the_library(
    mask: NDArray[Any], variant: Variant, down: bool, frames: bool
) -> None:
    # The library sorts frames against the normal: a grid may run with it or against it.
    step = (0.0, 0.0, -1.0 if down else 1.0)
    shape = (mask.shape[0], mask.shape[1], mask.shape[2])
    source = made_source(made_geometry(shape, slice_step_lps=step))
    if frames:
        source = as_frames(source, ENHANCED_CT, list(range(3 * shape[0], 0, -3)))
    labels = (Label(value=1, name="Lung"), Label(value=4, name="only named"))
    assert encoded(source, mask, variant, labels) == by_the_library(source, mask, variant, labels)


def test_an_oblique_grid_with_long_decimals_is_no_exception() -> None:
    turn = np.radians(17.123456789)
    geometry = made_geometry(
        (3, 5, 7),
        column_step_lps=(float(np.cos(turn)), float(np.sin(turn)), 0.0),
        row_step_lps=(float(-np.sin(turn)), float(np.cos(turn)), 0.0),
        spacing_mm=(2 / 3, 0.699987828731537, 0.666666686534882),
        origin_lps=(-1.234567890123e-05, -144.416447374611, -22.2602466211107),
    )
    source = made_source(geometry)
    mask = np.random.default_rng(4).integers(0, 4, (3, 5, 7))
    for variant in VARIANTS:
        assert encoded(source, mask, variant) == by_the_library(source, mask, variant)


@pytest.mark.slow
@pytest.mark.parametrize("series", ["ct-chest-philips", "mr-brain-t1", "ct-head-phantom-philips/S2010"])
def test_real_series_are_no_exception(series: str) -> None:
    source = real_source(data_folder(series))
    rng = np.random.default_rng(5)
    mask = np.zeros(source.values.shape, np.int16)
    for value in (3, 7, 9):
        k, j, i = (int(rng.integers(0, size // 2)) for size in mask.shape)
        mask[k : k + mask.shape[0] // 3, j : j + 60, i : i + 60] = value
    for variant in VARIANTS[:3]:
        assert encoded(source, mask, variant) == by_the_library(source, mask, variant)
