"""From the label values of a mask to segments 1..n with names and codes.

Segment Numbers of a binary segmentation are consecutive from 1 (PS3.3 C.8.20.2), label values of algorithms are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.dicom.charsets import plain
from bridge.dicom.codes import ANY_TISSUE, Anatomy, anatomy_of
from bridge.errors import Refused
from bridge.results.colours import Rgb, colour_of
from bridge.results.output import Label
from bridge.results.result import LabelMeaning

HIGHEST_VALUE = 65535
MOST_SEGMENTS = 1000
"""Far above any atlas; a picture or a heat map that was taken for a mask has more values than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One structure of a mask."""

    number: int
    """Segment Number, from 1."""
    value: int
    """The algorithm's label value."""
    label: str
    """Segment Label: the algorithm's name for it, in ASCII, at most 64 characters."""
    anatomy: Anatomy
    rgb: Rgb
    """Recommended display colour."""
    voxels: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmented:
    """A mask with segment numbers instead of label values."""

    numbers: NDArray[np.unsignedinteger[Any]]
    """(slices, rows, columns), 0 is background."""
    segments: tuple[Segment, ...]
    notes: tuple[str, ...]
    resampled: bool = False
    """The mask had voxels of its own."""

    @property
    def is_empty(self) -> bool:
        return not any(segment.voxels for segment in self.segments)


def segmented(
    mask: NDArray[Any],
    labels: tuple[Label, ...],
    output_name: str,
    meanings: Mapping[int, LabelMeaning] | None = None,
) -> Segmented:
    """Number the segments: those described first to last by value, present or not, and those only present.

    Args:
        mask: (slices, rows, columns) of label values, any numeric type.
        labels: what the platform calls the values.
        output_name: names what has no name.
        meanings: what the rule knows of label values; where it names one, the platform's name does not count.
    Raises:
        Refused: RES-020 values that are no whole numbers from 0 to 65535; RES-021 too many different ones; RES-022
            two names for one value.
    """
    meanings = meanings or {}
    names = _names(labels) | {value: known.name for value, known in meanings.items()}
    counts = _counts(mask)
    present = [int(value) for value in np.flatnonzero(counts) if value]
    values = sorted({*present, *names}) or [1]
    if len(values) > MOST_SEGMENTS:
        raise Refused(
            "RES-021",
            f"a mask with {len(values)} different values",
            f"at most {MOST_SEGMENTS} structures",
            "Look whether this output is a mask at all",
            numbers={"values": len(values)},
        )
    segments = []
    notes = []
    for number, value in enumerate(values, start=1):
        name = names.get(value) or _fallback(output_name, value, alone=len(values) == 1)
        label = plain(name) or f"label {value}"
        known = meanings.get(value)
        anatomy = (known and known.anatomy) or anatomy_of(name)
        voxels = int(counts[value]) if value < len(counts) else 0
        segments.append(
            Segment(
                number=number,
                value=value,
                label=label,
                anatomy=anatomy or ANY_TISSUE,
                rgb=(known and known.rgb) or colour_of(anatomy or ANY_TISSUE, number),
                voxels=voxels,
            )
        )
        if value != number:
            notes.append(f"label value {value} is segment {number} ({label})")
        if value not in names:
            notes.append(f"label value {value} has no name: called {label}")
        elif anatomy is None:
            notes.append(f"{label} is in no table of anatomy: coded as tissue")
        if not voxels:
            notes.append(f"segment {number} ({label}) is empty")
    table = np.zeros(max(len(counts), values[-1] + 1), dtype=np.uint8 if len(values) < 256 else np.uint16)
    for segment in segments:
        table[segment.value] = segment.number
    if mask.dtype == table.dtype and np.array_equal(table[: len(counts)], np.arange(len(counts))):
        numbers = mask  # as large as a study: not copied without need
    else:
        numbers = np.empty(mask.shape, dtype=table.dtype)
        for k, plane in enumerate(_whole(mask)):
            numbers[k] = table[plane]
    return Segmented(numbers=numbers, segments=tuple(segments), notes=tuple(notes))


def _names(labels: tuple[Label, ...]) -> dict[int, str]:
    names: dict[int, str] = {}
    for label in labels:
        if label.value == 0:
            continue
        if not 0 < label.value <= HIGHEST_VALUE or names.get(label.value, label.name) != label.name:
            raise Refused(
                "RES-022",
                f"label value {label.value} out of range or with two names",
                f"one name for each value from 1 to {HIGHEST_VALUE}",
                "Mend the labels of the algorithm in the settings",
                numbers={"value": label.value},
            )
        names[label.value] = label.name
    return names


def _fallback(output_name: str, value: int, *, alone: bool) -> str:
    name = output_name.replace("-", " ").replace("_", " ").strip() or "label"
    return name if alone else f"{name} {value}"


def _counts(mask: NDArray[Any]) -> NDArray[np.int64]:
    """Voxels by label value. Masks often come as int16 or float: what matters is that the values are whole."""
    if not np.issubdtype(mask.dtype, np.number) and mask.dtype != np.bool_:
        raise _no_labels(f"of type {mask.dtype}", {})
    if np.iscomplexobj(mask) or not mask.size:
        raise _no_labels(f"of type {mask.dtype} and shape {mask.shape}", {})
    low, high = float(mask.min()), float(mask.max())
    if not (low >= 0 and high <= HIGHEST_VALUE):
        raise _no_labels(f"with values from {low:g} to {high:g}", {"minimum": str(low), "maximum": str(high)})
    counts = np.zeros(int(high) + 1, dtype=np.int64)
    for plane in _whole(mask):
        counts += np.bincount(plane.ravel(), minlength=len(counts))
    return counts


def _whole(mask: NDArray[Any]) -> Iterator[NDArray[np.intp]]:
    """The planes of a mask as indices, one by one to keep the memory flat."""
    for plane in mask:
        whole = plane.astype(np.intp)
        if np.issubdtype(mask.dtype, np.floating) and not np.array_equal(whole, plane):
            broken = int((whole != plane).sum())
            raise _no_labels(f"with {broken} fractional values in one slice", {"fractional": broken})
        yield whole


def _no_labels(found: str, numbers: dict[str, float | int | str]) -> Refused:
    return Refused(
        "RES-020",
        f"a mask {found}",
        f"whole numbers from 0 to {HIGHEST_VALUE}",
        "Look whether this output is a mask, or a probability or heat map",
        numbers=numbers,
    )
