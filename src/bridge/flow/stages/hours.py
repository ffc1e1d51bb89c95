"""The hours in which jobs of a rule may go to their platform (`not_before`), in local time."""

from __future__ import annotations

from datetime import datetime

from bridge.config.starts import is_open, opens
from bridge.store.ready import CLOSED

__all__ = ["CLOSED", "closed", "closed_reason"]


def closed(window: str, now: float) -> datetime | None:
    """When a window opens that is closed now (POSIX seconds); None for one that is open."""
    here = datetime.fromtimestamp(now).astimezone()
    return None if is_open(window, here) else opens(window, here)


def closed_reason(window: str, until: datetime) -> str:
    return f"its rule sends between {window.replace('-', ' and ')} (not_before); it goes at {until:%H:%M}"
