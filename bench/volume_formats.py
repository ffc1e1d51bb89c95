"""Every format of a volume, written and read back by another hand."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import numpy as np
from volume_peers import Grid, differs

from bridge import itk
from bridge.dicom.pixels import FileReader
from bridge.export import FORMATS, Format
from bridge.export.conversion import convert
from bridge.volumes import Volume, read_values


def by_itk(file: Path) -> Grid:
    image = itk.read_image(file)
    affine = np.eye(4)
    affine[:3, :3] = (np.array(image.direction).reshape(3, 3) * image.spacing_mm)[:, ::-1]
    affine[:3, 3] = image.origin_lps
    return Grid(array=image.array, affine_lps=affine)


def written(volume: Volume) -> Iterator[tuple[str, str]]:
    """Each format that may leave, with its type and size; and how the file differs when ITK reads it, "" if not."""
    values = read_values(volume, FileReader())
    with TemporaryDirectory() as folder:
        for one in FORMATS.values():
            if not isinstance(one, Format):
                continue
            file = Path(folder) / f"a{one.extension}"
            told = convert(volume, FileReader(), one, partial(_opened, file))
            grid = by_itk(file)
            difference = "" if grid.array.dtype == values.dtype else f"voxels of type {grid.array.dtype}"
            yield (
                f"{one.name} {told.size_bytes / 1e6:.2f} MB",
                difference or differs(volume, values, grid),
            )


def _opened(file: Path) -> BinaryIO:
    return file.open("wb")
