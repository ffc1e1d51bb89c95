"""The rules in force. They may be read again while the service runs; a job keeps the rule that it began with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from bridge.config.inputs import VolumeModel
from bridge.config.load import raise_first
from bridge.config.rules import RuleModel, RulesFile, check_rules
from bridge.config.site import Site
from bridge.rules import InputExplanation, Rule, compile_rules
from bridge.rules.clauses import Clause
from bridge.rules.guards import named_test_patients

RELOAD = "rules-reload"
"""The act of a person who wants the file read again."""
ALERT, SUBJECT = "rules-refused", "rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Rules that have been checked, and the settings behind them by name."""

    compiled: tuple[Rule, ...]
    models: Mapping[str, RuleModel]
    volumes: Mapping[str, VolumeModel] = field(default_factory=dict)
    """Definitions that inputs name."""
    test_patients: tuple[Clause, ...] = ()
    """`[test_patients]` of site.toml."""

    def frozen(
        self, rule: str, chosen: Iterable[InputExplanation], answers: Mapping[str, JsonValue]
    ) -> RuleModel:
        """The rule as a job keeps it: each input with the words of the definition that found its volume, and answers
        of other rules as the values that they were."""
        model, inputs = self.models[rule], dict(self.models[rule].inputs)
        for one in chosen:
            if one.definition:
                inputs[one.input] = inputs[one.input].settled(self.volumes[one.definition])
        return model.model_copy(update={"inputs": inputs, "values": {**model.values, **answers}})

    def _whole(self, rule: str) -> tuple[object, ...]:
        """Everything that a change of which changes the rule."""
        model = self.models[rule]
        named = [name for one in model.inputs.values() for name in one.names]
        return model, [self.volumes[name] for name in named]

    def difference(self, newer: Rules) -> str:
        """What another state of the file changes, by the names of its rules."""
        before, after = self.models, newer.models
        changes = (
            ("new", [name for name in after if name not in before]),
            (
                "changed",
                [name for name in after if name in before and newer._whole(name) != self._whole(name)],
            ),
            ("gone", [name for name in before if name not in after]),
        )
        told = [f"{word} {', '.join(names)}" for word, names in changes if names]
        return "; ".join(told) or "nothing has changed"


def rules_of(file: RulesFile, site: Site) -> Rules:
    """Raises ConfigError (CFG-...): the first problem of the file with the `others` behind it."""
    raise_first(check_rules(file, site))
    return Rules(
        compiled=compile_rules(file),
        models=dict(file.rules),
        volumes=file.volumes,
        test_patients=named_test_patients(site),
    )
