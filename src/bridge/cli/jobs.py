"""`bridge jobs list` and `show`: our own tables, read from beside the running service."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bridge.config import load_site
from bridge.config.site import Site
from bridge.errors import ConfigError
from bridge.store.jobs import Job, Jobs, JobState
from bridge.store.tables import Index

COLOURS = {
    JobState.READY: "cyan",
    JobState.RUNNING: "cyan",
    JobState.DONE: "green",
    JobState.HELD: "yellow",
    JobState.REFUSED: "red",
    JobState.FAILED: "red",
    JobState.CANCELLED: "dim",
}


def open_index(site: Site) -> Index:
    """The index of a site. Raises ConfigError (CLI-001) where no bridge has run yet."""
    file = site.data / "index.sqlite"
    if not file.exists():
        raise ConfigError(
            "CLI-001",
            "no index in the data directory",
            "a bridge that has run at least once",
            "Start `bridge serve` first, or name the right site.toml with --config",
        )
    return Index(file)


def list_jobs(config: Path, state: str, *, as_json: bool) -> None:
    site = load_site(config)
    index = open_index(site)
    store = Jobs(index)
    found = store.all(state=_state(state))
    if as_json:
        print(json.dumps([_plain(job) for job in found], indent=1))
        return
    console = Console()
    if found:
        table = Table("job", "rule", "state", "stage", "since", "reason", box=None, pad_edge=False)
        for job in found:
            table.add_row(
                job.id[:8],
                job.rule,
                f"[{COLOURS[job.state]}]{job.state}[/]",
                job.stage,
                _ago(job.changed_at),
                _plain_text(job.reason),
            )
        console.print(table)
    else:
        console.print("No jobs. A study that matches a live rule becomes one when its quiet period is over.")
    waiting = store.undecided()
    if waiting and not state:
        console.print()
        table = Table("study", "rule", "outcome", "reason", box=None, pad_edge=False)
        for study, decision in waiting:
            table.add_row(study, decision.rule, decision.outcome, _plain_text(decision.reason))
        console.print(table)


def show_job(config: Path, beginning: str, *, as_json: bool, report: Path | None) -> None:
    site = load_site(config)
    index = open_index(site)
    store = Jobs(index)
    job = the_job(store, beginning)
    if report is not None:
        from bridge.cli.report import write

        write(site, index, job, report)
        print(report)
        return
    timeline = store.timeline(job.id)
    deliveries = store.deliveries(job.id)
    if as_json:
        print(
            json.dumps(
                {
                    **_plain(job),
                    **_remote(job),
                    "explanation": _masked(job),
                    "timeline": [asdict(one) for one in timeline],
                    "deliveries": [
                        {k: v for k, v in asdict(one).items() if k != "job_id"} for one in deliveries
                    ],
                },
                indent=1,
            )
        )
        return
    console = Console()
    console.print(f"[bold]{job.id}[/]  [{COLOURS[job.state]}]{job.state}[/] in {job.stage}")
    console.print(f"rule {job.rule}, {job.algorithm} at {job.account}", highlight=False)
    remote = _remote(job)
    if remote["remote_id"]:
        console.print(
            f"there: job {remote['remote_id']}, version {remote['pin'] or 'not told'}", highlight=False
        )
    if job.reason:
        console.print(f"{job.code}: {_plain_text(job.reason)}", highlight=False)
    console.print()
    explanation = _masked(job)
    for one in explanation["inputs"]:
        table = Table(f"for {one['input']}", "", box=None, pad_edge=False)
        for candidate in one["candidates"]:
            style = "green" if candidate["chosen"] else "dim strike"
            table.add_row(f"[{style}]{candidate['label']}[/]", _plain_text(candidate["reason"]))
        console.print(table)
    console.print()
    table = Table("time", "after", "event", "", box=None, pad_edge=False)
    for event in timeline:
        keys = " ".join(f"{key}={value}" for key, value in event.keys.items() if value != "")
        table.add_row(
            datetime.fromtimestamp(event.at).astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            f"{event.at - timeline[0].at:.1f} s",
            event.event,
            _plain_text(keys),
        )
    console.print(table)


def release_job(config: Path, beginning: str) -> None:
    """Raises ConfigError (CLI-004) for a job that its rule does not hold."""
    store = Jobs(open_index(load_site(config)))
    job = the_job(store, beginning)
    if not store.release(job.id):
        raise ConfigError(
            "CLI-004",
            f"job {job.id[:8]} is {job.state}" + (f" ({job.reason})" if job.reason else ""),
            'a job that waits because its rule says `mode = "hold"`',
        )
    print(f"released {job.id[:8]}")


def the_job(store: Jobs, beginning: str) -> Job:
    """The one job whose id begins so. Raises ConfigError (CLI-002) when there is none or more than one."""
    found = store.find(beginning)
    if len(found) != 1:
        raise ConfigError(
            "CLI-002",
            f"{len(found)} jobs begin with {beginning!r}",
            "one job",
            "`bridge jobs list` shows them; write more of the id",
        )
    return found[0]


def _state(word: str) -> JobState | None:
    if not word:
        return None
    try:
        return JobState(word)
    except ValueError:
        raise ConfigError("CLI-003", f"the state {word!r}", f"one of {', '.join(JobState)}") from None


def _masked(job: Job) -> Any:
    from pydantic import TypeAdapter

    from bridge.rules import Explanation

    adapter = TypeAdapter(Explanation)
    return adapter.dump_python(adapter.validate_json(job.explanation).masked(), mode="json")


def _remote(job: Job) -> dict[str, str]:
    """What the platform calls the job and the version that computed; empty before it has one."""
    known = json.loads(job.remote) if job.remote else {}
    return {key: str(known.get(key, "")) for key in ("remote_id", "pin")}


def _plain(job: Job) -> dict[str, Any]:
    keys = (
        "id",
        "rule",
        "account",
        "algorithm",
        "state",
        "stage",
        "code",
        "reason",
        "created_at",
        "changed_at",
    )
    return {key: getattr(job, key) for key in keys}


def _ago(at: float) -> str:
    seconds = max(time.time() - at, 0)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _plain_text(text: str) -> str:
    return text.replace("[", "\\[")  # a reason is text, not Rich markup
