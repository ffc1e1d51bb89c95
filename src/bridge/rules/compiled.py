"""Rules whose words are all known: keywords of the standard, facts of ours, operators that fit them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bridge.config.chains import sources_of
from bridge.config.facts import Scope
from bridge.config.load import Key, raise_first
from bridge.rules.clauses import Clause, Term
from bridge.rules.conditions import OneOf, wanted
from bridge.rules.preference import FIGURES, Figure, ranking
from bridge.rules.terms import Compiler

if TYPE_CHECKING:
    from pydantic import JsonValue

    from bridge.config.chains import Source
    from bridge.config.inputs import InputModel, VolumeModel
    from bridge.config.privacy import PrivacyModel
    from bridge.config.results import ResultsModel
    from bridge.config.rules import RuleModel, RulesFile
    from bridge.config.starts import WaitModel


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
    mesh: bool = False
    """It takes a mesh of the study."""
    of: str = ""
    """The input whose image such a result must have been made of; "" for any."""
    prior: bool = False
    """Its volume comes from an earlier study of the same patient."""
    prior_min_days: int | None = None
    prior_max_days: int | None = None

    @property
    def is_image(self) -> bool:
        return not self.mask and not self.mesh


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """What a rule waits for: another rule, or a series."""

    rule: str = ""
    series: tuple[Clause, ...] = ()
    at_most_h: float
    then: Literal["hold", "go-on"]
    told: str
    """In words: what must have come."""

    @property
    def sentence(self) -> str:
        """The same, with how long, and what then."""
        after = "it goes on without" if self.then == "go-on" else "a person is asked"
        return f"{self.told}, {self.at_most_h:g} h at most; then {after}"


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
    """Those that are fixed."""
    results: ResultsModel
    sources: Mapping[str, Source] = field(default_factory=dict)
    """Answers of other rules in the place of values."""
    for_each: str = ""
    """The input of which every volume that fits makes a job of its own; "" for one job of one volume each."""
    start: Literal["study-complete", "inputs-complete"] = "study-complete"
    urgent: bool = False
    waits_for: tuple[Wait, ...] = ()
    not_before: str = ""
    """The hours in which its jobs go to the platform; "" for any."""
    cost_per_job: float = 0.0
    other_ai: bool = True
    privacy: PrivacyModel | None = None
    """What of a person may leave; None for nothing that is refused otherwise."""
    max_study_age_days: int | None = None
    test_patients: Literal["run", "skip", "only"] = "skip"
    jobs_per_day: int | None = None
    jobs_per_month: int | None = None
    inherited: frozenset[str] = frozenset()
    """Keys that come from `[defaults]`, as the file writes them: `study.age_days`."""

    @property
    def captures(self) -> bool:
        """It takes secondary captures whose frames say where they lie."""
        return self.privacy is not None and "secondary-capture" in self.privacy.allow

    @property
    def burned_in(self) -> bool:
        """It takes images with text burned in: as they are, or with regions blackened."""
        return self.privacy is not None and ("burned-in" in self.privacy.allow or bool(self.privacy.mask))


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
    sources = sources_of(model.values)
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
                wanted=_wanted(key, socket, wanted, compiler, volumes),
                mask=wanted.mask,
                mesh=wanted.mesh,
                of=wanted.of,
                prior=_is_prior(wanted, model),
                prior_min_days=wanted.prior_min_days,
                prior_max_days=wanted.prior_max_days,
            )
            for socket, wanted in model.inputs.items()
        ),
        values={socket: value for socket, value in model.values.items() if socket not in sources},
        sources=sources,
        results=model.results,
        for_each=model.for_each,
        start=model.start,
        urgent=model.urgent,
        waits_for=tuple(_waits(compiler, (*key, "waits_for"), model.waits)),
        not_before=model.not_before,
        cost_per_job=model.cost_per_job,
        other_ai=model.other_ai,
        privacy=model.privacy,
        max_study_age_days=model.max_study_age_days,
        test_patients=model.test_patients,
        jobs_per_day=model.jobs_per_day,
        jobs_per_month=model.jobs_per_month,
        inherited=inherited,
    )


def _waits(compiler: Compiler, key: Key, models: tuple[WaitModel, ...]) -> Iterator[Wait]:
    for index, one in enumerate(models):
        # A single one may be written as a table of its own: then there is no number in its place.
        place = (*key, index) if (*key, index) in compiler.places else key
        series = compiler.table(Scope.VOLUME, (*place, "series"), one.series)
        yield Wait(
            rule=one.rule or "",
            series=series,
            at_most_h=one.at_most_h,
            then=one.then,
            told=f"the jobs of {one.rule}" if one.rule else f"a series with {_words(one, series)}",
        )


def _words(wait: WaitModel, series: tuple[Clause, ...]) -> str:
    """Its conditions, each as the file names it; with what it wants, where that identifies nobody."""
    return ", ".join(
        f"{name} {wanted(clause.condition)}"
        if isinstance(clause, Term) and not clause.subject.private
        else name
        # There are fewer where one could not be compiled: then the file is refused anyway.
        for name, clause in zip(wait.series, series, strict=False)
    )


def _is_prior(wanted: InputModel, model: RuleModel) -> bool:
    """Of an image of an earlier study is a mask of that study."""
    about = model.inputs.get(wanted.of)
    return "prior" in (wanted.study, about.study if about else "")


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
