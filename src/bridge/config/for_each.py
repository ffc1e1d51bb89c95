"""Rules that make a job of every volume that fits one of their inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bridge.config.load import Document, did_you_mean
from bridge.errors import ConfigError

if TYPE_CHECKING:
    from bridge.config.rules import RuleModel


def for_each_problems(document: Document, rules: Mapping[str, RuleModel]) -> Iterator[ConfigError]:
    """CFG-008, an input that is not there; CFG-005, one that takes a mask, or a rule without inputs."""
    for name, rule in rules.items():
        wanted = rule.for_each
        if not wanted:
            continue
        key = ("rules", name, "for_each")
        images = [socket for socket, one in rule.inputs.items() if one.is_image]
        if not rule.inputs:
            yield document.error(
                "CFG-005",
                key,
                "for_each in a rule without inputs",
                f"[rules.{name}.inputs.{wanted[:40]}], or no for_each",
                "Only volumes of a study come in any number",
            )
        elif wanted not in rule.inputs:
            yield document.error(
                "CFG-008",
                key,
                f'"{wanted[:40]}" is no input of {name}',
                f"one of its inputs ({', '.join(images)})",
                did_you_mean(wanted, images),
            )
        elif not rule.inputs[wanted].is_image:
            yield document.error(
                "CFG-005",
                key,
                f"{wanted} takes a {'mask' if rule.inputs[wanted].mask else 'mesh'}",
                f"an input that takes an image ({', '.join(images)})",
                "Results refer to the image of each job",
            )
