"""What one rule takes from another: the masks of its results, and what its algorithm answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.config.load import Document, Key, did_you_mean
from bridge.config.masks import STUDY
from bridge.errors import ConfigError

if TYPE_CHECKING:
    from bridge.config.rules import RuleModel

FROM = "from"
_WORDS = (FROM, "output", "of")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """`{ from = "RULE", output = "NAME" }`: an answer of another rule in the place of a fixed value."""

    rule: str
    output: str
    of: str = ""
    """The input from whose image it must have been made; "" for any."""


def source_of(value: object) -> Source | None:
    """The answer that a value of a rule names; None for a value that names none."""
    if not isinstance(value, dict) or FROM not in value or not set(value) <= set(_WORDS):
        return None
    texts = {key: word for key, word in value.items() if isinstance(word, str) and word}
    if len(texts) < len(value) or "output" not in texts:
        return None
    return Source(rule=texts[FROM], output=texts["output"], of=texts.get("of", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An image that another rule's job has at the platform, as a job keeps it among its values."""

    rule: str
    output: str
    sha256: str


def reference_to(one: Reference) -> dict[str, Any]:
    return {FROM: one.rule, "output": one.output, "sha256": one.sha256}


def reference_of(value: object) -> Reference | None:
    """The image that a value of a job names; None for a value that names none. No rule can be written so."""
    if not isinstance(value, dict) or set(value) != {FROM, "output", "sha256"}:
        return None
    return Reference(rule=str(value[FROM]), output=str(value["output"]), sha256=str(value["sha256"]))


def sources_of(values: Mapping[str, Any]) -> dict[str, Source]:
    """By socket."""
    return {socket: source for socket, value in values.items() if (source := source_of(value))}


def makers_of(rule: RuleModel) -> dict[Key, str]:
    """The rules whose answers this one takes, by the key that names them."""
    masks = {
        ("inputs", socket, "mask"): one.mask
        for socket, one in rule.inputs.items()
        if one.mask not in ("", STUDY)
    }
    return masks | {("values", socket): one.rule for socket, one in sources_of(rule.values).items()}


def chain_problems(document: Document, rules: Mapping[str, RuleModel]) -> Iterator[ConfigError]:
    """CFG-005, a table that is no answer; CFG-008, a rule or an input that is not there; CFG-014, a circle."""
    for name, rule in rules.items():
        for socket, value in rule.values.items():
            if isinstance(value, dict) and FROM in value and source_of(value) is None:
                yield document.error(
                    "CFG-005",
                    ("rules", name, "values", socket),
                    "a table with `from` that names no answer",
                    '{ from = "RULE", output = "NAME" }, and `of` with an input where that matters',
                )
        for key, maker in makers_of(rule).items():
            yield from _maker(document, rules, name, key, maker)
        wanted = {("inputs", socket): one.of for socket, one in rule.inputs.items() if one.of}
        wanted |= {("values", socket): one.of for socket, one in sources_of(rule.values).items() if one.of}
        for key, of in wanted.items():
            yield from _of(document, name, rule, key, of)


def _maker(
    document: Document, rules: Mapping[str, RuleModel], name: str, key: Key, maker: str
) -> Iterator[ConfigError]:
    place = ("rules", name, *key)
    if maker not in rules:
        others = ", ".join(sorted(set(rules) - {name})) or "none yet"
        is_mask = key[0] == "inputs"
        expected = f'"{STUDY}" or another rule ({others})' if is_mask else f"another rule ({others})"
        words = [STUDY, *rules] if is_mask else [*rules]
        yield document.error(
            "CFG-008", place, f'"{maker[:40]}" is no rule', expected, did_you_mean(maker, words)
        )
    elif name in _behind(maker, rules):
        yield document.error(
            "CFG-014",
            place,
            f"{name} takes {'masks that come' if key[0] == 'inputs' else 'what comes'} of its own answer",
            "a rule whose answer does not depend on this one",
            "Each answer would make another job, and be billed",
        )


def _of(document: Document, name: str, rule: RuleModel, key: Key, of: str) -> Iterator[ConfigError]:
    place, images = ("rules", name, *key, "of"), [s for s, one in rule.inputs.items() if one.is_image]
    if key[0] == "inputs" and rule.inputs[str(key[1])].mask in ("", STUDY):
        yield document.error(
            "CFG-005",
            place,
            "`of` at an input that takes no results of a rule",
            'mask = "RULE" beside it',
            "Of which image the bridge's own results were made is known; of others it is not",
        )
    elif of not in images:
        yield document.error(
            "CFG-008",
            place,
            f'"{of[:40]}" is no input with an image',
            f"another input of the rule ({', '.join(images) or 'none yet'})",
            did_you_mean(of, images),
        )


def _behind(source: str, rules: Mapping[str, RuleModel]) -> set[str]:
    """The rules on which an answer depends, the rule itself among them."""
    found: set[str] = set()
    rest = [source]
    while rest:
        name = rest.pop()
        if name in rules and name not in found:
            found.add(name)
            rest += makers_of(rules[name]).values()
    return found
