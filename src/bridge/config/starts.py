"""When a rule starts: what it looks for before a study is complete, what it waits for, in which hours it may send."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Strict, Tag

from bridge.config.chains import makers_of
from bridge.config.conditions import conditions_of
from bridge.config.fields import Name
from bridge.config.inputs import Conditions, InputModel, VolumeModel
from bridge.config.load import Document, Key, did_you_mean
from bridge.config.validate import LIST, TABLE, Section, bad, describe
from bridge.errors import ConfigError

if TYPE_CHECKING:
    from bridge.config.rules import RuleModel

STUDY_COMPLETE, INPUTS_COMPLETE = "study-complete", "inputs-complete"
BOUNDS = ("instances", "length_mm", "slices")
"""Facts of which a lower bound tells a whole series from one that is still on its way."""


def _window(value: str) -> str:
    if not value:
        return value
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", value)
    if found is None or value[:5] == value[6:]:
        raise bad(describe(value), 'two times of the day with - between them, as in "20:00-06:00"')
    return value


Window = Annotated[str, AfterValidator(_window)]
"""Hours of the day in local time; over midnight when the second time is the earlier one. "" for always."""


class WaitModel(Section):
    """`[rules.NAME.waits_for]`: what must have happened before the rule makes a job. A table, or a list of them."""

    rule: Name | None = Field(default=None, examples=['"lobes"'])
    """Another rule: its jobs of this study are done, or it does not fit the study."""
    series: Conditions = Field(default_factory=dict)
    """Conditions, by keyword or fact: a series that fits them has arrived."""
    at_most_h: Annotated[float, Field(gt=0, le=24 * 30, allow_inf_nan=False)] = 24.0
    """How long the rule waits, in hours, from when it first fitted the study."""
    then: Literal["hold", "go-on"] = "hold"
    """After that: `hold` for a person, or `go-on` without it."""


def _tag(value: object) -> str:
    return TABLE if isinstance(value, dict | WaitModel) else LIST


def _listed(value: WaitModel | tuple[WaitModel, ...]) -> tuple[WaitModel, ...]:
    return (value,) if isinstance(value, WaitModel) else value


Waits = Annotated[
    Annotated[WaitModel, Tag(TABLE)] | Annotated[tuple[WaitModel, ...], Strict(False), Tag(LIST)],
    Discriminator(_tag),
    AfterValidator(_listed),
]


def is_open(window: str, now: datetime) -> bool:
    """Whether a window is open at a local time; "" always is."""
    if not window:
        return True
    begin, end = _times(window)
    here = now.time().replace(tzinfo=None)
    return begin <= here < end if begin < end else here >= begin or here < end


def opens(window: str, now: datetime) -> datetime:
    """When a window that is closed at a local time opens next."""
    begin, _ = _times(window)
    today = now.replace(hour=begin.hour, minute=begin.minute, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


def _times(window: str) -> tuple[time, time]:
    begin, end = window.split("-")
    return time.fromisoformat(begin), time.fromisoformat(end)


def starts_problems(
    document: Document, rules: Mapping[str, RuleModel], volumes: Mapping[str, VolumeModel]
) -> Iterator[ConfigError]:
    """CFG-005, words that exclude each other; CFG-008, a rule that is not there; CFG-014, a circle; CFG-017, an input
    of which nobody can say when it is whole."""
    for name, rule in rules.items():
        if rule.urgent and rule.not_before:
            yield document.error(
                "CFG-005",
                ("rules", name, "not_before"),
                "a rule that is urgent and waits for the night",
                "one of urgent and not_before",
            )
        if rule.start == INPUTS_COMPLETE:
            yield from _unbounded(document, name, rule, volumes)
        for index, wait in enumerate(rule.waits):
            yield from _wait(document, _place(document, name, index), name, wait, rules)


def wait_conditions(document: Document, rule: Key, written: object) -> Iterator[ConfigError]:
    """Problems of the conditions on series that a rule, or `[defaults]`, waits for, as written."""
    for key, one in _written((*rule, "waits_for"), written):
        yield from conditions_of(document, (*key, "series"), one.get("series"))


def _written(key: Key, written: object) -> Iterator[tuple[Key, dict[str, object]]]:
    if isinstance(written, dict):
        yield key, written
    elif isinstance(written, list):
        yield from (((*key, index), one) for index, one in enumerate(written) if isinstance(one, dict))


def _place(document: Document, name: str, index: int) -> Key:
    """A wait may be written as one table, or in a list."""
    key: Key = ("rules", name, "waits_for")
    rule = document.data.get("rules", {}).get(name, {})
    return (*key, index) if isinstance(rule.get("waits_for"), list) else key


def _wait(
    document: Document, key: Key, name: str, wait: WaitModel, rules: Mapping[str, RuleModel]
) -> Iterator[ConfigError]:
    if (wait.rule is None) == (not wait.series):
        found = "neither a rule nor a series" if wait.rule is None else "a rule and a series"
        remedy = "Two waits are a list: [{ rule = … }, { series = … }]" if wait.rule else ""
        yield document.error("CFG-005", key, found, "one of the two: rule, or series", remedy)
        return
    if wait.rule is None:
        return
    if wait.rule not in rules:
        others = ", ".join(sorted(set(rules) - {name})) or "none yet"
        yield document.error(
            "CFG-008",
            (*key, "rule"),
            f'"{wait.rule}" is no rule',
            f"another rule ({others})",
            did_you_mean(wait.rule, set(rules) - {name}),
        )
    elif name in _behind(wait.rule, rules):
        yield document.error(
            "CFG-014",
            (*key, "rule"),
            f"{name} waits for {wait.rule}, which waits for {name}"
            if wait.rule != name
            else f"{name} waits for itself",
            "a rule that does not depend on this one",
            "Neither would ever start",
        )


def _behind(first: str, rules: Mapping[str, RuleModel]) -> set[str]:
    """The rules that must have ended before this one can, itself among them: those it waits for, those it feeds on."""
    found: set[str] = set()
    rest = [first]
    while rest:
        name = rest.pop()
        if name in rules and name not in found:
            found.add(name)
            rest += [one.rule for one in rules[name].waits if one.rule]
            rest += makers_of(rules[name]).values()
    return found


def _unbounded(
    document: Document, name: str, rule: RuleModel, volumes: Mapping[str, VolumeModel]
) -> Iterator[ConfigError]:
    images = {socket: one for socket, one in rule.inputs.items() if one.is_image and one.study == "current"}
    if not images:
        yield document.error(
            "CFG-017",
            ("rules", name, "start"),
            "inputs-complete in a rule without an image among its inputs",
            "study-complete",
        )
    for socket, given in images.items():
        for key, where in _definitions(name, socket, given, volumes):
            if not any(_bounds(where.get(fact)) for fact in BOUNDS):
                yield document.error(
                    "CFG-017",
                    key,
                    "no lower bound that says when the series is whole, and start is inputs-complete",
                    f"a condition on {', '.join(BOUNDS[:-1])} or {BOUNDS[-1]}, equal or at least a number",
                    'As in { instances = { min = 100 } }, or start = "study-complete"',
                )


def _definitions(
    name: str, socket: str, given: InputModel, volumes: Mapping[str, VolumeModel]
) -> Iterator[tuple[Key, Conditions]]:
    if given.names:
        yield from ((("volumes", one, "where"), volumes[one].where) for one in given.names if one in volumes)
    else:
        yield ("rules", name, "inputs", socket, "volume"), given.own.where


def _bounds(condition: object) -> bool:
    if isinstance(condition, dict):
        return "min" in condition
    return isinstance(condition, int | float | str) and not isinstance(condition, bool)
