"""What the demonstration shows: one live table of stages, the series, and what left the house."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

MARKS = {"done": ("✓", "green"), "trouble": ("✗", "red"), "bumpy": ("↻", "yellow")}


@dataclass
class Line:
    """One stage: what happened, how long it took."""

    what: str
    detail: str = ""
    seconds: float | None = None
    mark: str = ""
    """"" while it runs."""
    begun: float = field(default_factory=time.monotonic)


class Screen:
    """A live table; on something that is no terminal it is printed once, at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: list[Line] = []
        self._below: list[Table] = []
        self._live = Live(console=console, refresh_per_second=10, transient=False, get_renderable=self._draw)

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def begin(self, what: str, detail: str = "") -> Line:
        line = Line(what, detail)
        self._lines.append(line)
        return line

    def end(self, line: Line, detail: str = "", mark: str = "done", seconds: float | None = None) -> None:
        line.detail = detail or line.detail
        line.seconds = time.monotonic() - line.begun if seconds is None else seconds
        line.mark = mark

    def say(self, what: str, detail: str = "", mark: str = "done", seconds: float | None = None) -> None:
        """A line for something that is over already."""
        self._lines.append(Line(what, detail, seconds, mark))

    def show(self, table: Table) -> None:
        """Put a table below the stages."""
        self._below.append(table)

    def _draw(self) -> Group:
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(width=2)
        table.add_column(min_width=26)
        table.add_column(justify="right", min_width=7)
        table.add_column(overflow="fold")
        for line in self._lines:
            if line.mark:
                sign, colour = MARKS[line.mark]
                mark: Text | Spinner = Text(sign, style=colour)
                seconds = "" if line.seconds is None else f"{line.seconds:.1f} s"
            else:
                mark = Spinner("dots", style="cyan")
                seconds = f"{time.monotonic() - line.begun:.1f} s"
            style = {"trouble": "red", "bumpy": "yellow"}.get(line.mark, "")
            table.add_row(mark, Text(line.what, style=style), Text(seconds, style="dim"), Text(line.detail))
        return Group(table, *(Group(Text(), below) for below in self._below))


def series_table(rows: Iterable[tuple[str, str, str, bool]]) -> Table:
    """Series of the study: (name, what it is, reason, chosen)."""
    table = Table("series", "what it is", "verdict", box=None, pad_edge=False, header_style="dim")
    for name, what, reason, chosen in rows:
        style = "bold green" if chosen else "dim strike"
        table.add_row(
            Text(name, style=style), Text(what, style=style), Text(reason, style="" if chosen else "dim")
        )
    return table


def left_table(before: Iterable[tuple[str, str]], after: Iterable[str]) -> Table:
    """Header lines in the house beside the whole header of the file that left it."""
    table = Table(
        "header in the house",
        "header of the file that left it, complete",
        box=None,
        pad_edge=False,
        header_style="dim",
    )
    inside, outside = list(before), list(after)
    for number in range(max(len(inside), len(outside))):
        left = Text()
        if number < len(inside):
            keyword, value = inside[number]
            left = Text.assemble((f"{keyword}  ", ""), (value, "red"))
        right = Text(outside[number], style="green") if number < len(outside) else Text()
        table.add_row(left, right)
    return table
