"""What an object is before anyone asks for its geometry: a slice, frames of slices, or something else with a name.

Refusals of a single instance, by code:

    GEO-001  made by this bridge
    GEO-002  not an image
    GEO-003  an image, but no slices of CT, MR or PET
    GEO-004  several frames in a class of single frames, or a part of a multi-frame object
    GEO-005  said to be no slice by the object itself: a localizer, a mosaic, a curved plane
    GEO-006  colour
"""

from __future__ import annotations

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
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    PositronEmissionTomographyImageStorage,
    XRay3DAngiographicImageStorage,
    XRay3DCraniofacialImageStorage,
)

from bridge.dicom.headers import number, text, texts
from bridge.dicom.instance import Instance
from bridge.errors import Refused

SLICE_CLASSES = frozenset({CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage})
"""SOP classes whose instances are one slice each, with the Image Plane module (PS3.3 C.7.6.2).

A list of what is known instead of what is not: a Secondary Capture may carry a position too, and is a picture.
"""

CAPTURE_CLASSES = frozenset(
    {MultiFrameGrayscaleByteSecondaryCaptureImageStorage, MultiFrameGrayscaleWordSecondaryCaptureImageStorage}
)
"""Secondary captures that may have functional groups (PS3.3 A.8.3, A.8.4), in which some makers of cone beam CT give
their slices. They may as well show a screen: a rule takes one only where it says so."""

MULTI_FRAME_CLASSES = CAPTURE_CLASSES | frozenset(
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

SEGMENTATION, LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
MASK_CLASSES = frozenset({SEGMENTATION, LABEL_MAP})
"""Segmentation and Label Map Segmentation Storage (PS3.4 B.5): labels on slices, no image of a patient."""

CT_CLASSES = frozenset(
    {CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage},
)
PET_CLASSES = frozenset(
    {
        PositronEmissionTomographyImageStorage,
        EnhancedPETImageStorage,
        LegacyConvertedEnhancedPETImageStorage,
    }
)

COLOUR = frozenset(
    {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
)
"""Defined terms that may stand in a message (PS3.3 C.7.6.3.1.2); anything else in the attribute may be a slip."""

PRESENTATIONS = frozenset({"MONOCHROME", "COLOR", "MIXED", "TRUE_COLOR"})
"""Pixel Presentation (PS3.3 C.8.16.1.1.1)."""


def check_object(instance: Instance) -> tuple[int, int]:
    """Rows and columns of an object that may hold slices.

    Raises:
        Refused: GEO-001 to GEO-006, see the table above.
    """
    if instance.own:
        raise Refused("GEO-001", "an object made by this bridge", "images of the source")
    header = instance.header
    rows, columns = number(header, "Rows"), number(header, "Columns")
    if not rows or not columns:
        raise Refused(
            "GEO-002", f"{class_name(instance)} without Rows and Columns", "an image (PS3.3 C.7.6.3)"
        )
    _holds_slices(instance)
    check_words(texts(header, "ImageType"), text(header, "VolumetricProperties"))
    _is_grey(header)
    return int(rows), int(columns)


def check_mask(instance: Instance) -> tuple[int, int]:
    """Rows and columns of a segmentation whose frames say of each pixel which label it has.

    Raises:
        Refused: GEO-030.
    """
    header = instance.header
    kind = text(header, "SegmentationType") or ""
    expected = "LABELMAP" if instance.sop_class_uid == LABEL_MAP else "BINARY"
    rows, columns = number(header, "Rows"), number(header, "Columns")
    if kind != expected or not rows or not columns or number(header, "SamplesPerPixel") not in (None, 1):
        known = kind if kind in ("BINARY", "FRACTIONAL", "LABELMAP") else "of unknown type"
        raise Refused(
            "GEO-030",
            f"a mask that is {known}",
            f"Segmentation Type {expected}: what is marked, without doubt (PS3.3 C.8.20.2)",
            "Choose a binary segmentation",
        )
    return int(rows), int(columns)


def check_words(image_type: tuple[str, ...], properties: str | None) -> None:
    """What an object or one of its frames says it is: Image Type or Frame Type, and Volumetric Properties.

    Raises:
        Refused: GEO-005.
    """
    if "LOCALIZER" in image_type[2:]:
        raise Refused("GEO-005", "a localizer by its Image Type", "slices: a localizer is a projection")
    if "MOSAIC" in image_type:
        raise Refused(
            "GEO-005",
            "a mosaic by its Image Type",
            "one slice per image: the position of a mosaic is that of the sheet",
            "Ask the source for Enhanced MR, or for one image per slice",
        )
    if properties == "DISTORTED":
        raise Refused(
            "GEO-005", "a curved plane by its Volumetric Properties", "flat slices (PS3.3 C.8.16.2.1.2)"
        )


def check_presentation(presentation: str | None) -> None:
    """Whether a frame's numbers are shades of grey (PS3.3 C.8.16.1.1.1).

    Raises:
        Refused: GEO-006.
    """
    if presentation not in (None, "MONOCHROME"):
        known = presentation if presentation in PRESENTATIONS else "unknown"
        raise Refused(
            "GEO-006",
            f"Pixel Presentation {known}: numbers shown through a supplemental palette",
            "shades of grey: what such a map measures is not what its class measures",
        )


def class_name(instance: Instance) -> str:
    """The standard's name of the SOP class; for a private or missing one, that it is."""
    uid = UID(instance.sop_class_uid)
    if not uid:
        return "an object without SOP class"
    return uid.name if uid.name != uid else "a private or unknown SOP class"


def _holds_slices(instance: Instance) -> None:
    header, multi_frame = instance.header, instance.sop_class_uid in MULTI_FRAME_CLASSES
    if not multi_frame and instance.sop_class_uid not in SLICE_CLASSES:
        raise Refused(
            "GEO-003",
            class_name(instance),
            "slices: CT, MR or Positron Emission Tomography Image Storage, or their Enhanced kinds",
        )
    frames = text(header, "NumberOfFrames")
    if not multi_frame and frames not in (None, "1"):
        counted = int(frames) if frames is not None and frames.isdecimal() else 0
        raise Refused(
            "GEO-004",
            f"{class_name(instance)} with {counted or 'an unknown number of'} frames",
            "one frame: this class has no place for the positions of more",
            "Send the series as single-frame images, or as Enhanced objects",
            numbers={"frames": counted},
        )
    parts = number(header, "InConcatenationTotalNumber") or 1
    if multi_frame and (parts > 1 or text(header, "ConcatenationUID")):
        raise Refused(
            "GEO-004",
            f"one of {parts:g} parts of a multi-frame object"
            if parts > 1
            else "a part of a multi-frame object",
            "the object in one piece (PS3.3 C.7.6.16.2.2.4)",
            "Ask the source to send it without concatenation",
            numbers={"parts": parts},
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
    check_presentation(text(header, "PixelPresentation"))
    if "RedPaletteColorLookupTableDescriptor" in header:
        raise Refused(
            "GEO-006",
            f"{photometric} with a palette of colours",
            "shades of grey: what a coloured map measures is not what its class measures",
        )
