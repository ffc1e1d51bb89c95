"""A platform that was away is not met by all who wait for it at once.

    answers --breaker opens--> away: one job may try, the others wait, deadlines stand still
    away --first answer--> 1, 2, 4 ... may send at once, as each number has been answered --the limit--> answers

Outage and number stand in the tables: a restart in the middle goes on with them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import RLock

from bridge.log import event
from bridge.platforms.optional import Breaks
from bridge.platforms.protocol import Platform
from bridge.store.outages import Outages

log = logging.getLogger("bridge.cloud")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Of an account: jobs at once, and seconds until a person must decide about one."""

    limit: int
    deadline_s: float


@dataclass(slots=True)
class _Line:
    """One account."""

    is_away: bool
    level: int | None
    senders: set[str] = field(default_factory=set)
    proven: set[str] = field(default_factory=set)
    answers: int = 0
    """Of the platform, when the outage began: one more ends it."""


class Pace:
    """Who may send to which account. Used from several threads."""

    def __init__(
        self, outages: Outages, platform: Callable[[str], Platform], accounts: Mapping[str, Patience]
    ) -> None:
        self._outages, self._platform, self._accounts = outages, platform, accounts
        self._lines: dict[str, _Line] = {}
        self._lock = RLock()

    def is_away(self, account: str) -> bool:
        """Whether deadlines stand still: the account was away when it was last heard of."""
        with self._lock:
            return self._line(account).is_away

    def may(self, account: str, job: str) -> bool:
        """Whether a job may send now. One that may is counted until `sent`."""
        with self._lock:
            line = self._line(account)
            if line.level is None or job in line.senders:
                return True
            if len(line.senders) >= line.level:
                return False
            line.senders.add(job)
            return True

    def sent(self, account: str, job: str) -> None:
        """The job sends no more, or not now."""
        with self._lock:
            self._line(account).senders.discard(job)

    def look(self, account: str, job: str = "") -> None:
        """After the platform was asked: whether it is away, or back. `job`: one whose sending was answered."""
        platform = self._platform(account)
        if not isinstance(platform, Breaks):
            return
        with self._lock:
            line = self._line(account)
            if platform.away_s() > 0:
                if not line.is_away:
                    line.is_away, line.answers = True, platform.answers()
                    line.senders.clear()
                    line.proven.clear()
                    self._set(account, line, 1)
                    event(log, "platform.outage", level=logging.WARNING, account=account)
                self._outages.away(account)
                return
            if line.is_away:
                if platform.answers() <= line.answers:
                    return
                self._outages.back(account, self._accounts[account].deadline_s)
                line.is_away = False
                event(log, "platform.back", account=account)
            if job and line.level is not None:
                self._prove(account, line, job)

    def settle(self) -> None:
        """End outages for which nobody waits any longer: nobody would ask whether they are over."""
        for account in self._accounts:
            with self._lock:
                line = self._line(account)
                if line.is_away and not self._outages.waiting(account):
                    self._outages.back(account, self._accounts[account].deadline_s)
                    line.is_away = False
                    self._set(account, line, None)

    def _prove(self, account: str, line: _Line, job: str) -> None:
        line.proven.add(job)
        if line.level is None or len(line.proven) < line.level:
            return
        line.proven.clear()
        wider = 2 * line.level
        self._set(account, line, wider if wider < self._accounts[account].limit else None)

    def _set(self, account: str, line: _Line, level: int | None) -> None:
        line.level = level
        self._outages.keep_level(account, level)

    def _line(self, account: str) -> _Line:
        if account not in self._lines:
            self._lines[account] = _Line(
                is_away=self._outages.since(account) is not None, level=self._outages.level(account)
            )
        return self._lines[account]
