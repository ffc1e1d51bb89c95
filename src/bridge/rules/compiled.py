"""Rules whose words are all known: keywords of the standard, facts of ours, operators that fit them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydicom.datadict import dictionary_VR, keyword_dict, keyword_for_tag

from bridge.config.load import Document, Key, nearest, raise_first
from bridge.config.vocabulary import FACTS, HARMLESS, OPERATORS, Kind, Scope
from bridge.errors import ConfigError
from bridge.rules.conditions import Condition, build

if TYPE_CHECKING:
    from pydantic import JsonValue

    from bridge.config.results import ResultsModel
    from bridge.config.rules import RuleModel, RulesFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One line of a rule: a condition and what it asks about."""

    keyword: str
    computed: bool
    """A fact of ours, not an attribute of the header."""
    private: bool
    """The value may identify a person; logs and reports hide it."""
    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleInput:
    """A socket of the algorithm and the volume it wants."""

    name: str
    volume: tuple[Term, ...]
    prefer: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, ready to be applied. What it does not use itself is carried for those who act on a match."""

    name: str
    mode: Literal["off", "explain", "hold", "live"]
    platform: str
    algorithm: str
    version: str
    destinations: tuple[str, ...]
    study: tuple[Term, ...]
    inputs: tuple[RuleInput, ...]
    values: Mapping[str, JsonValue]
    results: ResultsModel


def compile_rules(file: RulesFile) -> tuple[Rule, ...]:
    """All rules of the file, those that are off included, in its order.

    Raises ConfigError: CFG-010, a word is neither a DICOM keyword nor a fact; CFG-011, an operator does not fit what
    it is applied to. The first problem of the file with the `others` behind it.
    """
    problems: list[ConfigError] = []
    rules = tuple(_rule(file.document, name, model, problems) for name, model in file.rules.items())
    raise_first(problems)
    return rules


def _rule(document: Document, name: str, model: RuleModel, problems: list[ConfigError]) -> Rule:
    def terms(scope: Scope, key: Key, written: Mapping[str, Any]) -> tuple[Term, ...]:
        found = []
        for keyword, condition in written.items():
            term = _term(document, scope, (*key, keyword), condition)
            if isinstance(term, Term):
                found.append(term)
            else:
                problems.extend(term)
        return tuple(found)

    key: Key = ("rules", name)
    return Rule(
        name=name,
        mode=model.mode,
        platform=model.platform,
        algorithm=model.algorithm,
        version=model.version,
        destinations=model.destinations,
        study=terms(Scope.STUDY, (*key, "study"), model.study),
        inputs=tuple(
            RuleInput(
                name=socket,
                volume=terms(Scope.VOLUME, (*key, "inputs", socket, "volume"), wanted.volume),
                prefer=wanted.prefer,
            )
            for socket, wanted in model.inputs.items()
        ),
        values=model.values,
        results=model.results,
    )


def _term(document: Document, scope: Scope, key: Key, written: Any) -> Term | list[ConfigError]:
    keyword = str(key[-1])
    fact = FACTS.get((scope, keyword))
    kind = fact.kind if fact else _kind_of_attribute(document, scope, key)
    if isinstance(kind, ConfigError):
        return [kind]
    if problems := list(_misfits(document, key, kind, written, keyword)):
        return problems
    return Term(
        keyword=keyword,
        computed=fact is not None,
        private=keyword not in HARMLESS,
        condition=build(written),
    )


NUMBERS = frozenset({"DS", "IS", "FL", "FD", "US", "SS", "UL", "SL", "UV", "SV", "US or SS"})
TEXTS = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"})
"""Value representations (PS3.5 6.2) that a condition can compare."""


def _kind_of_attribute(document: Document, scope: Scope, key: Key) -> Kind | ConfigError:
    keyword = str(key[-1])
    if keyword not in keyword_dict:
        return _unknown_word(document, scope, key)
    vr = dictionary_VR(keyword)
    if vr in NUMBERS:
        return Kind.NUMBER
    if vr in TEXTS:
        return Kind.TEXT
    what = "a sequence" if vr == "SQ" else "binary data"
    return document.error(
        "CFG-010",
        key,
        f"the attribute is {what}",
        "an attribute with text or numbers",
        "Remove the condition",
    )


def _unknown_word(document: Document, scope: Scope, key: Key) -> ConfigError:
    word = str(key[-1])
    here = [fact.name for fact in FACTS.values() if fact.scope is scope]
    elsewhere = {fact.name for fact in FACTS.values() if fact.scope is not scope}
    if word in elsewhere:
        place = "study" if scope is Scope.VOLUME else "inputs.<socket>.volume"
        found, remedy = f"a fact that a {scope.value} does not have", f"Write it under {place}"
        return document.error("CFG-010", key, found, f"a DICOM keyword or one of {', '.join(here)}", remedy)
    remedy = _keyword_of_tag(word)
    if not remedy:
        # Our own few words first: "spacing" means spacing_mm, not one of 5000 keywords that look alike.
        near = nearest(word, here) or nearest(word, [one for one in keyword_dict if one], cutoff=0.75)
        remedy = f"Did you mean {near}?" if near else "Keywords are listed in DICOM PS3.6"
    return document.error(
        "CFG-010", key, "no DICOM keyword", f"a keyword or one of {', '.join(here)}", remedy
    )


def _keyword_of_tag(word: str) -> str:
    tag = re.fullmatch(r"\(?([0-9A-Fa-f]{4}),? ?([0-9A-Fa-f]{4})\)?", word)
    keyword = keyword_for_tag(int(tag[1] + tag[2], 16)) if tag else ""
    return f"Write its keyword, {keyword}" if keyword else ""


def _misfits(document: Document, key: Key, kind: Kind, written: Any, keyword: str) -> Iterator[ConfigError]:
    """Operators and operands that can never hold for a value of this kind."""
    match written:
        case dict():
            for name, operand in written.items():
                if name == "not":
                    yield from _misfits(document, (*key, name), kind, operand, keyword)
                elif kind not in OPERATORS[name].kinds:
                    fitting = [one.name for one in OPERATORS.values() if kind in one.kinds and not one.bare]
                    found = f"{name} asks for {'text' if kind is Kind.NUMBER else 'a number'}"
                    expected = f"an operator for the {kind.value}s of {keyword}: {', '.join(fitting)}"
                    yield document.error("CFG-011", (*key, name), found, expected)
                elif name == "regex":
                    yield from _bad_regex(document, (*key, name), operand)
            if "min" in written and "max" in written and written["min"] > written["max"]:
                found = f"min {written['min']} is above max {written['max']}"
                yield document.error("CFG-011", key, found, "min below max")
        case list():
            for index, one in enumerate(written):
                yield from _misfits(document, (*key, index), kind, one, keyword)
        case str() if kind is Kind.NUMBER:
            yield document.error("CFG-011", key, "text", f"a number, as {keyword} holds", "Remove the quotes")


def _bad_regex(document: Document, key: Key, pattern: str) -> Iterator[ConfigError]:
    try:
        re.compile(pattern)
    except re.error as error:
        # The pattern is not repeated: it may look for a name.
        found = f"no regular expression: {error.msg}"
        if error.pos is not None:
            found += f" at character {error.pos + 1}"
        yield document.error(
            "CFG-011", key, found, 'for example "(?i)thin"', "A backslash is safest in single quotes"
        )
