"""What the bridge computes of a study and of a volume, as data, and which words of rules tell nothing of a person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bridge.config.vocabulary import Kind


class Scope(StrEnum):
    """Where a fact may be asked for."""

    STUDY = "study"
    VOLUME = "volume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    name: str
    scope: Scope
    kind: Kind
    unit: str
    help: str


FACTS = {
    (fact.scope, fact.name): fact
    for fact in (
        Fact(
            name="spacing_mm",
            scope=Scope.VOLUME,
            kind=Kind.NUMBER,
            unit="mm",
            help="Distance between neighbouring slices, from their positions, to 0.001 mm.",
        ),
        Fact(
            name="length_mm",
            scope=Scope.VOLUME,
            kind=Kind.NUMBER,
            unit="mm",
            help="Slices times the distance between them.",
        ),
        Fact(
            name="pixel_spacing_mm",
            scope=Scope.VOLUME,
            kind=Kind.NUMBER,
            unit="mm",
            help="The larger of the distances between rows and between columns, to 0.001 mm.",
        ),
        Fact(
            name="is_volume",
            scope=Scope.VOLUME,
            kind=Kind.TEXT,
            unit="",
            help='"yes" when the images lie on one regular grid as they came, else "no" (docs/volumes.md).',
        ),
        Fact(
            name="is_isotropic",
            scope=Scope.VOLUME,
            kind=Kind.TEXT,
            unit="",
            help='"yes" when the largest of the three spacings is at most 1.05 times the smallest, else "no".',
        ),
        Fact(
            name="orientation",
            scope=Scope.VOLUME,
            kind=Kind.TEXT,
            unit="",
            help='"axial", "coronal" or "sagittal": the plane of the body to which the slices are nearest.',
        ),
        Fact(
            name="oblique_deg",
            scope=Scope.VOLUME,
            kind=Kind.NUMBER,
            unit="degrees",
            help="Angle between the slices and that plane, in degrees.",
        ),
        Fact(
            name="tilt_deg",
            scope=Scope.VOLUME,
            kind=Kind.NUMBER,
            unit="degrees",
            help="Lean of the stack against the normal of its slices (gantry tilt), from positions, in degrees; "
            "0 for a volume. Of a mended one, as it came.",
        ),
        Fact(
            name="has_gap",
            scope=Scope.VOLUME,
            kind=Kind.TEXT,
            unit="",
            help='"yes" when a step between slices is at least 1.5 times the median step, else "no"; no value where '
            "images share a position. Of a mended volume, as it came.",
        ),
        Fact(
            name="units",
            scope=Scope.VOLUME,
            kind=Kind.TEXT,
            unit="",
            help='What the rescaled numbers are, as the headers say: "HU", "BQML"; no value where they do not.',
        ),
        Fact(
            name="told_apart_by",
            scope=Scope.VOLUME,
            kind=Kind.TEXT,
            unit="",
            help="Keywords of the attributes by which it was told from other volumes on the same positions of its "
            "series, such as EchoTime; no value when it is alone.",
        ),
        Fact(name="slices", scope=Scope.VOLUME, kind=Kind.NUMBER, unit="", help="Number of slices."),
        Fact(name="rows", scope=Scope.VOLUME, kind=Kind.NUMBER, unit="", help="Number of rows of a slice."),
        Fact(
            name="columns",
            scope=Scope.VOLUME,
            kind=Kind.NUMBER,
            unit="",
            help="Number of columns of a slice.",
        ),
        Fact(
            name="instances",
            scope=Scope.VOLUME,
            kind=Kind.NUMBER,
            unit="",
            help="Number of DICOM objects behind the volume; 1 for a multi-frame object.",
        ),
        Fact(
            name="age_days",
            scope=Scope.STUDY,
            kind=Kind.NUMBER,
            unit="days",
            help="Days since Study Date.",
        ),
        Fact(
            name="patient_age_years",
            scope=Scope.STUDY,
            kind=Kind.NUMBER,
            unit="years",
            help="Completed years at Study Date, by Patient's Birth Date; without that, Patient's Age.",
        ),
        Fact(
            name="calling_ae_title",
            scope=Scope.STUDY,
            kind=Kind.TEXT,
            unit="",
            help="The AE titles that sent objects of the study.",
        ),
        Fact(
            name="called_ae_title",
            scope=Scope.STUDY,
            kind=Kind.TEXT,
            unit="",
            help="The AE titles of this bridge to which objects of the study were sent.",
        ),
        Fact(
            name="source",
            scope=Scope.STUDY,
            kind=Kind.TEXT,
            unit="",
            help="The name in site.toml of the source that sent it; of several, the last one.",
        ),
        Fact(
            name="series",
            scope=Scope.STUDY,
            kind=Kind.NUMBER,
            unit="",
            help="Number of series that have arrived, without results of this bridge.",
        ),
        Fact(
            name="instances",
            scope=Scope.STUDY,
            kind=Kind.NUMBER,
            unit="",
            help="Number of DICOM objects that have arrived, without results of this bridge.",
        ),
    )
}

HARMLESS = frozenset(
    {
        "AcquisitionNumber",
        "BitsAllocated",
        "BitsStored",
        "BodyPartExamined",
        "BurnedInAnnotation",
        "CodingSchemeDesignator",
        "Columns",
        "ConvolutionKernel",
        "EchoTime",
        "FlipAngle",
        "GantryDetectorTilt",
        "ImageType",
        "InstanceNumber",
        "InversionTime",
        "KVP",
        "LossyImageCompression",
        "MagneticFieldStrength",
        "Manufacturer",
        "ManufacturerModelName",
        "Modality",
        "NumberOfFrames",
        "PatientPosition",
        "PhotometricInterpretation",
        "PixelRepresentation",
        "PixelSpacing",
        "RepetitionTime",
        "RescaleIntercept",
        "RescaleSlope",
        "RescaleType",
        "Rows",
        "SOPClassUID",
        "SamplesPerPixel",
        "ScanOptions",
        "SeriesNumber",
        "SliceThickness",
        "SpacingBetweenSlices",
        "Units",
        "called_ae_title",
        "calling_ae_title",
        "columns",
        "has_gap",
        "instances",
        "is_isotropic",
        "is_volume",
        "length_mm",
        "oblique_deg",
        "orientation",
        "pixel_spacing_mm",
        "rows",
        "series",
        "slices",
        "source",
        "spacing_mm",
        "tilt_deg",
        "told_apart_by",
        "units",
    }
)
"""Keywords and facts whose values say nothing about a person; of all others, logs and reports hide the value. Of a path
the last keyword decides.

`age_days` is not among them: with the date of a log line it is the date of the study.
"""
