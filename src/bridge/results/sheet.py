"""A sheet of slices as one colour image: tiles with letters at their edges, a head line, a legend.

Nothing but its arguments is drawn: no text of a header, so no name of a patient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from bridge.results.colours import Rgb
from bridge.results.montage import FILL_ALPHA, Sides, rim

WIDTH, HEIGHT = 1920, 1536
"""Pixels that the tiles may take together: about what a monitor of a reading room shows."""
LONGEST = 768
"""Pixels of the longer side of a tile at most, also where there is only one."""
SHORTEST = 24
NARROWEST = 760
"""Pixels of the sheet at least, for the head line."""
MOST_ENTRIES = 60
"""Of the legend. Further segments are counted."""

_GAP, _MARGIN = 4, 16
_TEXT, _SMALL, _TITLE = 17, 15, 24
_LIGHT, _GREY, _AMBER, _BLACK = (235, 235, 235), (185, 185, 185), (255, 190, 60), (0, 0, 0)
_PAPER = (38, 38, 42)
"""Not black: tiles of a dark image would have no edges."""

Size = tuple[int, int]
"""(width, height), pixels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tile:
    """One slice, turned to how it is shown."""

    name: str
    grey: NDArray[np.uint8]
    """(rows, columns)"""
    labels: NDArray[np.unsignedinteger[Any]]
    """(rows, columns): 0, or a segment counted from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A segment in the legend."""

    rgb: Rgb
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What is drawn. All texts are ASCII: the font has no more for certain."""

    title: str
    warning: str
    about: str
    """Below the title."""
    tiles: tuple[Tile, ...]
    size_mm: tuple[float, float]
    """(width, height) of a slice: pixels need not be square."""
    sides: Sides
    legend: tuple[Entry, ...]
    """By segment: the first is that of label 1."""


def draw(sheet: Sheet) -> NDArray[np.uint8]:
    """(rows, columns, 3), RGB. The same sheet gives the same pixels with one version of the drawing library."""
    columns, tile = _layout(len(sheet.tiles), sheet.size_mm)
    rows = math.ceil(len(sheet.tiles) / columns)
    width = max(columns * (tile[0] + _GAP) - _GAP + 2 * _MARGIN, NARROWEST)
    legend = _legend(sheet.legend, width - 2 * _MARGIN)
    head = _MARGIN + _TITLE + 10 + _TEXT + 14
    foot = head + rows * (tile[1] + _GAP) + 10
    image = Image.new("RGB", (width, foot + legend.height + _MARGIN), _PAPER)
    pen = ImageDraw.Draw(image)
    _draw_head(pen, sheet, width)
    left = (width - columns * (tile[0] + _GAP) + _GAP) // 2
    colours = [entry.rgb for entry in sheet.legend]
    for number, one in enumerate(sheet.tiles):
        place = (left + number % columns * (tile[0] + _GAP), head + number // columns * (tile[1] + _GAP))
        image.paste(Image.fromarray(_painted(one, tile, colours)), place)
        _draw_letters(pen, place, tile, sheet.sides, one.name)
    _draw_legend(pen, legend, foot)
    return np.asarray(image)


def _layout(count: int, size_mm: tuple[float, float]) -> tuple[int, Size]:
    """How many columns make the tiles largest, and their size."""
    width_mm, height_mm = size_mm

    def scale(columns: int) -> float:
        rows = math.ceil(count / columns)
        return min((WIDTH / columns - _GAP) / width_mm, (HEIGHT / rows - _GAP) / height_mm)

    columns = max(range(1, count + 1), key=lambda columns: (scale(columns), -columns))
    pixels_per_mm = min(scale(columns), LONGEST / max(size_mm))
    width, height = (max(round(one * pixels_per_mm), SHORTEST) for one in size_mm)
    return columns, (width, height)


def _painted(tile: Tile, size: Size, colours: Sequence[Rgb]) -> NDArray[np.uint8]:
    """The slice at its size on the sheet, segments as a translucent fill with a full outline."""
    grey = np.asarray(
        Image.fromarray(np.ascontiguousarray(tile.grey)).resize(size, Image.Resampling.BILINEAR)
    )
    labels = _scaled(tile.labels, size)
    palette = np.array([_BLACK, *colours], np.float32)
    over = palette[labels]
    base = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    share = np.where(labels > 0, np.float32(FILL_ALPHA / 255), np.float32(0))
    share[rim(labels)] = 1
    painted = base + (over - base) * share[..., None]
    return np.rint(painted).astype(np.uint8)


def _scaled(labels: NDArray[Any], size: Size) -> NDArray[np.intp]:
    """Labels by nearest neighbour; a structure of one pixel is not lost between the pixels of a smaller tile."""
    width, height = size
    rows, columns = labels.shape
    from_row = (np.arange(height) + 0.5) * rows / height
    from_column = (np.arange(width) + 0.5) * columns / width
    scaled: NDArray[np.intp] = labels[from_row.astype(np.intp)][:, from_column.astype(np.intp)].astype(
        np.intp
    )
    row, column = np.nonzero(labels)
    y, x = row * height // rows, column * width // columns
    free = scaled[y, x] == 0
    scaled[y[free], x[free]] = labels[row[free], column[free]]
    return scaled


def _draw_head(pen: ImageDraw.ImageDraw, sheet: Sheet, width: int) -> None:
    font = _font(_TITLE)
    badge = pen.textlength(sheet.warning, font) + 2 * 10
    right = width - _MARGIN
    pen.rounded_rectangle((right - badge, _MARGIN - 6, right, _MARGIN + _TITLE + 6), radius=6, fill=_AMBER)
    pen.text((right - badge + 10, _MARGIN + _TITLE // 2), sheet.warning, _BLACK, font, anchor="lm")
    room = right - badge - 2 * _MARGIN
    pen.text((_MARGIN, _MARGIN + _TITLE // 2), _fitted(sheet.title, font, room), _LIGHT, font, anchor="lm")
    small = _font(_TEXT)
    about = _fitted(sheet.about, small, width - 2 * _MARGIN)
    pen.text((_MARGIN, _MARGIN + _TITLE + 10 + _TEXT // 2), about, _GREY, small, anchor="lm")


def _draw_letters(pen: ImageDraw.ImageDraw, place: Size, size: Size, sides: Sides, name: str) -> None:
    (x, y), (width, height) = place, size
    font, small = _font(_TEXT), _font(_SMALL)
    for at, anchor, letter in (
        ((x + 6, y + height // 2), "lm", sides.left),
        ((x + width - 6, y + height // 2), "rm", sides.right),
        ((x + width // 2, y + 5), "ma", sides.top),
        ((x + width // 2, y + height - 5), "md", sides.bottom),
    ):
        pen.text(at, letter, _LIGHT, font, anchor=anchor, stroke_width=2, stroke_fill=_BLACK)
    pen.text((x + 6, y + 5), name, _LIGHT, small, anchor="la", stroke_width=2, stroke_fill=_BLACK)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Legend:
    entries: tuple[Entry, ...]
    more: str
    columns: int
    column_width: int

    @property
    def height(self) -> int:
        count = len(self.entries) + bool(self.more)
        return math.ceil(count / self.columns) * (_TEXT + 9)


def _legend(entries: Sequence[Entry], width: int) -> _Legend:
    font = _font(_TEXT)
    shown = tuple(entries[:MOST_ENTRIES])
    more = f"and {len(entries) - len(shown)} more" if len(entries) > len(shown) else ""
    widest = max([font.getlength(entry.text) for entry in shown], default=0)
    column_width = min(round(widest) + _TEXT + 8 + 24, width)
    return _Legend(entries=shown, more=more, columns=max(width // column_width, 1), column_width=column_width)


def _draw_legend(pen: ImageDraw.ImageDraw, legend: _Legend, top: int) -> None:
    font = _font(_TEXT)
    for number, entry in enumerate((*legend.entries, *([None] if legend.more else []))):
        x = _MARGIN + number % legend.columns * legend.column_width
        y = top + number // legend.columns * (_TEXT + 9) + _TEXT // 2
        if entry is None:
            pen.text((x, y), legend.more, _GREY, font, anchor="lm")
            continue
        pen.rectangle((x, y - _TEXT // 2, x + _TEXT, y + _TEXT // 2), fill=entry.rgb)
        text = _fitted(entry.text, font, legend.column_width - _TEXT - 8)
        pen.text((x + _TEXT + 8, y), text, _LIGHT, font, anchor="lm")


def _fitted(text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """The text, or as much of it as there is room for."""
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "...") > room:
        text = text[:-1]
    return text.rstrip() + "..."


def _font(size: int) -> ImageFont.FreeTypeFont:
    """The font that comes with the drawing library: the same on every machine."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
