"""C-STORE statuses and what each means for a delivery, as one table (PS3.4 B.2.3, PS3.7 C).

What happens without a status stands in `bridge.deliver`: no answer and no connection are tried again, a rejected AE
title is a matter of configuration, a class for which no presentation context was accepted is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What a peer's answer means for an instance, and what is to be done with it."""

    DELIVERED = "delivered"
    WARNED = "warned"
    """Stored, and the peer says that it changed or doubts something."""
    CONFIRMED = "confirmed"
    """Stored, and named by the peer when it was asked."""
    RETRY = "retry"
    RETRY_FEW = "retry-few"
    """Some peers use these for passing trouble: a few tries, then a person."""
    RETRY_ONCE = "retry-once"
    """The peer did not understand our request: once more on a new association, then a person."""
    REFUSED = "refused"
    """The peer will not take this instance, ever."""
    CONFIGURATION = "configuration"
    """Until a person changes something at the peer; tried again slowly."""
    DUPLICATE = "duplicate"
    """The peer holds this SOP Instance UID already."""


STORED = frozenset({Outcome.DELIVERED, Outcome.WARNED, Outcome.CONFIRMED})
AGAIN = frozenset({Outcome.RETRY, Outcome.RETRY_FEW, Outcome.RETRY_ONCE, Outcome.CONFIGURATION})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    first: int
    last: int
    meaning: str
    outcome: Outcome


def _row(first: int, meaning: str, outcome: Outcome, last: int | None = None) -> Row:
    return Row(first=first, last=first if last is None else last, meaning=meaning, outcome=outcome)


STORE_STATUSES: tuple[Row, ...] = (
    _row(0x0000, "success", Outcome.DELIVERED),
    # PS3.4 table B.2-1: warnings
    _row(0xB000, "coercion of data elements", Outcome.WARNED),
    _row(0xB006, "elements discarded", Outcome.WARNED),
    _row(0xB007, "data set does not match SOP class", Outcome.WARNED),
    # PS3.4 table B.2-1: failures
    _row(0xA700, "refused: out of resources", Outcome.RETRY, 0xA7FF),
    _row(0xA900, "data set does not match SOP class", Outcome.REFUSED, 0xA9FF),
    _row(0xC000, "cannot understand", Outcome.RETRY_FEW, 0xCFFF),
    # PS3.7 annex C: statuses of every service
    _row(0x0105, "no such attribute", Outcome.REFUSED),
    _row(0x0106, "invalid attribute value", Outcome.REFUSED),
    _row(0x0107, "attribute list error", Outcome.WARNED),
    _row(0x0110, "processing failure", Outcome.RETRY_FEW),
    _row(0x0111, "duplicate SOP instance", Outcome.DUPLICATE),
    _row(0x0115, "invalid argument value", Outcome.REFUSED),
    _row(0x0116, "attribute value out of range", Outcome.WARNED),
    _row(0x0117, "invalid object instance", Outcome.REFUSED),
    _row(0x0118, "no such SOP class", Outcome.REFUSED),
    _row(0x0119, "class-instance conflict", Outcome.REFUSED),
    _row(0x0120, "missing attribute", Outcome.REFUSED),
    _row(0x0121, "missing attribute value", Outcome.REFUSED),
    _row(0x0122, "refused: SOP class not supported", Outcome.REFUSED),
    _row(0x0124, "refused: not authorized", Outcome.CONFIGURATION),
    _row(0x0210, "duplicate invocation", Outcome.RETRY_ONCE),
    _row(0x0211, "unrecognized operation", Outcome.RETRY_ONCE),
    _row(0x0212, "mistyped argument", Outcome.RETRY_ONCE),
    _row(0x0213, "resource limitation", Outcome.RETRY),
    _row(0xFE00, "cancel", Outcome.RETRY),
)


def store_status(status: int) -> Row:
    """The row of a status. One that stands in no table counts as passing trouble: a few tries, then a person."""
    for row in STORE_STATUSES:
        if row.first <= status <= row.last:
            return row
    return _row(status, "a status that is in no table", Outcome.RETRY_FEW)
