"""`bridge check`: both files, this machine, every destination and platform; each finding with its remedy."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import typer
from rich.console import Console

from bridge.config import RulesFile, Site, check_rules, load_rules, load_site
from bridge.errors import BridgeError, ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    ok: bool
    subject: str
    what: str
    remedy: str = ""


def check(config: Path, *, as_json: bool) -> None:
    lines, site, rules = _files(config)
    if site:
        lines += _machine(site)
        lines += _destinations(site)
        lines += asyncio.run(_platforms(site))
    if as_json:
        print(json.dumps([asdict(line) for line in lines], indent=1))
    else:
        _show(lines, rules)
    if not all(line.ok for line in lines):
        raise typer.Exit(1)


def _show(lines: list[Line], rules: RulesFile | None) -> None:
    console = Console(highlight=False)
    for line in lines:
        mark = "[green]✓[/]" if line.ok else "[red]✗[/]"
        console.print(
            f"{mark} [bold]{line.subject}[/]  {line.what.replace('[', chr(92) + '[')}", soft_wrap=True
        )
        if line.remedy and not line.ok:
            console.print(f"    {line.remedy}", soft_wrap=True)
    if rules:
        for name, rule in rules.rules.items():
            console.print(f"  rule [bold]{name}[/] is {rule.mode}: {rule.algorithm} at {rule.platform}")


def _files(config: Path) -> tuple[list[Line], Site | None, RulesFile | None]:
    try:
        site = load_site(config)
    except ConfigError as error:
        return _wrong(config, error), None, None
    lines = [Line(ok=True, subject=config.name, what="read")]
    try:
        rules = load_rules(site.rules_file)
        problems = check_rules(rules, site)
        if not problems:
            from bridge.rules import compile_rules

            compile_rules(rules)
    except ConfigError as error:
        return lines + _wrong(site.rules_file, error), site, None
    for problem in problems:
        lines.append(Line(ok=False, subject=site.rules_file.name, what=problem.sentence()))
    if not problems:
        what = f"{len(rules.rules)} rule{'s' * (len(rules.rules) != 1)}"
        lines.append(Line(ok=True, subject=site.rules_file.name, what=what))
    return lines, site, rules


def _wrong(file: Path, error: ConfigError) -> list[Line]:
    return [Line(ok=False, subject=file.name, what=one.sentence()) for one in (error, *error.others)]


def _machine(site: Site) -> list[Line]:
    from bridge.flow.engine import check_sqlite

    lines = []
    try:
        check_sqlite()
        lines.append(Line(ok=True, subject="this machine", what="Python and SQLite fit"))
    except BridgeError as error:
        lines.append(Line(ok=False, subject="this machine", what=error.sentence()))
    for name, account in site.accounts.items():
        mode = account.token_file.stat().st_mode & 0o077 if account.token_file.exists() else 0
        if mode:
            lines.append(
                Line(
                    ok=False,
                    subject=f"account {name}",
                    what="the token file can be read by other users of this machine",
                    remedy=f"chmod 600 {account.token_file}",
                )
            )
    return lines


def _destinations(site: Site) -> list[Line]:
    from bridge.deliver.store_scu import echo
    from bridge.flow.deliveries import address_of

    lines = []
    for name, destination in site.destinations.items():
        receipt = echo(address_of(site, name))
        where = f"{destination.ae_title} at {destination.host}:{destination.port}"
        lines.append(
            Line(
                ok=receipt.stored,
                subject=f"destination {name}",
                what=f"{where} answers C-ECHO" if receipt.stored else f"{where}: {receipt.reason}",
                remedy="Check address and AE titles at both ends; results wait until it answers",
            )
        )
    return lines


async def _platforms(site: Site) -> list[Line]:
    from bridge.service import platform_of

    lines = []
    for name, account in site.accounts.items():
        try:
            platform = platform_of(name, account)
            findings = await platform.check()
            await platform.close()
        except BridgeError as error:
            lines.append(Line(ok=False, subject=f"account {name}", what=error.sentence()))
            continue
        lines += [
            Line(ok=one.ok, subject=f"account {name}", what=one.what, remedy=one.remedy) for one in findings
        ]
    return lines
