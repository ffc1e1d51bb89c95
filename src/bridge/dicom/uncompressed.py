"""A compressed object with its pixels decoded: the same values, for readers that know no codec."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.filereader import dcmread

from bridge.dicom.instance import Instance
from bridge.dicom.layout import layout_of
from bridge.dicom.pixels import NATIVE, FileReader
from bridge.errors import Damaged

_OFFSETS = (0x7FE00001, 0x7FE00002, 0x7FE00003)
"""Extended Offset Table, its lengths, and the length of encapsulated pixels: of fragments (PS3.3 C.7.6.3)."""

AGAIN = "Ask the source to send the object again"


def is_compressed(instance: Instance) -> bool:
    return instance.transfer_syntax_uid not in NATIVE


def uncompressed(instance: Instance) -> Dataset:
    """The data set of a compressed instance with its frames as they are shown by `FileReader`, one after the other.

    Returns:
        A data set for Explicit VR Little Endian. What it says of loss stays: decoding undoes none (PS3.3 C.7.6.1.1.5).
    Raises:
        Damaged: PIX-011, a file that cannot be read to its end; and what `FileReader` raises.
    """
    reader, layout = FileReader(), layout_of(instance)
    little = layout.dtype.newbyteorder("<")
    values = bytearray()
    for frame in range(1, layout.frames + 1):
        values += reader(instance, frame).astype(little, copy=False).tobytes()
    try:
        made = dcmread(instance.file)
    except Exception:  # noqa: BLE001 - pydicom raises many kinds, and their texts quote values
        raise Damaged("PIX-011", "an object that cannot be read to its end", "PS3.10 7", AGAIN) from None
    for tag in _OFFSETS:
        made.pop(tag, None)
    made.HighBit = layout.bits_stored - 1
    made.PixelData = bytes(values) + b"\0" * (len(values) % 2)
    made["PixelData"].VR = "OW" if layout.bits_allocated > 8 else "OB"
    made["PixelData"].is_undefined_length = False
    return made
