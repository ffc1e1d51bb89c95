"""Words and tables that several commands print."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table


def console() -> Console:
    """Colours and wrapping for a terminal; plain lines of any length for a pipe."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=10_000, no_color=True)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Aligned columns; the last one, which holds the sentence, takes what is left and wraps.

    A column in which nothing stands is left out. A row may be shorter than the titles.
    """
    made = Table(box=None, pad_edge=False, header_style="dim")
    filled = [[*row, *[""] * (len(titles) - len(row))] for row in rows]
    shown = [number for number in range(len(titles)) if any(row[number] for row in filled)]
    for number in shown:
        last = number == shown[-1]
        made.add_column(titles[number], no_wrap=not last, overflow="fold")
    for row in filled:
        made.add_row(*(row[number] if row[number] or number == shown[-1] else "-" for number in shown))
    return made


def plain(text: str) -> str:
    """A reason is text and no markup, and what a peer or a platform wrote is shown without its control characters."""
    return "".join(one if one.isprintable() else "?" for one in text).replace("[", "\\[")


def ago(at: float, now: float | None = None) -> str:
    return span((time.time() if now is None else now) - at)


def until(at: float, now: float | None = None) -> str:
    """In words when something is due."""
    left = at - (time.time() if now is None else now)
    return f"in {span(left)}" if left > 1 else "now"


def span(seconds: float) -> str:
    seconds = max(seconds, 0)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
