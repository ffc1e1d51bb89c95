"""`bridge init`: ask for what is needed, write site.toml, rules.toml and the token file."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path

import typer

from bridge.config import load_rules, load_site
from bridge.errors import ConfigError

SITE = """\
# Written by `bridge init`. Paths begin at this folder. docs/configuration.md names every setting.

[bridge]
ae_title = {ae_title}
data = "data"
rules = "rules.toml"

[receive]
host = {host}
port = {port}
quiet_s = 30.0                 # a study is complete when nothing came for so long

[sources.pacs]                 # who may send
ae_title = {source}

[destinations.pacs]            # where results go
ae_title = {pacs}
host = {pacs_host}
port = {pacs_port}

[accounts.gc]                  # who computes
platform = "grand-challenge"
base_url = {base_url}
token_file = "secrets/gc.token"
"""

RULES = """\
# Which study goes to which algorithm. `explain` says what would run and runs nothing; `live` runs it.

[rules.{rule}]
mode = "explain"
platform = "gc"
algorithm = {algorithm}
destinations = ["pacs"]
study = {{ age_days = {{ max = 30 }} }}

[rules.{rule}.inputs.{socket}]
volume = {{ Modality = {modality}, spacing_mm = {{ max = 2.0 }}, length_mm = {{ min = 200 }} }}
prefer = ["thinnest", "most-instances"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the two files need to know."""

    ae_title: str
    host: str
    port: int
    pacs_ae_title: str
    pacs_host: str
    pacs_port: int
    base_url: str
    algorithm: str
    socket: str
    modality: str


def init(folder: Path, answers: Answers) -> None:
    """Raises ConfigError (CLI-010) rather than overwrite a file, or for an answer that cannot be."""
    site, rules, token = folder / "site.toml", folder / "rules.toml", folder / "secrets" / "gc.token"
    for file in (site, rules, token):
        if file.exists():
            raise ConfigError(
                "CLI-010", f"{file} is there already", "a folder without it", "Choose another folder"
            )
    # Never an option: the command line of a process can be read by every user of the machine.
    secret = getpass("API token (not shown; empty: fill in the file later): ") if sys.stdin.isatty() else ""
    folder.mkdir(parents=True, exist_ok=True)
    site.write_text(
        SITE.format(
            ae_title=_text(answers.ae_title),
            host=_text(answers.host),
            port=answers.port,
            source=_text(answers.pacs_ae_title),
            pacs=_text(answers.pacs_ae_title),
            pacs_host=_text(answers.pacs_host),
            pacs_port=answers.pacs_port,
            base_url=_text(answers.base_url),
        )
    )
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in answers.algorithm)
    rules.write_text(
        RULES.format(
            rule=name,
            algorithm=_text(answers.algorithm),
            socket=_text(answers.socket),
            modality=_text(answers.modality),
        )
    )
    token.parent.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as stream:
        stream.write(f"{secret}\n" if secret else "")
    # What was typed may be no AE title or no address: read the files back as `serve` would.
    load_rules(load_site(site).rules_file)
    for file in (site, rules, token):
        typer.echo(f"written: {file}")
    if not secret:
        typer.echo(f"next: write the API token into {token}")
    typer.echo(f"next: bridge check --config {site}")


def _text(value: str) -> str:
    # A JSON string is a TOML basic string: what was typed cannot end the value early.
    return json.dumps(value, ensure_ascii=False)
