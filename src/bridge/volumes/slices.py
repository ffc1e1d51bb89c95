"""One header, one slice: what a single instance says about its place in space and the meaning of its numbers.

Refusals of a single instance, by code:

    GEO-001  made by this bridge
    GEO-002  not an image
    GEO-003  an image, but not a slice of CT, MR or PET
    GEO-004  multi-frame
    GEO-005  Image Type says that the pixels are no slice (localizer, mosaic)
    GEO-006  colour
    GEO-007  numbers that no slope and intercept explain
    GEO-008  position, orientation or pixel spacing missing or unreadable
    GEO-009  orientation not orthonormal
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    XRay3DAngiographicImageStorage,
    XRay3DCraniofacialImageStorage,
)

from bridge.dicom.headers import number, numbers, text, texts
from bridge.dicom.instance import Instance
from bridge.errors import Refused
from bridge.volumes.volume import Vector

SLICE_CLASSES = frozenset({CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage})
"""SOP classes whose instances are one slice each, with the Image Plane module (PS3.3 C.7.6.2).

A list of what is known instead of what is not: a Secondary Capture may carry a position too, and is a picture.
"""

MULTI_FRAME_CLASSES = frozenset(
    {
        EnhancedCTImageStorage,
        EnhancedMRImageStorage,
        EnhancedPETImageStorage,
        LegacyConvertedEnhancedCTImageStorage,
        LegacyConvertedEnhancedMRImageStorage,
        LegacyConvertedEnhancedPETImageStorage,
        XRay3DAngiographicImageStorage,
        XRay3DCraniofacialImageStorage,
    }
)
"""SOP classes that hold slices as frames, with functional groups (PS3.3 C.7.6.16)."""

ORTHONORMAL_TOLERANCE = 1e-3
"""How far the length of a direction may be from 1, and the product of the two from 0.

Decimal strings of four digits stay within 1e-4; 1e-3 turns the far corner of a 500 mm field by half a millimetre.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The Image Plane, Frame of Reference and rescale of one single-frame instance."""

    instance: Instance
    frame_of_reference_uid: str
    """"" when absent: `split` refuses then, after it has looked at the positions"""
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


def slice_of(instance: Instance) -> Slice:
    """Read what one header says; nothing is guessed from Slice Location, Instance Number or thickness.

    Raises:
        Refused: GEO-001 to GEO-009, see the table above.

    PS3.3 C.7.6.2 (Image Plane), C.7.4.1 (Frame of Reference), C.11.1 (Modality LUT: rescale).
    """
    header = instance.header
    rows, columns = _size(instance)
    _is_slice(instance)
    _is_grey(header)
    slope, intercept = _rescale(header)
    position, orientation, spacing = _plane(header)
    return Slice(
        instance=instance,
        frame_of_reference_uid=text(header, "FrameOfReferenceUID") or "",
        rows=rows,
        columns=columns,
        pixel_spacing_mm=spacing,
        orientation=orientation,
        position_lps=position,
        slope=slope,
        intercept=intercept,
        modality=text(header, "Modality") or "",
        units=_units(instance),
    )


def _size(instance: Instance) -> tuple[int, int]:
    if instance.own:
        raise Refused("GEO-001", "an object made by this bridge", "images of the source")
    rows, columns = number(instance.header, "Rows"), number(instance.header, "Columns")
    if not rows or not columns:
        raise Refused(
            "GEO-002", f"{class_name(instance)} without Rows and Columns", "an image (PS3.3 C.7.6.3)"
        )
    return int(rows), int(columns)


def _is_slice(instance: Instance) -> None:
    frames = text(instance.header, "NumberOfFrames")
    multi_frame = instance.sop_class_uid in MULTI_FRAME_CLASSES
    if not multi_frame and instance.sop_class_uid not in SLICE_CLASSES:
        raise Refused(
            "GEO-003", class_name(instance), "slices: CT, MR or Positron Emission Tomography Image Storage"
        )
    if multi_frame or frames not in (None, "1"):
        counted = int(frames) if frames is not None and frames.isdecimal() else 0
        raise Refused(
            "GEO-004",
            f"{class_name(instance)} with {counted or 'an unknown number of'} frames",
            "single-frame slices, one instance each",
            "Send the series as single-frame images",
            numbers={"frames": counted},
        )
    image_type = texts(instance.header, "ImageType")
    if instance.sop_class_uid == CTImageStorage and "LOCALIZER" in image_type[2:]:
        raise Refused("GEO-005", "a localizer by its Image Type", "slices: a localizer is a projection")
    if "MOSAIC" in image_type:
        raise Refused(
            "GEO-005",
            "a mosaic by its Image Type",
            "one slice per image: the position of a mosaic is that of the sheet",
        )


def _is_grey(header: Dataset) -> None:
    samples = number(header, "SamplesPerPixel")
    photometric = text(header, "PhotometricInterpretation")
    if samples not in (None, 1) or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        known = photometric if photometric in COLOUR else "no known Photometric Interpretation"
        raise Refused(
            "GEO-006",
            f"{known} with {samples or 0:g} samples per pixel",
            "MONOCHROME1 or MONOCHROME2 with one",
            numbers={"samples_per_pixel": samples or 0},
        )


COLOUR = frozenset(
    {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
)
"""Defined terms that may stand in a message (PS3.3 C.7.6.3.1.2); anything else in the attribute may be a slip."""


def _rescale(header: Dataset) -> tuple[float, float]:
    if "ModalityLUTSequence" in header:
        raise Refused(
            "GEO-007",
            "a Modality LUT Sequence",
            "Rescale Slope and Intercept: a table need not be linear (PS3.3 C.11.1)",
        )
    slope, intercept = _decimal(header, "RescaleSlope", 1.0), _decimal(header, "RescaleIntercept", 0.0)
    if slope == 0:
        raise Refused("GEO-007", "Rescale Slope 0", "a slope that keeps the image")
    return slope, intercept


def _decimal(header: Dataset, keyword: str, absent: float) -> float:
    if not text(header, keyword):
        return absent
    value = number(header, keyword)
    if value is None or not math.isfinite(value):
        raise Refused("GEO-007", f"{keyword} that is no number", "a decimal number (PS3.5 6.2)")
    return value


def _plane(header: Dataset) -> tuple[Vector, tuple[float, ...], tuple[float, float]]:
    x, y, z = _finite(header, "ImagePositionPatient", 3)
    orientation = _finite(header, "ImageOrientationPatient", 6)
    between_rows, between_columns = _finite(header, "PixelSpacing", 2)
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


def _finite(header: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    values = numbers(header, keyword) or ()
    if len(values) != count or not all(math.isfinite(value) for value in values):
        found = f"{keyword} of {len(values)} numbers" if values else f"no readable {keyword}"
        raise Refused("GEO-008", found, f"{count} finite numbers (PS3.3 C.7.6.2)")
    return values


def _units(instance: Instance) -> str:
    if instance.sop_class_uid == PositronEmissionTomographyImageStorage:
        return text(instance.header, "Units") or ""
    said = text(instance.header, "RescaleType") or ""
    if said and said != "US":  # unspecified, PS3.3 C.11.1.1.2
        return said
    # PS3.3 C.8.2.1: Rescale Type may only be left out where the result is in Hounsfield units.
    return "HU" if instance.sop_class_uid == CTImageStorage and not said else ""


def class_name(instance: Instance) -> str:
    """The standard's name of the SOP class; for a private or missing one, that it is."""
    uid = UID(instance.sop_class_uid)
    if not uid:
        return "an object without SOP class"
    return uid.name if uid.name != uid else "a private or unknown SOP class"
