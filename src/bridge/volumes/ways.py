"""How irregular slices become a regular grid, one way for each repair, and the way back for masks.

Numbers are interpolated linearly. Masks go by whole voxels, so that each voxel of an original slice has one label.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Slices lie anywhere in a larger frame."""

    offsets: tuple[tuple[float, float], ...]
    """(rows, columns) in voxels, of the first voxel of each slice in the frame; none is negative."""
    inner: tuple[int, int]
    """(rows, columns) of a slice."""
    outer: tuple[int, int]

    @property
    def whole(self) -> tuple[tuple[int, int], ...]:
        """The offsets for masks."""
        return tuple((math.floor(down + 0.5), math.floor(right + 0.5)) for down, right in self.offsets)

    def values(self, values: Array) -> Array:
        """In the dtype they have; where no slice is, their lowest number."""
        fill = values.min()
        out = np.empty((len(values), *self.outer), values.dtype)
        for target, one, (down, right) in zip(out, values, self.offsets, strict=True):
            moved = _moved(_moved(one, down, 0, self.outer[0], fill), right, 1, self.outer[1], fill)
            target[...] = np.rint(moved) if out.dtype.kind in "iu" else moved
        return out

    def back(self, mask: Array) -> Array:
        height, width = self.inner
        cut = [m[r : r + height, c : c + width] for m, (r, c) in zip(mask, self.whole, strict=True)]
        return np.stack(cut)

    def forth(self, mask: Array) -> Array:
        height, width = self.inner
        out = np.zeros((len(mask), *self.outer), mask.dtype)
        for place, m, (r, c) in zip(out, mask, self.whole, strict=True):
            place[r : r + height, c : c + width] = m
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """Slices stand at these numbers among more, the first and the last among them."""

    kept: tuple[int, ...]
    of: int

    def values(self, values: Array) -> Array:
        """In the dtype they have; the slices that are there stay as they are."""
        out = np.empty((self.of, *values.shape[1:]), values.dtype)
        out[list(self.kept)] = values
        for n, (low, high) in enumerate(zip(self.kept, self.kept[1:], strict=False)):
            for k in range(low + 1, high):
                part = (k - low) / (high - low)
                between = (1 - part) * values[n].astype(np.float64) + part * values[n + 1].astype(np.float64)
                out[k] = np.rint(between) if out.dtype.kind in "iu" else between
        return out

    def back(self, mask: Array) -> Array:
        return mask[list(self.kept)]

    def forth(self, mask: Array) -> Array:
        """Slices between two are those of the nearer, the lower where both are as near."""
        nearest = [min(range(len(self.kept)), key=lambda n: abs(self.kept[n] - k)) for k in range(self.of)]
        return mask[nearest]


Way = Shift | Pick


def _moved(plane: Array, by: float, axis: int, length: int, fill: float) -> NDArray[np.float64]:
    """A plane at a place that need not be whole, in a longer one; linear between voxels."""
    whole, part = math.floor(by), by - math.floor(by)
    room = [(0, 0), (0, 0)]
    room[axis] = (whole, length - whole - plane.shape[axis])
    near = np.pad(plane.astype(np.float64), room, constant_values=fill)
    if part == 0:
        return near
    far = np.roll(near, 1, axis)
    far[(slice(None),) * axis + (0,)] = fill
    return np.asarray((1 - part) * near + part * far)
