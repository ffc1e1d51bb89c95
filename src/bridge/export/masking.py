"""Regions of every frame blackened on the way to voxels: a reader around a reader."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.dicom.instance import Instance
from bridge.export.pixel_bytes import Region
from bridge.volumes.pixels import Reader

Array = NDArray[Any]


class Masked:
    """Gives what `reader` gives, with each region at the smallest value of its frame; of decoded frames too."""

    def __init__(self, reader: Reader, regions: tuple[Region, ...]) -> None:
        self._reader, self._regions = reader, regions

    def __call__(self, instance: Instance, frame: int) -> Array:
        """Raises Refused: DEI-008, a region beyond the image; and what the reader raises."""
        values = np.array(self._reader(instance, frame))
        rows, columns = values.shape
        lowest = values.min()
        for one in self._regions:
            one.check(rows, columns)
            values[one.row : one.end_row, one.column : one.end_column] = lowest
        return values
