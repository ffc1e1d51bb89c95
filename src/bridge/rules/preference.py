"""Which of several fitting candidates is meant: figures in which a larger one wins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.dicom.headers import number, text
from bridge.rules.conditions import OneOf, Value, holds
from bridge.rules.dates import as_date
from bridge.rules.facts import candidate_values

if TYPE_CHECKING:
    from bridge.rules.attributes import Subject
    from bridge.volumes.volume import Candidate

Score = tuple[float, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What a preference compares, and how it is shown; never a date."""

    name: str
    score: Callable[[Candidate], Score]
    shown: Callable[[Candidate], str]


def best(
    prefer: Sequence[Figure], candidates: Sequence[Candidate]
) -> tuple[list[Candidate], list[tuple[Candidate, str]]]:
    """Those that no preference, in order, puts behind another; and the others, each with the one that did."""
    left, behind = list(candidates), []
    for figure in prefer:
        scores = [figure.score(candidate) for candidate in left]
        behind += [
            (one, figure.name) for one, score in zip(left, scores, strict=True) if score != max(scores)
        ]
        left = [one for one, score in zip(left, scores, strict=True) if score == max(scores)]
    return left, behind


def ranked(prefer: Sequence[Figure], candidates: Sequence[Candidate]) -> list[Candidate]:
    """All of them, the preferred first; those that are equal stay in their order."""
    return sorted(candidates, key=lambda one: [figure.score(one) for figure in prefer], reverse=True)


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
    figure.name: figure
    for figure in (
        Figure(name="thinnest", score=lambda one: (-_spacing(one), ""), shown=_spacing_shown),
        Figure(name="thickest", score=lambda one: (_spacing(one), ""), shown=_spacing_shown),
        Figure(
            name="most-instances",
            score=lambda one: (float(len(one.instances)), ""),
            shown=lambda one: f"{len(one.instances)} instances",
        ),
        Figure(
            name="newest", score=lambda one: (0.0, _time(one)), shown=lambda one: "the same date and time"
        ),
        Figure(
            name="lowest-series-number",
            score=_number_score,
            shown=lambda one: f"number {series_number(one)}",
        ),
    )
}
"""One row for each preference of `bridge.config.vocabulary`."""


def ranking(subject: Subject, values: Sequence[Value]) -> Figure:
    """The preference for values of an attribute or a fact, the best first; any other value comes after all of them.

    A value counts when every image of the candidate has it, as in a condition on a volume.
    """

    def place(candidate: Candidate) -> int:
        readings = candidate_values(candidate, subject)
        for index, value in enumerate(values):
            if all(holds(OneOf(values=(value,)), found) for found in readings):
                return index
        return len(values)

    def shown(candidate: Candidate) -> str:
        index = place(candidate)
        if index == len(values):
            return "not in the list"
        return f"value {index + 1} of the list" if subject.private else str(values[index])

    return Figure(name=subject.text, score=lambda one: (-float(place(one)), ""), shown=shown)
