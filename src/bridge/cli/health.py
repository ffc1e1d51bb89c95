"""`bridge health`: the exit code is the answer. Runs every half minute, so it reads one file and imports little."""

from __future__ import annotations

import json
import os
import time
import tomllib
from pathlib import Path

import typer

STALE_S = 30.0


def health(config: Path) -> None:
    """0: the service wrote its state within the last half minute and its process is there."""
    try:
        data = config.parent / tomllib.loads(config.read_text())["bridge"]["data"]
        state = json.loads((data / "health.json").read_text())
        os.kill(state["pid"], 0)
    except (OSError, ValueError, KeyError) as problem:
        typer.echo(f"not running ({type(problem).__name__})", err=True)
        raise typer.Exit(1) from None
    age = time.time() - state["at"]
    if age > STALE_S:
        typer.echo(f"silent for {age:.0f} s, expected a sign every {STALE_S:.0f} s", err=True)
        raise typer.Exit(1)
    typer.echo("ok")
