"""Regions of every frame blackened on the way to voxels: a reader around a reader."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.dicom.instance import Instance
from bridge.errors import Refused
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
            if one.end_row > rows or one.end_column > columns:
                raise Refused(
                    "DEI-008", "a region to mask beyond the image", f"within {rows} rows, {columns} columns"
                )
            values[one.row : one.end_row, one.column : one.end_column] = lowest
        return values
