"""Where the slices of a stack stand in a mended grid, so that masks find the way back: by whole voxels only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Slices lie at whole-voxel places in a larger frame."""

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    inner: tuple[int, int]
    """(rows, columns) of a slice."""
    outer: tuple[int, int]

    def back(self, mask: Array) -> Array:
        height, width = self.inner
        cut = [
            m[r : r + height, c : c + width] for m, r, c in zip(mask, self.rows, self.columns, strict=True)
        ]
        return np.stack(cut)

    def forth(self, mask: Array) -> Array:
        height, width = self.inner
        out = np.zeros((len(mask), *self.outer), mask.dtype)
        for place, m, r, c in zip(out, mask, self.rows, self.columns, strict=True):
            place[r : r + height, c : c + width] = m
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """Slices stand at these numbers among more."""

    kept: tuple[int, ...]
    of: int

    def back(self, mask: Array) -> Array:
        return mask[list(self.kept)]

    def forth(self, mask: Array) -> Array:
        """Slices between two are those of the nearer, the lower where both are as near."""
        nearest = [min(range(len(self.kept)), key=lambda n: abs(self.kept[n] - k)) for k in range(self.of)]
        return mask[nearest]
