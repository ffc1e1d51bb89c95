"""`bridge fence show`. Exit code 0 when the fence is open, 1 when it stands."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from bridge.cli.index import open_index
from bridge.cli.words import ago, console, plain
from bridge.config import load_site
from bridge.store.alerts import Alerts


def show_fence(config: Path, *, as_json: bool) -> None:
    from bridge.flow.keeping.fencing import ALERT, fence_state

    index = open_index(load_site(config))
    fence = fence_state(index)
    since = next((one.since for one in Alerts(index).all() if one.kind == ALERT), None)
    if as_json:
        why = {"case": fence.case, "reason": fence.reason, "remedy": fence.remedy} if fence else {}
        print(json.dumps({"fenced": fence is not None, "since": since, **why}, indent=1))
    elif fence is None:
        print("open: nothing keeps this bridge from sending")
    else:
        out = console()
        out.print("[red]the fence stands[/]" + (f" since {ago(since)}" if since else "") + f": {fence.case}")
        out.print(plain(fence.reason))
        out.print(plain(fence.remedy))
    if fence is not None:
        raise typer.Exit(1)
