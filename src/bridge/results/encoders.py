"""From an answer to DICOM objects: the table of encoders by output kind.

Another kind of result is one more function and one more row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from bridge.dicom.context import context_of, left_out
from bridge.errors import Refused
from bridge.results.output import OutputKind
from bridge.results.planes import planes_in_space
from bridge.results.result import Answer, LabelMap, Part, Result, Source, Wrapping
from bridge.results.segmentation import Subject, encode_segmentation, segments_of

_AFTER_MASKS = 1000
"""Instance Number of the report on values; reports of masks count from 1 and have the numbers of their SEG."""

Encoder = Callable[[tuple[Part, ...], Source, Subject, Wrapping], tuple[list[Result], list[str]]]
"""All outputs of one kind -> results, and notes on what became none."""


def encode(answer: Answer, source: Source, wrapping: Wrapping) -> tuple[Result, ...]:
    """Make the DICOM objects of an answer. Pure: the same arguments give the same bytes.

    Outputs of a kind without an encoder, and values that no report can hold, are named in the notes of the first
    result.

    Raises:
        Refused: RES-..., nothing of the answer can be encoded, or something in it must not be.
        Damaged: CTX-001, an identifier of the patient cannot be copied faithfully.
    """
    planes = planes_in_space(source.volume)
    header = planes[0].instance.header
    context = context_of(header)
    subject = Subject(volume=source.volume, planes=planes, context=context)
    results: list[Result] = []
    notes = [
        f"{keyword} of the source was mended or left out: not legal" for keyword in left_out(header, context)
    ]
    for kind, parts in _by_kind(answer.parts):
        if kind not in ENCODERS:
            notes += [
                f"{part.output.name}: a {kind.value} has no encoder and stays with the job" for part in parts
            ]
            continue
        made, kept_out = ENCODERS[kind](parts, source, subject, wrapping)
        results += made
        notes += kept_out
    if not results:
        raise Refused(
            "RES-060",
            "an answer of which nothing became a result: " + ("; ".join(notes) or "it has no outputs"),
            "at least one mask, number or yes-or-no value",
            "Look at the outputs of the job and at what the rule asks for",
            numbers={"outputs": len(answer.parts)},
        )
    results[0] = replace(results[0], notes=(*results[0].notes, *notes))
    return tuple(results)


def _masks(
    parts: tuple[Part, ...], source: Source, subject: Subject, wrapping: Wrapping
) -> tuple[list[Result], list[str]]:
    from bridge.results.measurement_report import encode_measurements

    results: list[Result] = []
    notes: list[str] = []
    for number, part in enumerate(parts, start=1):
        name, mask = part.output.name, part.content
        if not isinstance(mask, LabelMap):
            notes.append(f"{name}: no mask came back")
            continue
        found = segments_of(replace(mask, labels=mask.labels or part.output.labels), name, subject)
        segmentation = None
        if wrapping.segmentation:
            segmentation = encode_segmentation(found, name, subject, wrapping, instance_number=number)
            results.append(segmentation)
        if wrapping.measurement_report:
            report = encode_measurements(
                found, name, source.values, subject, wrapping, segmentation, instance_number=number
            )
            if report is None:
                notes.append(f"{name}: the mask is empty, so there is nothing to measure")
            else:
                results.append(
                    report if segmentation else replace(report, notes=(*report.notes, *found.notes))
                )
    return results, notes


def _values(
    parts: tuple[Part, ...], source: Source, subject: Subject, wrapping: Wrapping
) -> tuple[list[Result], list[str]]:
    from bridge.results.value_report import encode_values

    if not wrapping.measurement_report:
        return [], [f"{part.output.name}: no measurement report was asked for" for part in parts]
    values = [(part.output, part.content) for part in parts if not isinstance(part.content, LabelMap)]
    report, notes = encode_values(values, subject, wrapping, instance_number=_AFTER_MASKS)
    return ([report] if report else []), list(notes)


ENCODERS: dict[OutputKind, Encoder] = {OutputKind.MASK: _masks, OutputKind.VALUE: _values}


def _by_kind(parts: Iterable[Part]) -> list[tuple[OutputKind, tuple[Part, ...]]]:
    ordered = sorted(parts, key=lambda part: part.output.name)
    return [
        (kind, chosen)
        for kind in OutputKind
        if (chosen := tuple(part for part in ordered if part.output.kind is kind))
    ]
