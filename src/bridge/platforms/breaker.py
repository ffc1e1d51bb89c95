"""A breaker: an origin that fails again and again is left alone for a growing pause, then asked once.

    closed --n failures in a row--> open --pause over--> one request --good--> closed
                                      ^                       |
                                      +------- bad: twice the pause

A failure is a request without an answer, or one that was answered with 5xx. Refusals (4xx) are answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from bridge.errors import TryLater


class Attempt:
    """One request. Without `seen` it counts neither way: its task was cancelled."""

    def __init__(self) -> None:
        self.is_good: bool | None = None

    def seen(self, status: int) -> None:
        self.is_good = status < 500


class Breaker:
    """`clock`: seconds that never go back. Used from one event loop at a time."""

    def __init__(
        self,
        host: str,
        *,
        failures: int,
        pause_s: float,
        longest_pause_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._host = host
        self._most, self._first_s, self._longest_s = failures, pause_s, longest_pause_s
        self._clock = clock
        self._failures = 0
        self._pause_s = 0.0
        self._until: float | None = None
        self._is_probing = False
        self.answers = 0
        """Requests that were answered well so far."""

    def away_s(self) -> float:
        """Seconds until the next request may go; 0 while closed."""
        return 0.0 if self._until is None else max(0.0, self._until - self._clock())

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """Around one request. Raises TryLater: NET-008, nothing is sent now."""
        is_probe = self._admit()
        attempt = Attempt()
        try:
            yield attempt
        except httpx.TransportError:
            attempt.is_good = False
            raise
        finally:
            self._settle(attempt.is_good, is_probe=is_probe)

    def _admit(self) -> bool:
        if self._until is None:
            return False
        left_s = self.away_s()
        if left_s == 0.0 and not self._is_probing:
            self._is_probing = True
            return True
        # While the one request is under way, the others wait for what becomes of it.
        wait_s = left_s or self._first_s
        raise TryLater(
            "NET-008",
            f"{self._host} failed {self._failures} times in a row; nothing is sent for {wait_s:.0f} s",
            "an answer below 500",
            numbers={"failures": self._failures, "wait_s": round(wait_s, 1)},
            after_s=wait_s,
        )

    def _settle(self, is_good: bool | None, *, is_probe: bool) -> None:
        if is_probe:
            self._is_probing = False
        if is_good is None:
            return
        if is_good:
            self.answers += 1
            self._failures, self._pause_s, self._until = 0, 0.0, None
            return
        self._failures += 1
        if is_probe or (self._until is None and self._failures >= self._most):
            self._pause_s = min(self._longest_s, 2 * self._pause_s or self._first_s)
            self._until = self._clock() + self._pause_s
