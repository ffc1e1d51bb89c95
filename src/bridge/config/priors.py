"""Inputs that take a volume of an earlier study of the same patient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bridge.config.load import Document
from bridge.errors import ConfigError

if TYPE_CHECKING:
    from bridge.config.rules import RuleModel

NO_PRIOR = "PRI-001"
"""Code of a decision: what a rule wants of an earlier study is not there, or not yet."""
DAYS = ("prior_min_days", "prior_max_days")


def prior_problems(document: Document, rules: Mapping[str, RuleModel]) -> Iterator[ConfigError]:
    """CFG-014, no image of the current study, or every one of an earlier study; CFG-005, days that mean nothing."""
    for name, rule in rules.items():
        priors = [socket for socket, one in rule.inputs.items() if one.study == "prior"]
        images = [one for one in rule.inputs.values() if one.is_image]
        if priors and images and all(one.study == "prior" for one in images):
            yield document.error(
                "CFG-014",
                ("rules", name, "inputs"),
                "images of an earlier study alone",
                "an image of the current study among the inputs: results refer to it",
            )
        if rule.for_each in priors:
            yield document.error(
                "CFG-014",
                ("rules", name, "for_each"),
                f"{rule.for_each} takes a volume of an earlier study",
                "an input of the current study",
                "Results refer to the image of each job",
            )
        for socket, one in rule.inputs.items():
            key = ("rules", name, "inputs", socket)
            given = [word for word in DAYS if getattr(one, word) is not None]
            if given and one.study != "prior":
                yield document.error(
                    "CFG-005",
                    (*key, given[0]),
                    f"{given[0]} of an input of the current study",
                    'the key beside study = "prior"',
                )
            elif len(given) == len(DAYS) and (one.prior_min_days or 0) > (one.prior_max_days or 0):
                yield document.error(
                    "CFG-005",
                    (*key, DAYS[0]),
                    f"at least {one.prior_min_days} and at most {one.prior_max_days} days",
                    "the smaller number for prior_min_days",
                )
