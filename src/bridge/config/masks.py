"""Inputs that take a mask or a mesh; results refer to an image, so these alone are no input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bridge.config.load import Document
from bridge.errors import ConfigError

if TYPE_CHECKING:
    from bridge.config.rules import RuleModel

STUDY = "study"
"""A segmentation that came with the study, from anywhere but this bridge."""


def mask_problems(document: Document, rules: Mapping[str, RuleModel]) -> Iterator[ConfigError]:
    """CFG-014, a mask or mesh without an image for results to refer to; CFG-005, words that mean nothing at a mesh."""
    for name, rule in rules.items():
        if rule.inputs and not any(one.is_image for one in rule.inputs.values()):
            has_meshes = any(one.mesh for one in rule.inputs.values())
            yield document.error(
                "CFG-014",
                ("rules", name, "inputs"),
                "masks or meshes alone" if has_meshes else "masks alone",
                "an image among the inputs: results refer to it",
            )
        for socket, one in rule.inputs.items():
            told = {"mask": one.mask, "repair": one.repair, "study": one.study == "prior"}
            for word in (word for word, is_given in told.items() if one.mesh and is_given):
                yield document.error(
                    "CFG-005",
                    ("rules", name, "inputs", socket, word),
                    f"{word} of an input that takes a mesh",
                    "a mesh of the current study, as it is",
                )
