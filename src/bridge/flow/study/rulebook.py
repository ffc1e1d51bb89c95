"""The rules in force. They may be read again while the service runs; a job keeps the rule that it began with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.config.load import raise_first
from bridge.config.rules import RuleModel, RulesFile, check_rules
from bridge.config.site import Site
from bridge.rules import Rule, compile_rules

RELOAD = "rules-reload"
"""The act of a person who wants the file read again."""
ALERT, SUBJECT = "rules-refused", "rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Rules that have been checked, and the settings behind them by name."""

    compiled: tuple[Rule, ...]
    models: Mapping[str, RuleModel]

    def difference(self, newer: Rules) -> str:
        """What another state of the file changes, by the names of its rules."""
        before, after = self.models, newer.models
        changes = (
            ("new", [name for name in after if name not in before]),
            ("changed", [name for name in after if name in before and after[name] != before[name]]),
            ("gone", [name for name in before if name not in after]),
        )
        told = [f"{word} {', '.join(names)}" for word, names in changes if names]
        return "; ".join(told) or "nothing has changed"


def rules_of(file: RulesFile, site: Site) -> Rules:
    """Raises ConfigError (CFG-...): the first problem of the file with the `others` behind it."""
    raise_first(check_rules(file, site))
    return Rules(compiled=compile_rules(file), models=dict(file.rules))
