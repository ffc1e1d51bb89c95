"""`bridge jobs list|show`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from bridge.cli.index import open_index, the_job
from bridge.cli.words import ago, console, plain, table, until
from bridge.config import load_site
from bridge.dicom.statuses import STORED
from bridge.errors import ConfigError
from bridge.store.acts import Acts
from bridge.store.decisions import Decisions
from bridge.store.deliveries import Deliveries
from bridge.store.jobs import Job, Jobs, JobState
from bridge.store.rows import Delivery, Line, Turn
from bridge.store.tables import Index
from bridge.store.turns import Turns

COLOURS = {
    JobState.READY: "cyan",
    JobState.RUNNING: "cyan",
    JobState.DONE: "green",
    JobState.HELD: "yellow",
    JobState.REFUSED: "red",
    JobState.FAILED: "red",
    JobState.CANCELLED: "dim",
}


def list_jobs(config: Path, state: str, *, as_json: bool) -> None:
    """Raises ConfigError (CLI-003) for an unknown state."""
    index = open_index(load_site(config))
    store = Jobs(index)
    found = store.all(state=_state(state))
    owed: dict[str, list[Turn]] = {}
    lines = Turns(index).lines()
    for turn in Turns(index).owed():
        owed.setdefault(turn.job_id, []).append(turn)
    if as_json:
        listed = [{**_plain(job), "turns": _turns(owed.get(job.id, []))} for job in found]
        print(json.dumps(listed, indent=1))
        return
    out = console()
    if found:
        rows = [
            (
                job.id[:8],
                job.rule + _volume(job),
                _coloured(job),
                job.stage,
                ago(job.changed_at),
                _why(job, owed.get(job.id, []), lines),
            )
            for job in found
        ]
        out.print(table(("job", "rule", "state", "stage", "since", "reason"), rows))
    elif state:
        out.print(f"No job is {state}.")
    else:
        out.print("No jobs. A study that matches a live rule becomes one when its quiet period is over.")
    waiting = Decisions(index).waiting()
    if waiting and not state:
        out.print()
        undecided = [(study, one.rule, one.outcome, plain(one.reason)) for study, one in waiting]
        out.print(table(("study", "rule", "outcome", "reason"), undecided))


def _volume(job: Job) -> str:
    """Of a rule that makes a job of each volume, which one this is."""
    each = json.loads(job.frozen).get("for_each", "")
    if not each:
        return ""
    chosen = [
        candidate["label"]
        for one in json.loads(job.explanation)["inputs"]
        for candidate in one["candidates"]
        if one["input"] == each and candidate["chosen"]
    ]
    return f" [dim]{plain(', '.join(chosen))}[/]" if len(chosen) == 1 else ""


def _why(job: Job, turns: list[Turn], lines: Mapping[str, Line]) -> str:
    """The reason in a line; for a job that is delivered, what each destination waits for."""
    if not turns:
        return plain(job.reason)
    return "; ".join(
        f"{turn.destination} {due}" + (f": {reason}" if reason else "")
        for turn in turns
        for due, reason in [_due(turn, lines)]
    )


def _due(turn: Turn, lines: Mapping[str, Line]) -> tuple[str, str]:
    """When a turn is tried next, and why not before: its own reason, or that nobody reaches the destination."""
    line = lines.get(turn.destination)
    at = turn.due_at or 0.0
    if line is None:
        return until(at), plain(turn.reason)
    return until(max(at, line.next_at)), plain(line.reason)


def show_job(config: Path, beginning: str, *, as_json: bool, report: Path | None) -> None:
    """Raises ConfigError (CLI-002) for an unknown job."""
    site = load_site(config)
    index = open_index(site)
    store = Jobs(index)
    job = the_job(store, beginning)
    if report is not None:
        from bridge.cli.report import write

        write(site, index, job, report)
        print(report)
        return
    if as_json:
        print(json.dumps(_everything(index, job), indent=1))
        return
    out = console()
    out.print(f"[bold]{job.id}[/]  {_coloured(job)} in {job.stage}, {ago(job.changed_at)}")
    out.print(f"rule {job.rule}, {plain(job.algorithm)} at {job.account}" + _counters(job))
    remote = _remote(job)
    if remote["remote_id"]:
        out.print(f"there: job {plain(remote['remote_id'])}, version {plain(remote['pin']) or 'not told'}")
    if given_up := _given_up(job):
        out.print(f"given up there: {given_up}, asked for and never given their inputs; they never run")
    if job.reason:
        out.print((f"{job.code}: " if job.code else "") + plain(job.reason))
    for part in _parts(index, store, job):
        out.print()
        out.print(part)


def _counters(job: Job) -> str:
    run = f", run {job.run + 1}" if job.run else ""
    return run + (f", asked for again {job.rerun} time{'s' * (job.rerun > 1)}" if job.rerun else "")


def _parts(index: Index, store: Jobs, job: Job) -> Iterator[RenderableType]:
    for one in _masked(job)["inputs"]:
        chosen = []
        for candidate in one["candidates"]:
            style = "green" if candidate["chosen"] else "dim"
            chosen.append((f"[{style}]{plain(candidate['label'])}[/]", plain(candidate["reason"])))
        yield table((f"for {one['input']}", ""), chosen)
    timeline = store.timeline(job.id)
    rows = []
    for event in timeline:
        keys = " ".join(f"{key}={value}" for key, value in event.keys.items() if value != "")
        at = datetime.fromtimestamp(event.at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        rows.append((at, f"{event.at - timeline[0].at:.1f} s", event.event, plain(keys)))
    if rows:
        yield table(("time", "after", "event", ""), rows)
    kinds = {one.sop_instance_uid: one.kind for one in store.results(job.id)}
    deliveries = Deliveries(index).of(job.id)
    if deliveries:
        delivered = [
            (
                one.destination,
                kinds.get(one.sop_instance_uid, ""),
                f"[{'green' if one.outcome in STORED else 'yellow'}]{one.outcome}[/]",
                str(one.attempts),
                ago(one.last_at) if one.last_at else "",
                plain(one.reason),
            )
            for one in deliveries
        ]
        yield table(("destination", "result", "outcome", "tries", "last", "said"), delivered)
    turns = [one for one in Turns(index).of_job(job.id) if one.due_at is not None]
    if turns:
        lines = Turns(index).lines()
        waits = [
            (one.destination, due, str(one.tries), ago(one.since), reason)
            for one in turns
            for due, reason in [_due(one, lines)]
        ]
        yield table(("destination", "next try", "tries", "owed for", "waits because"), waits)
    acts = Acts(index).about(job.id)
    if acts:
        asked = [
            (
                one.act,
                one.who,
                ago(one.asked_at),
                one.outcome or "waits",
                plain(one.reason),
                plain(one.answer),
            )
            for one in acts
        ]
        yield table(("act", "who", "asked", "outcome", "reason", "answer"), asked)


def _everything(index: Index, job: Job) -> dict[str, Any]:
    store = Jobs(index)
    kinds = {one.sop_instance_uid: one.kind for one in store.results(job.id)}
    return {
        **_plain(job),
        **_remote(job),
        "explanation": _masked(job),
        "timeline": [asdict(one) for one in store.timeline(job.id)],
        "deliveries": [_delivery(one, kinds) for one in Deliveries(index).of(job.id)],
        "turns": _turns(Turns(index).of_job(job.id)),
        "acts": [asdict(one) for one in Acts(index).about(job.id)],
    }


def _delivery(one: Delivery, kinds: dict[str, str]) -> dict[str, Any]:
    values = {key: value for key, value in asdict(one).items() if key != "job_id"}
    return {**values, "kind": kinds.get(one.sop_instance_uid, "")}


def _turns(turns: list[Turn]) -> list[dict[str, Any]]:
    return [{key: value for key, value in asdict(one).items() if key != "job_id"} for one in turns]


def _coloured(job: Job) -> str:
    return f"[{COLOURS[job.state]}]{job.state}[/]"


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


def _given_up(job: Job) -> int:
    """Jobs whose making was not answered, or whose addresses died, where the platform says that this costs nothing."""
    notes = json.loads(job.remote).get("notes", {}) if job.remote else {}
    return sum(int(note.get("orphans", 0)) for note in notes.values())


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
        "run",
        "rerun",
    )
    return {key: getattr(job, key) for key in keys}
