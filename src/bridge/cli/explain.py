"""`bridge explain FOLDER|STUDY`: what every rule makes of a study, condition by condition. Nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from rich.console import Console, RenderableType

from bridge.cli.index import open_index
from bridge.cli.words import console, plain, table
from bridge.config import RulesFile, Site, load_rules, load_site
from bridge.dicom.folder import read_folder
from bridge.dicom.instance import Instance
from bridge.errors import ConfigError, Refused
from bridge.flow.keeping.fence import installation_key
from bridge.flow.stages.inputs import tolerance_of
from bridge.flow.stages.shelf import JobShelf
from bridge.flow.study.contents import mend_here, shown_here
from bridge.flow.study.doubts import doubts
from bridge.flow.study.earlier import Archive, among, asks
from bridge.flow.study.guard import guards_of
from bridge.flow.study.screening import screened
from bridge.flow.study.sight import sight_of
from bridge.flow.study.versions import OTHER_IDENTITY
from bridge.rules import Rule, choose, compile_rules
from bridge.rules.explanation import (
    HIDDEN,
    CandidateVerdict,
    Check,
    Explanation,
    Outcome,
    PriorVerdict,
    prior_name,
)
from bridge.rules.facts import Study
from bridge.store.budgets import Budgets
from bridge.store.instances import Instances
from bridge.store.jobs import Jobs
from bridge.store.overview import Overview
from bridge.store.own import looks_own
from bridge.store.studies import Studies
from bridge.store.studies import Study as StudyRow
from bridge.store.tables import Index
from bridge.volumes import candidates_of
from bridge.volumes.masks import masks_of

STYLE = {Outcome.MATCH: "green", Outcome.HELD: "yellow", Outcome.REFUSED: "yellow", Outcome.NO_MATCH: "dim"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A study, and why a person would be asked before anything of it is computed."""

    study: Study
    doubts: tuple[str, ...]
    held: Instances | None = None
    """The store that it stands in; None for a folder."""
    pauses: Mapping[str, str] = field(default_factory=dict)
    """Rules of the service that pause themselves now, and why."""
    left_out: int = 0
    """Files of a folder that could not be read as DICOM."""


def explain(
    config: Path, what: str, *, rules: Path | None, rule: str, show_values: bool, as_json: bool
) -> None:
    """Raises ConfigError (EXP-001, EXP-002) for a rule or a study that is not there, Refused (EXP-003) for a folder
    without objects.
    """
    site = load_site(config)
    file = load_rules(rules or site.rules_file)
    compiled = _wanted(file, rule)
    guards, out = guards_of(site), console()
    for seen in _studies(site, what, compiled):
        tolerance = tolerance_of(site)
        candidates = candidates_of(seen.study.instances, tolerance)
        mend = partial(mend_here, seen.held, tolerance)
        masks = masks_of(seen.study.instances, tolerance)
        shows = partial(shown_here, seen.held)
        choices = [
            (
                one,
                screened(
                    site, one, choose(one, seen.study, candidates, mend, masks, guards=guards, shows=shows)
                ),
            )
            for one in compiled
        ]
        jobs = {one.name: len(choice.matches) for one, choice in choices}
        told = [
            (one, choice.explanation if show_values else choice.explanation.masked())
            for one, choice in choices
        ]
        if as_json:
            print(json.dumps(_as_json(seen, told, jobs), indent=1))
        else:
            _show(out, seen, told, jobs)


def _wanted(file: RulesFile, rule: str) -> tuple[Rule, ...]:
    compiled = compile_rules(file)
    if rule and rule not in file.rules:
        known = ", ".join(file.rules)
        raise ConfigError("EXP-001", f"no rule {rule[:64]!r} in {file.file}", f"one of: {known}")
    return tuple(one for one in compiled if not rule or one.name == rule)


def _studies(site: Site, what: str, rules: tuple[Rule, ...]) -> Iterator[Seen]:
    """The studies of a folder, else the one of the index."""
    today = datetime.now().astimezone().date()
    folder = Path(what)
    if folder.exists():
        held = read_folder(
            folder, lambda header: looks_own(header.uid("SOPInstanceUID"), header, site.uid_root)
        )
        if not held.instances:
            raise Refused("EXP-003", f"no DICOM object in {folder}", "a folder of DICOM files (PS3.10)")
        studies: dict[str, list[Instance]] = {}
        for instance in held.instances:
            studies.setdefault(instance.study_instance_uid, []).append(instance)
        every = [
            Study(study_instance_uid=uid, instances=tuple(instances), today=today)
            for uid, instances in sorted(studies.items())
        ]
        for study in every:
            found = doubts(study.instances, elsewhere=(), sent_as_another=(), key=bytes(16))
            yield Seen(
                study=among(study, every, tolerance_of(site)) if asks(rules) else study,
                doubts=tuple(f"{one.code}: {one.reason}" for one in found),
                left_out=held.left_out,
            )
        return
    index = open_index(site)
    try:
        row = _row(index, what)
        store = Instances(index, site.data / "instances", key=installation_key(site.data))
        uid = row.study_instance_uid
        seen = sight_of(
            store,
            Jobs(index),
            row,
            rules,
            today=today,
            shelf=lambda job: JobShelf(site.data / "jobs" / job),
            archive=Archive(
                instances=store,
                studies=Studies(index),
                key=installation_key(site.data),
                tolerance=tolerance_of(site),
            ),
        )
        found = doubts(
            seen.instances,
            elsewhere=Studies(index).series_elsewhere(uid),
            sent_as_another=Studies(index).changed(uid, OTHER_IDENTITY),
            key=installation_key(site.data),
        )
        yield Seen(
            study=seen,
            held=store,
            pauses={name: one.reason for name, one in Budgets(index).pauses().items()},
            doubts=tuple(
                f"{one.code}: {one.reason}" for one in found if one.mark not in row.released.split()
            ),
        )
    finally:
        index.close()


def _row(index: Index, what: str) -> StudyRow:
    exact = Studies(index).study(what)
    found = [exact] if exact else Overview(index).studies_named(what)
    if len(found) != 1:
        raise ConfigError(
            "EXP-002",
            f"{len(found) or 'no'} studies and no folder of that name",
            "a folder, a Study Instance UID that has arrived, or a study's name as logs and `bridge status` show it",
        )
    return found[0]


def _show(out: Console, seen: Seen, told: list[tuple[Rule, Explanation]], jobs: Mapping[str, int]) -> None:
    objects = len(seen.study.foreign)
    series = len({instance.series_instance_uid for instance in seen.study.foreign})
    more = f", {seen.left_out} other files left out" if seen.left_out else ""
    own = len(seen.study.instances) - objects
    more += f", {own} results of this bridge" if own else ""
    out.print(f"[bold]study[/] of {objects} objects in {series} series{more}")
    for sentence in seen.doubts:
        out.print(f"[yellow]a person is asked first[/]  {plain(sentence)}")
    for rule, explanation in told:
        out.print()
        style = STYLE[explanation.outcome]
        out.print(
            f"[bold]{rule.name}[/] ({rule.mode})  [{style}]{explanation.outcome}[/]: {plain(explanation.reason)}"
        )
        if jobs[rule.name] > 1:
            cost = f", {jobs[rule.name] * rule.cost_per_job:g} in all" if rule.cost_per_job else ""
            out.print(f"  [bold]{jobs[rule.name]} jobs[/]{cost}")
        if explanation.outcome is Outcome.MATCH and rule.name in seen.pauses:
            out.print(f"  [yellow]the rule pauses[/]  {plain(seen.pauses[rule.name])}")
        for risk in explanation.risks:
            out.print(f"  [yellow]leaves all the same[/]  {plain(risk)}")
        if explanation.outcome is Outcome.MATCH:
            for wait in rule.waits_for:
                out.print(f"  [yellow]waits for[/] {plain(wait.sentence)}")
            if rule.not_before:
                out.print(f"  [yellow]goes between[/] {rule.not_before.replace('-', ' and ')} only")
        if rule.inherited:
            out.print(f"  [dim]from defaults: {', '.join(sorted(rule.inherited))}[/]")
        for part in _parts(explanation):
            out.print(part)
    if any(
        HIDDEN in f"{check.wanted}{check.found}" for _, one in told for check in _checks(one) if check.private
    ):
        out.print(f"\n{HIDDEN} may identify a person; --show-values shows it")


def _checks(explanation: Explanation) -> Iterator[Check]:
    yield from explanation.study
    for one in explanation.every:
        for candidate in one.candidates:
            yield from candidate.checks


def _parts(explanation: Explanation) -> Iterator[RenderableType]:
    if explanation.study:
        yield table(("  study", "", "", ""), [_line(check) for check in explanation.study])
    if explanation.priors:
        yield table(("  earlier studies", "", "", ""), [_prior(one) for one in explanation.priors])
    for one in explanation.every:
        rows: list[tuple[str, str, str, str]] = []
        for candidate in one.candidates:
            rows += _candidate(candidate)
        by = f" by {one.definition}" if one.definition else ""
        by += f", {prior_name(one.prior_days)}" if one.prior_days is not None else ""
        # Of no series there is anything to say, but of the input there is.
        rows = rows or [("  -", "", "", plain(one.reason))]
        yield table((f"  {one.input}{by}", "wanted", "found", ""), rows)


def _prior(told: PriorVerdict) -> tuple[str, str, str, str]:
    style = "green" if told.chosen else "dim"
    return f"  [{style}]{told.name}[/]", "", "", f"[{style}]{plain(told.reason)}[/]"


def _candidate(candidate: CandidateVerdict) -> Iterator[tuple[str, str, str, str]]:
    style = "green" if candidate.chosen else "dim"
    yield (f"  [{style}]{plain(candidate.label)}[/]", "", "", f"[{style}]{plain(candidate.reason)}[/]")
    for check in candidate.checks:
        name, wanted, found, verdict = _line(check)
        yield f"  {name}", f"[dim]{wanted}[/]", f"[dim]{found}[/]", verdict


def _line(check: Check) -> tuple[str, str, str, str]:
    verdict = "[green]yes[/]" if check.ok else "[yellow]no[/]"
    found = "absent" if check.found is None else plain(check.found)
    return f"  {check.keyword}", plain(check.wanted), found, verdict


def _as_json(seen: Seen, told: list[tuple[Rule, Explanation]], jobs: Mapping[str, int]) -> dict[str, Any]:
    adapter = TypeAdapter(Explanation)
    return {
        "objects": len(seen.study.foreign),
        "doubts": list(seen.doubts),
        "rules": [
            {
                "mode": rule.mode,
                "jobs": jobs[rule.name],
                "pauses": seen.pauses.get(rule.name, ""),
                "waits_for": [one.sentence for one in rule.waits_for],
                **adapter.dump_python(explanation, mode="json"),
            }
            for rule, explanation in told
        ],
    }
