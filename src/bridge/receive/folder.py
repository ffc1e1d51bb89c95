"""A watched folder: what is laid into it is kept as if it had come by C-STORE.

A file is taken when it has stood still, kept durably, and only then put away; what is interrupted between the two is
taken again, and identical bytes change nothing. Names of files are never believed and never logged: a patient's name
may stand in them.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from bridge.errors import Refused
from bridge.log import event
from bridge.receive.found import Found, PassedOver, objects_of
from bridge.receive.scp import Keeper

log = logging.getLogger("bridge.receive")

AWAY = "source-away"
DONE, FAILED = "done", "failed"
WHY = ".why.txt"
UNFINISHED = (".part", ".partial", ".filepart", ".tmp", ".crdownload")
"""Endings under which programs write what is not whole yet; they and hidden files are left alone."""
PATIENCE_S = 60.0
"""So much longer must stand still what cannot be read: a copy that has stalled is no damaged file."""
AGAIN_S = 30.0
"""Before a file that could not be read, kept or put away is looked at again."""
MOST_NAMES = 1000
MOST_REASONS = 20


class Alarm(Protocol):
    def begin(self, kind: str, subject: str, reason: str) -> None: ...

    def end(self, kind: str, subject: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A folder, and how it is watched; every wait and every bound is a setting."""

    name: str
    """Of the source; it stands for the calling AE title too."""
    folder: Path
    settle_s: float
    look_s: float
    after: Literal["move", "delete", "keep"]
    quiet_s: float
    maximum_instance_bytes: int


@dataclass(slots=True)
class _Seen:
    """A file as it was when it was last looked at."""

    state: tuple[int, int]
    """Its size and its time, by which it is seen to change; the clock of the server does not matter."""
    since: float
    again_at: float = 0.0
    trouble: str = ""
    """Why it stays."""
    is_taken: bool = False
    """It stays where it is and was kept in this state."""


@dataclass(slots=True)
class _Tally:
    """What came of one look."""

    kept: Counter[str] = field(default_factory=Counter)
    files: int = 0
    failed: int = 0
    passed_over: int = 0


class _NoRoom(Exception):
    """Our own disk is full: the file stays where it is."""


class FolderSource:
    """Looks through one folder in a thread of its own: a share that hangs holds up nothing else."""

    def __init__(
        self,
        watched: Watched,
        keeper: Keeper,
        alarm: Alarm,
        *,
        passing: Callable[[str], None] = lambda point: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watched, self._keeper, self._alarm = watched, keeper, alarm
        self._passing, self._monotonic = passing, monotonic
        self._seen: dict[Path, _Seen] = {}
        self._stop = threading.Event()
        self._pause_until = 0.0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=f"folder-{self._watched.name}", daemon=True)
        self._thread.start()
        event(log, "folder.watched", source=self._watched.name, folder=str(self._watched.folder))

    def stop(self) -> None:
        """Take no further file."""
        self._stop.set()

    def join(self, within_s: float) -> None:
        """Wait for the end of the file that is being taken. On a share that hangs, it is taken at the next start."""
        if self._thread is not None:
            self._thread.join(within_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except Exception:  # noqa: BLE001 - a locked index must not end the looking
                event(log, "folder.trouble", level=logging.ERROR, failed=True, source=self._watched.name)
            self._stop.wait(self._watched.look_s)

    def look(self) -> None:
        """Look through the folder once, and take what has stood still."""
        if self._monotonic() < self._pause_until:
            return
        tally = _Tally()
        try:
            found = dict(_files(self._watched.folder, self._watched.after))
        except OSError as problem:
            self._away(f"{self._watched.folder} cannot be looked through: {problem.strerror}")
            return
        self._seen = {path: seen for path, seen in self._seen.items() if path in found}
        for path, state in sorted(found.items()):
            if self._stop.is_set():
                break
            if not self._is_due(path, state):
                continue
            try:
                self._take(path, tally)
            except _NoRoom:
                self._pause_until = self._monotonic() + AGAIN_S
                break
            except FileNotFoundError:
                del self._seen[path]  # taken away again
            except OSError as problem:
                self._seen[path].again_at = self._monotonic() + AGAIN_S
                self._seen[path].trouble = problem.strerror or "it could not be kept"
        if trouble := next((seen.trouble for seen in self._seen.values() if seen.trouble), ""):
            self._away(f"a file in {self._watched.folder} stays: {trouble}")
        else:
            self._alarm.end(AWAY, self._watched.name)
        self._tell(tally)

    def _is_due(self, path: Path, state: tuple[int, int]) -> bool:
        now, seen = self._monotonic(), self._seen.get(path)
        if seen is None or seen.state != state:
            self._seen[path] = _Seen(state=state, since=now)
            return False
        return not seen.is_taken and now >= max(seen.since + self._watched.settle_s, seen.again_at)

    def _take(self, path: Path, tally: _Tally) -> None:
        seen, reasons, kept, passed_over = self._seen[path], list[Refused](), 0, 0
        seen.trouble = ""
        for one in objects_of(path, self._watched.maximum_instance_bytes):
            match one:
                case Found():
                    tally.kept[self._keep(one)] += 1
                    kept += 1
                case PassedOver():
                    passed_over += 1
                case refusal:
                    reasons.append(refusal)
        if _state(path.stat()) != seen.state:
            # It was not whole. What was kept of it stays, as of an association that broke off.
            del self._seen[path]
            return
        patience_ends = seen.since + self._watched.settle_s + PATIENCE_S
        if reasons and self._monotonic() < patience_ends:
            seen.again_at = patience_ends
            return
        self._passing("folder:kept")
        tally.files += 1
        tally.passed_over += passed_over
        tally.failed += bool(reasons)
        for reason in reasons[:MOST_REASONS]:
            event(
                log,
                "folder.refused",
                level=logging.WARNING,
                source=self._watched.name,
                code=reason.code,
                reason=reason.sentence(),
            )
        self._put_away(path, reasons, kept)
        self._passing("folder:put-away")

    def _keep(self, one: Found) -> str:
        with self._keeper.room(len(one.encoded)) as fits:
            if not fits:
                raise _NoRoom
            return str(
                self._keeper.keep(
                    encoded=one.encoded,
                    header=one.header,
                    sop_class_uid=one.sop_class_uid,
                    sop_instance_uid=one.sop_instance_uid,
                    transfer_syntax_uid=one.transfer_syntax_uid,
                    calling_ae_title=self._watched.name,
                    called_ae_title="",
                    source=self._watched.name,
                    quiet_s=self._watched.quiet_s,
                )
            )

    def _put_away(self, path: Path, reasons: list[Refused], kept: int) -> None:
        """What could not be taken whole is never deleted."""
        if self._watched.after == "keep":
            self._seen[path].is_taken = True
        elif reasons:
            target = self._free(path, FAILED)
            # First: a file without its reason would be a riddle, a reason without its file is only litter.
            target.with_name(target.name + WHY).write_text(_why(reasons, kept), encoding="utf-8")
            path.rename(target)
        elif self._watched.after == "delete":
            path.unlink()
        else:
            path.rename(self._free(path, DONE))

    def _free(self, path: Path, where: str) -> Path:
        """A name in `done` or `failed` that no file has; nothing is overwritten."""
        target = self._watched.folder / where / path.relative_to(self._watched.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        for number in range(1, MOST_NAMES + 1):
            name = target.name if number == 1 else f"{target.stem}-{number}{target.suffix}"
            if not os.path.lexists(target.with_name(name)):
                return target.with_name(name)
        raise FileExistsError(f"{MOST_NAMES} files of that name")

    def _away(self, reason: str) -> None:
        self._alarm.begin(AWAY, self._watched.name, reason)

    def _tell(self, tally: _Tally) -> None:
        if not tally.files:
            return
        event(
            log,
            "folder.taken",
            level=logging.WARNING if tally.failed else logging.INFO,
            source=self._watched.name,
            files=tally.files,
            stored=tally.kept["stored"],
            versions=tally.kept["version"],
            identical=tally.kept["identical"],
            restored=tally.kept["restored"],
            own=tally.kept["own"],
            passed_over=tally.passed_over,
            not_taken=tally.failed,
        )


def _files(root: Path, after: str) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Ordinary files below a folder with their states; no link is followed. Raises OSError."""
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                path = Path(entry.path)
                if entry.name.startswith(".") or entry.is_symlink():
                    continue
                if entry.is_dir():
                    if after == "keep" or folder != root or entry.name not in (DONE, FAILED):
                        waiting.append(path)
                elif entry.is_file() and not entry.name.lower().endswith(UNFINISHED):
                    try:
                        yield path, _state(entry.stat())
                    except FileNotFoundError:
                        continue  # taken away again


def _state(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns


def _why(reasons: list[Refused], kept: int) -> str:
    lines = [f"{one.code}: {one.sentence()}." for one in reasons[:MOST_REASONS]]
    if len(reasons) > MOST_REASONS:
        lines.append(f"And {len(reasons) - MOST_REASONS} more.")
    if kept:
        lines.append(f"Objects of this file that were taken: {kept}.")
    return "\n".join(lines) + "\n"
