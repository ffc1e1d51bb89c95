"""`rules.toml`: which study goes to which algorithm, and what becomes of the answer.

Here a rule gets its shape: known keys, known operators, operands of the right kind. What the conditions mean, and
whether a keyword exists, is for `bridge.rules.compile_rules`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue, Strict

from bridge.config.conditions import conditions_of
from bridge.config.fields import Name, Text
from bridge.config.load import Document, Key, did_you_mean, nearest, raise_first, read_document
from bridge.config.results import ResultsModel
from bridge.config.site import Site
from bridge.config.validate import Section, bad, validate
from bridge.config.vocabulary import PREFERENCES
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


Conditions = dict[str, Any]
"""As written; checked by `config.conditions`, because a union of models gives errors that nobody understands."""


class InputModel(Section):
    """`[rules.NAME.inputs.SOCKET]`: which volume goes into a socket of the algorithm."""

    volume: Conditions = Field(min_length=1, examples=['{ Modality = "CT" }'])
    """Conditions on the volume, by keyword or fact."""
    prefer: Annotated[tuple[str, ...], Strict(False), AfterValidator(_preferences)] = ()
    """For ties, in this order."""


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
        yield from conditions_of(document, ("rules", name, "study"), rule.get("study"))
        for socket, given in _tables(rule.get("inputs")):
            yield from conditions_of(
                document, ("rules", name, "inputs", socket, "volume"), given.get("volume")
            )


def _tables(value: object) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        yield from ((name, one) for name, one in value.items() if isinstance(one, dict))
