"""Stored values of a volume's planes to numbers that mean something: in one array, or slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bridge.dicom.instance import Instance
from bridge.dicom.layout import layouts_only
from bridge.errors import Damaged, Refused
from bridge.volumes.volume import Plane, Volume

Array = NDArray[Any]

Reader = Callable[[Instance, int], Array]
"""Gives the stored values of a frame, counted from 1: integers, (rows, columns), sign-extended."""

Fill = Callable[[Instance, int, Array | None], Array]

INT16 = (-(2**15), 2**15 - 1)
UINT16 = (0, 2**16 - 1)


@runtime_checkable
class FrugalReader(Protocol):
    """A `Reader` that can say things ahead and read in place, as `bridge.dicom.pixels.FileReader` does."""

    def __call__(self, instance: Instance, frame: int, /) -> Array: ...

    def into(self, instance: Instance, frame: int, room: Array | None, /) -> Array:
        """The stored values, in `room` where that can be."""

    def stored_range(self, instance: Instance, /) -> tuple[int, int]:
        """Ends that no stored value can pass."""

    def is_plain(self, instance: Instance, /) -> bool:
        """Whether reading twice costs little."""


class TooNarrow(Exception):
    """A value does not fit into the type that was hoped for; raised before its slice is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """The rescaled values of a volume, read anew at each iteration: one slice is in memory at a time."""

    volume: Volume
    reader: Reader
    dtype: np.dtype[Any]
    """As `read_values` chooses it."""
    possible: tuple[tuple[int, int], ...] = ()
    """Ends of the stored values of each plane by its header, where they do not prove that int16 holds what is rescaled:
    each slice is looked at. () where `dtype` is known to be right."""

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.volume.geometry.shape

    def __iter__(self) -> Iterator[Array]:
        """Each slice, (rows, columns), in an array of its own.

        Raises what the reader raises, Damaged (PIX-007), and `TooNarrow` where int16 was hoped for.
        """
        fill = _filling(self.reader)
        for number, plane in enumerate(self.volume.planes):
            out = np.empty(self.shape[1:], self.dtype)
            if self.dtype.kind == "f":
                _rescale(_stored(self.volume, plane, fill), plane, out)
            else:
                stored = _stored(self.volume, plane, fill, out)
                if self.possible and not _fits(stored, plane, *self.possible[number]):
                    raise TooNarrow
                _rescale_whole(stored, plane, out.view(np.uint16))
            yield out


def slices_of(volume: Volume, reader: Reader, *, hoping: bool = False) -> Slices | Array:
    """The values of `read_values`, slice by slice where their type is known without decoding the volume twice.

    It is known from the headers where what Bits Stored can hold is rescaled to int16 or where a slope is fractional,
    and from a first reading where that costs little. Else all values are read into one array.

    Args:
        hoping: in place of that first reading or that array, take int16 for granted until a value proves otherwise;
            whoever iterates begins again when `TooNarrow` is raised. Nearly every image fits, and is read once.
    """
    if volume.slots or (volume.mending and volume.mending.ways):
        return read_values(volume, reader)
    if not all(_is_whole(plane) for plane in volume.planes):
        return Slices(volume=volume, reader=reader, dtype=np.dtype(np.float32))
    if not isinstance(reader, FrugalReader):
        return read_values(volume, reader)
    possible = tuple(reader.stored_range(plane.instance) for plane in volume.planes)
    kind: np.dtype[Any] | None = np.dtype(np.int16)
    if _kind([_ends(plane, *ends) for plane, ends in zip(volume.planes, possible, strict=True)]) != kind:
        if hoping:
            return Slices(volume=volume, reader=reader, dtype=np.dtype(np.int16), possible=possible)
        if not all(reader.is_plain(instance) for instance in volume.instances):
            return read_values(volume, reader)
        fill, room = _filling(reader), np.empty(volume.geometry.shape[1:], np.uint16)
        kind = _kind([_ends(plane, *_found(_stored(volume, plane, fill, room))) for plane in volume.planes])
    return Slices(volume=volume, reader=reader, dtype=kind or np.dtype(np.float32))


def read_values(volume: Volume, reader: Reader) -> Array:
    """Rescaled values of all planes, on the grid of the volume.

    Returns:
        (slices, rows, columns) of the geometry. int16 where slope and intercept of every plane are whole numbers and
        all results fit; else uint16 where they do and none is negative; else float32, computed in float64. Decided
        by the data and not by Bits Stored. MONOCHROME1 is a matter of display (PS3.3 C.7.6.3.1.2): the numbers stay,
        and so does pixel padding.
    Raises:
        Damaged: PIX-007, the reader gives another size than the header; and what the reader raises.

    PS3.3 C.11.1.1.2. Holds one output array and one slice at a time; a series of whole numbers whose results need
    float32 is read twice, and a mended one is held twice.
    """
    if volume.slots:
        return labels_of(volume, reader)
    if volume.mending:
        return volume.mending.values(read_values(volume.original, reader))
    if all(_is_whole(plane) for plane in volume.planes):
        whole = _whole_numbers(volume, reader)
        if whole is not None:
            return whole
    fill, values = _filling(reader), np.empty(volume.geometry.shape, np.float32)
    for out, plane in zip(values, volume.planes, strict=True):
        _rescale(_stored(volume, plane, fill), plane, out)
    return values


def labels_of(volume: Volume, reader: Reader) -> Array:
    """The labels of a mask, (slices, rows, columns), uint8 where they fit and else uint16; 0 where nothing is marked.

    Raises:
        Refused: GEO-031, a voxel with two labels.
        Damaged: as `read_values`.
    """
    fill = _filling(reader)
    labels = np.zeros(volume.geometry.shape, np.uint16)
    for plane, slot in zip(volume.planes, volume.slots, strict=True):
        stored = _stored(volume, plane, fill).astype(np.uint16) * np.uint16(int(plane.slope))
        there = labels[slot]
        if ((there != 0) & (stored != 0) & (there != stored)).any():
            raise Refused(
                "GEO-031",
                "segments that overlap: a voxel has two labels",
                "one label for each voxel",
                "Choose a segmentation without overlap",
            )
        np.maximum(there, stored, out=there)
    return labels.astype(np.uint8) if labels.max(initial=0) < 2**8 else labels


def for_reading(volume: Volume) -> Volume:
    """The volume with headers that tell how pixels are stored and nothing else: light to hand to a child process."""
    lean = layouts_only(volume.instances)
    planes = tuple(replace(plane, instance=lean[plane.instance]) for plane in volume.planes)
    mending = replace(volume.mending, dropped=()) if volume.mending else None
    return replace(volume, planes=planes, mending=mending)


def _whole_numbers(volume: Volume, reader: Reader) -> Array | None:
    """The result in 16 bits, or None where it needs more. So nothing is known of the range before the first slice."""
    fill, values = _filling(reader), np.empty(volume.geometry.shape, np.uint16)
    found: list[tuple[int, int]] = []
    for out, plane in zip(values, volume.planes, strict=True):
        stored = _stored(volume, plane, fill, out)
        found.append(_ends(plane, *_found(stored)))
        if _kind(found) is None:
            return None
        _rescale_whole(stored, plane, out)
    kind = _kind(found)
    return values if kind is None else values.view(kind)


def _rescale_whole(stored: Array, plane: Plane, out: NDArray[np.uint16]) -> None:
    """Modulo 2**16: where the true result fits into 16 bits, signed or not, its low 16 bits are the result."""
    if not np.may_share_memory(stored, out):
        np.copyto(out, stored, casting="unsafe")
    if plane.slope != 1:
        out *= np.uint16(int(plane.slope) % 2**16)
    if plane.intercept != 0:
        out += np.uint16(int(plane.intercept) % 2**16)


def _rescale(stored: Array, plane: Plane, out: Array) -> None:
    out[...] = stored * np.float64(plane.slope) + np.float64(plane.intercept)


def _is_whole(plane: Plane) -> bool:
    return plane.slope.is_integer() and plane.intercept.is_integer()


def _ends(plane: Plane, lowest: int, highest: int) -> tuple[int, int]:
    """Of the rescaled values of a plane, from those of its stored ones."""
    ends = [end * int(plane.slope) + int(plane.intercept) for end in (lowest, highest)]
    return min(ends), max(ends)


def _found(stored: Array) -> tuple[int, int]:
    return int(stored.min()), int(stored.max())


def _fits(stored: Array, plane: Plane, lowest: int, highest: int) -> bool:
    """Whether int16 holds the rescaled values of a plane. An end that would fit at its utmost is not looked for."""
    if _kind([_ends(plane, lowest, lowest)]) != np.int16:
        lowest = int(stored.min())
    if _kind([_ends(plane, highest, highest)]) != np.int16:
        highest = int(stored.max())
    return _kind([_ends(plane, lowest, highest)]) == np.int16


def _kind(ends: list[tuple[int, int]]) -> np.dtype[Any] | None:
    lowest, highest = min(low for low, _ in ends), max(high for _, high in ends)
    if INT16[0] <= lowest and highest <= INT16[1]:
        return np.dtype(np.int16)
    if UINT16[0] <= lowest and highest <= UINT16[1]:
        return np.dtype(np.uint16)
    return None


def _filling(reader: Reader) -> Fill:
    if isinstance(reader, FrugalReader):
        return reader.into
    return lambda instance, frame, room: reader(instance, frame)


def _stored(volume: Volume, plane: Plane, fill: Fill, room: Array | None = None) -> Array:
    stored = fill(plane.instance, plane.frame, room)
    if stored.shape != volume.geometry.shape[1:]:
        raise Damaged(
            "PIX-007",
            f"a frame of {' x '.join(str(length) for length in stored.shape)} values",
            f"{volume.geometry.shape[1]} rows x {volume.geometry.shape[2]} columns",
        )
    return stored
