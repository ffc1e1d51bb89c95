"""This machine: versions, disk, key, tokens, and who was not let in."""

from __future__ import annotations

import shutil
import time
from datetime import date, datetime
from pathlib import Path

from bridge.cli.checks.finding import Finding, days_left, good, warn, wrong
from bridge.cli.words import ago, size, span
from bridge.config import Site
from bridge.errors import BridgeError

HERE, DATA, REFUSED = "this machine", "data folder", "not let in"
TIGHT = 2
"""Free space below this many times the reserve is worth a word."""
RECENT_S = 7 * 86400.0


def machine(site: Site) -> list[Finding]:
    from bridge.flow.engine import check_sqlite

    try:
        check_sqlite()
        lines = [good(HERE, "Python and SQLite fit")]
    except BridgeError as error:
        lines = [wrong(HERE, error.sentence())]
    return [*lines, *_data(site), *_tokens(site)]


def refused_peers(site: Site) -> list[Finding]:
    """Peers that were refused lately, with the lines that would admit them."""
    from bridge.cli.index import open_index
    from bridge.operate.status import refused_peers as refused

    try:
        index = open_index(site)
    except BridgeError:
        return []  # nothing has run here, or another release has
    return [
        warn(
            REFUSED,
            f"{one.calling_ae_title} at {one.host}, {one.count} time{'s' * (one.count != 1)}, "
            f"last {ago(one.last_at)} ago: {one.why}",
            f"If it is yours, this in site.toml admits it:\n{one.toml}"
            if one.toml
            else f"It must call {site.ae_title}",
        )
        for one in refused(site, index, since=time.time() - RECENT_S)
    ]


def _data(site: Site) -> list[Finding]:
    from bridge.store.disk import network_file_system

    there = _nearest(site.data)
    kind = network_file_system(there)
    lines = []
    if kind:
        lines.append(
            wrong(
                DATA,
                f"on a network file system ({kind})",
                "Set `data` in [bridge] to a folder of a local disk",
            )
        )
    free, reserve = shutil.disk_usage(there).free, site.receive.reserve_bytes
    room = f"{size(free)} free, {size(reserve)} reserve"
    if free < reserve:
        lines.append(wrong(DATA, f"{room}: new objects are refused", "Make room on this disk"))
    else:
        tight = warn(DATA, room, "Make room before the reserve is reached")
        lines.append(tight if free < TIGHT * reserve else good(DATA, room))
    if not site.same_machine:
        lines.append(
            good(DATA, "same_machine = false: a copy on another machine is not noticed by its machine-id")
        )
    return lines + _key(site.data / "secret.key")


def _key(file: Path) -> list[Finding]:
    try:
        mode = file.stat().st_mode & 0o077
    except FileNotFoundError:
        return []  # made at the first start
    if mode:
        return [wrong(DATA, "secret.key can be read by other users of this machine", f"chmod 600 {file}")]
    return [good(DATA, "secret.key is readable for this user only; is it in your back-up?")]


def _tokens(site: Site) -> list[Finding]:
    lines = []
    for name, account in site.accounts.items():
        subject, file = f"account {name}", account.token_file
        try:
            state = file.stat()
        except OSError:
            continue  # what asks the platform with it says so
        if state.st_mode & 0o077:
            lines.append(
                wrong(
                    subject, "the token file can be read by other users of this machine", f"chmod 600 {file}"
                )
            )
        if account.token_ends:
            # Until the end of that day.
            left = date.fromisoformat(account.token_ends) - datetime.now().astimezone().date()
            lines.append(days_left(subject, "the token", left.days + 1))
        else:
            age = span(time.time() - state.st_mtime)
            lines.append(good(subject, f"the token was written {age} ago; `token_ends` would count its days"))
    return lines


def _nearest(folder: Path) -> Path:
    """The folder, or the one in which it will be made."""
    return next(one for one in (folder, *folder.parents) if one.exists())
