"""Inputs that take a mask: where it comes from, and that no rule feeds on what comes of its own answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bridge.config.load import Document, did_you_mean
from bridge.errors import ConfigError

if TYPE_CHECKING:
    from bridge.config.rules import RuleModel

STUDY = "study"
"""A segmentation that came with the study, from anywhere but this bridge."""


def mask_problems(document: Document, rules: Mapping[str, RuleModel]) -> Iterator[ConfigError]:
    """CFG-008, a rule that is not there; CFG-014, a circle, or a mask without an image that results can refer to."""
    for name, rule in rules.items():
        sources = {socket: one.mask for socket, one in rule.inputs.items() if one.mask}
        if sources and len(sources) == len(rule.inputs):
            yield document.error(
                "CFG-014",
                ("rules", name, "inputs"),
                "masks alone",
                "an image among the inputs: results refer to it",
            )
        for socket, source in sources.items():
            key = ("rules", name, "inputs", socket, "mask")
            if source != STUDY and source not in rules:
                others = ", ".join(sorted(set(rules) - {name})) or "none yet"
                yield document.error(
                    "CFG-008",
                    key,
                    f'"{source[:40]}" is no rule',
                    f'"{STUDY}" or another rule ({others})',
                    did_you_mean(source, [STUDY, *rules]),
                )
            elif name in _behind(source, rules):
                yield document.error(
                    "CFG-014",
                    key,
                    f"{name} takes masks that come of its own answer",
                    "a rule whose answer does not depend on this one",
                    "Each answer would make another job, and be billed",
                )


def _behind(source: str, rules: Mapping[str, RuleModel]) -> set[str]:
    """The rules on which an answer depends, the rule itself among them."""
    found: set[str] = set()
    rest = [source]
    while rest:
        name = rest.pop()
        if name in rules and name not in found:
            found.add(name)
            rest += [one.mask for one in rules[name].inputs.values() if one.mask]
    return found
