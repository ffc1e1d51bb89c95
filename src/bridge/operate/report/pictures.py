"""Slices of the volume as small images, and which side of the patient is where."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bridge.dicom.headers import text
from bridge.operate.report.segmentation import Overlay
from bridge.volumes.pixels import Reader
from bridge.volumes.volume import Geometry, Volume

MOST_SLICES = 60
MONTAGE = 9
MARGIN = 2
"""Slices shown beyond the first and the last that bear a segment."""
QUALITY = 80
LESS_QUALITY = 60
"""For noisy or large images, when the pictures would not fit otherwise: two thirds of the bytes."""
BUDGET = 3_900_000
"""Characters of all pictures together: a page that mail takes. Beyond it fewer slices are shown."""
FILL_ALPHA = 96
FULL_PALETTE = 255
SLANT = 0.4
"""Sine of the angle from which a second letter says that a direction is oblique: 24 degrees."""

LUNG_WORDS = ("lung", "pulmon", "lobe", "airway", "bronch", "trachea")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Numbers from `low` to `high` go from black to white, or back when `inverted`."""

    low: float
    high: float
    name: str
    inverted: bool = False

    def grey(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        scaled = (values.astype(np.float32) - np.float32(self.low)) * np.float32(255 / (self.high - self.low))
        grey = scaled.clip(0, 255).astype(np.uint8)
        return 255 - grey if self.inverted else grey


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
class Sides:
    """Letters of Patient Orientation at the edges of the pictures (PS3.3 C.7.6.1.1.1)."""

    left: str
    right: str
    top: str
    bottom: str
    first: str
    """Towards which side the first slice lies."""
    last: str


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
    window = _window(volume, overlay, raw)
    turn, sides = _turn(volume.geometry)
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
        montage=frozenset(_evenly(0, len(slices) - 1, MONTAGE)),
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
    photos = [_photo(grey, QUALITY, webp=webp) for grey in greys]
    if sum(map(len, photos)) > room:
        photos = [_photo(grey, LESS_QUALITY, webp=webp) for grey in greys]
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
    return _evenly(first, last, MOST_SLICES)


def _evenly(first: int, last: int, most: int) -> list[int]:
    return [round(one) for one in np.linspace(first, last, min(most, last - first + 1))]


def _values(volume: Volume, number: int, reader: Reader) -> NDArray[np.float32]:
    plane = volume.planes[number]
    stored = reader(plane.instance, plane.frame).astype(np.float32)
    return stored * np.float32(plane.slope) + np.float32(plane.intercept)


def _window(volume: Volume, overlay: Overlay | None, raw: Sequence[NDArray[np.float32]]) -> Window:
    header = volume.planes[0].instance.header
    inverted = text(header, "PhotometricInterpretation") == "MONOCHROME1"
    if volume.modality == "CT" and volume.units == "HU":
        body = (text(header, "BodyPartExamined") or "").upper()
        names = " ".join(segment.label.lower() for segment in overlay.segments) if overlay else ""
        if body in ("CHEST", "LUNG", "THORAX") or any(word in names for word in LUNG_WORDS):
            return Window(low=-1350, high=150, name="lung window, −600 / 1500 HU", inverted=inverted)
        return Window(low=-160, high=240, name="soft tissue window, 40 / 400 HU", inverted=inverted)
    some = np.concatenate([values[::4, ::4].ravel() for values in raw])
    low, high = (float(one) for one in np.percentile(some, (1, 99.5)))
    if volume.modality == "PT":
        # Uptake is read dark on white, and no uptake is the end of the scale.
        return Window(low=0, high=max(high, 1e-6), name="up to percentile 99.5", inverted=True)
    return Window(low=low, high=max(high, low + 1e-6), name="percentiles 1 to 99.5", inverted=inverted)


def _turn(geometry: Geometry) -> tuple[tuple[slice, slice], Sides]:
    """How to mirror the array so that right, front and head lie left and on top; and the letters then.

    Only whole axes are turned round: no pixel is computed anew.
    """
    across, down = np.array(geometry.column_step_lps), np.array(geometry.row_step_lps)
    mirror_x, mirror_y = _letter(tuple(-across)) not in "RA", _letter(tuple(-down)) not in "AHR"
    across, down = (-across if mirror_x else across), (-down if mirror_y else down)
    along = np.array(geometry.slice_step_lps)
    sides = Sides(
        left=_letters(-across),
        right=_letters(across),
        top=_letters(-down),
        bottom=_letters(down),
        first=_letters(-along),
        last=_letters(along),
    )
    return (_direction(mirror_y), _direction(mirror_x)), sides


def _direction(mirrored: bool) -> slice:
    return slice(None, None, -1 if mirrored else 1)


def _letter(direction: tuple[float, ...]) -> str:
    return _letters(np.array(direction))[0]


def _letters(direction: NDArray[np.float64]) -> str:
    order = np.argsort(-np.abs(direction), kind="stable")
    names = [("LPH" if direction[axis] > 0 else "RAF")[axis] for axis in order]
    return "".join(
        name
        for place, (name, axis) in enumerate(zip(names, order, strict=True))
        if place == 0 or (place == 1 and abs(direction[axis]) >= SLANT)
    )


def _photo(grey: NDArray[np.uint8], quality: int, *, webp: bool) -> str:
    image = Image.fromarray(np.ascontiguousarray(grey))
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
        index[_rim(index)] += np.uint8(palette.colours)
    image = Image.fromarray(index)
    image.putpalette(palette.rgb)
    buffer = BytesIO()
    image.save(buffer, "PNG", transparency=palette.alpha, compress_level=6)
    return _address("image/png", buffer.getvalue())


def _rim(index: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels of a segment that have another value above, below, left or right of them."""
    framed = np.pad(index, 1, mode="edge")
    inner = framed[1:-1, 1:-1]
    differs: NDArray[np.bool_] = (
        (framed[:-2, 1:-1] != inner)
        | (framed[2:, 1:-1] != inner)
        | (framed[1:-1, :-2] != inner)
        | (framed[1:-1, 2:] != inner)
    )
    differs &= index > 0
    return differs


def _address(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
