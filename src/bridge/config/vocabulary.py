"""The words of rules.toml as data: operators, computed facts, preferences.

Parsing, docs and `explain` read these tables; `bridge.rules` implements them, and a test compares the two. Any other
word of a condition is a DICOM keyword (PS3.6).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What an attribute or a fact holds."""

    NUMBER = "number"
    TEXT = "text"


class Operand(StrEnum):
    """What is written behind an operator."""

    VALUE = "text or a number"
    VALUES = "a list of texts and numbers"
    TEXT = "text"
    NUMBER = "a number"
    BOOLEAN = "true or false"
    CONDITION = "a condition"


class Scope(StrEnum):
    """Where a fact may be asked for."""

    STUDY = "study"
    VOLUME = "volume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    name: str
    operand: Operand
    example: str
    kinds: frozenset[Kind]
    help: str
    bare: bool = False
    """Written without a name: the value alone is the condition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    name: str
    scope: Scope
    kind: Kind
    unit: str
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    name: str
    help: str


_BOTH = frozenset(Kind)
_NUMBER = frozenset({Kind.NUMBER})
_TEXT = frozenset({Kind.TEXT})

OPERATORS = {
    operator.name: operator
    for operator in (
        Operator(
            name="equal",
            operand=Operand.VALUE,
            example='Modality = "CT"',
            kinds=_BOTH,
            bare=True,
            help="Equal. A number compares as a number, text letter by letter without padding.",
        ),
        Operator(
            name="one-of",
            operand=Operand.VALUES,
            example='ConvolutionKernel = ["L", "B70f"]',
            kinds=_BOTH,
            bare=True,
            help="Equal to one of the values of the list.",
        ),
        Operator(
            name="regex",
            operand=Operand.TEXT,
            example='SeriesDescription = { regex = "(?i)thin" }',
            kinds=_TEXT,
            help="The regular expression is found somewhere in the text; ^ and $ tie it to the ends.",
        ),
        Operator(
            name="min",
            operand=Operand.NUMBER,
            example="length_mm = { min = 200 }",
            kinds=_NUMBER,
            help="At least this number; with max, a range.",
        ),
        Operator(
            name="max",
            operand=Operand.NUMBER,
            example="spacing_mm = { max = 2.0 }",
            kinds=_NUMBER,
            help="At most this number.",
        ),
        Operator(
            name="contains",
            operand=Operand.TEXT,
            example='ImageType = { contains = "PRIMARY" }',
            kinds=_TEXT,
            help="The text holds this text.",
        ),
        Operator(
            name="present",
            operand=Operand.BOOLEAN,
            example="ContrastBolusAgent = { present = false }",
            kinds=_BOTH,
            help="true: there is a value; false: the attribute is absent or empty.",
        ),
        Operator(
            name="not",
            operand=Operand.CONDITION,
            example='PatientPosition = { not = "FFS" }',
            kinds=_BOTH,
            help="There is a value, and the condition does not hold for it.",
        ),
    )
}

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
            help='"yes" when the images lie on one regular grid, else "no" (docs/volumes.md).',
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
            "0 for a volume.",
        ),
        Fact(
            name="has_gap",
            scope=Scope.VOLUME,
            kind=Kind.TEXT,
            unit="",
            help='"yes" when a step between slices is at least 1.5 times the median step, else "no"; no value where '
            "images share a position.",
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
            name="calling_ae_title",
            scope=Scope.STUDY,
            kind=Kind.TEXT,
            unit="",
            help="The AE titles that sent objects of the study.",
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

PREFERENCES = {
    preference.name: preference
    for preference in (
        Preference(name="thinnest", help="The smallest spacing_mm."),
        Preference(name="thickest", help="The largest spacing_mm."),
        Preference(name="most-instances", help="The largest number of DICOM objects."),
        Preference(
            name="newest",
            help="The latest Series Date and Time; without them Acquisition, then Content Date.",
        ),
        Preference(name="lowest-series-number", help="The smallest Series Number."),
    )
}

HARMLESS = frozenset(
    {
        "AcquisitionNumber",
        "BitsAllocated",
        "BitsStored",
        "BodyPartExamined",
        "BurnedInAnnotation",
        "Columns",
        "ConvolutionKernel",
        "EchoTime",
        "FlipAngle",
        "GantryDetectorTilt",
        "ImageType",
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
        "spacing_mm",
        "tilt_deg",
        "told_apart_by",
        "units",
    }
)
"""Keywords and facts whose values say nothing about a person; of all others, logs and reports hide the value.

`age_days` is not among them: with the date of a log line it is the date of the study.
"""
