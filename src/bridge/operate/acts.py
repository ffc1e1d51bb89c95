"""Acts of people: requests to the service, never writes to its tables. Commands and pages ask through here."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import time
from pathlib import Path

from bridge.store.acts import Acts
from bridge.store.rows import Act
from bridge.store.tables import Index

STALE_S = 30.0
"""A service that wrote no sign of life for so long does not live."""
LONGEST_REASON = 200
LOOK_S = 0.1


def ask(
    index: Index, act: str, target: str, who: str, reason: str = "", *, data: Path, within_s: float = 15.0
) -> Act:
    """Write down a wish and wait for the answer of the service.

    `outcome` of what comes back is empty when there is none: the service does not run, or is busy for longer than
    `within_s`. The wish stands, and is fulfilled or refused when the service looks.
    """
    acts = Acts(index)
    number = acts.ask(act, target, who=who, reason=_one_line(reason))
    until = time.monotonic() + within_s
    while True:
        asked = acts.get(number)
        if asked.outcome or time.monotonic() >= until or not is_alive(data):
            return asked
        time.sleep(LOOK_S)


def user() -> str:
    """The system's name of whoever runs this process; what the environment says about it does not count."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"  # a container may have no name for it


def is_alive(data: Path) -> bool:
    """Whether a service works on this data directory: it wrote its sign of life lately, and its process is there."""
    try:
        state = json.loads((data / "health.json").read_text())
        with contextlib.suppress(PermissionError):  # another user's process is there all the same
            os.kill(state["pid"], 0)
        return bool(time.time() - state["at"] <= STALE_S)
    except (OSError, ValueError, KeyError):
        return False


def _one_line(text: str) -> str:
    words = " ".join(text.split())[:LONGEST_REASON]
    return "".join(letter if letter.isprintable() else "?" for letter in words)
