"""`bridge status`: one screen. Exit code 0 when nothing needs a person, 1 otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console, RenderableType

from bridge.cli.index import open_index
from bridge.cli.words import ago, console, plain, size, table, until
from bridge.config import load_site
from bridge.config.site import Site
from bridge.operate.status import Status, status

MOST_ROWS = 8
"""Of each table: the rest is a number. One screen."""


def show_status(config: Path, *, as_json: bool) -> None:
    site = load_site(config)
    seen = status(site, open_index(site))
    if as_json:
        print(json.dumps({"needs_a_person": seen.needs, **asdict(seen)}, indent=1))
    else:
        _show(console(), site, seen)
    if seen.needs:
        raise typer.Exit(1)


def _show(out: Console, site: Site, seen: Status) -> None:
    service = f"serves on port {seen.port}" if seen.running else "[red]does not run[/]"
    many = "thing needs" if seen.needs == 1 else "things need"
    needs = f"[yellow]{seen.needs} {many} a person[/]" if seen.needs else "nothing needs a person"
    out.print(f"[bold]{site.ae_title}[/] {service}; {needs}")
    for alert in seen.alerts:
        out.print(
            f"[red]![/] [bold]{alert.kind}[/] {plain(alert.subject)}, for {ago(alert.since)}: {plain(alert.reason)}"
        )
        out.print(f"    {alert.remedy}")
    for part in _parts(seen):
        out.print()
        out.print(part)
    out.print()
    room = f"{size(seen.free_bytes)} free, {size(seen.reserve_bytes)} reserve"
    low = seen.free_bytes < seen.reserve_bytes
    out.print(f"disk: {'[red]' + room + '[/]: new objects are refused' if low else room}")
    out.print("fence: [red]stands[/], `bridge fence show` tells what waits" if seen.fenced else "fence: open")


def _parts(seen: Status) -> Iterator[RenderableType]:
    if seen.groups:
        groups = [
            (one.what, str(one.count), ago(one.since) if one.since else "", one.remedy) for one in seen.groups
        ]
        yield table(("what", "count", "oldest", "do"), groups)
    if seen.studies:
        waits = [
            (one.name, one.state, ago(one.since), _when(one.due_at), plain(one.why))
            for one in seen.studies[:MOST_ROWS]
        ]
        titles = ("study", "state", "since", "next look", "waits because")
        yield table(titles, [*waits, *_rest(len(seen.studies))])
    if seen.accounts:
        at_work = [
            (
                one.name,
                f"{one.at_work} of {one.limit}",
                str(one.waiting),
                ago(one.since) if one.since else "",
                f"[red]away for {ago(one.away_since)}[/]" if one.away_since else "",
            )
            for one in seen.accounts
        ]
        yield table(("platform", "at work", "waiting", "oldest", "line"), at_work)
    if seen.destinations:
        owed = [
            (
                one.name,
                str(one.owed),
                ago(one.since) if one.since else "",
                _when(one.next_at),
                (f"[red]down for {ago(one.down_since)}[/]: " if one.down_since else "") + plain(one.reason),
            )
            for one in seen.destinations
        ]
        yield table(("destination", "owed", "oldest", "next try", "line"), owed)
    if seen.refused:
        peers = [
            (plain(one.calling_ae_title), plain(one.host), str(one.count), ago(one.last_at), plain(one.why))
            for one in seen.refused[:MOST_ROWS]
        ]
        yield table(("not let in", "host", "times", "last", "why"), [*peers, *_rest(len(seen.refused))])
        admitting = [line for one in seen.refused[:MOST_ROWS] for line in one.toml.splitlines()]
        if admitting:
            text = "".join(f"\n    {plain(line)}" for line in admitting)
            yield f"If they are yours, this in site.toml admits them:{text}"


def _when(at: float | None) -> str:
    return until(at) if at is not None else ""


def _rest(count: int) -> list[tuple[str, ...]]:
    more = count - MOST_ROWS
    return [(f"and {more} more",)] if more > 0 else []
