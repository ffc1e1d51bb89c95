"""`rules.toml`: which study goes to which algorithm, and what becomes of the answer.

Here a rule gets its shape: known keys, known operators, operands of the right kind. What the conditions mean, and
whether a keyword exists, is for `bridge.rules.compile_rules`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, Strict, create_model
from pydantic.fields import FieldInfo

from bridge.config.chains import chain_problems
from bridge.config.conditions import conditions_of
from bridge.config.defaults import with_defaults
from bridge.config.fields import Name, Purpose, Text
from bridge.config.fixed_files import with_digests
from bridge.config.for_each import for_each_problems
from bridge.config.inputs import Conditions, InputModel, VolumeModel, unknown_volumes
from bridge.config.load import Document, Key, nearest, raise_first, read_document
from bridge.config.masks import mask_problems
from bridge.config.priors import prior_problems
from bridge.config.privacy import PrivacyModel
from bridge.config.results import ResultsModel
from bridge.config.site import Site
from bridge.config.starts import WaitModel, Waits, Window, starts_problems, wait_conditions
from bridge.config.validate import Section, validate
from bridge.errors import ConfigError


class RuleModel(Section):
    """`[rules.NAME]`"""

    mode: Literal["off", "explain", "hold", "live"] = Field(examples=['"explain"'])
    """`off`, `explain` (record what would run), `hold` (make the job, wait for a person), `live`."""
    platform: Name = Field(examples=['"gc"'])
    """An account of site.toml."""
    algorithm: Text = Field(examples=['"lungs-and-airways"'])
    """The platform's name of the algorithm."""
    version: str = ""
    """The version of the algorithm that the site relies on; part of the identity of a job."""
    destinations: Annotated[tuple[str, ...], Strict(False), Field(min_length=1)] = Field(
        examples=['["pacs"]']
    )
    """Where results go: names of site.toml."""
    study: Conditions = Field(default_factory=dict)
    """Conditions on the study, by keyword or fact."""
    inputs: dict[Text, InputModel] = Field(default_factory=dict)
    """One table for each socket that a volume goes into. A rule without one names its study by StudyInstanceUID."""
    for_each: str = Field(default="", examples=['"ct-image"'])
    """One of its inputs: every volume that fits it makes a job of its own."""
    values: dict[Text, JsonValue] = Field(default_factory=dict)
    """Other inputs, by socket: a value, `{ file = "path" }`, what is at the platform already, or the answer of another
    rule: `{ from = "RULE", output = "NAME" }`."""
    results: ResultsModel = Field(default_factory=ResultsModel)
    """What is made of the answer."""
    start: Literal["study-complete", "inputs-complete"] = "study-complete"
    """`inputs-complete`: as soon as each input has its volume, without a gap and as long as its conditions say."""
    urgent: bool = False
    """true: its jobs go before all others, and with `inputs-complete` no quiet period is waited for."""
    priority: Annotated[int, Field(ge=-10, le=10)] = 0
    """Of jobs that wait at the same time, a higher one goes first; each step counts as 20 minutes of waiting."""
    waits_for: Waits = ()
    """Another rule, or a series, that must have come before."""
    not_before: Window = Field(default="", examples=['"20:00-06:00"'])
    """Hours of the day, local time, in which jobs go to the platform; those made before wait."""
    cost_per_job: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """What one job costs, in what the site counts: credits, euros. `bridge replay` adds it up."""
    other_ai: bool = True
    """false: images that other software made or changed, AI above all, are never an input; by their headers."""
    max_study_age_days: Annotated[int, Field(ge=0, le=36500)] | None = None
    """A study older than that by its Study Date, or without a date that can be read, makes no job."""
    jobs_per_day: Annotated[int, Field(ge=1)] | None = None
    """After so many jobs in one day of the calendar, local time, the rule pauses until the next."""
    jobs_per_month: Annotated[int, Field(ge=1)] | None = None
    """After so many jobs in one month of the calendar, local time, the rule pauses until the next."""
    failures_in_a_row: Annotated[int, Field(ge=1, le=1000)] | None = None
    """When its last jobs failed, so many of them, the rule pauses until `bridge rules resume`."""
    test_patients: Literal["run", "skip", "only"] = "skip"
    """Studies of the test patients of site.toml: `run` as any other, `skip`, or `only` them."""
    purpose: Purpose = "clinical"
    """What results are for; they go to destinations only that accept it."""
    privacy: PrivacyModel = Field(default_factory=PrivacyModel)
    """What of a person may leave."""

    @property
    def waits(self) -> tuple[WaitModel, ...]:
        """All that it waits for, however it is written."""
        return (self.waits_for,) if isinstance(self.waits_for, WaitModel) else self.waits_for


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesFile:
    """Everything that rules.toml says, and where it says it."""

    file: Path
    rules: Mapping[str, RuleModel]
    document: Document = field(repr=False)
    volumes: Mapping[str, VolumeModel] = field(default_factory=dict)
    """Definitions that inputs name."""
    inherited: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By rule, the keys that it takes from `[defaults]`: `study.age_days`."""


def _default(field: FieldInfo) -> FieldInfo:
    optional = copy(field)
    optional.default, optional.default_factory = None, None
    return optional


DEFAULTED = {name: one for name, one in RuleModel.model_fields.items() if name != "inputs"}
DefaultsModel: type[Section] = create_model(  # type: ignore[call-overload]  # names that only run time knows
    "DefaultsModel",
    __base__=Section,
    __doc__="`[defaults]`: any key of a rule but `inputs`, for all rules that do not have it.",
    **{name: (one.annotation, _default(one)) for name, one in DEFAULTED.items()},
)


class _RulesFile(Section):
    defaults: DefaultsModel = Field(default_factory=DefaultsModel)  # type: ignore[valid-type]
    """What a rule does not say itself."""
    volumes: dict[Name, VolumeModel] = Field(default_factory=dict)
    """Kinds of volumes, for the inputs that name them."""
    rules: dict[Name, RuleModel] = Field(min_length=1)


def load_rules(path: Path) -> RulesFile:
    """Read rules.toml.

    Raises ConfigError: CFG-001 to CFG-009, CFG-012 to CFG-014, CFG-017, the first problem of the file with the `others`
    behind it.
    """
    document, data, inherited = with_defaults(read_document(path))
    file, problems = validate(_RulesFile, document, data)
    problems += _all_conditions(document)
    rules: dict[str, RuleModel] = {}
    if file is not None:
        problems += _sockets_twice(document, file.rules)
        problems += _without_volume(document, file.rules)
        problems += mask_problems(document, file.rules)
        problems += chain_problems(document, file.rules)
        problems += for_each_problems(document, file.rules)
        problems += prior_problems(document, file.rules)
        problems += starts_problems(document, file.rules, file.volumes)
        problems += unknown_volumes(document, _inputs(file.rules), file.volumes)
        for name, rule in file.rules.items():
            values = with_digests(document, name, rule.values)
            if isinstance(values, ConfigError):
                problems.append(values)
            else:
                rules[name] = rule.model_copy(update={"values": values})
    raise_first(problems)
    volumes = file.volumes if file is not None else {}
    return RulesFile(file=path, rules=rules, document=document, volumes=volumes, inherited=inherited)


def unused_volumes(file: RulesFile) -> Iterator[tuple[str, int]]:
    """Definitions that no input names, each with its line."""
    used = {name for given in _inputs(file.rules).values() for name in given.names}
    for name in file.volumes:
        if name not in used:
            yield name, file.document.place_of(("volumes", name)).line


def _inputs(rules: Mapping[str, RuleModel]) -> dict[Key, InputModel]:
    return {
        ("rules", name, "inputs", socket): one
        for name, rule in rules.items()
        for socket, one in rule.inputs.items()
    }


def check_rules(rules: RulesFile, site: Site) -> list[ConfigError]:
    """Names in the rules that site.toml does not know: CFG-008, in the order of the rules."""
    problems = []

    def check(key: Key, name: str, known: Mapping[str, object], table: str) -> None:
        if name not in known:
            there = ", ".join(sorted(known)) or "none yet"
            near = nearest(name, known)
            remedy = f"Did you mean {near}?" if near else f"Add [{table}.{name}] to {site.file}"
            found = f'"{name}" is not among the {table} of {site.file.name}'
            problems.append(
                rules.document.error("CFG-008", key, found, f"one of its {table} ({there})", remedy)
            )

    for name, rule in rules.rules.items():
        check(("rules", name, "platform"), rule.platform, site.accounts, "accounts")
        for index, destination in enumerate(rule.destinations):
            check(("rules", name, "destinations", index), destination, site.destinations, "destinations")
        problems += _guards(rules.document, name, rule, site)
    return problems


def _guards(document: Document, name: str, rule: RuleModel, site: Site) -> Iterator[ConfigError]:
    """Where a rule must not deliver, and whom it would wait for in vain: CFG-015, CFG-016."""
    for index, destination in enumerate(rule.destinations):
        there = site.destinations.get(destination)
        if there is not None and rule.purpose not in there.accepts:
            accepted = " and ".join(there.accepts)
            yield document.error(
                "CFG-015",
                ("rules", name, "destinations", index),
                f"the rule is {rule.purpose}, and {destination} accepts {accepted} results only",
                f"a destination that accepts {rule.purpose} results",
                f"Change `purpose` of the rule, or `accepts` of destinations.{destination} in {site.file.name}",
            )
    if rule.test_patients == "only" and not site.test_patients:
        yield document.error(
            "CFG-016",
            ("rules", name, "test_patients"),
            f"the rule is for test patients only, and {site.file.name} names none",
            "[test_patients] with a condition that finds them",
            f"Add it to {site.file}, or remove the key",
        )


def _sockets_twice(document: Document, rules: Mapping[str, RuleModel]) -> Iterator[ConfigError]:
    for name, rule in rules.items():
        for socket in sorted(set(rule.inputs) & set(rule.values)):
            key = ("rules", name, "values", socket)
            yield document.error(
                "CFG-005", key, "the socket has a volume and a fixed value", "one of the two"
            )


def _without_volume(document: Document, rules: Mapping[str, RuleModel]) -> Iterator[ConfigError]:
    """A rule without a volume gives every study the same answer: whose it is, only the rule can say."""
    for name, rule in rules.items():
        if rule.inputs:
            continue
        if not rule.values:
            yield document.error(
                "CFG-013", ("rules", name), "no input", "a volume or a fixed value for a socket"
            )
        elif not isinstance(rule.study.get("StudyInstanceUID"), str):
            yield document.error(
                "CFG-013",
                ("rules", name, "study"),
                "a rule without a volume that may fit several studies",
                'study = { StudyInstanceUID = "…" }, the one study that its results belong to',
                "Its inputs are the same for every study, so its results would be filed under each person",
            )


def _all_conditions(document: Document) -> Iterator[ConfigError]:
    defaults = document.data.get("defaults")
    if isinstance(defaults, dict):
        yield from conditions_of(document, ("defaults", "study"), defaults.get("study"))
        yield from wait_conditions(document, ("defaults",), defaults.get("waits_for"))
    for name, volume in _tables(document.data.get("volumes")):
        yield from conditions_of(document, ("volumes", name, "where"), volume.get("where"))
    for name, rule in _tables(document.data.get("rules")):
        yield from conditions_of(document, ("rules", name, "study"), rule.get("study"))
        yield from wait_conditions(document, ("rules", name), rule.get("waits_for"))
        for socket, given in _tables(rule.get("inputs")):
            yield from conditions_of(
                document, ("rules", name, "inputs", socket, "volume"), given.get("volume")
            )


def _tables(value: object) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        yield from ((name, one) for name, one in value.items() if isinstance(one, dict))
