"""`bridge backup FOLDER`: a copy from which a bridge can go on, taken beside the running service.

Both databases are copied as they stood at one instant, as if the power had failed then: the state from which every
start can go on. A bare copy of a file that SQLite is writing to is none.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import typer

from bridge.cli.index import open_index
from bridge.config import load_site
from bridge.errors import ConfigError, Damaged

INDEX, ENGINE, KEY, KEYS = "index.sqlite", "engine.sqlite", "secret.key", "keys"
WAIT_S = 30.0


def backup(config: Path, folder: Path, *, files: bool) -> None:
    """Raises ConfigError: CLI-012 for a folder that is there already, CLI-001 and CLI-005 as `open_index` does."""
    site = load_site(config)
    open_index(site).close()
    data = site.data
    part = folder.with_name(folder.name + ".part")
    for taken in (folder, part):
        if taken.exists():
            raise ConfigError(
                "CLI-012", f"{taken} is there already", "a new folder", "Remove it, or take another name"
            )
    part.mkdir(parents=True, mode=0o700)
    try:
        _fill(part, data, files=files)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    os.sync()
    # Its name appears when it is whole.
    part.rename(folder)
    typer.echo(str(folder))


def _fill(part: Path, data: Path, *, files: bool) -> None:
    # Before and after the index: whichever key seals its rows, if keys are just being rotated, is in the copy.
    copy_keys(data, part)
    names = copy_databases(data, part)
    keys = copy_keys(data, part)
    for name in names:
        typer.echo(f"{name}: {(part / name).stat().st_size} bytes")
    # Of the owner alone from its first byte on.
    with os.fdopen(os.open(part / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as key:
        key.write((data / KEY).read_bytes())
    typer.echo(f"{KEY}: keep it as secret as the data")
    typer.echo(f"{KEYS}: {keys} files, as secret")
    if files:
        instances, gone = copy_instances(data, part)
        typer.echo(
            f"instances: {instances} files" + (f", {gone} removed by retention meanwhile" if gone else "")
        )
        typer.echo(f"jobs: {copy_jobs(data, part)} files")
    else:
        typer.echo("instances and jobs: left out (--files takes them along)")


def copy_databases(data: Path, to: Path) -> list[str]:
    """Copy index and engine as they are at one instant. Returns the names of the copies.

    The index is locked while both snapshots begin, some milliseconds: its rows and the engine's steps refer to each
    other, and either one taken later would tell of something that the other does not know.
    """
    names = [name for name in (INDEX, ENGINE) if (data / name).exists()]
    with ExitStack() as stack:
        lock = stack.enter_context(closing(_open(data / INDEX)))
        sources = {name: stack.enter_context(closing(_open(data / name))) for name in names}
        lock.execute("BEGIN IMMEDIATE")
        for source in sources.values():
            source.execute("BEGIN")
            source.execute(
                "SELECT count(*) FROM sqlite_schema"
            ).fetchone()  # a snapshot begins with its first look
        lock.execute("ROLLBACK")
        for name, source in sources.items():
            _copy(source, to / name)
    return names


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, timeout=WAIT_S, isolation_level=None)


def _copy(source: sqlite3.Connection, file: Path) -> None:
    """Raises Damaged (BAK-001) when the copy is not sound, and so its original neither."""
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(_open(file)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, that a read-only medium can hold
        (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise Damaged(
            "BAK-001",
            f"{file.name} does not pass SQLite's check",
            "a sound database",
            "Keep the last back-up that was sound, and look at the disk",
        )


def copy_keys(data: Path, to: Path) -> int:
    """Take along the keys behind names outside, of the owner alone. Returns how many the copy has."""
    folder = to / KEYS
    folder.mkdir(exist_ok=True, mode=0o700)
    for file in sorted((data / KEYS).glob("*.key")):
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            key = file.read_bytes()
            with os.fdopen(
                os.open(folder / file.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
            ) as copy:
                copy.write(key)
    return sum(1 for _ in folder.glob("*.key"))


def copy_instances(data: Path, to: Path) -> tuple[int, int]:
    """Take along every file that the copied index promises. Returns how many, and how many were gone.

    After the index, so that none is missing. What retention removes in between is noted in the copy: it promises
    nothing that it does not hold.
    """
    copied, gone = 0, []
    with closing(_open(to / INDEX)) as index:
        for number, name in index.execute("SELECT number, file FROM instances WHERE dropped_at IS NULL"):
            try:
                _take(data / "instances" / name, to / "instances" / name)
                copied += 1
            except FileNotFoundError:
                gone.append((time.time(), number))
        index.executemany("UPDATE instances SET dropped_at = ? WHERE number = ?", gone)
    return copied, len(gone)


def copy_jobs(data: Path, to: Path) -> int:
    """Take along parcels, outputs and results of every job; what is half written is no part of any."""
    copied = 0
    for file in _files(data / "jobs"):
        with contextlib.suppress(FileNotFoundError):
            _take(file, to / file.relative_to(data))
            copied += 1
    return copied


def _files(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        if file.suffix != ".part" and file.is_file() and not file.is_symlink():
            yield file


def _take(file: Path, to: Path) -> None:
    """A second name where the disk is the same, a copy elsewhere: no file changes once it has its name."""
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        to.hardlink_to(file)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(file, to)
