"""`[defaults]` of rules.toml: what a rule does not say itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bridge.config.load import Document, Key, written

DEEP = "results"
"""Its tables are merged all the way down. In any other table, what stands behind a key is one value: a condition of a
rule replaces the whole condition of the defaults."""


def with_defaults(document: Document) -> tuple[Document, dict[str, Any], dict[str, frozenset[str]]]:
    """The document that knows where each rule inherits from, its data with the rules filled in, and by rule the keys
    that it inherits: `study.age_days`."""
    defaults, rules = document.data.get("defaults"), document.data.get("rules")
    if not isinstance(defaults, dict) or not isinstance(rules, dict):
        return document, document.data, {}
    filled: dict[str, Any] = {}
    inherited: dict[str, frozenset[str]] = {}
    origins: dict[Key, Key] = {}
    for name, rule in rules.items():
        if not isinstance(rule, dict):
            filled[name] = rule
            continue
        taken: dict[Key, Any] = {}
        # Sockets are those of one algorithm; the model of the defaults says so where they stand.
        given = {key: value for key, value in defaults.items() if key != "inputs"}
        filled[name] = _merged((), given, rule, taken)
        leaves = (leaf for key, value in taken.items() for leaf in _leaves(key, value))
        inherited[name] = frozenset(written(leaf) for leaf in leaves)
        origins |= {("rules", name, *key): ("defaults", *key) for key in taken}
    data = {**document.data, "rules": filled}
    return replace(document, inherits=origins), data, inherited


def _merged(
    key: Key, defaults: Mapping[str, Any], own: Mapping[str, Any], taken: dict[Key, Any]
) -> dict[str, Any]:
    merged = dict(own)
    for name, value in defaults.items():
        here = (*key, name)
        if name not in own:
            merged[name] = value
            taken[here] = value
        elif isinstance(value, dict) and isinstance(own[name], dict) and _opens(here):
            merged[name] = _merged(here, value, own[name], taken)
    return merged


def _opens(key: Key) -> bool:
    return len(key) == 1 or key[0] == DEEP


def _leaves(key: Key, value: object) -> list[Key]:
    if isinstance(value, dict) and value and _opens(key):
        return [leaf for name, one in value.items() for leaf in _leaves((*key, name), one)]
    return [key]
