"""One frame, one slice: what a header says about its place in space and the meaning of its numbers.

Refusals of a single instance, beside those of `kinds` and `frames`, by code:

    GEO-007  numbers that no slope and intercept explain
    GEO-008  position, orientation or pixel spacing missing or unreadable
    GEO-009  orientation not orthonormal
    GEO-030  a mask of which nobody can tell what is marked
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from bridge.dicom.headers import text
from bridge.dicom.instance import Instance
from bridge.errors import Refused
from bridge.volumes.frames import View, is_multi_frame, view_of, views_of
from bridge.volumes.kinds import (
    CT_CLASSES,
    LABEL_MAP,
    MASK_CLASSES,
    PET_CLASSES,
    check_mask,
    check_object,
    check_presentation,
    check_words,
)
from bridge.volumes.volume import Plane, Vector

ORTHONORMAL_TOLERANCE = 1e-3
"""How far the length of a direction may be from 1, and the product of the two from 0.

Decimal strings of four digits stay within 1e-4; 1e-3 turns the far corner of a 500 mm field by half a millimetre.
"""

NOT_HOUNSFIELD = frozenset(
    {
        "MAT_SPECIFIC",
        "MAT_REMOVED",
        "MAT_FRACTIONAL",
        "MAT_VALUE_BASED",
        "EFF_ATOMIC_NUM",
        "ELECTRON_DENSITY",
    }
)
"""Kinds of multi-energy CT whose numbers are no Hounsfield units (value 4 of Image Type, PS3.3 C.8.2.1.1.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The Image Plane, Frame of Reference and rescale of one frame."""

    instance: Instance
    frame: int
    """From 1"""
    frame_of_reference_uid: str
    """"" when absent: `stack` refuses then, after it has looked at the positions"""
    rows: int
    columns: int
    pixel_spacing_mm: tuple[float, float]
    """(between rows, between columns): the order of Pixel Spacing, PS3.3 10.7.1.3"""
    orientation: tuple[float, ...]
    """Image Orientation (Patient): six direction cosines, as written"""
    position_lps: Vector
    """Image Position (Patient), centre of the first voxel, mm"""
    slope: float
    intercept: float
    modality: str
    units: str

    @property
    def plane(self) -> Plane:
        return Plane(
            instance=self.instance,
            frame=self.frame,
            position_lps=self.position_lps,
            slope=self.slope,
            intercept=self.intercept,
        )


def slices_of(instance: Instance) -> tuple[Slice, ...]:
    """Read what an object says of each of its frames; nothing is guessed from Slice Location, number or thickness.

    Raises:
        Refused: GEO-001 to GEO-010. One frame that is no slice refuses the object: its other frames may not be
            what they seem either.

    PS3.3 C.7.6.2 (Image Plane), C.7.4.1 (Frame of Reference), C.11.1 (Modality LUT: rescale), C.7.6.16 (functional
    groups: per frame before shared).
    """
    size = check_object(instance)
    views = views_of(instance)
    return tuple(_slice(instance, frame, view, size) for frame, view in enumerate(views, start=1))


def slice_of(instance: Instance, frame: int = 1) -> Slice:
    """The same of one frame alone; of a mask too."""
    check = check_mask if instance.sop_class_uid in MASK_CLASSES else check_object
    return _slice(instance, frame, view_of(instance, frame), check(instance))


def slices_of_mask(instance: Instance) -> tuple[Slice, ...]:
    """What each frame of a mask says of its place. Slope is its Segment Number, so that numbers become labels.

    Raises:
        Refused: GEO-008 to GEO-010, GEO-030.

    PS3.3 C.8.20.3: Referenced Segment Number; a label map holds the labels themselves.
    """
    size = check_mask(instance)
    views = views_of(instance)
    found = []
    for frame, view in enumerate(views, start=1):
        slope = 1.0
        if instance.sop_class_uid != LABEL_MAP:
            slope = view.number("ReferencedSegmentNumber") or 0.0
            if not (slope.is_integer() and 0 < slope < 2**16):
                raise Refused(
                    "GEO-030", f"frame {frame} of a mask without a segment", "a Referenced Segment Number"
                )
        found.append(replace(_slice(instance, frame, view, size), slope=slope, modality="SEG"))
    return tuple(found)


def _slice(instance: Instance, frame: int, view: View, size: tuple[int, int]) -> Slice:
    if is_multi_frame(instance):
        check_words(view.texts("FrameType"), view.text("VolumetricProperties"))
        check_presentation(view.text("PixelPresentation"))
    slope, intercept = _rescale(instance, view)
    position, orientation, spacing = _plane(view)
    return Slice(
        instance=instance,
        frame=frame,
        frame_of_reference_uid=text(instance.header, "FrameOfReferenceUID") or "",
        rows=size[0],
        columns=size[1],
        pixel_spacing_mm=spacing,
        orientation=orientation,
        position_lps=position,
        slope=slope,
        intercept=intercept,
        modality=text(instance.header, "Modality") or "",
        units=_units(instance, view),
    )


def _rescale(instance: Instance, view: View) -> tuple[float, float]:
    if "ModalityLUTSequence" in instance.header:
        raise Refused(
            "GEO-007",
            "a Modality LUT Sequence",
            "Rescale Slope and Intercept: a table need not be linear (PS3.3 C.11.1)",
        )
    if instance.sop_class_uid in PET_CLASSES and not view.text("RescaleSlope"):
        raise Refused(
            "GEO-007",
            "PET without Rescale Slope",
            "one in each image: without it the stored numbers measure nothing (PS3.3 C.8.9.4)",
        )
    slope, intercept = _decimal(view, "RescaleSlope", 1.0), _decimal(view, "RescaleIntercept", 0.0)
    if slope == 0:
        raise Refused("GEO-007", "Rescale Slope 0", "a slope that keeps the image")
    return slope, intercept


def _decimal(view: View, keyword: str, absent: float) -> float:
    if not view.text(keyword):
        return absent
    value = view.number(keyword)
    if value is None or not math.isfinite(value):
        raise Refused("GEO-007", f"{keyword} that is no number", "a decimal number (PS3.5 6.2)")
    return value


def _plane(view: View) -> tuple[Vector, tuple[float, ...], tuple[float, float]]:
    x, y, z = _finite(view, "ImagePositionPatient", 3)
    orientation = _finite(view, "ImageOrientationPatient", 6)
    between_rows, between_columns = _finite(view, "PixelSpacing", 2)
    if between_rows <= 0 or between_columns <= 0:
        raise Refused(
            "GEO-008",
            f"Pixel Spacing {between_rows:g} / {between_columns:g} mm",
            "two lengths above zero (PS3.3 10.7.1.1)",
        )
    first, second = orientation[:3], orientation[3:]
    product = sum(a * b for a, b in zip(first, second, strict=True))
    lengths = math.hypot(*first), math.hypot(*second)
    if abs(product) >= ORTHONORMAL_TOLERANCE or any(
        abs(length - 1) > ORTHONORMAL_TOLERANCE for length in lengths
    ):
        raise Refused(
            "GEO-009",
            f"Image Orientation (Patient) of lengths {lengths[0]:.6g} and {lengths[1]:.6g}, product {product:.3g}",
            f"two unit vectors at right angles within {ORTHONORMAL_TOLERANCE:g} (PS3.3 C.7.6.2.1.1)",
            numbers={"row_length": lengths[0], "column_length": lengths[1], "product": product},
        )
    return (x, y, z), orientation, (between_rows, between_columns)


def _finite(view: View, keyword: str, count: int) -> tuple[float, ...]:
    values = view.numbers(keyword) or ()
    if len(values) != count or not all(math.isfinite(value) for value in values):
        found = f"{keyword} of {len(values)} numbers" if values else f"no readable {keyword}"
        raise Refused("GEO-008", found, f"{count} finite numbers (PS3.3 C.7.6.2)")
    return values


def _units(instance: Instance, view: View) -> str:
    if instance.sop_class_uid in PET_CLASSES and (units := view.text("Units")):
        return units
    said = view.text("RescaleType") or ""
    if said and said != "US":  # unspecified, PS3.3 C.11.1.1.2
        return said
    if said or instance.sop_class_uid not in CT_CLASSES:
        return ""
    # PS3.3 C.8.2.1: Rescale Type may only be left out where the result is in Hounsfield units.
    kind = view.texts("FrameType") or view.texts("ImageType")
    return "" if NOT_HOUNSFIELD.intersection(kind[3:]) else "HU"
