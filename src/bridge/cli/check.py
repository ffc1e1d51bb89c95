"""`bridge check`: both files, this machine, every destination and platform; each finding with its remedy.

Exit code 1 when something is wrong; a warning alone leaves it 0.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import typer

from bridge.cli.checks.accounts import accounts
from bridge.cli.checks.destinations import destinations
from bridge.cli.checks.files import files
from bridge.cli.checks.finding import Finding, Level, take
from bridge.cli.checks.folders import folders
from bridge.cli.checks.machine import machine, refused_peers
from bridge.cli.words import console, plain

LONGEST_S = 60.0
"""For everything together; each look has time-outs of its own."""
MARKS = {Level.OK: "[green]✓[/]", Level.WARN: "[yellow]![/]", Level.WRONG: "[red]✗[/]"}


def check(config: Path, *, as_json: bool) -> None:
    lines, site, rules = files(config)
    if site:
        lines += machine(site)
        lines += take([*folders(site), *destinations(site, rules), *accounts(site)], LONGEST_S)
        lines += refused_peers(site)
    if as_json:
        print(json.dumps([{"ok": one.level is not Level.WRONG, **asdict(one)} for one in lines], indent=1))
    else:
        _show(lines)
    if any(one.level is Level.WRONG for one in lines):
        raise typer.Exit(1)


def _show(lines: list[Finding]) -> None:
    out = console()
    for subject in dict.fromkeys(one.subject for one in lines):
        out.print(f"[bold]{plain(subject)}[/]")
        for one in lines:
            if one.subject != subject:
                continue
            out.print(f"  {MARKS[one.level]} {plain(one.what)}", soft_wrap=True)
            for text in one.remedy.splitlines() if one.level is not Level.OK else ():
                out.print(f"      {plain(text)}", soft_wrap=True)
