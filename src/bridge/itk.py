"""SimpleITK behind types: image files, connected components, two filters.

The only module that imports SimpleITK, and only inside functions, so that importing this one costs nothing.
Arrays are (slices, rows, columns), the reverse of ITK's index order; world space is LPS, millimetres.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.errors import Damaged

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItkImage:
    """Voxels with the geometry that ITK gives them.

    array: (slices, rows, columns) or (slices, rows, columns, components).
    spacing_mm, origin_lps: in ITK's order (x = columns, y = rows, z = slices).
    direction: nine numbers, row-major; column n is the LPS unit vector along ITK's axis n.
    """

    array: Array
    spacing_mm: tuple[float, float, float]
    origin_lps: tuple[float, float, float]
    direction: tuple[float, float, float, float, float, float, float, float, float]


IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def set_threads(count: int) -> None:
    """Let every ITK filter of this process use at most `count` threads."""
    _sitk().ProcessObject.SetGlobalDefaultNumberOfThreads(max(1, count))


def read_image(path: Path) -> ItkImage:
    """Read one image file; a flat image becomes a volume of one slice.

    Raises:
        Damaged: ITK-001, no reader knows the file or it breaks off; ITK-002, more than three dimensions.
    """
    sitk = _sitk()
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        # ITK's text quotes the path, and a header that it failed on.
        raise Damaged(
            "ITK-001",
            "the image file cannot be read",
            "a whole file in a format that ITK knows (.mha, .nii, .nrrd, .mhd with its data file)",
        ) from None
    if image.GetDimension() == 2:
        image = sitk.JoinSeries(image)
    if image.GetDimension() != 3:
        raise Damaged(
            "ITK-002",
            f"the image has {image.GetDimension()} dimensions",
            "a volume of three",
            numbers={"dimensions": image.GetDimension()},
        )
    return ItkImage(
        array=sitk.GetArrayFromImage(image),
        spacing_mm=image.GetSpacing(),
        origin_lps=image.GetOrigin(),
        direction=image.GetDirection(),
    )


def write_image(path: Path, image: ItkImage, *, compress: bool = False) -> None:
    """Write the image in the format of the file's ending; geometry only, no further header keys.

    Raises:
        Damaged: ITK-003, ITK refused the values or the place.
    """
    out = _to_itk(image.array, vector=image.array.ndim == 4)
    out.SetSpacing(image.spacing_mm)
    out.SetOrigin(image.origin_lps)
    try:
        out.SetDirection(image.direction)
        _sitk().WriteImage(out, str(path), useCompression=compress)
    except RuntimeError:
        raise Damaged(
            "ITK-003",
            "the image cannot be written",
            "a direction matrix that can be inverted and a writable folder",
        ) from None


def components(mask: Array) -> NDArray[np.uint32]:
    """Label the connected pieces of a mask from 1, largest first; voxels are joined through faces only.

    `mask`: 2 or 3 axes, anything non-zero counts. Pieces of equal size keep the order in which a scan along
    the last axis meets them, so the labels are the same on every run.
    """
    sitk = _sitk()
    labels = sitk.ConnectedComponent(_to_itk(mask.astype(np.uint8)), False)
    return np.asarray(sitk.GetArrayFromImage(sitk.RelabelComponent(labels)), dtype=np.uint32)


def median(array: Array, radius: tuple[int, int, int]) -> Array:
    """Median of a box around each voxel; `radius` in voxels as (slices, rows, columns)."""
    sitk = _sitk()
    return np.asarray(sitk.GetArrayFromImage(sitk.Median(_to_itk(array), radius[::-1])))


def dilate(mask: Array, radius: tuple[int, int, int]) -> NDArray[np.bool_]:
    """The mask grown by a ball; `radius` in voxels as (slices, rows, columns)."""
    sitk = _sitk()
    grown = sitk.BinaryDilate(_to_itk(mask.astype(np.uint8)), radius[::-1], sitk.sitkBall)
    return np.asarray(sitk.GetArrayFromImage(grown)).astype(np.bool_)


def _sitk() -> Any:
    # Any: the library's functions carry no types, and this module is the place where they get them.
    import SimpleITK

    library: Any = SimpleITK
    # Warnings go to stderr past every log and quote header lines.
    library.ProcessObject.SetGlobalWarningDisplay(False)
    return library


def _to_itk(array: Array, *, vector: bool = False) -> Any:
    plain = array.astype(np.uint8) if array.dtype == np.bool_ else np.ascontiguousarray(array)
    return _sitk().GetImageFromArray(plain, isVector=vector)
