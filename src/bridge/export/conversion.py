"""A volume of images into a file of a format, in one pass over its pixels."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from bridge.export.formats import Format
from bridge.export.written import Sink, Written
from bridge.volumes.pixels import Reader, TooNarrow, slices_of
from bridge.volumes.volume import Volume


def convert(
    volume: Volume, reader: Reader, format: Format, sink: Callable[[], AbstractContextManager[Sink]]
) -> Written:
    """Write the values of `read_values` in a format.

    Only the pixels tell whether int16 holds them all, and the head of a file names the type: int16 is written until a
    value does not fit, and then all again.

    Args:
        sink: opens an empty one; called twice where that happens, and the first is left with an exception.
    Raises:
        Refused, Damaged: what the format and the reader raise.
    """
    voxels = slices_of(volume, reader, hoping=True)
    try:
        with sink() as out:
            return format.write(volume.geometry, voxels, out)
    except TooNarrow:
        voxels = slices_of(volume, reader)
    with sink() as out:
        return format.write(volume.geometry, voxels, out)
