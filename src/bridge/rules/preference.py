"""Which of several fitting candidates is meant: figures in which a larger one wins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.dicom.headers import number, text
from bridge.rules.dates import as_date

if TYPE_CHECKING:
    from bridge.volumes.volume import Candidate

Score = tuple[float, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What a preference compares, and how it is shown; never a date."""

    score: Callable[[Candidate], Score]
    shown: Callable[[Candidate], str]


def best(
    prefer: Sequence[str], candidates: Sequence[Candidate]
) -> tuple[list[Candidate], list[tuple[Candidate, str]]]:
    """Those that no preference, in order, puts behind another; and the others, each with the one that did."""
    left, behind = list(candidates), []
    for name in prefer:
        scores = [FIGURES[name].score(candidate) for candidate in left]
        behind += [(one, name) for one, score in zip(left, scores, strict=True) if score != max(scores)]
        left = [one for one, score in zip(left, scores, strict=True) if score == max(scores)]
    return left, behind


def series_number(candidate: Candidate) -> int | None:
    """The smallest Series Number of its instances, None when there is none."""
    found = [number(instance.header, "SeriesNumber") for instance in candidate.instances]
    known = [int(one) for one in found if one is not None and abs(one) < 2**31]
    return min(known, default=None)


def _spacing(candidate: Candidate) -> float:
    # To 0.001 mm: of two volumes that differ by rounding, neither is thinner.
    return round(float(candidate.volume.geometry.spacing_mm[0]), 3) if candidate.volume else 0.0


def _spacing_shown(candidate: Candidate) -> str:
    return f"{_spacing(candidate)} mm"


_TIMES = (
    ("SeriesDate", "SeriesTime"),
    ("AcquisitionDate", "AcquisitionTime"),
    ("ContentDate", "ContentTime"),
)


def _time(candidate: Candidate) -> str:
    """Date and time of the latest instance, as text that sorts; "" when no date is known."""
    latest = ""
    for instance in candidate.instances:
        for day, hour in _TIMES:
            date = as_date(text(instance.header, day) or "")
            if date is not None:
                time = (text(instance.header, hour) or "").strip().replace(":", "")
                latest = max(latest, f"{date:%Y%m%d}{time}")
                break
    return latest


def _number_score(candidate: Candidate) -> Score:
    number = series_number(candidate)
    return (float("-inf") if number is None else -float(number), "")


FIGURES = {
    "thinnest": Figure(score=lambda one: (-_spacing(one), ""), shown=_spacing_shown),
    "thickest": Figure(score=lambda one: (_spacing(one), ""), shown=_spacing_shown),
    "most-instances": Figure(
        score=lambda one: (float(len(one.instances)), ""), shown=lambda one: f"{len(one.instances)} instances"
    ),
    "newest": Figure(score=lambda one: (0.0, _time(one)), shown=lambda one: "the same date and time"),
    "lowest-series-number": Figure(score=_number_score, shown=lambda one: f"number {series_number(one)}"),
}
"""One row for each preference of `bridge.config.vocabulary`."""
