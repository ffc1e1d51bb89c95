"""`bridge jobs adopt ALGORITHM --out DIR`: results of jobs of earlier days, from the platform into a folder.

Exit code 0: everything that was found is in the folder. 1: something of it is not, and the same command goes on.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import typer

from bridge.cli.index import open_index
from bridge.cli.words import console, plain, size, table
from bridge.config import load_site
from bridge.config.site import Site
from bridge.errors import ConfigError
from bridge.flow.acts.retry import ENDED_THERE
from bridge.flow.adopt import Adopted, Asked, Taken, adopt
from bridge.flow.stages.shelf import JobShelf
from bridge.log import silence_libraries
from bridge.platforms import Phase, Verdict
from bridge.store.jobs import FINAL, Job, Jobs, JobState

TABLE_FILE = "found.json"


def adopt_jobs(config: Path, account: str, asked: Asked, out: Path, *, as_json: bool) -> None:
    """Raises ConfigError: ADO-002 (no such account, or several and none named), ADO-003 (no folder)."""
    silence_libraries()
    site = load_site(config)
    name = _account(site, account)
    if out.exists() and not out.is_dir():
        raise ConfigError("ADO-003", f"{out} is no folder", "a folder, or a name for a new one")
    found = asyncio.run(_adopt(site, name, asked, out))
    told = _told(found, _ours(site, found))
    text = json.dumps(told, indent=1)
    JobShelf(out).write(TABLE_FILE, text.encode())
    if as_json:
        print(text)
    else:
        _show(told, out)
    if not all(one.is_whole for one in found.jobs):
        raise typer.Exit(1)


def _account(site: Site, wanted: str) -> str:
    if wanted in site.accounts:
        return wanted
    if not wanted and len(site.accounts) == 1:
        return next(iter(site.accounts))
    known = ", ".join(sorted(site.accounts)) or "none yet"
    found = f"no account {wanted!r} in site.toml" if wanted else f"{len(site.accounts)} accounts in site.toml"
    raise ConfigError("ADO-002", found, f"one of: {known}", "Name it with --account")


async def _adopt(site: Site, name: str, asked: Asked, out: Path) -> Adopted:
    from bridge.assembly import platform_of

    account = site.accounts[name]
    platform = platform_of(name, account, site.data)
    try:
        return await adopt(platform, asked, JobShelf(out), account.retry_s, _tell)
    finally:
        await platform.close()


def _tell(what: str) -> None:
    # Beside the answer, which a script reads.
    print(f"  {what}", file=sys.stderr)


def _ours(site: Site, found: Adopted) -> dict[str, Job]:
    """Jobs of this bridge among those found, by key. Where no bridge has run there are none."""
    keys = {one.job.job.key for one in found.jobs if one.job.job.key}
    if not keys or not (site.data / "index.sqlite").exists():
        return {}
    index = open_index(site)
    try:
        store = Jobs(index)
        return {job.id: job for key in keys for job in store.find(key) if job.id == key}
    finally:
        index.close()


def _told(found: Adopted, ours: dict[str, Job]) -> dict[str, Any]:
    return {
        "jobs": [_job(one, ours.get(one.job.job.key)) for one in found.jobs],
        "without": list(found.without),
    }


def _job(one: Taken, ours: Job | None) -> dict[str, Any]:
    job = one.job
    return {
        "job": job.job.remote_id,
        "item": job.item,
        "version": job.state.pin,
        "state": job.state.raw,
        "inputs": [{"socket": given.name, "id": given.id, "image": given.image} for given in job.inputs],
        "folder": one.folder,
        "outputs": [
            {
                "socket": kept.output.name,
                "kind": kept.output.word or kept.output.kind,
                "file": kept.file,
                "bytes": kept.output.size_bytes,
                "sha256": kept.output.sha256,
                "reason": kept.reason,
            }
            for kept in one.outputs
        ],
        "reason": one.reason,
        "ours": {"job": ours.id, "state": ours.state, "advice": _advice(one, ours)} if ours else None,
    }


def _advice(one: Taken, ours: Job) -> str:
    """What brings a job of this bridge on with what the platform has of it, where that is not paid again."""
    state = one.job.state
    is_good = state.phase is not Phase.ENDED or state.verdict in (Verdict.DONE, Verdict.PARTLY)
    stopped = ours.state is JobState.HELD or (ours.state is JobState.FAILED and ours.code != ENDED_THERE)
    if is_good and stopped:
        return f"`bridge jobs retry {ours.id[:8]}` goes on with it; it is not billed again"
    return "" if ours.state in FINAL or stopped else "the service goes on with it"


def _show(told: dict[str, Any], folder: Path) -> None:
    out = console()
    if told["jobs"]:
        rows = [
            (
                plain(one["job"]),
                *([plain(one["item"]) or "-"] if _has_items(told) else []),
                plain(one["state"]),
                ", ".join(given["socket"] for given in one["inputs"]) or "-",
                _results(one, folder),
            )
            for one in told["jobs"]
        ]
        titles = ("job", *(["item"] if _has_items(told) else []), "state", "made from", "results")
        out.print(table(titles, rows))
    else:
        out.print("No job was found.")
    for one in told["jobs"]:
        for reason in [
            one["reason"],
            *(f"{k['socket']}: {k['reason']}" for k in one["outputs"] if k["reason"]),
        ]:
            if reason:
                out.print(f"  job {plain(one['job'])}: {plain(reason)}", soft_wrap=True)
    for one in told["jobs"]:
        if ours := one["ours"]:
            advice = f": {ours['advice']}" if ours["advice"] else ""
            out.print(
                f"  job {plain(one['job'])} is {ours['job'][:8]} here, {ours['state']}{advice}",
                soft_wrap=True,
            )
    for id in told["without"]:
        out.print(f"  no job was made from {plain(id)}", soft_wrap=True)


def _has_items(told: dict[str, Any]) -> bool:
    return any(one["item"] for one in told["jobs"])


def _results(one: dict[str, Any], folder: Path) -> str:
    if not one["folder"]:
        return "none"
    here = [kept for kept in one["outputs"] if kept["file"]]
    total = sum(kept["bytes"] or 0 for kept in here)
    return plain(f"{len(here)} of {len(one['outputs'])} ({size(total)}) in {folder / one['folder']}")
