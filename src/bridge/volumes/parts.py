"""Images that share positions to volumes: one per time point, echo or kind, and what told them apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bridge.errors import Refused
from bridge.volumes.frames import view_of
from bridge.volumes.geometry import Tolerance, places, several_at_one_position, slice_positions_mm
from bridge.volumes.keys import KEYS, Key, value_of
from bridge.volumes.slices import Slice
from bridge.volumes.stack import Stack, candidate_of, stack_of
from bridge.volumes.volume import Candidate

MOST_KEYS = 3
"""So many attributes together may tell volumes apart; a fourth would separate anything by accident."""

Codes = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Column:
    """What one attribute says of every slice: a number for each different value."""

    key: Key
    values: tuple[str, ...]
    codes: Codes
    contrast: bool


def parts_of(group: Sequence[Slice], tolerance: Tolerance) -> Iterator[Candidate]:
    """Candidates of slices that share a grid.

    Where no two slices share a position the group is one stack, whatever else differs. Where they do, the fewest
    attributes are looked for that give each volume one image at every position, and that leave nothing mixed which
    differs among the images of a position. A volume that lacks positions which others have is refused (GEO-028),
    and so is the group when no attributes do it (GEO-021).
    """
    stack = stack_of(list(group))
    depth = slice_positions_mm(stack.positions_lps, stack.axes[2])
    ranks = places(depth, tolerance)
    positions = int(ranks.max()) + 1
    if positions == len(stack.slices):
        yield candidate_of(stack, tolerance)
        return
    columns = _columns(stack, ranks)
    chosen = _chosen(columns, ranks, positions) if positions > 1 else None
    if chosen is None:
        refusal = several_at_one_position(
            len(stack.slices), positions, [column.key.name for column in columns]
        )
        yield candidate_of(stack, tolerance, refusal)
        return
    parts: dict[tuple[str, ...], list[Slice]] = defaultdict(list)
    for index, one in enumerate(stack.slices):
        parts[tuple(column.values[index] for column in chosen)].append(one)
    names = [column.key.name for column in chosen]
    for values in sorted(parts, key=_natural):
        part = stack_of(parts[values], tuple(zip(names, values, strict=True)))
        yield candidate_of(part, tolerance, _incomplete(len(part.slices), positions))


def _incomplete(found: int, positions: int) -> Refused | None:
    if found == positions:
        return None
    return Refused(
        "GEO-028",
        f"{found} of the {positions} positions that the images of its series have",
        "an image at each of them",
        "Send the missing images, or the volume as a series of its own",
        numbers={"images": found, "positions": positions},
    )


def _columns(stack: Stack, ranks: Codes) -> list[_Column]:
    """Attributes in which images of one position differ; those that divide the images alike, once."""
    views = [view_of(one.instance, one.frame) for one in stack.slices]
    found: dict[bytes, _Column] = {}
    for key in KEYS:
        values = tuple(value_of(key, view) for view in views)
        first: dict[str, int] = {}
        codes = np.array([first.setdefault(value, len(first)) for value in values], np.intp)
        if _pairs(codes, ranks) == int(ranks.max()) + 1:
            continue
        known = found.get(codes.tobytes())
        contrast = key.contrast or (known is not None and known.contrast)
        found[codes.tobytes()] = (
            _Column(key=key, values=values, codes=codes, contrast=contrast)
            if known is None
            else _Column(key=known.key, values=known.values, codes=codes, contrast=contrast)
        )
    return list(found.values())


def _chosen(columns: Sequence[_Column], ranks: Codes, positions: int) -> tuple[_Column, ...] | None:
    """The first of the smallest sets whose volumes are all complete; else the one with most complete volumes."""
    best, most = None, 0
    for size in range(1, MOST_KEYS + 1):
        for chosen in combinations(columns, size):
            labels = np.zeros(len(ranks), np.intp)
            for column in chosen:
                labels = labels * (int(column.codes.max()) + 1) + column.codes
            if _pairs(labels, ranks) < len(ranks):
                continue
            counts = np.unique(labels, return_counts=True)[1]
            others = (column for column in columns if column.contrast and column not in chosen)
            if any(_pairs(labels, column.codes) > len(counts) for column in others):
                continue
            whole = int(np.count_nonzero(counts == positions))
            if whole == len(counts):
                return chosen
            if whole > most:
                best, most = chosen, whole
    return best


def _pairs(one: Codes, other: Codes) -> int:
    return len(np.unique(one * (int(other.max()) + 1) + other))


def _natural(values: tuple[str, ...]) -> tuple[tuple[bool, float, str], ...]:
    """Numbers by size, before texts."""

    def place(value: str) -> tuple[bool, float, str]:
        try:
            return False, float(value), value
        except ValueError:
            return True, 0.0, value

    return tuple(place(value) for value in values)
