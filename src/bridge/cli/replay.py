"""`bridge replay --rules NEW`: what other rules would have made of the studies of the last days. Nothing is sent."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console

from bridge.cli.index import open_index
from bridge.cli.words import console, plain, table
from bridge.config import check_rules, load_rules, load_site
from bridge.config.load import raise_first
from bridge.config.site import Site
from bridge.errors import ConfigError
from bridge.flow.keeping.fence import installation_key
from bridge.flow.stages.inputs import tolerance_of
from bridge.flow.stages.shelf import JobShelf
from bridge.flow.study.contents import mend_here, shown_here
from bridge.flow.study.earlier import Archive
from bridge.flow.study.guard import guards_of
from bridge.flow.study.screening import screened
from bridge.flow.study.sight import sight_of
from bridge.rules import Guards, Rule, compile_rules
from bridge.rules.replay import Change, Replayed, replay
from bridge.store.instances import Instances
from bridge.store.jobs import Jobs
from bridge.store.overview import Overview
from bridge.store.studies import Studies
from bridge.store.studies import Study as StudyRow

UNITS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
AT_ONCE = 100
"""Studies that one child process looks at before it answers."""
MOST_ROWS = 20
"""Of the studies that differ; --json has all."""
STYLE = {Change.NEW: "green", Change.GONE: "yellow", Change.OTHER: "cyan", Change.ASKED: "yellow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One study at which a rule changes its mind."""

    study: str
    """Its keyed name."""
    arrived: str
    replayed: Replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What two files of rules make of the same studies."""

    studies: int
    rules: tuple[str, ...]
    runs: Counter[tuple[str, str]]
    """By rule: jobs `now`, jobs `then`, and studies by `Change`."""
    cost_now: float
    cost_then: float
    more: int
    """Jobs that the new rules make and the present ones do not."""
    differences: tuple[Difference, ...]
    beyond: tuple[str, ...] = ()
    """Budgets that the new rules would exceed, in words."""


def show_replay(config: Path, rules: Path, *, since: str, rule: str, as_json: bool) -> None:
    """Raises ConfigError: EXP-010 for a span that is none, EXP-001 for an unknown rule."""
    site = load_site(config)
    within_s = _seconds(since)
    new = load_rules(rules)
    raise_first(check_rules(new, site))
    now, then = compile_rules(load_rules(site.rules_file)), compile_rules(new)
    names = {one.name for one in (*now, *then)}
    if rule and rule not in names:
        known = ", ".join(sorted(names))
        raise ConfigError("EXP-001", f"no rule {rule[:64]!r} in either file", f"one of: {known}")
    now, then = (tuple(one for one in both if not rule or one.name == rule) for both in (now, then))
    index = open_index(site)
    try:
        studies = Overview(index).studies_since(index.clock() - within_s)
    finally:
        index.close()
    summary = _summary(_replayed(site, rules, rule, studies), now, then, len(studies))
    if as_json:
        print(json.dumps(_as_json(summary), indent=1))
    else:
        _show(console(), summary, since)


def _summary(
    replayed: Iterable[tuple[StudyRow, tuple[Replayed, ...]]],
    now: tuple[Rule, ...],
    then: tuple[Rule, ...],
    studies: int,
) -> Summary:
    differences: list[Difference] = []
    runs: Counter[tuple[str, str]] = Counter()
    days: Counter[tuple[str, str]] = Counter()
    for row, every in replayed:
        for one in every:
            runs[one.rule, "now"] += one.jobs_before
            runs[one.rule, "then"] += one.jobs_after
            days[one.rule, _day(row.last_at)[:10]] += one.jobs_after
            runs[one.rule, one.change] += 1
            if one.change is not Change.SAME:
                differences.append(Difference(study=row.name, arrived=_day(row.last_at), replayed=one))
    return Summary(
        studies=studies,
        rules=tuple(dict.fromkeys(one.name for one in (*then, *now))),
        runs=runs,
        cost_now=sum(one.cost_per_job * runs[one.name, "now"] for one in now),
        cost_then=sum(one.cost_per_job * runs[one.name, "then"] for one in then),
        more=sum(one.replayed.more for one in differences),
        differences=tuple(differences),
        beyond=tuple(sentence for one in then for sentence in _beyond(one, days)),
    )


def _beyond(rule: Rule, days: Counter[tuple[str, str]]) -> Iterator[str]:
    """Where the rule would pause. What it does not make on a day it makes later, so the numbers are of days alone."""
    for limit, key, length in (
        (rule.jobs_per_day, "jobs_per_day", len("2026-01-31")),
        (rule.jobs_per_month, "jobs_per_month", len("2026-01")),
    ):
        spans: Counter[str] = Counter()
        for (name, day), count in days.items():
            spans[day[:length]] += count if name == rule.name else 0
        many = sum(limit is not None and count > limit for count in spans.values())
        if many:
            span = key.removeprefix("jobs_per_") + "s" * (many != 1)
            yield f"{rule.name}: more matches than {key} = {limit} on {many} {span}, at most {max(spans.values())}"


def _seconds(since: str) -> float:
    found = re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", since)
    if found is None:
        raise ConfigError(
            "EXP-010", f"--since {since[:20]!r}", "a number with h, d or w behind it, such as 30d"
        )
    return int(found[1]) * UNITS[found[2]]


def _replayed(
    site: Site, rules: Path, rule: str, studies: Sequence[StudyRow]
) -> Iterator[tuple[StudyRow, tuple[Replayed, ...]]]:
    """Every study in its order; many of them side by side, for reading headers is all the work."""
    parts = [studies[at : at + AT_ONCE] for at in range(0, len(studies), AT_ONCE)]
    work = partial(_part, site, rules, rule)
    if len(parts) < 2:
        for part in parts:
            yield from zip(part, work(part), strict=True)
        return
    with ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for part, told in zip(parts, pool.map(work, parts), strict=True):
            yield from zip(part, told, strict=True)


def _part(site: Site, rules: Path, rule: str, studies: Sequence[StudyRow]) -> list[tuple[Replayed, ...]]:
    files = [compile_rules(load_rules(file)) for file in (site.rules_file, rules)]
    now, then = (tuple(one for one in file if not rule or one.name == rule) for file in files)
    index = open_index(site)
    try:
        store = Instances(index, site.data / "instances", key=installation_key(site.data))
        guards = guards_of(site)
        key = installation_key(site.data)
        archive = Archive(instances=store, studies=Studies(index), key=key, tolerance=tolerance_of(site))
        return [_study(site, store, Jobs(index), archive, row, now, then, guards) for row in studies]
    finally:
        index.close()


def _study(
    site: Site,
    store: Instances,
    jobs: Jobs,
    archive: Archive,
    row: StudyRow,
    now: tuple[Rule, ...],
    then: tuple[Rule, ...],
    guards: Guards,
) -> tuple[Replayed, ...]:
    # A condition on the age of a study means the day on which it came.
    today = datetime.fromtimestamp(row.last_at).astimezone().date()
    study = sight_of(
        store,
        jobs,
        row,
        (*now, *then),
        today=today,
        shelf=lambda job: JobShelf(site.data / "jobs" / job),
        archive=replace(archive, by=row.last_at),
    )
    tolerance = tolerance_of(site)
    mend = partial(mend_here, store, tolerance)
    return replay(
        now,
        then,
        study,
        held=bool(row.doubts),
        tolerance=tolerance,
        mend=mend,
        guards=guards,
        shows=partial(shown_here, store),
        screen=partial(screened, site),
    )


def _day(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")


def _show(out: Console, told: Summary, since: str) -> None:
    out.print(
        f"[bold]{told.studies}[/] {'studies' if told.studies != 1 else 'study'} of the last {since}; nothing was sent"
    )
    changes = [change for change in Change if change is not Change.SAME]
    rows = [
        (
            rule,
            str(told.runs[rule, "now"]),
            str(told.runs[rule, "then"]),
            *(str(told.runs[rule, one] or "") for one in changes),
        )
        for rule in told.rules
    ]
    out.print()
    out.print(table(("rule", "jobs now", "jobs then", *changes), rows))
    out.print()
    out.print(f"[bold]{told.more}[/] jobs that the new rules make and the present ones do not")
    if told.cost_now or told.cost_then:
        out.print(f"estimated cost: {told.cost_now:g} now, [bold]{told.cost_then:g}[/] then")
    for sentence in told.beyond:
        out.print(f"[yellow]{plain(sentence)}[/]: the rule would pause")
    if not told.differences:
        return
    shown = [
        (
            one.study,
            one.arrived,
            one.replayed.rule,
            f"[{STYLE[one.replayed.change]}]{one.replayed.change}[/]",
            plain(one.replayed.after or "no such rule, or it is off"),
        )
        for one in told.differences[:MOST_ROWS]
    ]
    out.print()
    out.print(table(("study", "arrived", "rule", "change", "the new rules say"), shown))
    if len(told.differences) > MOST_ROWS:
        out.print(f"and {len(told.differences) - MOST_ROWS} more; --json has all")


def _as_json(told: Summary) -> dict[str, object]:
    return {
        "studies": told.studies,
        "cost_now": told.cost_now,
        "cost_then": told.cost_then,
        "beyond": list(told.beyond),
        "rules": {
            rule: {"jobs_now": told.runs[rule, "now"], "jobs_then": told.runs[rule, "then"]}
            | {str(change): told.runs[rule, change] for change in Change}
            for rule in told.rules
        },
        "differences": [
            {"study": one.study, "arrived": one.arrived, **asdict(one.replayed)} for one in told.differences
        ],
    }
