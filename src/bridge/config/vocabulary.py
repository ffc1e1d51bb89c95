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
        "instances",
        "length_mm",
        "pixel_spacing_mm",
        "rows",
        "series",
        "slices",
        "spacing_mm",
    }
)
"""Keywords and facts whose values say nothing about a person; of all others, logs and reports hide the value.

`age_days` is not among them: with the date of a log line it is the date of the study.
"""
