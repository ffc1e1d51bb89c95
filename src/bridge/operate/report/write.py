"""Write the page at once or not at all."""

from __future__ import annotations

from pathlib import Path

from bridge.operate.report.collected import collect
from bridge.operate.report.facts import Facts
from bridge.operate.report.page import page


def write_report(path: Path, facts: Facts, *, webp: bool = False) -> None:
    """Write the page of one job, in UTF-8. What cannot be read is said on the page instead of failing it.

    Args:
        webp: smaller pictures, for some seconds more.
    Raises:
        OSError: the file cannot be written.
    """
    text = page(collect(facts, webp=webp))
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
