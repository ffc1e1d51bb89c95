"""The sandbox's time: one clock for deadlines, signatures and durations, which a test can move."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Lock

TICK_S = 0.02


class MovableClock:
    """Seconds since 1970: a clock below it, plus what it was moved by."""

    def __init__(self, below: Callable[[], float]) -> None:
        self._below, self._ahead_s = below, 0.0
        self._lock = Lock()

    def __call__(self) -> float:
        return self._below() + self._ahead_s

    def move(self, seconds: float) -> float:
        """Set the clock forward (back, when negative); gives the new time."""
        with self._lock:
            self._ahead_s += seconds
        return self()

    def wait(self, until_s: float, stopping: Event) -> bool:
        """Wait until this clock shows a time. False: `stopping` came first."""
        while (left := until_s - self()) > 0:
            # In small steps, because moving the clock wakes nobody.
            if stopping.wait(min(left, TICK_S)):
                return False
        return not stopping.is_set()
