"""Frames of DICOM objects with their places, and the volume that they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.itk import ItkImage

from .surfaces import Floats

EVEN_MM = 0.02
"""How far a frame may lie from where even steps put it."""


class Unreadable(Exception):
    """An input that the engine can make nothing of; the job fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """values: (rows, columns), rescaled. first_lps: the middle of the first voxel. axes: (2, 3), along a row and a
    column. spacing_mm: between rows, between columns."""

    values: NDArray[np.float32]
    first_lps: Floats
    axes: Floats
    spacing_mm: Floats


def frames_of(file: Path | BytesIO) -> Iterator[Frame]:
    """Each frame where its functional groups (PS3.3 C.7.6.16), or the attributes of a single one, put it.

    Raises Unreadable.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        whole = dcmread(file)
        pixels = whole.pixel_array
        count = int(whole.get("NumberOfFrames") or 1)
        for number in range(count):
            groups = _groups(whole, number)
            slope, intercept = (
                float(_found(groups, name, default))
                for name, default in (("RescaleSlope", 1), ("RescaleIntercept", 0))
            )
            plane = pixels[number] if pixels.ndim == 3 else pixels
            yield Frame(
                values=plane.astype(np.float32) * np.float32(slope) + np.float32(intercept),
                first_lps=np.asarray(_found(groups, "ImagePositionPatient"), dtype=np.float64),
                axes=np.asarray(_found(groups, "ImageOrientationPatient"), dtype=np.float64).reshape(2, 3),
                spacing_mm=np.asarray(_found(groups, "PixelSpacing"), dtype=np.float64),
            )
    except (
        InvalidDicomError,
        ValueError,
        AttributeError,
        LookupError,
        TypeError,
        RuntimeError,
        NotImplementedError,
    ):
        raise Unreadable("cbct") from None


def stacked(frames: Sequence[Frame]) -> ItkImage:
    """Along the normal of the first. PS3.3 C.7.6.2.1.1. Raises Unreadable: frames that are no even stack."""
    if not frames:
        raise Unreadable("cbct")
    row, column = frames[0].axes
    normal = np.cross(row, column)
    in_order = sorted(frames, key=lambda one: float(normal @ one.first_lps))
    places = np.stack([one.first_lps for one in in_order])
    step = (places[-1] - places[0]) / max(1, len(places) - 1)
    even = places[0] + np.arange(len(places))[:, None] * step
    gap = float(normal @ step)
    shapes = {one.values.shape for one in frames}
    apart = max(float(np.abs(one.axes - frames[0].axes).max()) for one in frames)
    if (
        len(shapes) > 1
        or apart > 1e-4
        or float(np.abs(places - even).max()) > EVEN_MM
        or float(np.abs(step - gap * normal).max()) > EVEN_MM
        or (len(places) > 1 and gap <= EVEN_MM)
    ):
        raise Unreadable("cbct")
    rows_mm, columns_mm = (float(one) for one in frames[0].spacing_mm)
    return ItkImage(
        array=np.stack([one.values for one in in_order]),
        spacing_mm=(columns_mm, rows_mm, gap or 1.0),
        origin_lps=(float(places[0][0]), float(places[0][1]), float(places[0][2])),
        direction=(
            *(float(row[0]), float(column[0]), float(normal[0])),
            *(float(row[1]), float(column[1]), float(normal[1])),
            *(float(row[2]), float(column[2]), float(normal[2])),
        ),
    )


def _groups(whole: Any, number: int) -> list[Any]:
    """Where an attribute of a frame may stand, the nearest first."""
    own = whole.get("PerFrameFunctionalGroupsSequence") or []
    shared = whole.get("SharedFunctionalGroupsSequence") or []
    items = [*own[number : number + 1], *shared[:1]]
    inner = [item for group in items for element in group if element.VR == "SQ" for item in element.value]
    return [*inner, whole]


def _found(places: Sequence[Any], keyword: str, default: object = None) -> Any:
    for place in places:
        if keyword in place:
            return place[keyword].value
    if default is None:
        raise LookupError(keyword)
    return default
