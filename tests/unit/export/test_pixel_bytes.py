"""Native pixels: exactly as many bytes as the image has, no overlay bits, masks where they were asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from tests.made_objects import ct_slice

from bridge.errors import Refused
from bridge.export.pixel_bytes import Region, tidy_pixels

NATIVE, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"


def image(values: np.ndarray, **shape: Any) -> Dataset:
    made = ct_slice()
    made.Rows, made.Columns = values.shape
    made.BitsAllocated = made.BitsStored = values.dtype.itemsize * 8
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(values.dtype.kind == "i")
    for keyword, value in shape.items():
        setattr(made, keyword, value)
    made.PixelData = values.tobytes()
    return made


def numbers(data_set: Dataset, kind: str) -> list[int]:
    return np.frombuffer(data_set.PixelData, kind).tolist()


def test_trailing_bytes_go() -> None:
    made = image(np.arange(4, dtype="<u2").reshape(2, 2))
    made.PixelData += b"JONES^"
    tidy_pixels(made, NATIVE)
    assert numbers(made, "<u2") == [0, 1, 2, 3]


def test_an_odd_number_of_pixels_is_padded() -> None:
    made = image(np.array([[1, 2, 3]], dtype="u1"))
    made.PixelData += b"J"
    tidy_pixels(made, NATIVE)
    assert made.PixelData == b"\1\2\3\0"


@pytest.mark.parametrize(
    ("kind", "stored", "high", "value", "expected"),
    [
        pytest.param("<u2", 12, 11, 0xF123, 0x0123, id="an overlay above unsigned values"),
        pytest.param("<i2", 12, 11, 0x1123, 0x0123, id="an overlay above a positive value"),
        pytest.param(
            "<i2", 12, 11, 0x1823 - 0x10000 * 0, 0xF823 - 0x10000, id="an overlay above a negative value"
        ),
        pytest.param("<i2", 12, 11, -5, -5, id="a negative value is itself"),
        pytest.param("<u2", 12, 15, 0x123F, 0x1230, id="an overlay below"),
        pytest.param("<u2", 16, 15, 0xF123, 0xF123, id="every bit is a value"),
        pytest.param("u1", 7, 6, 0x83, 0x03, id="one byte"),
    ],
)
def test_bits_that_are_no_value_are_cleared(
    kind: str, stored: int, high: int, value: int, expected: int
) -> None:
    made = image(np.full((2, 2), value, dtype=kind), BitsStored=stored, HighBit=high)
    tidy_pixels(made, NATIVE)
    assert numbers(made, kind) == [expected] * 4


def test_a_region_becomes_the_smallest_value_in_every_frame() -> None:
    values = np.arange(5, 23, dtype="<i2").reshape(6, 3)
    made = image(values, Rows=3, NumberOfFrames=2)
    tidy_pixels(made, NATIVE, (Region(row=0, column=1, end_row=2, end_column=3),))
    expected = [5, 5, 5, 8, 5, 5, 11, 12, 13, 14, 5, 5, 17, 5, 5, 20, 21, 22]
    assert numbers(made, "<i2") == expected


@pytest.mark.parametrize(
    ("syntax", "region", "code"),
    [
        pytest.param(
            NATIVE, Region(row=0, column=0, end_row=3, end_column=2), "DEI-008", id="beyond the image"
        ),
        pytest.param(NATIVE, Region(row=1, column=0, end_row=1, end_column=2), "DEI-008", id="empty"),
        pytest.param(
            "1.2.840.10008.1.2.5",
            Region(row=0, column=0, end_row=1, end_column=1),
            "DEI-008",
            id="compressed",
        ),
        pytest.param("1.2.840.10008.1.2.4.100", None, "DEI-005", id="video"),
        pytest.param("1.2.840.113619.5.2", None, "DEI-005", id="private syntax"),
    ],
)
def test_what_cannot_be_cleaned_is_refused(syntax: str, region: Region | None, code: str) -> None:
    with pytest.raises(Refused) as refused:
        tidy_pixels(image(np.zeros((2, 2), dtype="<u2")), syntax, (region,) if region else ())
    assert refused.value.code == code


def test_too_few_pixels_are_refused() -> None:
    made = image(np.zeros((2, 2), dtype="<u2"))
    made.Rows = 3
    with pytest.raises(Refused) as refused:
        tidy_pixels(made, NATIVE)
    assert refused.value.code == "DEI-007"


def test_big_endian_words_are_turned() -> None:
    made = image(np.array([[1, 2], [3, 0x0405]], dtype=">u2"))
    tidy_pixels(made, BIG)
    assert numbers(made, "<u2") == [1, 2, 3, 0x0405]
