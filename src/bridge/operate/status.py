"""What waits, on whom, since when; and whether a person is needed. No value of a patient, no UID."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.config.site import Site
from bridge.operate.acts import is_alive
from bridge.receive.admit import Why, admit
from bridge.store.alerts import Alerts
from bridge.store.outages import AWAY as PLATFORM_AWAY
from bridge.store.overview import Overview
from bridge.store.refusals import Refusals
from bridge.store.rows import JobState, Stage
from bridge.store.studies import OPEN
from bridge.store.tables import Index
from bridge.store.turns import Turns

RECENT_S = 7 * 86400.0
"""Peers that were refused longer ago are no news."""

REMEDIES = {
    "platform-away": "Its jobs wait, and their deadlines with them; `bridge check` says what is wrong with it",
    "destination-away": "Its results wait and nothing else does; `bridge check` says what is wrong with it",
    "source-away": "Files stay where they are; `bridge check` says what is wrong with the folder",
    "disk-full": "Make room on that disk; receiving begins again by itself",
    "fenced": "`bridge fence show` says why; `bridge fence lift` when this bridge is the only one",
    "job-stranded": "Put the name back into site.toml and start the service again, or cancel the job",
    "opt-out-unreadable": "Put the file back that `opt_out_file` names; jobs go on by themselves",
    "rule-paused": "`bridge jobs list` shows what it has made; `bridge rules resume` with its name lets it go on",
    "rules-refused": "Mend rules.toml, then `bridge rules reload`",
    "study-held": "Look at the study; `bridge jobs release` with its name lets it go on",
    "study-incomplete": "Send what is missing, or `bridge jobs release` with its name takes it as it is",
    "study-set-aside": "The log has its errors; it is looked at again when something of it arrives",
    "unauthorized": "Renew the token of the account; its jobs go on by themselves",
}
"""By kind of alert: what a person does."""

WAITS_FOR_A_PERSON = {
    JobState.HELD: "`bridge jobs list --state held`, then release, retry or cancel",
    JobState.FAILED: "`bridge jobs list --state failed`, then retry, rerun or cancel",
}

ABOUT_STUDIES = frozenset({"study-held", "study-incomplete", "study-set-aside"})
OVER = frozenset({JobState.DONE, JobState.REFUSED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    kind: str
    subject: str
    reason: str
    since: float
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingStudy:
    name: str
    state: str
    since: float
    why: str
    due_at: float | None
    """When it is looked at next; None when only a person or a new object helps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Jobs, or decisions, of one kind; `since`: that of the oldest."""

    what: str
    count: int
    since: float | None
    """None for those that nobody waits for."""
    remedy: str = ""
    """Empty when nobody needs to do anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLine:
    name: str
    at_work: int
    limit: int
    waiting: int
    since: float | None
    away_since: float | None = None
    """Since when it does not answer; None while it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationLine:
    name: str
    owed: int
    since: float | None
    next_at: float | None
    down_since: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedPeer:
    calling_ae_title: str
    host: str
    why: str
    count: int
    last_at: float
    toml: str
    """What would admit it, in site.toml; empty where it must call another AE title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    at: float
    running: bool
    port: int | None
    alerts: tuple[Trouble, ...]
    studies: tuple[WaitingStudy, ...]
    groups: tuple[Group, ...]
    accounts: tuple[AccountLine, ...]
    destinations: tuple[DestinationLine, ...]
    refused: tuple[RefusedPeer, ...]
    free_bytes: int
    reserve_bytes: int
    fenced: bool

    @property
    def needs(self) -> int:
        """How many things a person must look at."""
        return (
            len(self.alerts)
            + (not self.running)
            + (self.free_bytes < self.reserve_bytes and not any(a.kind == "disk-full" for a in self.alerts))
            + sum(bool(group.remedy) for group in self.groups)
        )


def status(site: Site, index: Index) -> Status:
    overview, now = Overview(index), time.time()
    alerts = Alerts(index).all()
    running = is_alive(site.data)
    return Status(
        at=now,
        running=running,
        port=_port(site) if running else None,
        alerts=tuple(
            Trouble(
                kind=one.kind,
                subject=one.subject,
                reason=one.reason,
                since=one.since,
                remedy=REMEDIES.get(one.kind, "The log tells more"),
            )
            for one in alerts
        ),
        studies=_studies(overview, {one.subject: one.reason for one in alerts if one.kind in ABOUT_STUDIES}),
        groups=_groups(overview),
        accounts=_accounts(
            site, overview, {one.subject: one.since for one in alerts if one.kind == PLATFORM_AWAY}
        ),
        destinations=_destinations(site, index, overview),
        refused=refused_peers(site, index, since=now - RECENT_S),
        free_bytes=shutil.disk_usage(site.data).free,
        reserve_bytes=site.receive.reserve_bytes,
        fenced=any(one.kind == "fenced" for one in alerts),
    )


def refused_peers(site: Site, index: Index, *, since: float) -> tuple[RefusedPeer, ...]:
    """Peers that were not let in since then, the latest first."""
    return tuple(
        RefusedPeer(
            calling_ae_title=one.calling_ae_title,
            host=one.host,
            why=one.why,
            count=one.count,
            last_at=one.last_at,
            toml="" if one.why == Why.CALLED else admit(one.calling_ae_title, one.host, site.sources),
        )
        for one in Refusals(index).all()
        if one.last_at >= since
    )


def _studies(overview: Overview, alerted: Mapping[str, str]) -> tuple[WaitingStudy, ...]:
    return tuple(
        WaitingStudy(
            name=study.name,
            state="held" if study.doubts and study.state != OPEN else study.state,
            since=study.opened_at,
            why=study.waits
            or (
                "objects still arrive, or its quiet period runs"
                if study.state == OPEN
                else alerted.get(study.name, "")
            ),
            due_at=study.due_at if study.state == OPEN else None,
        )
        for study in overview.studies_waiting()
    )


def _groups(overview: Overview) -> tuple[Group, ...]:
    groups = [
        Group(
            what=f"jobs {state}",
            count=found.count,
            since=None if state in OVER else found.since,
            remedy=WAITS_FOR_A_PERSON.get(state, ""),
        )
        for state, found in overview.jobs_by_state().items()
    ]
    held = overview.studies_held()
    if held:
        remedy = "`bridge jobs list` names study, rule and reason"
        groups.insert(0, Group(what="rules held", count=held.count, since=held.since, remedy=remedy))
    return tuple(groups)


def _accounts(site: Site, overview: Overview, away: Mapping[str, float]) -> tuple[AccountLine, ...]:
    there = overview.jobs_of_accounts([JobState.RUNNING], Stage.CLOUD)
    before = overview.jobs_of_accounts([JobState.READY, JobState.RUNNING], Stage.PREPARE)
    lines = []
    for name, account in site.accounts.items():
        count = there[name].count if name in there else 0
        at_work = min(count, account.jobs_in_flight)
        ready = before[name].count if name in before else 0
        since = [found[name].since for found in (there, before) if name in found]
        lines.append(
            AccountLine(
                name=name,
                at_work=at_work,
                limit=account.jobs_in_flight,
                waiting=count - at_work + ready,
                since=min(since, default=None),
                away_since=away.get(name),
            )
        )
    return tuple(lines)


def _destinations(site: Site, index: Index, overview: Overview) -> tuple[DestinationLine, ...]:
    owed, down = overview.turns_of_destinations(), Turns(index).lines()
    lines = []
    for name in dict.fromkeys([*site.destinations, *owed]):
        count, due_at = owed.get(name, (None, None))
        line = down.get(name)
        lines.append(
            DestinationLine(
                name=name,
                owed=count.count if count else 0,
                since=count.since if count else None,
                next_at=max(due_at or 0.0, line.next_at) if line and count else due_at,
                down_since=line.down_since if line else None,
                reason=(line.reason if line else "")
                if name in site.destinations
                else "no longer in site.toml: put it back",
            )
        )
    return tuple(lines)


def _port(site: Site) -> int | None:
    try:
        return int(json.loads((site.data / "health.json").read_text())["port"])
    except (OSError, ValueError, KeyError):
        return None
