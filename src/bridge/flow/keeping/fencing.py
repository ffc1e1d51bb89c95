"""Between a start and the first thing that is sent: is what we remember still true?

    restored   the index or the engine's file was put back alone      lifts itself
    moved      the directory is on another machine, disk or place     a person says that no other copy is alive
    ahead      a platform has jobs of ours that the index does not    lifts itself
               know: everything was put back, from an earlier time

Fenced, we receive and decide, and hand over nothing. The truth is in the index: an engine's file that does not belong
to it is put aside, and every job goes on from its row. A job that a platform has and its row does not know is looked
for before anything is made for it, today or when its study is sent again next week.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from bridge.errors import BridgeError, ConfigError, TryLater, Unauthorized
from bridge.flow.acts import abort
from bridge.flow.keeping.engine_file import read_epoch, set_aside, write_epoch
from bridge.flow.parts import Parts
from bridge.flow.stages.cloud import REMOTE
from bridge.flow.verdicts import pause
from bridge.log import event
from bridge.platforms.protocol import Newer, Platform
from bridge.store.meta import Meta
from bridge.store.rows import Act
from bridge.store.tables import Index

log = logging.getLogger("bridge.fence")

ALERT, SUBJECT = "fenced", "data"
LIFT = "fence-lift"
"""The act of a person that lifts a fence."""
MACHINE_ID = Path("/etc/machine-id")
FIRST_S = 10.0
"""How long a start waits for platforms; one that has not answered is asked on, and its jobs wait alone."""
LONGEST_S = 300.0
SKEW_S = 3600.0
"""Clocks of this machine and of a platform need not agree."""
LOOK_S = 0.2


class Case(StrEnum):
    RESTORED = "restored"
    MOVED = "moved"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Why nothing is sent, since when (POSIX seconds), and what a person can do."""

    case: Case
    reason: str
    remedy: str
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What both files say of each other and of their machine; empty where they say nothing."""

    index: str
    next: str
    """Written into the index before the engine's file is marked with it: a crash may fall between the two."""
    engine: str
    machine: str
    here: str


REASONS = {
    Case.RESTORED: "the index and the engine's file are not of the same moment: one of them was put back or lost",
    Case.MOVED: "the data directory is not where it was: it was copied, or moved to another disk or machine",
    Case.AHEAD: "a platform has jobs of this bridge that its index does not know: an earlier state was put back",
}
REMEDIES = {
    Case.RESTORED: "Nothing to do: every job goes on from the index; it ends when each platform has been asked",
    Case.MOVED: "Make sure that no other bridge runs on a copy of this directory, then `bridge fence lift`",
    Case.AHEAD: "Nothing to do: those jobs are found again and not made twice. Send again what was received since",
}


def compare(marks: Marks, *, same_machine: bool) -> tuple[Case, ...]:
    """The cases that are so. `same_machine`: whether another machine or place means anything here."""
    cases = []
    if marks.engine != marks.index and not (marks.next and marks.engine == marks.next):
        cases.append(Case.RESTORED)
    if same_machine and marks.machine and marks.machine != marks.here:
        cases.append(Case.MOVED)
    return tuple(cases)


def here(data: Path, key: bytes, machine_id: Path = MACHINE_ID) -> str:
    """A keyed hash of the machine and of the place of the data directory on it.

    The file system's own id, where it has one: device numbers change when a machine starts again.
    """
    try:
        machine = machine_id.read_text().strip()
    except OSError:
        machine = ""
    place = data.stat()
    file_system = os.statvfs(data).f_fsid or place.st_dev
    text = f"{machine}\0{file_system}\0{place.st_ino}"
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def fence_state(index: Index) -> Fence | None:
    """The fence that stands, for whoever asks from beside the service."""
    return _read(Meta(index))


def fence_lift(parts: Parts, act: Act) -> str:
    """A person says that this copy of the directory is the only one that is alive.

    Raises ConfigError: FEN-010 where nothing is fenced, FEN-011 where the fence lifts itself.
    """
    fence = _read(parts.meta)
    if fence is None:
        raise ConfigError("FEN-010", "nothing is fenced", "a fence that stands")
    if fence.case is not Case.MOVED:
        raise ConfigError("FEN-011", fence.reason, "a fence that waits for a person", fence.remedy)
    parts.meta.put(machine=here(parts.site.data, parts.key))
    return "the fence is lifted: this copy of the directory goes on"


class Fencing:
    """One start of the service. `platform` makes a platform for one round of questions, in a loop of its own."""

    def __init__(
        self, parts: Parts, engine_file: Path, platform: Callable[[str], Platform], *, is_new: bool
    ) -> None:
        self._parts = parts
        self._engine_file = engine_file
        self._platform = platform
        self._asked: set[str] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        if is_new:
            # No job anywhere carries a key of a bridge that is made just now.
            parts.meta.put(made_at=str(parts.clock()))

    def waits(self) -> bool:
        """Whether a person must lift the fence first."""
        cases = self._compare()
        if cases:
            self._stand(cases[-1])
        return Case.MOVED in cases

    def settle(self) -> None:
        """Make the engine's file one that belongs to the index. Before the engine is launched."""
        if Case.RESTORED in self._compare():
            self._stand(Case.RESTORED)
            aside = set_aside(self._engine_file, self._parts.clock())
            event(log, "fence.engine-aside", file=aside.name if aside else "")
        self.renew()

    def renew(self) -> None:
        """Mark both files anew: at each start, and so often that a copy of one is known as old."""
        epoch = secrets.token_hex(16)
        # The mark that the file has now is written down too: the last renewal may have died before its end.
        self._parts.meta.put(epoch=read_epoch(self._engine_file), epoch_next=epoch)
        self._parts.passing("fence:begun")
        write_epoch(self._engine_file, epoch)
        self._parts.passing("fence:mid")
        machine = here(self._parts.site.data, self._parts.key)
        self._parts.meta.put(epoch=epoch, epoch_next="", machine=machine)

    def ask(self) -> None:
        """Ask each platform for jobs that we should know. Returns within about `FIRST_S`; the rest is asked beside."""
        asyncio.run(self._first_round())
        if self._is_over():
            return
        self._thread = threading.Thread(target=lambda: asyncio.run(self._on()), name="fence", daemon=True)
        self._thread.start()

    def state(self) -> Fence | None:
        """The fence that stands."""
        return _read(self._parts.meta)

    def is_open(self, account: str) -> bool:
        """Whether jobs may be made at an account: it has been asked what it has."""
        return account in self._asked

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(FIRST_S)

    async def _first_round(self) -> None:
        await asyncio.gather(*(self._try(name, FIRST_S) for name in self._parts.site.accounts))

    async def _on(self) -> None:
        await asyncio.gather(*(self._until_asked(name) for name in self._parts.site.accounts))

    async def _until_asked(self, account: str) -> None:
        pauses_s = self._parts.site.accounts[account].retry_s
        attempt = 0
        while not self.is_open(account):
            until = asyncio.get_running_loop().time() + pause(pauses_s, attempt)
            while asyncio.get_running_loop().time() < until:
                if self._stop.is_set():
                    return
                await asyncio.sleep(LOOK_S)
            await self._try(account, LONGEST_S)
            attempt += 1
        self._is_over()

    async def _try(self, account: str, within_s: float) -> None:
        """Ask one account; what goes wrong is said, and the account stays closed."""
        try:
            newer = await asyncio.wait_for(self._newer(account), within_s)
            await asyncio.to_thread(self._learn, account, newer)
        except (TryLater, Unauthorized) as error:
            event(log, "fence.not-asked", level=logging.WARNING, account=account, code=error.code)
        except TimeoutError:
            event(log, "fence.not-asked", level=logging.WARNING, account=account, code="FEN-020")
        except BridgeError as error:
            # It says no for good: find before create is what remains.
            event(log, "fence.cannot-ask", level=logging.ERROR, account=account, code=error.code)
            self._asked.add(account)
        except Exception:  # noqa: BLE001 - a bug of one platform must not keep the others closed
            event(log, "fence.trouble", level=logging.ERROR, failed=True, account=account)

    async def _newer(self, account: str) -> tuple[Newer, ...]:
        last = self._parts.submits.last(account) or float(self._parts.meta.get("made_at") or 0.0)
        platform = self._platform(account)
        try:
            if not platform.capabilities.lists_jobs:
                # What was made there is known from the account's secrets, which stand beside the index.
                return ()
            return await platform.newer(max(last - SKEW_S, 0.0))
        finally:
            await platform.close()

    def _learn(self, account: str, newer: tuple[Newer, ...]) -> None:
        listed = [(one.remote_id, one.key) for one in newer if one.key]
        strays = [
            one for one in self._parts.submits.unknown(account, listed) if not self._will_be_found(one[1])
        ]
        if strays:
            self._stand(Case.AHEAD)
            self._parts.submits.keep_strays(account, strays)
            event(log, "fence.ahead", level=logging.WARNING, account=account, jobs=len(strays))
        self._parts.passing("fence:asked")
        self._asked.add(account)

    def _will_be_found(self, key: str) -> bool:
        """Whether the step that makes the job was begun here: then it is looked for before it is repeated."""
        for job in self._parts.jobs.find(key):
            if (
                job.id == key
                and job.remote
                and abort.committed(self._parts, job, REMOTE.validate_json(job.remote))
            ):
                return True
        return False

    def _is_over(self) -> bool:
        left = sorted(set(self._parts.site.accounts) - self._asked)
        fence = self.state()
        if fence and not left:
            self._parts.meta.put(fence="")
            self._parts.alerts.end(ALERT, SUBJECT)
            event(log, "fence.lifted", case=fence.case)
        elif fence:
            self._say(fence, f"{fence.reason}. Deliveries go on; still to be asked: {', '.join(left)}")
        return not left

    def _compare(self) -> tuple[Case, ...]:
        facts = self._parts.meta
        marks = Marks(
            index=facts.get("epoch"),
            next=facts.get("epoch_next"),
            engine=read_epoch(self._engine_file),
            machine=facts.get("machine"),
            here=here(self._parts.site.data, self._parts.key),
        )
        return compare(marks, same_machine=self._parts.site.same_machine)

    def _stand(self, case: Case) -> None:
        known = self.state()
        if known is None or known.case is not case:
            now = self._parts.clock()
            fence = Fence(case=case, reason=REASONS[case], remedy=REMEDIES[case], since=now)
            self._parts.meta.put(fence=json.dumps(asdict(fence)))
            self._say(fence, fence.reason)

    def _say(self, fence: Fence, reason: str) -> None:
        self._parts.alerts.begin(ALERT, SUBJECT, f"{fence.case}: {reason}. {fence.remedy}")


def _read(meta: Meta) -> Fence | None:
    text = meta.get("fence")
    if not text:
        return None
    values = json.loads(text)
    return Fence(**{**values, "case": Case(values["case"])})
