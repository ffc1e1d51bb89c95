"""Rules whose words are all known: keywords of the standard, facts of ours, operators that fit them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bridge.config.facts import Scope
from bridge.config.load import Key, raise_first
from bridge.rules.clauses import Clause, Term
from bridge.rules.conditions import OneOf
from bridge.rules.preference import FIGURES, Figure, ranking
from bridge.rules.terms import Compiler

if TYPE_CHECKING:
    from pydantic import JsonValue

    from bridge.config.inputs import InputModel, VolumeModel
    from bridge.config.results import ResultsModel
    from bridge.config.rules import RuleModel, RulesFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What a volume must be, and which of several is meant."""

    name: str = ""
    """`[volumes.NAME]`; "" for the conditions of an input's own."""
    where: tuple[Clause, ...]
    prefer: tuple[Figure, ...] = ()
    repair: tuple[str, ...] = ()
    """Names of `volumes.repair.Repair`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleInput:
    """A socket of the algorithm and the volume it wants."""

    name: str
    wanted: tuple[Definition, ...]
    """One or more; a later one is looked at only where nothing is what an earlier one asks for."""
    mask: str = ""
    """`study` or the name of a rule: it takes a segmentation from there; "" for an image."""


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
    other_ai: bool = True
    max_study_age_days: int | None = None
    test_patients: Literal["run", "skip", "only"] = "skip"
    jobs_per_day: int | None = None
    jobs_per_month: int | None = None
    inherited: frozenset[str] = frozenset()
    """Keys that come from `[defaults]`, as the file writes them: `study.age_days`."""


def compile_rules(file: RulesFile) -> tuple[Rule, ...]:
    """All rules of the file, those that are off included, in its order.

    Raises ConfigError: CFG-010, a word is neither a DICOM keyword nor a fact; CFG-011, an operator does not fit what
    it is applied to. The first problem of the file with the `others` behind it.
    """
    compiler = Compiler(file.document)
    volumes = {
        name: _definition(compiler, ("volumes", name), "where", one, name)
        for name, one in file.volumes.items()
    }
    rules = tuple(
        _rule(compiler, name, model, file.inherited.get(name, frozenset()), volumes)
        for name, model in file.rules.items()
    )
    raise_first(compiler.problems)
    return rules


def _rule(
    compiler: Compiler,
    name: str,
    model: RuleModel,
    inherited: frozenset[str],
    volumes: Mapping[str, Definition],
) -> Rule:
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
            RuleInput(name=socket, wanted=_wanted(key, socket, wanted, compiler, volumes), mask=wanted.mask)
            for socket, wanted in model.inputs.items()
        ),
        values=model.values,
        results=model.results,
        cost_per_job=model.cost_per_job,
        other_ai=model.other_ai,
        max_study_age_days=model.max_study_age_days,
        test_patients=model.test_patients,
        jobs_per_day=model.jobs_per_day,
        jobs_per_month=model.jobs_per_month,
        inherited=inherited,
    )


def _wanted(
    rule: Key, socket: str, given: InputModel, compiler: Compiler, volumes: Mapping[str, Definition]
) -> tuple[Definition, ...]:
    if given.names:
        return tuple(volumes[name] for name in given.names)
    return (_definition(compiler, (*rule, "inputs", socket), "volume", given.own),)


def _definition(compiler: Compiler, key: Key, word: str, model: VolumeModel, name: str = "") -> Definition:
    """`word`: the key of its table of conditions."""
    where = compiler.table(Scope.VOLUME, (*key, word), model.where)
    prefer: list[Figure] = []
    for index, one in enumerate(model.prefer):
        if isinstance(one, str):
            prefer.append(FIGURES[one])
        else:
            # Values of a preference are those of a condition "one of", with the same units and the same mistakes.
            clauses = compiler.table(Scope.VOLUME, (*key, "prefer", index), one)
            for term in clauses:
                if isinstance(term, Term) and isinstance(term.condition, OneOf):
                    prefer.append(ranking(term.subject, term.condition.values))
    return Definition(name=name, where=where, prefer=tuple(prefer), repair=model.repair)
