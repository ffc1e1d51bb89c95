"""How the page says things: numbers with units, states and outcomes in words that an operator uses."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bridge.dicom.statuses import Outcome
from bridge.store.jobs import JobState

THIN_SPACE = "\u202f"


class Tone(StrEnum):
    """Each has its own colour and its own shape, so that neither is needed to tell them apart."""

    GOOD = "good"
    CARE = "care"
    BAD = "bad"
    BUSY = "busy"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    text: str
    tone: Tone


STATES: dict[JobState, Word] = {
    JobState.READY: Word(text="ready", tone=Tone.BUSY),
    JobState.RUNNING: Word(text="running", tone=Tone.BUSY),
    JobState.HELD: Word(text="held", tone=Tone.CARE),
    JobState.DONE: Word(text="done", tone=Tone.GOOD),
    JobState.REFUSED: Word(text="refused", tone=Tone.BAD),
    JobState.FAILED: Word(text="failed", tone=Tone.BAD),
    JobState.CANCELLED: Word(text="cancelled", tone=Tone.QUIET),
}

OUTCOMES: dict[str, Word] = {
    Outcome.DELIVERED: Word(text="stored", tone=Tone.GOOD),
    Outcome.WARNED: Word(text="stored, with a warning", tone=Tone.CARE),
    Outcome.CONFIRMED: Word(text="stored, and found there", tone=Tone.GOOD),
    Outcome.RETRY: Word(text="refused for now", tone=Tone.CARE),
    Outcome.RETRY_FEW: Word(text="refused for now", tone=Tone.CARE),
    Outcome.RETRY_ONCE: Word(text="refused for now", tone=Tone.CARE),
    Outcome.REFUSED: Word(text="refused for good", tone=Tone.BAD),
    Outcome.CONFIGURATION: Word(text="refused until the destination is changed", tone=Tone.CARE),
    Outcome.DUPLICATE: Word(text="there already", tone=Tone.CARE),
    "owed": Word(text="not sent yet", tone=Tone.QUIET),
    "held": Word(text="waits for a person", tone=Tone.CARE),
    "unnamed": Word(text="said to be stored, not found there", tone=Tone.BAD),
    "spoilt": Word(text="not sent, its file is spoilt", tone=Tone.BAD),
}


def outcome(name: str) -> Word:
    """The word for what became of a delivery; a name that is in no table stands for itself."""
    return OUTCOMES.get(name, Word(text=name, tone=Tone.CARE))


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `1 d 4 h`."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    for size, name, part, part_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{whole} s"


def size(count: float) -> str:
    """Bytes with a decimal unit: `18.4 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"


def figure(value: float) -> str:
    """A measured number for reading: four digits that count, thousands apart, a true minus."""
    whole = abs(value) >= 1000 or value == int(value)
    places = 0 if whole else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 4
    return f"{value:,.{places}f}".replace(",", THIN_SPACE).replace("-", "−")
