"""How slices are shown to people: which ones, in which window, with the patient's right on the viewer's left.

The report of a job and the picture for viewers without overlays are drawn with this, so that they look alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.dicom.headers import text
from bridge.volumes.volume import Geometry, Volume

FILL_ALPHA = 96
"""Of 255: how much of a segment's colour lies over the grey."""
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
class Sides:
    """Letters of Patient Orientation at the edges of the pictures (PS3.3 C.7.6.1.1.1)."""

    left: str
    right: str
    top: str
    bottom: str
    first: str
    """Towards which side the first slice lies."""
    last: str


Turn = tuple[slice, slice]
"""What to index (rows, columns) with."""


def evenly(first: int, last: int, most: int) -> list[int]:
    """At most `most` whole numbers from `first` to `last`, both among them."""
    return [round(one) for one in np.linspace(first, last, min(most, last - first + 1))]


def window_of(volume: Volume, labels: Iterable[str], shown: Sequence[NDArray[Any]]) -> Window:
    """The window for a modality.

    Args:
        labels: names of the segments; they tell a chest where the header does not.
        shown: (rows, columns) of rescaled numbers of each slice that is shown.
    """
    header = volume.planes[0].instance.header
    inverted = text(header, "PhotometricInterpretation") == "MONOCHROME1"
    if volume.modality == "CT" and volume.units == "HU":
        body = (text(header, "BodyPartExamined") or "").upper()
        names = " ".join(label.lower() for label in labels)
        if body in ("CHEST", "LUNG", "THORAX") or any(word in names for word in LUNG_WORDS):
            return Window(low=-1350, high=150, name="lung window, −600 / 1500 HU", inverted=inverted)
        return Window(low=-160, high=240, name="soft tissue window, 40 / 400 HU", inverted=inverted)
    some = np.concatenate([values[::4, ::4].ravel() for values in shown])
    low, high = (float(one) for one in np.percentile(some, (1, 99.5)))
    if volume.modality == "PT":
        # Uptake is read dark on white, and no uptake is the end of the scale.
        return Window(low=0, high=max(high, 1e-6), name="up to percentile 99.5", inverted=True)
    return Window(low=low, high=max(high, low + 1e-6), name="percentiles 1 to 99.5", inverted=inverted)


def turn_of(geometry: Geometry) -> tuple[Turn, Sides]:
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


def rim(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels of a segment that have another value above, below, left or right of them.

    Args:
        labels: (rows, columns), 0 is no segment.
    """
    framed = np.pad(labels, 1, mode="edge")
    inner = framed[1:-1, 1:-1]
    differs: NDArray[np.bool_] = (
        (framed[:-2, 1:-1] != inner)
        | (framed[2:, 1:-1] != inner)
        | (framed[1:-1, :-2] != inner)
        | (framed[1:-1, 2:] != inner)
    )
    differs &= labels > 0
    return differs


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
