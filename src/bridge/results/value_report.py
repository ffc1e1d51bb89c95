"""Numbers and yes-or-no answers without a place become a report of their own (TID 1500 with TID 1501 groups).

They belong to no segment, and in one document with groups of segments a validator takes them for such.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bridge.dicom import codes
from bridge.dicom.charsets import plain
from bridge.dicom.codes import Concept, Quantity
from bridge.results import envelope
from bridge.results.output import Output
from bridge.results.report import Draft, measurement, report
from bridge.results.result import Json, Result, Wrapping
from bridge.results.segmentation import Subject, coded

VARIANT = "values"
_LARGEST_WHOLE = 10**15
"""A Decimal String has 16 characters; a larger whole number is written as a float."""


def encode_values(
    values: Sequence[tuple[Output, Json]], subject: Subject, wrapping: Wrapping, *, instance_number: int
) -> tuple[Result | None, tuple[str, ...]]:
    """The report on numbers and yes-or-no answers, and notes on what has no place in it.

    None when nothing of `values` has a place. Texts, lists and structures stay with the job.
    """
    from highdicom.sr import (
        MeasurementsAndQualitativeEvaluations,
        QualitativeEvaluation,
        TrackingIdentifier,
    )

    numbers, verdicts, names, notes = [], [], [], []
    concepts: list[Concept] = []
    for output, value in values:
        mapped = wrapping.quantities.get(output.name)
        if mapped is None and not wrapping.private_codes:
            notes.append(f"{output.name} has no configured concept: it stays with the job")
            continue
        quantity = mapped or Quantity(concept=_private(output.name), unit=codes.NO_UNITS)
        if isinstance(value, bool):
            answer = codes.YES if value else codes.NO
            verdicts.append(QualitativeEvaluation(name=coded(quantity.concept), value=coded(answer)))
        elif isinstance(value, (int, float)) and math.isfinite(value):
            numbers.append(measurement(quantity, _as_given(value), wrapping))
        else:
            notes.append(f"{output.name}: a {_kind(value)} has no place in a measurement report")
            continue
        names.append(output.name)
        concepts.append(quantity.concept)
        if mapped is None:
            notes.append(f"{output.name} has no configured concept: written with a private code")
    if not names:
        return None, tuple(notes)
    name = ", ".join(sorted(names))
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=envelope.uid_of(wrapping, "tracking", name, VARIANT),
            identifier=plain(f"values of {wrapping.rule}"),
        ),
        measurements=numbers or None,
        qualitative_evaluations=verdicts or None,
    )
    draft = Draft(output_name=name, variant=VARIANT, groups=[group], concepts=concepts, notes=notes)
    return report(draft, subject, wrapping, instance_number=instance_number), ()


def _private(slug: str) -> Concept:
    return codes.private_code(slug, plain(slug.replace("-", " ").replace("_", " ")) or "value")


def _as_given(value: int | float) -> int | float:
    return value if isinstance(value, float) or abs(value) < _LARGEST_WHOLE else float(value)


def _kind(value: Json) -> str:
    match value:
        case str():
            return "text"
        case list():
            return "list"
        case dict():
            return "structure"
        case None:
            return "missing value"
        case _:
            return "number without a size"
