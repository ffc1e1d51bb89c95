"""Numbers are numbers: neither too many for their attribute, nor text in disguise."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from pydicom.tag import BaseTag

from bridge.export.numerals import are_numbers

ROWS, PADDING, POINTERS = 0x00280010, 0x00280120, 0x00280009
TEXT = b"JONES^JOHN^A.   "


def as_numbers(kind: str) -> list[Any]:
    return list(struct.unpack(f"<{len(TEXT) // struct.calcsize(kind)}{kind}", TEXT))


@pytest.mark.parametrize(
    ("tag", "vr", "value", "expected"),
    [
        pytest.param(ROWS, "US", 512, True, id="one"),
        pytest.param(PADDING, "SS", -2000, True, id="one, negative"),
        pytest.param(PADDING, "SS", [0, 40, 4176], False, id="three where one may be"),
        pytest.param(0x00189087, "FD", 1000.0, True, id="a float"),
        pytest.param(0x00189089, "FD", [0.5, 1.5, 2.5], True, id="three where three may be"),
        pytest.param(0x00189089, "FD", [0.5, 1.5, 2.5, 3.5], False, id="four where three may be"),
        pytest.param(POINTERS, "AT", [BaseTag(0x00181063)], True, id="a tag"),
        pytest.param(POINTERS, "AT", [BaseTag(0x4F4A4E45), BaseTag(0x4A5E5346)], False, id="text as tags"),
        pytest.param(0x00281201, "US", as_numbers("H"), False, id="text as words"),
        pytest.param(0x00660016, "FL", as_numbers("f"), False, id="text as floats"),
        pytest.param(0x00081161, "UL", as_numbers("I"), False, id="text as frame numbers"),
        pytest.param(0x00081161, "UL", [1, 2, 3, 4, 5], True, id="frame numbers"),
    ],
)
def test_numbers(tag: int, vr: str, value: Any, expected: bool) -> None:
    assert are_numbers(tag, vr, value) is expected
