"""The engine's file as a file: its mode, the mark by which it is known again, and its size.

The mark stands in a table of ours inside it, so that it travels with the file through every copy and back-up.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from bridge.errors import ConfigError

FULL = 2
FREE_SHARE = 0.25
"""The file is written anew when so much of it is empty."""


def write_ahead(file: Path) -> None:
    """Make the file, or put it into write-ahead mode. Raises ConfigError (ENG-003) without synchronous = FULL."""
    connection = sqlite3.connect(file, timeout=30)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
        if synchronous < FULL:
            raise ConfigError(
                "ENG-003",
                f"a SQLite built with synchronous = {synchronous}",
                "FULL (2): the last steps would be lost with a power cut",
                "Use a Python whose SQLite has its ordinary settings",
            )
    finally:
        connection.close()


def read_epoch(file: Path) -> str:
    """The mark that `write_epoch` left in the engine's file; empty where there is none, or no such file."""
    if not file.exists():
        return ""
    connection = sqlite3.connect(file, timeout=30)
    try:
        table = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'bridge_epoch'").fetchone()
        row = connection.execute("SELECT epoch FROM bridge_epoch").fetchone() if table else None
    except sqlite3.OperationalError:
        # Locked, or a disk that cannot be read: that says nothing of whose file it is.
        raise
    except sqlite3.DatabaseError:
        # No database at all, so it is not the file that was marked.
        return ""
    finally:
        connection.close()
    return str(row[0]) if row else ""


def write_epoch(file: Path, epoch: str) -> None:
    """Mark the engine's file, in a table of ours that the engine does not know and that travels with the file."""
    connection = sqlite3.connect(file, timeout=30, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE IF NOT EXISTS bridge_epoch (epoch TEXT NOT NULL)")
        connection.execute("DELETE FROM bridge_epoch")
        connection.execute("INSERT INTO bridge_epoch VALUES (?)", (epoch,))
        connection.execute("COMMIT")
    finally:
        connection.close()


def set_aside(file: Path, at: float) -> Path | None:
    """Put an engine's file out of the way, under a name with the time; None where there is none."""
    aside = file.with_name(f"{file.name}.{int(at)}")
    # The log first: one that stayed behind alone would be played into the next file of that name.
    for suffix in ("-shm", "-wal", ""):
        part = file.with_name(file.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside if aside.exists() else None


def shrink(file: Path) -> None:
    """Write the file anew when much of it is empty."""
    connection = sqlite3.connect(file, timeout=30, isolation_level=None)
    try:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        if free > pages * FREE_SHARE:
            connection.execute("VACUUM")
    finally:
        connection.close()
