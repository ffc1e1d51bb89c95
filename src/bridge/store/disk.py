"""The disk under the data directory: room before anything is written, and no network below SQLite.

The reserve is never touched, with many associations at once neither: what is being written counts as written.
"""

from __future__ import annotations

import errno
import logging
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from bridge.errors import ConfigError
from bridge.log import event

log = logging.getLogger("bridge.disk")

FULL = "disk-full"
SUBJECT = "data"
"""The key of site.toml that names the folder."""
AGAIN_S = 60.0
"""How often an alert that goes on is written again."""
OVERHEAD_BYTES = 1 << 16
"""Of each object beside its bytes: the Part 10 header, the rows, the index pages they fall on."""
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


class Alarm(Protocol):
    def begin(self, kind: str, subject: str, reason: str) -> None: ...

    def end(self, kind: str, subject: str) -> None: ...


class Room:
    """Free space of the file system of `folder`, shared by all who write there."""

    def __init__(self, folder: Path, reserve_bytes: int, alarm: Alarm | None = None) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self._alarm = alarm
        self._lock = threading.Lock()
        self._in_flight = 0
        self._wanted = 0
        self._full: bool | None = None  # not known: a former process may have left its alert
        self._said_at = 0.0

    @contextmanager
    def take(self, size_bytes: int) -> Iterator[bool]:
        """Whether an object fits without touching the reserve; if so, its bytes are taken until the block ends."""
        need = size_bytes + OVERHEAD_BYTES
        with self._lock:
            free = shutil.disk_usage(self._folder).free
            fits = free - self._in_flight - need >= self._reserve_bytes
            if fits:
                self._in_flight += need
        self._tell(fits, size_bytes, free)
        try:
            yield fits
        except OSError as problem:
            if problem.errno in NO_SPACE:
                self._tell(False, size_bytes, free)
            raise
        finally:
            if fits:
                with self._lock:
                    self._in_flight -= need

    def look(self) -> None:
        """Begin or end the alert without an object at hand: room may have been made while nothing arrives."""
        with self.take(0):
            pass

    def _tell(self, fits: bool, size_bytes: int, free: int) -> None:
        with self._lock:
            now = time.monotonic()
            if not fits:
                self._wanted = max(self._wanted, size_bytes)
                if self._full and now - self._said_at < AGAIN_S:
                    return
                self._full, self._said_at = True, now
            # A small object may fit where a large one did not: it is over when the largest would.
            elif self._full is False or free - self._in_flight - self._wanted < self._reserve_bytes:
                return
            else:
                self._full, self._wanted = False, 0
        if self._alarm is None:
            return
        try:
            if fits:
                self._alarm.end(FULL, SUBJECT)
            else:
                self._alarm.begin(
                    FULL,
                    SUBJECT,
                    f"{free} bytes free, {size_bytes} to be kept; expected {self._reserve_bytes} in reserve. "
                    "New objects are refused with 0xA700 until there is room",
                )
        except Exception:  # noqa: BLE001 - the alert lives on the same disk; the answer to the sender counts more
            self._full = None
            event(log, "disk.alert-not-written", level=logging.ERROR, failed=True)


NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "coda", "9p", "ceph", "lustre", "gpfs", "beegfs"}
    | {"glusterfs", "gfs2", "ocfs2", "orangefs", "pvfs2", "davfs", "vboxsf", "vmhgfs", "virtiofs", "prl_fs"}
)
"""File systems whose locks and flushes another machine answers for. SQLite's write-ahead log is safe on none."""
LOCAL_FUSE = frozenset(
    {"fuseblk", "fuse.fuse-overlayfs", "fuse.ntfs-3g", "fuse.exfat", "fuse.bindfs", "fuse.zfs"}
)
"""Of the rest of FUSE nobody knows what is behind it: sshfs, s3fs, rclone, ceph-fuse, gluster."""
MOUNTS = Path("/proc/self/mountinfo")


def network_file_system(folder: Path, mounts: Path = MOUNTS) -> str | None:
    """Type of the file system of a folder when it is one of a network; None for a local one, or where none can tell.

    The folder need not exist yet. proc_pid_mountinfo(5).
    """
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    folder = folder.resolve()
    kind, depth = None, -1
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 10 or "-" not in fields[6:]:
            continue
        mounted = Path(_unescaped(fields[4]))
        # The last of several on one point is the one that is seen.
        if folder.is_relative_to(mounted) and len(mounted.parts) >= depth:
            kind, depth = fields[fields.index("-", 6) + 1], len(mounted.parts)
    if kind is None:
        return None
    foreign = kind in NETWORK or ((kind == "fuse" or kind.startswith("fuse.")) and kind not in LOCAL_FUSE)
    return kind if foreign else None


def refuse_network(folder: Path, mounts: Path = MOUNTS) -> None:
    """Raises ConfigError (DSK-001) when the data directory is not on a local disk."""
    kind = network_file_system(folder, mounts)
    if kind is not None:
        raise ConfigError(
            "DSK-001",
            f"the data directory is on a network file system ({kind})",
            "a local disk: over a network neither locks nor flushes can be relied on, and both databases may break",
            "Set `data` in [bridge] to a folder of a disk of this machine",
        )


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
