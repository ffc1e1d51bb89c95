"""Slices of the volume as small images that a page holds within itself."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bridge.operate.report.segmentation import Overlay
from bridge.results.montage import FILL_ALPHA, Sides, Window, evenly, rim, turn_of, window_of
from bridge.volumes.pixels import Reader
from bridge.volumes.volume import Volume

MOST_SLICES = 60
MONTAGE = 9
MARGIN = 2
"""Slices shown beyond the first and the last that bear a segment."""
QUALITY = 80
LESS_QUALITY = 60
"""For noisy or large images, when the pictures would not fit otherwise: two thirds of the bytes."""
BUDGET = 3_900_000
"""Characters of all pictures together: a page that mail takes. Beyond it fewer slices are shown."""
FULL_PALETTE = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One slice: the grey image and the segments on it, as addresses that hold their own data."""

    number: int
    """Of the slice, from 1."""
    base: str
    overlay: str | None
    marked: int
    """Pixels that bear a segment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """At most `MOST_SLICES` slices, evenly over what is marked, or over everything when nothing is."""

    slices: tuple[Picture, ...]
    of: int
    """Slices of the volume."""
    size_mm: tuple[float, float]
    """(width, height) of a slice: pixels need not be square."""
    sides: Sides
    window: Window
    begin: int
    """Index of the slice with the most marked pixels, or of the middle one."""
    montage: frozenset[int]
    """Indices of those that are printed."""


def take_pictures(volume: Volume, overlay: Overlay | None, reader: Reader, *, webp: bool = False) -> Pictures:
    """Draw the slices, the patient's right on the viewer's left.

    Raises what the reader raises.
    """
    numbers = _chosen(len(volume.planes), overlay)
    raw = [_values(volume, number, reader) for number in numbers]
    labels = [segment.label for segment in overlay.segments] if overlay else []
    window = window_of(volume, labels, raw)
    turn, sides = turn_of(volume.geometry)
    drawn = [
        overlay.labels(number)[turn] if overlay and number in overlay.frames else None for number in numbers
    ]
    slices = _slices(
        numbers, [window.grey(values[turn]) for values in raw], drawn, _palette(overlay), webp=webp
    )
    marked = [one.marked for one in slices]
    _, rows, columns = volume.geometry.shape
    _, row_mm, column_mm = volume.geometry.spacing_mm
    return Pictures(
        slices=tuple(slices),
        of=len(volume.planes),
        size_mm=(columns * column_mm, rows * row_mm),
        sides=sides,
        window=window,
        begin=marked.index(max(marked)) if any(marked) else len(slices) // 2,
        montage=frozenset(evenly(0, len(slices) - 1, MONTAGE)),
    )


def _slices(
    numbers: Sequence[int],
    greys: Sequence[NDArray[np.uint8]],
    drawn: Sequence[NDArray[np.uint16] | None],
    palette: _Palette,
    *,
    webp: bool,
) -> list[Picture]:
    overlays = [None if labels is None else _drawing(labels, palette) for labels in drawn]
    room = BUDGET - sum(len(one) for one in overlays if one)
    photos = [photo(grey, QUALITY, webp=webp) for grey in greys]
    if sum(map(len, photos)) > room:
        photos = [photo(grey, LESS_QUALITY, webp=webp) for grey in greys]
    slices = [
        Picture(
            number=number + 1,
            base=photo,
            overlay=over,
            marked=0 if labels is None else int(np.count_nonzero(labels)),
        )
        for number, photo, over, labels in zip(numbers, photos, overlays, drawn, strict=True)
    ]
    characters = sum(len(one.base) + len(one.overlay or "") for one in slices)
    return slices[:: math.ceil(characters / BUDGET)]


def _chosen(count: int, overlay: Overlay | None) -> list[int]:
    marked = sorted(overlay.frames) if overlay else []
    first = max(marked[0] - MARGIN, 0) if marked else 0
    last = min(marked[-1] + MARGIN, count - 1) if marked else count - 1
    return evenly(first, last, MOST_SLICES)


def _values(volume: Volume, number: int, reader: Reader) -> NDArray[np.float32]:
    plane = volume.planes[number]
    stored = reader(plane.instance, plane.frame).astype(np.float32)
    return stored * np.float32(plane.slope) + np.float32(plane.intercept)


def photo(pixels: NDArray[np.uint8], quality: int, *, webp: bool) -> str:
    """The address of a picture that holds its own data. pixels: (rows, columns), or (rows, columns, 3) in colour."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    buffer = BytesIO()
    if webp:
        image.save(buffer, "WEBP", quality=quality, method=4)
    else:
        image.save(buffer, "JPEG", quality=quality, optimize=True)
    return _address("image/webp" if webp else "image/jpeg", buffer.getvalue())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Palette:
    rgb: bytes
    alpha: bytes
    colours: int
    """Different fills; further segments begin again."""
    outlined: bool


def _palette(overlay: Overlay | None) -> _Palette:
    """Entry 0 is nothing, then one fill for each segment, then one outline for each where the palette has room."""
    segments = overlay.segments if overlay else ()
    colours = min(len(segments), FULL_PALETTE)
    outlined = 2 * colours <= FULL_PALETTE
    fills = [channel for segment in segments[:colours] for channel in segment.rgb]
    rgb = bytes([0, 0, 0, *fills, *(fills if outlined else ())])
    alpha = bytes([0] + [FILL_ALPHA] * colours + [255] * (colours if outlined else 0))
    return _Palette(rgb=rgb, alpha=alpha, colours=colours, outlined=outlined)


def _drawing(labels: NDArray[np.uint16], palette: _Palette) -> str:
    """Labels as an indexed image with a translucent fill and a full outline."""
    index = np.where(labels > 0, (labels - 1) % palette.colours + 1, 0).astype(np.uint8)
    if palette.outlined:
        index[rim(index)] += np.uint8(palette.colours)
    image = Image.fromarray(index)
    image.putpalette(palette.rgb)
    buffer = BytesIO()
    image.save(buffer, "PNG", transparency=palette.alpha, compress_level=6)
    return _address("image/png", buffer.getvalue())


def _address(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
