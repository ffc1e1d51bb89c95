"""How the frames of an image are stored, by its header (PS3.3 C.7.6.3), and the few attributes that say so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from bridge.dicom.headers import number, text
from bridge.dicom.instance import Instance
from bridge.errors import Refused

TAGS = {
    keyword: Tag(keyword)
    for keyword in (
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "NumberOfFrames",
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
    )
}
"""All that reading pixels asks of a header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a frame is stored, by the Image Pixel module (PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric: str

    @property
    def frame_bytes(self) -> int:
        return self.rows * self.columns * self.bits_allocated // 8

    @property
    def stored_range(self) -> tuple[int, int]:
        """Smallest and largest number in Bits Stored."""
        if self.signed:
            return -(1 << self.bits_stored - 1), (1 << self.bits_stored - 1) - 1
        return 0, (1 << self.bits_stored) - 1

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(f"{'i' if self.signed else 'u'}{max(self.bits_allocated // 8, 1)}")


def layout_of(instance: Instance) -> Layout:
    """The layout of all frames of an instance.

    Raises:
        Refused: PIX-003, no grey image of 1, 8, 16 or 32 bits.
    """
    header = instance.header
    rows, columns, allocated, stored = (
        _whole(header, keyword) or 0 for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored")
    )
    high_bit, samples = _whole(header, "HighBit"), _whole(header, "SamplesPerPixel") or 1
    frames = (text(header, "NumberOfFrames") if TAGS["NumberOfFrames"] in header else None) or "1"
    layout = Layout(
        rows=rows,
        columns=columns,
        frames=int(frames) if frames.isdecimal() else 0,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=stored - 1 if high_bit is None else high_bit,
        signed=_whole(header, "PixelRepresentation") == 1,
        photometric=text(header, "PhotometricInterpretation") or "",
    )
    whole = (
        layout.rows > 0
        and layout.columns > 0
        and layout.frames > 0
        and layout.bits_allocated in (1, 8, 16, 32)
        and 0 < layout.bits_stored <= layout.high_bit + 1 <= layout.bits_allocated
        and samples == 1
    )
    if not whole:
        raise Refused(
            "PIX-003",
            f"{layout.rows} x {layout.columns} pixels of {samples} samples, {layout.frames} frames, "
            f"{layout.bits_stored} of {layout.bits_allocated} bits up to bit {layout.high_bit}",
            "a grey image of 1, 8, 16 or 32 bits (PS3.3 C.7.6.3)",
        )
    return layout


def layouts_only(instances: Iterable[Instance]) -> dict[Instance, Instance]:
    """The same instances with headers of nothing but their layout; equal layouts share one header.

    For a child process that only reads pixels: 300 whole headers take longer to hand over than the pixels to read,
    and hold a patient's name.
    """
    shared: dict[tuple[Any, ...], Dataset] = {}
    lean = {}
    for instance in instances:
        elements = [instance.header.get_item(tag) for tag in TAGS.values()]
        key = tuple(None if element is None else str(element.value) for element in elements)
        if key not in shared:
            shared[key] = Dataset(
                {tag: instance.header[tag] for tag in TAGS.values() if tag in instance.header}
            )
        lean[instance] = replace(instance, header=shared[key])
    return lean


def _whole(header: Dataset, keyword: str) -> int | None:
    """A value of VR US; read without making an element of it, which takes ten times as long for 300 headers."""
    element: Any = header.get_item(TAGS[keyword])
    if element is None:
        return None
    value = element.value
    if isinstance(value, int):
        return value
    if isinstance(element, RawDataElement) and element.VR in (None, "US") and value and len(value) == 2:
        return int.from_bytes(value, "little" if element.is_little_endian else "big")
    found = number(header, keyword)
    return None if found is None else int(found)
