"""Marks: a shape for each tone, so that colour alone never carries a meaning."""

from __future__ import annotations

from bridge.operate.report.markup import Html, tag
from bridge.operate.report.words import Tone

_PATHS = {
    Tone.GOOD: "M8 0a8 8 0 1 1 0 16A8 8 0 0 1 8 0Zm4.1 5.2-1.2-1.2-4 4.3-1.9-1.8-1.2 1.2 3.1 3Z",
    Tone.CARE: "M8 .6 16 15H0Zm-.9 5v4.6h1.8V5.6Zm0 6v1.8h1.8v-1.8Z",
    Tone.BAD: "M4.7 0h6.6L16 4.7v6.6L11.3 16H4.7L0 11.3V4.7Zm6.9 5.6-1.2-1.2L8 6.8 5.6 4.4 4.4 5.6 "
    "6.8 8l-2.4 2.4 1.2 1.2L8 9.2l2.4 2.4 1.2-1.2L9.2 8Z",
    Tone.BUSY: "M8 0a8 8 0 1 1 0 16A8 8 0 0 1 8 0ZM6.2 4.3v7.4L12 8Z",
    Tone.QUIET: "M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2Zm0 1.8a4 4 0 1 0 0 8 4 4 0 0 0 0-8Z",
}
"""On a field of 16 x 16: disc with tick, triangle with bar, octagon with cross, disc with arrow, ring."""


def mark(tone: Tone) -> Html:
    """The shape of a tone; the word beside it says the same."""
    path = tag("path", d=_PATHS[tone], fill="currentColor", fill_rule="evenodd")
    return tag("svg", path, class_=f"mark {tone}", viewBox="0 0 16 16", aria_hidden="true")
