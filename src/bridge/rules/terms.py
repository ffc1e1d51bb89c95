"""From the tables of conditions in rules.toml to clauses, with every word and operand that does not fit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bridge.config.facts import Scope
from bridge.config.load import Document, Key
from bridge.config.vocabulary import COMBINATIONS, OPERATORS, UNITS, Kind, Operand
from bridge.errors import ConfigError
from bridge.rules.attributes import Subject
from bridge.rules.clauses import Clause, Group, ItemTerm, Term
from bridge.rules.conditions import Present, build
from bridge.rules.words import subject_of


class Compiler:
    """Makes clauses of one file and keeps the problems."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.places = document.places
        self.problems: list[ConfigError] = []

    def table(
        self, scope: Scope | None, key: Key, written: Mapping[str, Any], *, within: str = ""
    ) -> tuple[Clause, ...]:
        """A table of conditions. `within`: the word of `any_instance`, `any_item` ... around it."""
        made = (self._entry(scope, (*key, word), one, within) for word, one in written.items())
        return tuple(clause for clause in made if clause is not None)

    def _entry(self, scope: Scope | None, key: Key, written: Any, within: str) -> Clause | None:
        if key[-1] in COMBINATIONS:
            return self._combined(scope, key, written, within)
        subject = subject_of(self._document, scope, key)
        if isinstance(subject, ConfigError):
            self.problems.append(subject)
            return None
        if subject.kind is Kind.SEQUENCE:
            return self._sequence(key, subject, written)
        if problems := list(self._misfits(key, subject, written)):
            self.problems += problems
            return None
        return Term(subject=subject, condition=build(_in_units(subject, written)))

    def _combined(self, scope: Scope | None, key: Key, written: Any, within: str) -> Clause | None:
        combination = COMBINATIONS[str(key[-1])]
        if combination.of_instances and within:
            found = f"{combination.name} inside {within}"
            self._bad(key, found, f"conditions on one {'item' if scope is None else 'object'}")
            return None
        if combination.operand is Operand.TABLE:
            around = combination.name if combination.of_instances else within
            clauses = self.table(scope, key, written, within=around)
        else:
            tables = (
                self.table(scope, (*key, place), one, within=within) for place, one in enumerate(written)
            )
            clauses = tuple(_one(table) for table in tables if table)
        return Group(word=combination.name, clauses=clauses)  # type: ignore[arg-type]  # a name of COMBINATIONS

    def _sequence(self, key: Key, subject: Subject, written: Any) -> Clause | None:
        example = f'"{subject.text}.CodeValue" = "…"'
        if not isinstance(written, Mapping):
            self._bad(
                key, "the attribute is a sequence", "the path of an attribute in it", f"For example {example}"
            )
            return None
        clauses: list[Clause] = []
        for name, operand in written.items():
            match name:
                case "present":
                    clauses.append(Term(subject=subject, condition=Present(wanted=operand)))
                case "any_item":
                    inside = self.table(None, (*key, name), operand, within=f"{subject.text}.any_item")
                    clauses.append(ItemTerm(subject=subject, clauses=inside))
                case "not":
                    inner = self._sequence((*key, name), subject, operand)
                    clauses += [Group(word="not", clauses=(inner,))] if inner else []
                case _:
                    found = f"{name} asks for a value, and {subject.text} is a sequence"
                    self._bad(
                        (*key, name), found, "present, any_item, not", f"Ask for what is in it: {example}"
                    )
        return _one(tuple(clauses)) if clauses else None

    def _bad(self, key: Key, found: str, expected: str, remedy: str = "") -> None:
        self.problems.append(self._document.error("CFG-011", key, found, expected, remedy))

    def _misfits(self, key: Key, subject: Subject, written: Any) -> Iterator[ConfigError]:
        """Operators and operands that can never hold for a value of this kind."""
        error = self._document.error
        match written:
            case dict():
                broken = False
                for name, operand in written.items():
                    problems = list(self._misfit(key, subject, name, operand))
                    broken = broken or bool(problems)
                    yield from problems
                if broken:
                    return
                given = _in_units(subject, written)
                for low, high in (("min", "max"), ("older_than_days", "within_days")):
                    if low in given and high in given and given[low] > given[high]:
                        found = f"{low} {given[low]:g} is above {high} {given[high]:g}"
                        yield error("CFG-011", key, found, f"{low} below {high}")
            case list():
                for index, one in enumerate(written):
                    yield from self._misfits((*key, index), subject, one)
            case str() if subject.kind is Kind.NUMBER:
                yield from self._not_a_number(
                    key, subject.unit, written, f"a number, as {subject.text} holds"
                )
            case int() | float() if subject.kind is Kind.DATE:
                example = f"{subject.text} = {{ within_days = 30 }}"
                remedy = f'Write it as DICOM does, in quotes: "20260131", or by its age: {example}'
                yield error("CFG-011", key, "a number", f"a date, as {subject.text} holds", remedy)

    def _misfit(self, key: Key, subject: Subject, name: str, operand: Any) -> Iterator[ConfigError]:
        operator, key = OPERATORS[name], (*key, name)
        if name == "not":
            yield from self._misfits(key, subject, operand)
        elif subject.kind not in operator.kinds:
            fitting = [one.name for one in OPERATORS.values() if subject.kind in one.kinds and not one.bare]
            expected = f"an operator for the {subject.kind.value}s of {subject.text}: {', '.join(fitting)}"
            yield self._document.error("CFG-011", key, f"{name} asks for {_ASKS[operator.kinds]}", expected)
        elif name == "regex":
            yield from self._bad_regex(key, operand)
        elif operator.operand is Operand.NUMBER and isinstance(operand, str):
            yield from self._not_a_number(key, operator.unit or subject.unit, operand, "a number")

    def _not_a_number(self, key: Key, unit: str, text: str, expected: str) -> Iterator[ConfigError]:
        """Texts with a unit are numbers where the unit of what is asked is known."""
        if unit and _number(unit, text) is not None:
            return
        remedy = "Remove the quotes"
        if unit:
            known = ", ".join(UNITS[unit])
            expected, remedy = f"{expected}, in {unit} or with a unit behind it: {known}", ""
        elif re.fullmatch(r"\s*[-+0-9.]+\s*[^\W\d_]+\s*", text):
            remedy = "Write the number alone; its unit is that of the attribute in PS3.3"
        yield self._document.error("CFG-011", key, "text", expected, remedy)

    def _bad_regex(self, key: Key, pattern: str) -> Iterator[ConfigError]:
        try:
            re.compile(pattern)
        except re.error as error:
            # The pattern is not repeated: it may look for a name.
            found = f"no regular expression: {error.msg}"
            if error.pos is not None:
                found += f" at character {error.pos + 1}"
            remedy = "A backslash is safest in single quotes"
            yield self._document.error("CFG-011", key, found, 'for example "(?i)thin"', remedy)


_ASKS = {
    OPERATORS["regex"].kinds: "text",
    OPERATORS["min"].kinds: "a number",
    OPERATORS["within_days"].kinds: "a date",
    OPERATORS["any_item"].kinds: "a sequence",
}


def _one(clauses: tuple[Clause, ...]) -> Clause:
    return clauses[0] if len(clauses) == 1 else Group(word="all", clauses=clauses)


def _number(unit: str, text: str) -> float | None:
    """ "5 cm" in mm; None for what is no number with a unit that stands for `unit`."""
    written = re.fullmatch(r"\s*([-+]?[0-9]+(?:\.[0-9]+)?)\s*([^\W\d_]+|°)\s*", text)
    factor = UNITS.get(unit, {}).get(written[2]) if written else None
    # Rounded, because 0.07 cm are 0.7 mm and not 0.7000000000000001.
    number = round(float(written[1]) * factor, 9) if written and factor else None
    return int(number) if number is not None and number.is_integer() else number


def _in_units(subject: Subject, written: Any) -> Any:
    """The same condition with plain numbers in the unit of what is asked."""

    def converted(unit: str, value: Any) -> Any:
        number = _number(unit, value) if unit and isinstance(value, str) else None
        return value if number is None else number

    match written:
        case dict():
            return {
                name: _in_units(subject, operand)
                if name == "not"
                else converted(OPERATORS[name].unit or subject.unit, operand)
                for name, operand in written.items()
            }
        case list():
            return [converted(subject.unit, one) for one in written]
        case _:
            return converted(subject.unit, written)
