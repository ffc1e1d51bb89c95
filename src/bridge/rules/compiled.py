"""Rules whose words are all known: keywords of the standard, facts of ours, operators that fit them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bridge.config.facts import Scope
from bridge.config.load import Key, raise_first
from bridge.rules.clauses import Clause
from bridge.rules.terms import Compiler

if TYPE_CHECKING:
    from pydantic import JsonValue

    from bridge.config.results import ResultsModel
    from bridge.config.rules import RuleModel, RulesFile


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleInput:
    """A socket of the algorithm and the volume it wants."""

    name: str
    volume: tuple[Clause, ...]
    prefer: tuple[str, ...]
    repair: tuple[str, ...] = ()
    """Names of `volumes.repair.Repair`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, ready to be applied. What it does not use itself is carried for those who act on a match."""

    name: str
    mode: Literal["off", "explain", "hold", "live"]
    platform: str
    algorithm: str
    version: str
    destinations: tuple[str, ...]
    study: tuple[Clause, ...]
    inputs: tuple[RuleInput, ...]
    values: Mapping[str, JsonValue]
    results: ResultsModel
    cost_per_job: float = 0.0
    inherited: frozenset[str] = frozenset()
    """Keys that come from `[defaults]`, as the file writes them: `study.age_days`."""


def compile_rules(file: RulesFile) -> tuple[Rule, ...]:
    """All rules of the file, those that are off included, in its order.

    Raises ConfigError: CFG-010, a word is neither a DICOM keyword nor a fact; CFG-011, an operator does not fit what
    it is applied to. The first problem of the file with the `others` behind it.
    """
    compiler = Compiler(file.document)
    rules = tuple(
        _rule(compiler, name, model, file.inherited.get(name, frozenset()))
        for name, model in file.rules.items()
    )
    raise_first(compiler.problems)
    return rules


def _rule(compiler: Compiler, name: str, model: RuleModel, inherited: frozenset[str]) -> Rule:
    key: Key = ("rules", name)
    return Rule(
        name=name,
        mode=model.mode,
        platform=model.platform,
        algorithm=model.algorithm,
        version=model.version,
        destinations=model.destinations,
        study=compiler.table(Scope.STUDY, (*key, "study"), model.study),
        inputs=tuple(
            RuleInput(
                name=socket,
                volume=compiler.table(Scope.VOLUME, (*key, "inputs", socket, "volume"), wanted.volume),
                prefer=wanted.prefer,
                repair=wanted.repair,
            )
            for socket, wanted in model.inputs.items()
        ),
        values=model.values,
        results=model.results,
        cost_per_job=model.cost_per_job,
        inherited=inherited,
    )
