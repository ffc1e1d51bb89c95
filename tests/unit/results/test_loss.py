"""Images that were once compressed with loss: every picture-like result says so (PS3.3 C.7.6.1.1.5)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydicom import uid
from tests.unit.results.build import (
    answer,
    heat_part,
    made_source,
    mask_part,
    put,
    read_back,
    wrapping,
)

from bridge.results.encoders import encode
from bridge.results.result import HeatMaps, Source

pytestmark = pytest.mark.filterwarnings("ignore")

STATED = {
    "LossyImageCompression": "01",
    "LossyImageCompressionRatio": "10",
    "LossyImageCompressionMethod": "ISO_10918_1",
}


def with_second(source: Source, syntax: str = "", **attributes: str) -> Source:
    """The source with another second slice."""
    first, second, *rest = source.volume.planes
    instance = replace(second.instance, transfer_syntax_uid=syntax or second.instance.transfer_syntax_uid)
    for keyword, value in attributes.items():
        put(instance.header, keyword, value.encode(), "DS" if "Ratio" in keyword else "CS")
    planes = (first, replace(second, instance=instance), *rest)
    return replace(source, volume=replace(source.volume, planes=planes))


def losses(source: Source) -> dict[str, tuple[Any, ...]]:
    """By kind: Lossy Image Compression, its ratios and methods."""
    mask = np.zeros((4, 5, 6), np.uint8)
    mask[1, 1, 1] = 1
    affine = source.volume.geometry.affine_lps
    found = {}
    for form in (HeatMaps.PARAMETRIC_MAP, HeatMaps.FRACTIONAL):
        parts = answer(mask_part(mask, affine), heat_part(mask.astype(np.float32), affine))
        for result in encode(parts, source, wrapping(picture=True, heat_maps=form)):
            made = read_back(result.data)
            found[result.kind] = tuple(str(made[one].value) for one in STATED if one in made)
    del found["SR"]
    return found


def all_of(*values: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(("SEG", "SC", "PM", "FRACTIONAL"), values)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ({}, ("00",)),
        (STATED, ("01", "10", "ISO_10918_1")),
        ({"syntax": uid.JPEGBaseline8Bit}, ("01",)),
        ({"syntax": uid.JPEGBaseline8Bit, "LossyImageCompression": "00"}, ("01",)),
        ({"LossyImageCompression": "01", "LossyImageCompressionRatio": "ten"}, ("01",)),
        ({"LossyImageCompression": "01", "LossyImageCompressionMethod": "Jpeg, mostly"}, ("01",)),
    ],
)
def test_one_image_that_lost_something_is_enough(second: dict[str, str], expected: tuple[str, ...]) -> None:
    assert losses(with_second(made_source(), **second)) == all_of(*expected)


def test_ratio_and_method_are_those_of_the_first_image_that_states_them() -> None:
    assert losses(with_second(made_source(**STATED), LossyImageCompressionRatio="99")) == all_of(
        "01", "10", "ISO_10918_1"
    )
