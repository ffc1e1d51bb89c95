"""Functions that a child process can import."""

from __future__ import annotations

import os
import signal
import time

from bridge.errors import Refused


def add(a: int, b: int) -> int:
    return a + b


def refuse() -> None:
    raise Refused("GEO-005", "3 slices", "at least 4", numbers={"slices": 3})


def leak() -> None:
    raise ValueError("Canary^Yellow")


def fill_the_disk() -> None:
    raise OSError(28, "No space left on device", "/somewhere/Canary^Yellow")


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def dawdle() -> None:
    time.sleep(30)


def pid() -> int:
    return os.getpid()
