"""Whether images were ever compressed with loss, which no later transfer syntax undoes (PS3.3 C.7.6.1.1.5)."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import uid

from bridge.dicom.headers import numbers, text, texts
from bridge.dicom.instance import Instance

ALWAYS = frozenset({uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless})
"""Transfer syntaxes that lose something, whatever the header says."""

PERHAPS = frozenset({uid.JPEG2000, uid.HTJ2K})
"""Those that may (PS3.5 A.4.4, A.4.6): the header decides, and without its word it counts as lost."""

METHODS = frozenset(
    {"ISO_10918_1", "ISO_14495_1", "ISO_15444_1", "ISO_15444_15", "ISO_13818_2", "ISO_14496_10"}
)
"""Defined terms of Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.1): what else stands there may be a slip."""


def is_lossy(instance: Instance) -> bool:
    """By Lossy Image Compression (0028,2110) and the transfer syntax."""
    said = text(instance.header, "LossyImageCompression")
    syntax = instance.transfer_syntax_uid
    return said == "01" or syntax in ALWAYS or (syntax in PERHAPS and said != "00")


def lossy_note(instances: Sequence[Instance]) -> str:
    """What results made from these images should say; "" where none was compressed with loss. No patient value."""
    lossy = [instance for instance in instances if is_lossy(instance)]
    if not lossy:
        return ""
    methods = {one for instance in lossy for one in texts(instance.header, "LossyImageCompressionMethod")}
    ratios = [
        ratio
        for instance in lossy
        for ratio in numbers(instance.header, "LossyImageCompressionRatio") or ()
        if 1 <= ratio < 1e6
    ]
    how = [*sorted(methods & METHODS), *([f"up to {max(ratios):.3g}:1"] if ratios else [])]
    about = f" ({', '.join(how)})" if how else ""
    return f"{len(lossy)} of {len(instances)} source images were compressed with loss{about}"
