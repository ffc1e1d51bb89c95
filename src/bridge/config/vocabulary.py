"""The words of rules.toml as data: operators, combinations of conditions, units, preferences.

Parsing, docs, the schema and `explain` read these tables and those of `facts`; `bridge.rules` implements them, and a
test compares the two. Any other word of a condition is a DICOM keyword (PS3.6), or a path of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What an attribute or a fact holds."""

    NUMBER = "number"
    TEXT = "text"
    DATE = "date"
    SEQUENCE = "sequence"


class Operand(StrEnum):
    """What is written behind an operator."""

    VALUE = "text or a number"
    VALUES = "a list of texts and numbers"
    TEXT = "text"
    NUMBER = "a number"
    BOOLEAN = "true or false"
    CONDITION = "a condition"
    TABLE = "a table of conditions"
    TABLES = "a list of tables of conditions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    name: str
    operand: Operand
    example: str
    kinds: frozenset[Kind]
    help: str
    bare: bool = False
    """Written without a name: the value alone is the condition."""
    unit: str = ""
    """Of the number behind it, where that is not the one of what is asked."""
    also: tuple[str, ...] = ()
    """Words that people try first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """A word that stands where a keyword could, and puts whole conditions together."""

    name: str
    operand: Operand
    example: str
    help: str
    of_instances: bool = False
    """It asks each object of its own; so nothing of the kind can stand inside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    name: str
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    name: str
    help: str


_ANY = frozenset(Kind)
_NUMBER = frozenset({Kind.NUMBER})
_DATE = frozenset({Kind.DATE})
_TEXT = frozenset({Kind.TEXT, Kind.DATE})
_VALUE = _NUMBER | _TEXT

OPERATORS = {
    operator.name: operator
    for operator in (
        Operator(
            name="equal",
            operand=Operand.VALUE,
            example='Modality = "CT"',
            kinds=_VALUE,
            bare=True,
            also=("equal", "equals", "eq", "is", "value", "==", "="),
            help="Equal. A number compares as a number, text letter by letter without padding.",
        ),
        Operator(
            name="one-of",
            operand=Operand.VALUES,
            example='ConvolutionKernel = ["L", "B70f"]',
            kinds=_VALUE,
            bare=True,
            also=("one-of", "one_of", "oneof", "in", "any", "any_of", "values"),
            help="Equal to one of the values of the list.",
        ),
        Operator(
            name="regex",
            operand=Operand.TEXT,
            example='SeriesDescription = { regex = "(?i)thin" }',
            kinds=_TEXT,
            also=("matches", "match", "pattern", "like", "regexp"),
            help="The regular expression is found somewhere in the text; ^ and $ tie it to the ends.",
        ),
        Operator(
            name="min",
            operand=Operand.NUMBER,
            example="length_mm = { min = 200 }",
            kinds=_NUMBER,
            also=("gt", "ge", "gte", "from", "at_least", "above", ">", ">="),
            help="At least this number; with max, a range.",
        ),
        Operator(
            name="max",
            operand=Operand.NUMBER,
            example="spacing_mm = { max = 2.0 }",
            kinds=_NUMBER,
            also=("lt", "le", "lte", "to", "at_most", "below", "<", "<="),
            help="At most this number.",
        ),
        Operator(
            name="contains",
            operand=Operand.TEXT,
            example='ImageType = { contains = "PRIMARY" }',
            kinds=_TEXT,
            also=("includes", "has", "substring"),
            help="The text holds this text.",
        ),
        Operator(
            name="present",
            operand=Operand.BOOLEAN,
            example="ContrastBolusAgent = { present = false }",
            kinds=_ANY,
            also=("exists", "absent", "missing", "empty"),
            help="true: there is a value; false: the attribute is absent or empty.",
        ),
        Operator(
            name="not",
            operand=Operand.CONDITION,
            example='PatientPosition = { not = "FFS" }',
            kinds=_ANY,
            also=("ne", "is_not", "not_equal", "except", "!=", "<>"),
            help="There is a value, and the condition does not hold for it.",
        ),
        Operator(
            name="within_days",
            operand=Operand.NUMBER,
            example="StudyDate = { within_days = 30 }",
            kinds=_DATE,
            unit="days",
            also=("within", "newer_than_days", "newer_than", "younger_than_days", "max_days", "last_days"),
            help="The date is at most so many days ago. A date of tomorrow counts as today, a later one never fits.",
        ),
        Operator(
            name="older_than_days",
            operand=Operand.NUMBER,
            example="StudyDate = { older_than_days = 365 }",
            kinds=_DATE,
            unit="days",
            also=("older_than", "older", "before_days", "min_days"),
            help="The date is more than so many days ago; with within_days, a span.",
        ),
        Operator(
            name="any_item",
            operand=Operand.TABLE,
            example='ProcedureCodeSequence = { any_item = { CodeValue = "24627-2", CodingSchemeDesignator = "LN" } }',
            kinds=frozenset({Kind.SEQUENCE}),
            also=("item", "items", "any_items", "some_item", "any_instance"),
            help="One item of the sequence fits all these conditions.",
        ),
    )
}

COMBINATIONS = {
    combination.name: combination
    for combination in (
        Combination(
            name="any",
            operand=Operand.TABLES,
            example='any = [{ Modality = "CT" }, { Modality = "MR", MagneticFieldStrength = { min = 3 } }]',
            help="One of the tables fits, each as a whole.",
        ),
        Combination(
            name="all",
            operand=Operand.TABLES,
            example="all = [{ any = [{ KVP = 80 }, { KVP = 100 }] }, { any = [{ Rows = 512 }, { Rows = 768 }] }]",
            help="Every one of the tables fits; for several `any` side by side.",
        ),
        Combination(
            name="not",
            operand=Operand.TABLE,
            example='not = { Modality = "CT", ScanOptions = "HELICAL MODE" }',
            help="The table does not fit as a whole, and that is known: what is absent fits neither way.",
        ),
        Combination(
            name="any_instance",
            operand=Operand.TABLE,
            example="any_instance = { InstanceNumber = 1, ImageComments = { present = true } }",
            of_instances=True,
            help="One object, or one frame of a multi-frame object, fits the table as a whole.",
        ),
        Combination(
            name="every_instance",
            operand=Operand.TABLE,
            example='every_instance = { Manufacturer = "FUJI" }',
            of_instances=True,
            help="Every object fits the table as a whole: what conditions on a volume ask anyway, for a study.",
        ),
    )
}

UNITS: dict[str, dict[str, float]] = {
    "mm": {"mm": 1, "cm": 10, "m": 1000},
    "days": {"hour": 1 / 24, "hours": 1 / 24, "day": 1, "days": 1, "week": 7, "weeks": 7},
    "degrees": {"deg": 1, "degree": 1, "degrees": 1, "°": 1},
    "years": {"year": 1, "years": 1},
}
"""By the unit of a fact or an operator: what may be written behind a number in its place. A month has no length."""

PERSON_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
PERSON_NAME_PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
"""Of a person name, in the order in which it is written (PS3.5 6.2.1.1), in the words of PS3.19 A.1."""

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

REPAIRS = {
    repair.name: repair
    for repair in (
        Repair(
            name="drop-duplicates",
            help="Of several images with equal pixels at an equal position one is kept.",
        ),
        Repair(
            name="shear", help="A leaning stack (gantry tilt) is put upright; slices move within their plane."
        ),
        Repair(
            name="resample-gaps",
            help="Missing slices are interpolated: at most two in a row, and one for every four that are there.",
        ),
    )
}
