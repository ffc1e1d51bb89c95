"""Before anything is sent: is this directory ours alone?"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path
from typing import IO

from bridge.errors import ConfigError, Damaged

KEY_FILE = "secret.key"
KEY_BYTES = 32


def lock(data: Path) -> IO[str]:
    """Take the data directory for this process; the kernel gives it back, at SIGKILL too.

    Raises ConfigError (FEN-001) when another process holds it: two would run the same steps at the same time.
    """
    stream = (data / "lock").open("a+")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.seek(0)
        holder = stream.read(20).strip()
        stream.close()
        raise ConfigError(
            "FEN-001",
            f"the data directory is in use by process {holder or 'unknown'}",
            "one bridge for one data directory",
            "Stop the other one, or give this one a `data` directory of its own",
        ) from None
    stream.truncate(0)
    stream.write(f"{os.getpid()}\n")
    stream.flush()
    return stream


def installation_key(data: Path) -> bytes:
    """The key behind all job ids, UIDs of results and names of studies; made at the first start, mode 0600.

    Raises Damaged (FEN-002) when it is too short, FEN-003 when it is gone from a directory that has an index: another
    key would bill the same work and file the same results twice.
    """
    file = data / KEY_FILE
    if not file.exists() and (data / "index.sqlite").exists():
        raise Damaged(
            "FEN-003",
            "an index without its secret.key",
            "the key that it was made with",
            "Restore secret.key from the back-up: without it the same studies would be billed again",
        )
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        key = file.read_bytes()
        if len(key) != KEY_BYTES:
            raise Damaged(
                "FEN-002",
                f"secret.key with {len(key)} bytes",
                f"{KEY_BYTES} bytes",
                "Restore it from the back-up: without it, results that were sent before cannot be recognised",
            ) from None
        return key
    key = secrets.token_bytes(KEY_BYTES)
    with os.fdopen(handle, "wb") as stream:
        stream.write(key)
        stream.flush()
        os.fsync(stream.fileno())
    folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return key
