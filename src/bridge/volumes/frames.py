"""What one frame says: of a single-frame object its header, of a multi-frame object its functional groups.

Refusals of an object, by code:

    GEO-010  functional groups missing, or not one for each frame
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from bridge.dicom.headers import number, numbers, text, texts
from bridge.dicom.instance import Instance
from bridge.errors import Refused
from bridge.volumes.kinds import MASK_CLASSES, MULTI_FRAME_CLASSES

SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"

MACROS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "RescaleType": "PixelValueTransformationSequence",
}
"""What counts only where the standard puts it (PS3.3 C.7.6.16.2): a copy elsewhere in the object may be of another
frame, of the whole, or of the object it was converted from."""

FOREIGN = frozenset(
    {
        "ReferencedImageSequence",
        "DerivationImageSequence",
        "ConversionSourceAttributesSequence",
        "SourceImageEvidenceSequence",
    }
)
"""Groups that speak of other objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One frame's words: its own groups before the shared ones, those before the header."""

    header: Dataset
    groups: tuple[tuple[str, Dataset], ...] = ()
    """(keyword of the macro, its item); none of a single-frame object"""
    multi_frame: bool = False

    def source(self, keyword: str) -> Dataset:
        """The data set in which the attribute stands for this frame; an empty one where it does not."""
        if not self.multi_frame:
            return self.header
        macro = MACROS.get(keyword)
        for name, item in self.groups:
            if keyword in item and macro in (None, name):
                return item
        return Dataset() if macro else self.header

    def text(self, keyword: str) -> str | None:
        return text(self.source(keyword), keyword)

    def texts(self, keyword: str) -> tuple[str, ...]:
        return texts(self.source(keyword), keyword)

    def number(self, keyword: str) -> float | None:
        return number(self.source(keyword), keyword)

    def numbers(self, keyword: str) -> tuple[float, ...] | None:
        return numbers(self.source(keyword), keyword)


def is_multi_frame(instance: Instance) -> bool:
    """By its class, however many frames it has."""
    return instance.sop_class_uid in MULTI_FRAME_CLASSES


def _has_groups(instance: Instance) -> bool:
    return instance.sop_class_uid in MULTI_FRAME_CLASSES | MASK_CLASSES


def view_of(instance: Instance, frame: int) -> View:
    """One frame, counted from 1 (PS3.3 C.7.6.6).

    Raises:
        Refused: GEO-010.
    """
    if not _has_groups(instance):
        return View(header=instance.header)
    shared, per_frame = _groups(instance.header)
    if not 1 <= frame <= len(per_frame):
        raise _no_groups(len(per_frame), frame)
    return _view(instance.header, per_frame[frame - 1], shared)


def views_of(instance: Instance) -> tuple[View, ...]:
    """Every frame in the order of storage.

    What the header claims to have is never taken for granted: there are as many as functional groups.

    Raises:
        Refused: GEO-010.
    """
    if not _has_groups(instance):
        return (View(header=instance.header),)
    shared, per_frame = _groups(instance.header)
    claimed = number(instance.header, "NumberOfFrames")
    if not per_frame or claimed != len(per_frame):
        raise _no_groups(len(per_frame), claimed or 0)
    return tuple(_view(instance.header, one, shared) for one in per_frame)


def _groups(header: Dataset) -> tuple[tuple[tuple[str, Dataset], ...], Sequence[Dataset]]:
    try:
        shared: Sequence[Dataset] = header.get(SHARED) or ()
        return _macros(shared[0]) if len(shared) else (), header.get(PER_FRAME) or ()
    except Exception:  # noqa: BLE001 - pydicom raises many kinds, and their texts quote values
        raise _no_groups(0, number(header, "NumberOfFrames") or 0) from None


def _view(header: Dataset, own: Dataset, shared: tuple[tuple[str, Dataset], ...]) -> View:
    try:
        return View(header=header, groups=_macros(own) + shared, multi_frame=True)
    except Exception:  # noqa: BLE001 - as above
        raise _no_groups(0, number(header, "NumberOfFrames") or 0) from None


def _macros(group: Dataset) -> tuple[tuple[str, Dataset], ...]:
    # Private groups hold copies of a classic object's attributes (Philips), not always of this frame.
    return tuple(
        (element.keyword, element.value[0])
        for element in group
        if element.VR == "SQ" and element.value and element.keyword and element.keyword not in FOREIGN
    )


def _no_groups(found: int, claimed: float) -> Refused:
    return Refused(
        "GEO-010",
        f"functional groups of {found} frames in a multi-frame object of {claimed:g}",
        "one item for each frame (PS3.3 C.7.6.16)",
        "Ask the source for the object as its scanner made it, or for single-frame images",
        numbers={"groups": found, "frames": claimed},
    )
