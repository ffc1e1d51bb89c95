"""What a platform says, made fit for a log: it may quote our request, or the header of a file."""

from __future__ import annotations

import re

SCRUBBED = (
    (re.compile(r"\w+://[^\s\"'<>]+"), "[address]"),
    (re.compile(r"\S+@\S+"), "[address]"),
    (re.compile(r"(?i)\b(bearer|token)\s+[0-9a-z._-]{16,}"), "[token]"),
    (re.compile(r"(?i)\b[0-9a-f]{32,}\b"), "[token]"),
    (re.compile(r"\b\d+(?:\.\d+){3,}\b"), "[uid]"),
    (re.compile(r"\b\d{4}-\d{2}-\d{2}\b|\b\d{6,}\b"), "[number]"),
)
LONGEST_REASON = 300


def scrub(text: str) -> str:
    """A platform's text without addresses, tokens, UIDs, dates and long numbers, cut to 300 characters.

    It may quote what we sent, or the header of a file.
    """
    for pattern, instead in SCRUBBED:
        text = pattern.sub(instead, text)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 1] + "…"
