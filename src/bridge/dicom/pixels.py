"""Stored values of one frame of a file: the reader that is handed to the pure rooms.

Nothing is allocated because a header claims it: the bytes of the frame, or a codestream of that size, must be there.
Runs in child processes: codecs are native code that meets bytes of strangers.
"""

from __future__ import annotations

import mmap
import os
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset

from bridge.dicom.codecs import CODECS, decoded, no_codec
from bridge.dicom.instance import Instance
from bridge.dicom.layout import Layout, layout_of
from bridge.dicom.pixel_data import UNDEFINED, Bytes, data_set, pixel_value, quick_pixel_value
from bridge.errors import Damaged

Array = NDArray[Any]

PLAIN = frozenset({uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian})
"""Transfer syntaxes in which a frame lies in the file as it is."""

NATIVE = PLAIN | {uid.DeflatedExplicitVRLittleEndian}

HEADS_BYTES = (1 << 13, 1 << 17)
"""Of a file, in which the pixels usually begin. Reading them costs less than mapping the file; headers of some
manufacturers are longer."""


class FileReader:
    """Reads frames from the files of their instances; one serves all."""

    def __init__(self) -> None:
        self._last: tuple[Dataset, Layout] | None = None

    def __call__(self, instance: Instance, frame: int) -> Array:
        """Stored values of one frame.

        Args:
            frame: counted from 1 (PS3.3 C.7.6.6).
        Returns:
            (rows, columns), native byte order, 8, 16 or 32 bits, signed by Pixel Representation and extended from
            Bits Stored; bits above High Bit (overlays of old) are gone. May be read-only.
        Raises:
            Damaged: PIX-001, bytes are missing; PIX-002, no Pixel Data; PIX-005, the codec fails; PIX-008, no file;
                PIX-009, retention has removed it.
            Refused: PIX-003, a layout that is no grey image; PIX-004, no codec; PIX-006, too large.

        PS3.5 8.1.1, 8.2, A.4.
        """
        return self.into(instance, frame, None)

    def into(self, instance: Instance, frame: int, room: Array | None) -> Array:
        """As a call. What lies uncompressed in its file is read straight into `room` where that has its size.

        Args:
            room: contiguous (rows, columns) of any integer type; what stands in it is lost.
        Returns:
            `room` under the layout's type, or an array of its own.
        """
        layout = self._layout(instance)
        if not 1 <= frame <= layout.frames:
            raise Damaged("PIX-001", f"no frame {frame}", f"1 to {layout.frames}")
        try:
            file = os.open(instance.file, os.O_RDONLY)
        except OSError:
            raise _gone(instance) from None
        try:
            size = os.fstat(file).st_size
            if not size:  # and an empty file cannot be mapped
                raise Damaged("PIX-002", "an empty file", "Pixel Data")
            syntax = instance.transfer_syntax_uid
            place = _quick_place(file, syntax) if syntax in PLAIN else None
            if layout.bits_allocated == 1:
                with mmap.mmap(file, 0, access=mmap.ACCESS_READ) as data:
                    return _bits(data, syntax, layout, frame)
            if place is not None:
                at = _frame_at(place, size, layout, frame)
                return _read(file, at, layout, big=syntax == uid.ExplicitVRBigEndian, room=room)
            with mmap.mmap(file, 0, access=mmap.ACCESS_READ) as data:
                return _frame(data, syntax, layout, frame)
        finally:
            os.close(file)

    def stored_range(self, instance: Instance) -> tuple[int, int]:
        """Ends that no stored value of the instance can pass, by its header."""
        return self._layout(instance).stored_range

    def is_plain(self, instance: Instance) -> bool:
        """Whether frames need no decoding, so that reading them twice costs little."""
        return instance.transfer_syntax_uid in PLAIN

    def _layout(self, instance: Instance) -> Layout:
        """Frames of one object share a header, and slices do after `layouts_only`: it is looked at once."""
        last = self._last
        if last is None or last[0] is not instance.header:
            last = self._last = instance.header, layout_of(instance)
        return last[1]


def _gone(instance: Instance) -> Damaged:
    if instance.dropped_at is None:
        return Damaged("PIX-008", "an instance whose file cannot be opened", "the file it came in")
    day = datetime.fromtimestamp(instance.dropped_at, UTC).date()
    return Damaged(
        "PIX-009",
        f"pixels that retention removed on {day}",
        "the file in which they came",
        "Send the study again",
    )


def _quick_place(file: int, syntax: str) -> tuple[int, int] | None:
    """Offset and length of uncompressed Pixel Data, where the head of the file tells both."""
    for length in HEADS_BYTES:
        head = os.pread(file, length, 0)
        _, at = data_set(head, syntax)
        place = quick_pixel_value(head, at, syntax)
        if place is not None:
            return None if place[1] == UNDEFINED else place
    return None


def _frame_at(place: tuple[int, int], size: int, layout: Layout, frame: int) -> int:
    """Where an uncompressed frame begins; all its bytes are there."""
    start, length = place
    before = (frame - 1) * layout.frame_bytes
    there = min(length, size - start) - before
    if there < layout.frame_bytes:
        raise _missing(there, layout, frame)
    return start + before


def _missing(there: int, layout: Layout, frame: int) -> Damaged:
    return Damaged(
        "PIX-001",
        f"{max(there, 0)} bytes for frame {frame}",
        f"{layout.frame_bytes} ({layout.rows} x {layout.columns} of {layout.bits_allocated} bits)",
        "Ask the source to send the object again",
        numbers={"found_bytes": max(there, 0), "expected_bytes": layout.frame_bytes, "frame": frame},
    )


def _read(file: int, at: int, layout: Layout, *, big: bool, room: Array | None) -> Array:
    shape = (layout.rows, layout.columns)
    fits = room is not None and room.shape == shape and room.itemsize == layout.dtype.itemsize
    stored = room.view(layout.dtype) if room is not None and fits else np.empty(shape, layout.dtype)
    rest = stored.data.cast("B")
    while rest:
        count = os.preadv(file, [rest], at)
        if not count:
            raise Damaged("PIX-001", "a file that became shorter while it was read", "the file as it came")
        at, rest = at + count, rest[count:]
    if not _in_order_of(layout, big=big).isnative:
        stored.byteswap(inplace=True)
    return _significant(stored, layout, layout.high_bit, out=stored)


def _in_order_of(layout: Layout, *, big: bool) -> np.dtype[Any]:
    return layout.dtype.newbyteorder(">" if big else "<")


def _frame(file: Bytes, syntax: str, layout: Layout, frame: int) -> Array:
    """A frame of whatever is not read straight: compressed, deflated, or with a head out of the ordinary."""
    if syntax not in NATIVE and syntax not in CODECS:
        raise no_codec()
    data, at = data_set(file, syntax)
    start, length = pixel_value(data, at, syntax)
    if length == UNDEFINED:
        stored = decoded(data, start, syntax, layout, frame)
        return _significant(stored, layout, layout.bits_stored - 1)
    if syntax not in NATIVE:
        raise Damaged("PIX-005", "Pixel Data of defined length in a compressed transfer syntax", "fragments")
    first = _frame_at((start, length), len(data), layout, frame)
    order = _in_order_of(layout, big=syntax == uid.ExplicitVRBigEndian)
    stored = np.frombuffer(data[first : first + layout.frame_bytes], order)
    stored = stored.astype(layout.dtype, copy=False).reshape(layout.rows, layout.columns)
    return _significant(stored, layout, layout.high_bit)


def _bits(file: Bytes, syntax: str, layout: Layout, frame: int) -> Array:
    """A frame of single bits: frames follow each other without a gap, the lowest bit of a byte first (PS3.5 8.1.1)."""
    if syntax not in NATIVE or syntax == uid.ExplicitVRBigEndian:
        raise no_codec()
    data, at = data_set(file, syntax)
    start, length = pixel_value(data, at, syntax)
    size = layout.rows * layout.columns
    first, last = (frame - 1) * size, frame * size
    there = min(length, len(data) - start) if length != UNDEFINED else 0
    if there < -(-last // 8):
        raise _missing(there - first // 8, layout, frame)
    packed = np.frombuffer(data[start + first // 8 : start - (-last // 8)], np.uint8)
    bits = np.unpackbits(packed, bitorder="little")[first % 8 : first % 8 + size]
    return bits.reshape(layout.rows, layout.columns)


def _significant(stored: Array, layout: Layout, high_bit: int, out: Array | None = None) -> Array:
    """The stored bits alone, sign-extended: shifted to the top, then down again in the type's own arithmetic."""
    if layout.bits_stored == layout.bits_allocated:
        return stored
    if high_bit == layout.bits_stored - 1:
        # Nearly always there is nothing to do, and looking costs a tenth of doing.
        lowest, highest = layout.stored_range
        if lowest <= stored.min() and stored.max() <= highest:
            return stored
    raised = np.left_shift(stored, layout.bits_allocated - 1 - high_bit, out=out)
    raised >>= layout.bits_allocated - layout.bits_stored
    return raised
