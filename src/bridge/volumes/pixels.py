"""Stored values of a volume's planes to one array of numbers that mean something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.dicom.instance import Instance
from bridge.errors import Damaged
from bridge.volumes.volume import Plane, Volume

Array = NDArray[Any]

Reader = Callable[[Instance, int], Array]
"""Gives the stored values of a frame, counted from 1: integers, (rows, columns), sign-extended."""

INT16 = (-(2**15), 2**15 - 1)
UINT16 = (0, 2**16 - 1)


def read_values(volume: Volume, reader: Reader) -> Array:
    """Rescaled values of all planes.

    Returns:
        (slices, rows, columns). int16 where slope and intercept of every plane are whole numbers and all results
        fit; else uint16 where they do and none is negative; else float32, computed in float64. Decided by the data
        and not by Bits Stored. MONOCHROME1 is a matter of display (PS3.3 C.7.6.3.1.2): the numbers stay, and so
        does pixel padding.
    Raises:
        Damaged: PIX-007, the reader gives another size than the header; and what the reader raises.

    PS3.3 C.11.1.1.2. Holds one output array and one slice at a time; a series of whole numbers whose results need
    float32 is read twice.
    """
    if all(plane.slope.is_integer() and plane.intercept.is_integer() for plane in volume.planes):
        whole = _whole_numbers(volume, reader)
        if whole is not None:
            return whole
    values = np.empty(volume.geometry.shape, np.float32)
    for out, plane in zip(values, volume.planes, strict=True):
        out[...] = _stored(volume, plane, reader) * np.float64(plane.slope) + np.float64(plane.intercept)
    return values


def _whole_numbers(volume: Volume, reader: Reader) -> Array | None:
    """The result in 16 bits, or None where it needs more.

    Computed modulo 2**16 in place: where the true result fits into 16 bits, signed or not, its low 16 bits are the
    result. So nothing has to be known about the range before the first slice is kept.
    """
    values = np.empty(volume.geometry.shape, np.uint16)
    lowest, highest, kind = INT16[1], INT16[0], None
    for out, plane in zip(values, volume.planes, strict=True):
        stored = _stored(volume, plane, reader)
        ends = [
            end * int(plane.slope) + int(plane.intercept) for end in (int(stored.min()), int(stored.max()))
        ]
        lowest, highest = min(lowest, *ends), max(highest, *ends)
        kind = _kind(lowest, highest)
        if kind is None:
            return None
        np.copyto(out, stored, casting="unsafe")
        if plane.slope != 1:
            out *= np.uint16(int(plane.slope) % 2**16)
        if plane.intercept != 0:
            out += np.uint16(int(plane.intercept) % 2**16)
    return values if kind is None else values.view(kind)


def _kind(lowest: int, highest: int) -> np.dtype[Any] | None:
    if INT16[0] <= lowest and highest <= INT16[1]:
        return np.dtype(np.int16)
    if UINT16[0] <= lowest and highest <= UINT16[1]:
        return np.dtype(np.uint16)
    return None


def _stored(volume: Volume, plane: Plane, reader: Reader) -> Array:
    stored = reader(plane.instance, plane.frame)
    if stored.shape != volume.geometry.shape[1:]:
        raise Damaged(
            "PIX-007",
            f"a frame of {' x '.join(str(length) for length in stored.shape)} values",
            f"{volume.geometry.shape[1]} rows x {volume.geometry.shape[2]} columns",
        )
    return stored
