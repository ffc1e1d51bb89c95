"""What an encoder gets, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.results.output import Output
from bridge.results.readings import Reading
from bridge.results.result import Part, Result, Source, Wrapping
from bridge.results.subject import About


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Work:
    """What an encoder gets: all outputs of one use, and what they are about."""

    parts: tuple[Part, ...]
    source: Source | None
    """None: the algorithm was given no image of the study."""
    subject: About
    wrapping: Wrapping
    readings: tuple[Reading, ...]
    """Of all values and tables, without those that stand in a result already."""
    said: tuple[str, ...]
    """On what of its parts is no reading."""
    absent: tuple[Output, ...] = ()
    """What the platform looked for, of the same use, and did not find."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Made:
    """What an encoder gives."""

    results: list[Result] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """On what became none."""
    placed: list[Reading] = field(default_factory=list)
    """Readings that stand in these results."""


def on_no_image(work: Work) -> Made:
    """For outputs that lie on images, of an answer that has none."""
    return Made(
        notes=[
            f"{part.output.name}: no image of the study was sent, so it lies on none: it stays with the job"
            for part in work.parts
        ]
    )
