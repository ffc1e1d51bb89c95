"""The shape of conditions: known operators, operands of the right kind. What they mean is for `bridge.rules`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bridge.config.load import Document, Key, did_you_mean
from bridge.config.validate import describe
from bridge.config.vocabulary import COMBINATIONS, OPERATORS, Operand
from bridge.errors import ConfigError


def conditions_of(document: Document, key: Key, written: object) -> Iterator[ConfigError]:
    """Problems of a table of conditions; () for anything that is no table. Values are not repeated: a rule may look
    for a name."""
    if isinstance(written, dict):
        for word, condition in written.items():
            combination = COMBINATIONS.get(word)
            if combination is None:
                yield from _condition(document, (*key, word), condition)
            elif combination.operand is Operand.TABLES:
                yield from _tables(document, (*key, word), condition, combination.example)
            else:
                yield from _table(document, (*key, word), condition, combination.example)


_NAMED = {name: operator for name, operator in OPERATORS.items() if not operator.bare}


def _tables(document: Document, key: Key, written: object, example: str) -> Iterator[ConfigError]:
    if not isinstance(written, list):
        yield _wrong(document, key, written, Operand.TABLES, f"As in {example}")
    elif not written:
        yield document.error("CFG-009", key, "an empty list", "at least one table of conditions")
    else:
        for index, one in enumerate(written):
            yield from _table(document, (*key, index), one, example)


def _table(document: Document, key: Key, written: object, example: str) -> Iterator[ConfigError]:
    if not isinstance(written, dict):
        yield _wrong(document, key, written, Operand.TABLE, f"As in {example}")
    elif not written:
        yield document.error("CFG-009", key, "an empty table", "at least one condition")
    else:
        yield from conditions_of(document, key, written)


def _condition(document: Document, key: Key, condition: object) -> Iterator[ConfigError]:
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
        yield document.error(
            "CFG-009", key, "unknown operator", f"one of {', '.join(_NAMED)}", _meant(key, name)
        )
        return
    match operator.operand:
        case Operand.CONDITION:
            yield from _condition(document, key, operand)
            return
        case Operand.TABLE:
            yield from _table(document, key, operand, operator.example)
            return
        case Operand.BOOLEAN:
            fits = isinstance(operand, bool)
        case Operand.NUMBER:
            # A text may be a number with a unit: only `bridge.rules` knows the unit of what is asked.
            fits = _is_scalar(operand) and operand != ""
        case _:
            fits = isinstance(operand, str) and bool(operand)
    if not fits:
        yield _wrong(document, key, operand, operator.operand)


def _meant(key: Key, name: str) -> str:
    if re.fullmatch("[A-Z][A-Za-z]+", name):
        return f'A path stands in quotes: "{key[-2]}.{name}"'
    for operator in OPERATORS.values():
        if name.casefold() in operator.also:
            if operator.bare:
                return f"That is written without a word: {operator.example}"
            return f"Did you mean {operator.name}?"
    return did_you_mean(name, _NAMED)


def _is_scalar(value: object) -> bool:
    # TOML's inf and nan are numbers to nobody who measures.
    return isinstance(value, str) or (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    )


def _wrong(document: Document, key: Key, value: object, expected: Operand, remedy: str = "") -> ConfigError:
    found = describe(value, shown=False)
    if not remedy and isinstance(value, bool):
        remedy = "Whether there is a value at all is asked by { present = true }"
    if not remedy and found == "a date or time":
        remedy = 'Write it as DICOM does, in quotes: "20260131"'
    return document.error("CFG-009", key, found, expected.value, remedy)
