"""The shape of conditions: known operators, operands of the right kind. What they mean is for `bridge.rules`."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.config.load import Document, Key, did_you_mean
from bridge.config.validate import describe
from bridge.config.vocabulary import OPERATORS, Operand
from bridge.errors import ConfigError


def conditions_of(document: Document, key: Key, written: object) -> Iterator[ConfigError]:
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
