"""Makes room: pixels and payloads of studies that are over, and what crashes left behind.

Instances go study by study. Folders of jobs and litter are looked at in 256 parts, by the first two digits of their
names; the clock says which. A look stays short however much is held, and a whole round takes less than a day.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from bridge.flow.parts import Parts
from bridge.flow.stages.shelf import OUTPUTS, PARCEL
from bridge.log import event

log = logging.getLogger("bridge.retention")

DAY_S = 86400.0
LITTER_S = DAY_S
"""Nothing is being written for so long: a younger file may be about to get its row or its name."""
LONGEST_S = 5.0
"""Of one tick: it runs on the thread that looks for due studies."""
PARTS = 256
PART_S = 300.0


class Retention:
    """`tick` is called now and then, never beside itself; the first one after a start removes nothing."""

    def __init__(self, parts: Parts, stopwatch: Callable[[], float] = time.monotonic) -> None:
        self._parts = parts
        self._store = parts.retention
        self._stopwatch = stopwatch
        self._started = False

    def tick(self) -> None:
        if not self._started:
            self._started = True
            return
        if any(alert.kind == "fenced" for alert in self._parts.alerts.all()):
            return  # the tables may be older than the files
        until = self._stopwatch() + LONGEST_S
        keeps = self._parts.site.retention.keep_pixels
        now = self._parts.clock()
        before = now - self._parts.site.retention.pixels_days * DAY_S
        digits = f"{int(now // PART_S) % PARTS:02x}"
        if not keeps:
            self._studies(before, until)
            self._payloads(digits, before)
        self._litter(digits, now, None if keeps else before)

    def _studies(self, before: float, until: float) -> None:
        """What is not finished in time is found again: as a study, or as litter."""
        studies = files = size_bytes = 0
        for study in self._store.studies(before):
            if self._stopwatch() > until:
                break
            dropped = self._store.drop(study, before)
            self._parts.passing("retention:mid")
            studies, files = studies + 1, files + len(dropped.files)
            size_bytes += dropped.size_bytes
            for name in dropped.files:
                (self._store.folder / name).unlink(missing_ok=True)
        if files:
            event(log, "retention.dropped", studies=studies, instances=files, bytes=size_bytes)

    def _payloads(self, digits: str, before: float) -> None:
        """What left and what came back; the list of what left, the description and the results stay."""
        count = 0
        for job in self._store.jobs(digits, before):
            for name in (PARCEL, OUTPUTS):
                folder = self._parts.shelf(job).path(name)
                if folder.is_dir():
                    shutil.rmtree(folder)
                    count += 1
        if count:
            event(log, "retention.payloads-removed", folders=count)

    def _litter(self, digits: str, now: float, before: float | None) -> None:
        """Half-written files, and instance files that no row promises. `before`: how long unknown bytes stay."""
        instances = self._store.folder / digits
        removed = unknown = 0
        for file in _files(instances, *self._parts.folder.glob(f"{digits}*")):
            written_at = file.stat().st_mtime
            if written_at > now - LITTER_S:
                continue
            if file.suffix == ".part":
                file.unlink()
                removed += 1
            elif file.parent == instances and not self._store.promised(f"{digits}/{file.name}"):
                # A crash leaves bytes that their sender sends again. Whole bytes that no row knows may be all that
                # remains of an acknowledged instance after an older index was restored.
                if self._store.known(file) or (before is not None and written_at < before):
                    file.unlink()
                    removed += 1
                else:
                    unknown += 1
        if removed:
            event(log, "retention.litter-removed", files=removed)
        if unknown:
            event(log, "retention.unknown-files", level=logging.WARNING, folder=digits, files=unknown)


def _files(*folders: Path) -> list[Path]:
    return [
        file for folder in folders for file in folder.rglob("*") if file.is_file() and not file.is_symlink()
    ]
