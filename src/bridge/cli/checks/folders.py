"""Folders that are watched, and folders that results are written into: there, and with the rights that are needed."""

from __future__ import annotations

import secrets
import shutil
from functools import partial
from pathlib import Path

from bridge.cli.checks.finding import Finding, Look, good, warn, wrong
from bridge.cli.words import size
from bridge.config import FolderDestination, FolderSource, Site

WAITS = "Mount the share or make the folder; nothing is lost meanwhile"
RIGHTS = "Give the user of the bridge the right to {} there; its unit allows no place that is not named in it"


def folders(site: Site) -> list[Look]:
    """Sources that are folders; destinations that are stand among the destinations."""
    return [
        (f"source {name}", partial(_watched, name, source))
        for name, source in site.sources.items()
        if isinstance(source, FolderSource)
    ]


def _watched(name: str, source: FolderSource) -> list[Finding]:
    subject, folder = f"source {name}", source.folder
    try:
        count = sum(1 for one in folder.iterdir() if one.is_file())
    except OSError as problem:
        return [wrong(subject, f"{folder} cannot be looked through ({problem.strerror})", WAITS)]
    if source.after == "keep":
        return [good(subject, f"{folder} is there; files stay where they are ({count} now)")]
    if why := _cannot_write(folder):
        return [
            wrong(subject, f"{folder} cannot be changed ({why})", RIGHTS.format("rename and delete files"))
        ]
    lines = [good(subject, f"{folder} is there and can be written; {count} files wait in it")]
    failed = folder / "failed"
    if failed.is_dir() and any(failed.iterdir()):
        lines.append(
            warn(subject, f"{failed} holds what could not be taken", "Read its .why.txt files, then empty it")
        )
    return lines


def written_folder(site: Site, name: str) -> list[Finding]:
    """One destination that is a folder."""
    from bridge.deliver.folder import look
    from bridge.flow.stages.senders import share_of

    subject, there = f"destination {name}", site.destinations[name]
    assert isinstance(there, FolderDestination)
    if problem := look(share_of(site, name)):
        return [wrong(subject, problem[1], WAITS)]
    if why := _cannot_write(there.folder):
        return [wrong(subject, f"{there.folder} cannot be written ({why})", RIGHTS.format("make folders"))]
    free = shutil.disk_usage(there.folder).free
    lines = [good(subject, f"{there.folder} can be written, {size(free)} free")]
    if there.shows_patients:
        lines.append(good(subject, "`case` shows on the share who the patients are; {study} would not"))
    return lines


def _cannot_write(folder: Path) -> str:
    """Why a file cannot be made, named anew and removed; "" when it can. Rights on a share are known by trying."""
    file = folder / f".bridge-{secrets.token_hex(4)}.part"
    try:
        file.touch()
        other = file.with_suffix(".tmp")
        file.rename(other)
        other.unlink()
    except OSError as problem:
        file.unlink(missing_ok=True)
        return str(problem.strerror)
    return ""
