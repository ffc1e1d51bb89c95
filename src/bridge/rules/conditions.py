r"""What one condition of a rule means: operators over the values of one attribute or fact.

An attribute may have several values (PS3.5 6.4). `equal`, `one-of`, `regex`, `contains`, `min` and `max` hold when
**any** value fits: `ImageType = "PRIMARY"` fits ORIGINAL\PRIMARY\AXIAL. `min` and `max` together must fit the same
value, and so must `within_days` and `older_than_days`. `not` holds when no value fits.

An attribute without a value fits nothing, neither a condition nor its `not`: what is unknown is never a reason to
send. Only `present` asks about absence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, assert_never

from bridge.rules.dates import day_of

Value = str | int | float
"""What a rule compares with: a number compares as a number, text as text."""

LONGEST = 1024
"""Characters that a regular expression looks at: a careless pattern must not stand still on a long text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contains:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aged:
    """Days from a date to today: more than `over`, at most `within`."""

    over: float | None = None
    within: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    wanted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class All:
    conditions: tuple[Condition, ...]


Condition = OneOf | Matches | Contains | Within | Aged | Present | Not | All


def build(written: Any) -> Condition:
    """The condition that rules.toml wrote; its shape has been checked when the file was read.

    Raises re.error for a regular expression that is none.
    """
    if isinstance(written, list):
        return BUILDERS["one-of"](written)
    if not isinstance(written, dict):
        return BUILDERS["equal"](written)
    parts = [BUILDERS[name](operand) for name, operand in written.items() if name not in _TOGETHER]
    if limits := {name: written[name] for name in ("min", "max") if name in written}:
        parts.insert(0, _within(limits))
    if days := {name: written[name] for name in ("within_days", "older_than_days") if name in written}:
        parts.insert(0, Aged(over=days.get("older_than_days"), within=days.get("within_days")))
    return parts[0] if len(parts) == 1 else All(conditions=tuple(parts))


_TOGETHER = frozenset({"min", "max", "within_days", "older_than_days"})
"""Both limits are asked of the same value."""


def _within(limits: Mapping[str, float]) -> Within:
    return Within(low=limits.get("min"), high=limits.get("max"))


BUILDERS: dict[str, Callable[[Any], Condition]] = {
    "equal": lambda value: OneOf(values=(_trimmed(value),)),
    "one-of": lambda values: OneOf(values=tuple(_trimmed(value) for value in values)),
    "regex": lambda pattern: Matches(pattern=re.compile(pattern)),
    "min": lambda limit: Within(low=limit),
    "max": lambda limit: Within(high=limit),
    "contains": lambda text: Contains(text=text),
    "present": lambda wanted: Present(wanted=wanted),
    "not": lambda condition: Not(condition=build(condition)),
    "within_days": lambda days: Aged(within=days),
    "older_than_days": lambda days: Aged(over=days),
}
"""One row for each operator of `bridge.config.vocabulary` that compares values."""


def _trimmed(value: Value) -> Value:
    return value.strip(" ") if isinstance(value, str) else value


def holds(condition: Condition, found: tuple[str, ...], today: date | None = None) -> bool | None:
    """Whether the condition holds for the values of an attribute; None when there are no values to ask.

    A text that is no date is none to ask for its age, and without `today` no date has one.
    """
    if isinstance(condition, Present):
        return bool(found) is condition.wanted
    match condition:
        case Not():
            return negated(holds(condition.condition, found, today))
        case All():
            return conjunction([holds(one, found, today) for one in condition.conditions])
    if not found:
        return None
    match condition:
        case OneOf():
            return any(_equal(wanted, value) for wanted in condition.values for value in found)
        case Matches():
            return any(condition.pattern.search(value[:LONGEST]) for value in found)
        case Contains():
            return any(condition.text in value for value in found)
        case Within():
            low, high = _limits(condition)
            return any(low <= value <= high for value in map(as_number, found) if value is not None)
        case Aged():
            days = [day for day in map(day_of, found) if day is not None]
            return any(_has_age(condition, (today - day).days) for day in days) if days and today else None
        case _:
            assert_never(condition)


def conjunction(verdicts: Sequence[bool | None]) -> bool | None:
    """True when all are; None, not known, when one is and none is False (Kleene)."""
    return False if False in verdicts else None if None in verdicts else True


def disjunction(verdicts: Sequence[bool | None]) -> bool | None:
    return True if True in verdicts else None if None in verdicts else False


def negated(verdict: bool | None) -> bool | None:
    return None if verdict is None else not verdict


TOMORROW = -1
"""Days: clocks of scanners run ahead, and studies are made at midnight."""


def _has_age(condition: Aged, days: int) -> bool:
    over = condition.over is None or days > condition.over
    return over and (condition.within is None or TOMORROW <= days <= condition.within)


def wanted(condition: Condition) -> str:
    """The condition in words: `at most 2.0`."""
    match condition:
        case OneOf():
            return " or ".join(f'"{one}"' if isinstance(one, str) else str(one) for one in condition.values)
        case Matches():
            return f"text with /{condition.pattern.pattern}/"
        case Contains():
            return f'text with "{condition.text}"'
        case Within(low=low, high=None):
            return f"at least {low}"
        case Within(low=None, high=high):
            return f"at most {high}"
        case Within(low=low, high=high):
            return f"from {low} to {high}"
        case Aged(over=over, within=None):
            return f"more than {over} days ago"
        case Aged(over=None, within=within):
            return f"at most {within} days ago"
        case Aged(over=over, within=within):
            return f"more than {over} and at most {within} days ago"
        case Present():
            return "a value" if condition.wanted else "no value"
        case Not():
            return f"anything but {wanted(condition.condition)}"
        case All():
            return " and ".join(wanted(one) for one in condition.conditions)
        case _:
            assert_never(condition)


def shortfall(condition: Condition, found: tuple[str, ...]) -> str:
    """Why the condition does not hold, to be read behind the keyword: `5.0 is above 2.0`, `is absent`."""
    if not found:
        return "is absent"
    shown = joined(found)
    number = as_number(found[0]) if len(found) == 1 else None
    if isinstance(condition, Within) and number is not None:
        low, _ = _limits(condition)
        return f"{shown} is below {condition.low}" if number < low else f"{shown} is above {condition.high}"
    return f"{shown} where the rule wants {wanted(condition)}"


def joined(found: tuple[str, ...]) -> str:
    r"""Several values as DICOM writes them, with backslashes; at most 64 characters."""
    text = "\\".join(found)
    return text if len(text) <= 64 else text[:63] + "…"


def as_number(text: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _limits(condition: Within) -> tuple[float, float]:
    low = -math.inf if condition.low is None else condition.low
    high = math.inf if condition.high is None else condition.high
    return low, high


def _equal(wanted: Value, value: str) -> bool:
    return wanted == value if isinstance(wanted, str) else wanted == as_number(value)
