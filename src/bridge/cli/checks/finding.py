"""One line of `bridge check`, and how many slow looks are taken at once, for no longer than a bound."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    """Works now; a person should know."""
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    subject: str
    what: str
    level: Level = Level.OK
    remedy: str = ""


def wrong(subject: str, what: str, remedy: str = "") -> Finding:
    return Finding(subject=subject, what=what, level=Level.WRONG, remedy=remedy)


def warn(subject: str, what: str, remedy: str = "") -> Finding:
    return Finding(subject=subject, what=what, level=Level.WARN, remedy=remedy)


def good(subject: str, what: str) -> Finding:
    return Finding(subject=subject, what=what)


FEW_DAYS = 30


def days_left(subject: str, what: str, days: float) -> Finding:
    """What will end, or has ended: a token, a certificate."""
    if days <= 0:
        return wrong(subject, f"{what} ended {-days:.0f} days ago", "Renew it")
    told = f"{what}: {days:.0f} days left"
    return warn(subject, told, "Renew it before it ends") if days < FEW_DAYS else good(subject, told)


Look = tuple[str, Callable[[], list[Finding]]]
"""A subject and what looks at it."""


def take(looks: Sequence[Look], within_s: float) -> list[Finding]:
    """Take all looks at once. One that has no end within the bound is a finding itself, and is left behind."""
    found: list[list[Finding] | None] = [None] * len(looks)

    def run(number: int) -> None:
        subject, look = looks[number]
        try:
            found[number] = look()
        except Exception as error:  # noqa: BLE001 - its text may quote an address with a secret in it; its class may not
            found[number] = [wrong(subject, f"could not be looked at ({type(error).__name__})")]

    # No pool: it would wait for a look without an end when the command is over.
    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(len(looks))]
    for thread in threads:
        thread.start()
    until = time.monotonic() + within_s
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0.0))
    lines: list[Finding] = []
    for (subject, _), there in zip(looks, found, strict=True):
        lines += [wrong(subject, f"no answer within {within_s:.0f} s")] if there is None else there
    return lines
