"""`rules.toml`: which study goes to which algorithm, and what becomes of the answer.

Here a rule gets its shape: known keys, known operators, operands of the right kind. What the conditions mean, and
whether a keyword exists, is for `bridge.rules.compile_rules`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, Strict, model_validator

from bridge.config.fields import Name
from bridge.config.load import Document, Key, did_you_mean, nearest, raise_first, read_document
from bridge.config.site import Site
from bridge.config.validate import Section, bad, describe, validate
from bridge.config.vocabulary import OPERATORS, PREFERENCES, Operand
from bridge.errors import ConfigError


def _preferences(value: tuple[str, ...]) -> tuple[str, ...]:
    for name in value:
        if name not in PREFERENCES:
            words = ", ".join(f'"{one}"' for one in PREFERENCES)
            raise bad(f'the preference "{name[:40]}"', words, did_you_mean(name, PREFERENCES))
        if value.count(name) > 1:
            raise bad(f'the preference "{name}" twice', "each once")
    if {"thinnest", "thickest"} <= set(value):
        raise bad("thinnest and thickest", "one of the two", "The second of them would never decide")
    return value


Text = Annotated[str, Field(min_length=1)]
Conditions = dict[str, Any]
"""As written; checked by `_conditions` below, because a union of models gives errors that nobody understands."""


class Code(Section):
    """A coded concept (PS3.3 8.8)."""

    scheme: Annotated[str, Field(min_length=1, max_length=16)] = Field(examples=['"SCT"'])
    """Coding Scheme Designator."""
    code: Annotated[str, Field(min_length=1, max_length=16)] = Field(examples=['"118565006"'])
    """Code Value."""
    meaning: Annotated[str, Field(min_length=1, max_length=64)] = Field(examples=['"Volume"'])
    """Code Meaning."""


class Measured(Code):
    """What a value means: a code for the measurement and one for its unit, or for each answer."""

    unit: Annotated[str, Field(max_length=16)] = Field(default="", examples=['"ml"'])
    """UCUM; `"1"` for a plain number. A number without a unit stays with the job."""
    unit_meaning: Annotated[str, Field(max_length=64)] = Field(default="", examples=['"milliliter"'])
    """In words."""
    values: dict[Text, Code] = Field(default_factory=dict)
    """The coded answer for a text, a whole number, `true` or `false`. Without one, true and false are Yes and No."""

    @model_validator(mode="after")
    def _unit_in_words(self) -> Self:
        if bool(self.unit) != bool(self.unit_meaning):
            raise bad("one of unit and unit_meaning", "both or none")
        return self


class Concept(Measured):
    """What a value that came back means, and where it stands."""

    socket: str = ""
    """The socket that holds the value, where this table has another name."""
    path: str = Field(default="", examples=['"stats.volume_ml"'])
    """Where in a JSON structure the value stands: keys, and numbers of list entries from 0, with dots between."""
    segment: str = Field(default="", examples=['"Left lung"'])
    """Name of the segment that the value is about. It then stands with the measurements of that segment."""


class RowModel(Section):
    """What a row of a table is about."""

    column: str = ""
    """The column that names the structure of each row. Empty: the table has one row."""


class TableModel(Section):
    """`[rules.NAME.results.tables.SOCKET]`: which columns of a CSV table become values of the report."""

    row: RowModel = Field(default_factory=RowModel)
    """What a row is about. A row that names a segment stands with the measurements of that segment."""
    columns: dict[Text, Measured] = Field(min_length=1)
    """What the columns mean, by name. Other columns stay with the job."""


def _label_value(value: str) -> str:
    if not (re.fullmatch("[1-9][0-9]{0,4}", value) and int(value) <= 65535):
        raise bad(f'the label value "{value[:40]}"', "a whole number from 1 to 65535")
    return value


def _colour(value: str) -> str:
    if value and not re.fullmatch("#[0-9a-fA-F]{6}", value):
        raise bad(describe(value), 'red, green and blue, for example "#56b4e9"')
    return value


LabelValue = Annotated[str, AfterValidator(_label_value)]


class SegmentModel(Section):
    """What a label value of a mask is. Without a code, one that follows from the name."""

    name: Text = Field(examples=['"Right lung"'])
    """Segment Label, in place of the algorithm's name."""
    scheme: Text = "SCT"
    """Coding Scheme Designator of `code`."""
    code: Annotated[str, Field(max_length=16)] = ""
    """Code Value of the segmented property type (PS3.3 C.8.20.2)."""
    meaning: Annotated[str, Field(max_length=64)] = ""
    """Code Meaning; where it is not given, the name."""
    category: Literal[
        "anatomical-structure",
        "tissue",
        "abnormal-structure",
        "physical-object",
        "body-substance",
        "substance",
        "function",
    ] = "anatomical-structure"
    """Of the code (CID 7150)."""
    side: Literal["", "left", "right"] = ""
    """Of the code, where it is one of a pair."""
    colour: Annotated[str, AfterValidator(_colour)] = Field(default="", examples=['"#56b4e9"'])
    """Recommended display colour."""

    @property
    def rgb(self) -> tuple[int, int, int] | None:
        if not self.colour:
            return None
        red, green, blue = bytes.fromhex(self.colour[1:])
        return red, green, blue

    @model_validator(mode="after")
    def _code_first(self) -> SegmentModel:
        usual = type(self).model_fields
        about = [
            name
            for name in ("scheme", "meaning", "category", "side")
            if getattr(self, name) != usual[name].default
        ]
        if about and not self.code:
            raise bad(f"{' and '.join(about)} without code", "the code that it is about")
        return self


class InputModel(Section):
    """`[rules.NAME.inputs.SOCKET]`: which volume goes into a socket of the algorithm."""

    volume: Conditions = Field(min_length=1, examples=['{ Modality = "CT" }'])
    """Conditions on the volume, by keyword or fact."""
    prefer: Annotated[tuple[str, ...], Strict(False), AfterValidator(_preferences)] = ()
    """For ties, in this order."""


class ResultsModel(Section):
    """`[rules.NAME.results]`: what is made of the answer."""

    segmentation: bool = True
    """Masks become DICOM SEG."""
    measurement_report: bool = True
    """Volumes and values become a structured report (TID 1500)."""
    picture: bool = False
    """Masks become pictures too, for viewers that show no SEG: at most 20 slices in one Secondary Capture."""
    heat_map: Literal["off", "parametric-map", "fractional"] = "off"
    """What a heat map becomes: a Parametric Map, a fractional SEG of probabilities, or nothing: it stays with the job.
    Its unit is that of its concept, else no units; a fractional SEG wants 0 to 1, or percent."""
    documents: bool = True
    """PDF files become Encapsulated PDF."""
    concepts: dict[Text, Concept] = Field(default_factory=dict)
    """What the value of a socket means. A value without a concept stays with the job."""
    tables: dict[Text, TableModel] = Field(default_factory=dict)
    """What the columns of a CSV table mean, by socket. Any other table stays with the job."""
    segments: dict[Text, dict[LabelValue, SegmentModel]] = Field(default_factory=dict)
    """What the label values of a mask are, by socket: for those that the platform does not name, or names badly."""
    private_codes: bool = False
    """Write values without a concept too, under a private code (99BRIDGE) that follows from the socket."""


class RuleModel(Section):
    """`[rules.NAME]`"""

    mode: Literal["off", "explain", "hold", "live"] = Field(examples=['"explain"'])
    """`off`, `explain` (record what would run), `hold` (make the job, wait for a person), `live`."""
    platform: Name = Field(examples=['"gc"'])
    """An account of site.toml."""
    algorithm: Text = Field(examples=['"lungs-and-airways"'])
    """The platform's name of the algorithm."""
    version: str = ""
    """The version of the algorithm that the site relies on; part of the identity of a job."""
    destinations: Annotated[tuple[str, ...], Strict(False), Field(min_length=1)] = Field(
        examples=['["pacs"]']
    )
    """Where results go: names of site.toml."""
    study: Conditions = Field(default_factory=dict)
    """Conditions on the study, by keyword or fact."""
    inputs: dict[Text, InputModel] = Field(min_length=1)
    """One table for each socket."""
    values: dict[Text, JsonValue] = Field(default_factory=dict)
    """Fixed inputs, by socket."""
    results: ResultsModel = Field(default_factory=ResultsModel)
    """What is made of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesFile:
    """Everything that rules.toml says, and where it says it."""

    file: Path
    rules: Mapping[str, RuleModel]
    document: Document = field(repr=False)


class _RulesFile(Section):
    rules: dict[Name, RuleModel] = Field(min_length=1)


def load_rules(path: Path) -> RulesFile:
    """Read rules.toml.

    Raises ConfigError: CFG-001 to CFG-009, the first problem of the file with the `others` behind it.
    """
    document = read_document(path)
    file, problems = validate(_RulesFile, document, document.data)
    problems += _all_conditions(document)
    if file is not None:
        problems += _sockets_twice(document, file.rules)
    raise_first(problems)
    assert file is not None
    return RulesFile(file=path, rules=file.rules, document=document)


def check_rules(rules: RulesFile, site: Site) -> list[ConfigError]:
    """Names in the rules that site.toml does not know: CFG-008, in the order of the rules."""
    problems = []

    def check(key: Key, name: str, known: Mapping[str, object], table: str) -> None:
        if name not in known:
            there = ", ".join(sorted(known)) or "none yet"
            near = nearest(name, known)
            remedy = f"Did you mean {near}?" if near else f"Add [{table}.{name}] to {site.file}"
            found = f'"{name}" is not among the {table} of {site.file.name}'
            problems.append(
                rules.document.error("CFG-008", key, found, f"one of its {table} ({there})", remedy)
            )

    for name, rule in rules.rules.items():
        check(("rules", name, "platform"), rule.platform, site.accounts, "accounts")
        for index, destination in enumerate(rule.destinations):
            check(("rules", name, "destinations", index), destination, site.destinations, "destinations")
    return problems


def _sockets_twice(document: Document, rules: Mapping[str, RuleModel]) -> Iterator[ConfigError]:
    for name, rule in rules.items():
        for socket in sorted(set(rule.inputs) & set(rule.values)):
            key = ("rules", name, "values", socket)
            yield document.error(
                "CFG-005", key, "the socket has a volume and a fixed value", "one of the two"
            )


def _all_conditions(document: Document) -> Iterator[ConfigError]:
    for name, rule in _tables(document.data.get("rules")):
        yield from _conditions(document, ("rules", name, "study"), rule.get("study"))
        for socket, given in _tables(rule.get("inputs")):
            yield from _conditions(document, ("rules", name, "inputs", socket, "volume"), given.get("volume"))


def _tables(value: object) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        yield from ((name, one) for name, one in value.items() if isinstance(one, dict))


def _conditions(document: Document, key: Key, written: object) -> Iterator[ConfigError]:
    if isinstance(written, dict):
        for keyword, condition in written.items():
            yield from _condition(document, (*key, keyword), condition)


_NAMED = {name: operator for name, operator in OPERATORS.items() if not operator.bare}


def _condition(document: Document, key: Key, condition: object) -> Iterator[ConfigError]:
    """Problems of one condition. Values are not repeated: a rule may look for a name."""
    match condition:
        case dict() if not condition:
            yield document.error("CFG-009", key, "an empty condition", f"one of {', '.join(_NAMED)}")
        case dict():
            for name, operand in condition.items():
                yield from _operator(document, (*key, name), name, operand)
        case list() if not condition:
            yield document.error("CFG-009", key, "an empty list", "at least one value")
        case list():
            for index, one in enumerate(condition):
                if not _is_scalar(one):
                    yield _wrong(document, (*key, index), one, Operand.VALUE)
        case _ if not _is_scalar(condition):
            yield _wrong(document, key, condition, Operand.VALUE)


def _operator(document: Document, key: Key, name: str, operand: object) -> Iterator[ConfigError]:
    operator = _NAMED.get(name)
    if operator is None:
        words = ", ".join(_NAMED)
        yield document.error(
            "CFG-009", key, "unknown operator", f"one of {words}", did_you_mean(name, _NAMED)
        )
        return
    match operator.operand:
        case Operand.CONDITION:
            yield from _condition(document, key, operand)
            return
        case Operand.BOOLEAN:
            fits = isinstance(operand, bool)
        case Operand.NUMBER:
            fits = _is_scalar(operand) and not isinstance(operand, str)
        case _:
            fits = isinstance(operand, str) and bool(operand)
    if not fits:
        yield _wrong(document, key, operand, operator.operand)


def _is_scalar(value: object) -> bool:
    # TOML's inf and nan are numbers to nobody who measures.
    return isinstance(value, str) or (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    )


def _wrong(document: Document, key: Key, value: object, expected: Operand) -> ConfigError:
    remedy = ""
    if isinstance(value, bool):
        remedy = "Whether there is a value at all is asked by { present = true }"
    found = describe(value, shown=False)
    if found == "a date or time":
        remedy = 'Write it as DICOM does, in quotes: "20260131"'
    return document.error("CFG-009", key, found, expected.value, remedy)
