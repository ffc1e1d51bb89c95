"""From an answer to DICOM objects: the table of encoders by what an output is used for.

Another kind of result is one more function and one more row. What a rule asks for by name is refused when it cannot
be made; what comes by itself and fits nowhere stays with the job, and is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.dicom.charsets import plain
from bridge.dicom.codes import ANY_TISSUE, anatomy_of
from bridge.dicom.context import context_of, left_out
from bridge.dicom.headers import text
from bridge.errors import Refused
from bridge.results.output import Presence
from bridge.results.planes import planes_in_space
from bridge.results.readings import Reading, readings_of_table, readings_of_values
from bridge.results.result import (
    Answer,
    Document,
    HeatMap,
    HeatMaps,
    LabelMap,
    Part,
    Result,
    Source,
    Table,
    Wrapping,
)
from bridge.results.segmentation import encode_segmentation, segments_of
from bridge.results.segments import Segmented
from bridge.results.subject import About, StudySubject, Subject
from bridge.results.use import Use, use_of
from bridge.results.work import Made, Work, on_no_image

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_AFTER_MASKS = 1000
"""Instance Number of the report on values; reports of masks count from 1 and have the numbers of their SEG."""


def encode(answer: Answer, source: Source, wrapping: Wrapping) -> tuple[Result, ...]:
    """Make the DICOM objects of an answer. Pure: the same arguments give the same bytes.

    Outputs without an encoder, and values that no report can hold, are named in the notes of the first result.

    Raises:
        Refused: RES-..., nothing of the answer can be encoded, or something in it must not be.
        Damaged: CTX-001, an identifier of the patient cannot be copied faithfully.
    """
    planes = planes_in_space(source.volume)
    header = planes[0].instance.header
    context = context_of(header)
    mending = source.volume.mending
    subject = Subject(
        volume=source.volume,
        planes=planes,
        context=context,
        corrected=wrapping.variant.corrected_grid and mending is not None,
    )
    if mending:
        wrapping = replace(wrapping, repairs=mending.repairs, repaired=", ".join(mending.notes))
    notes = [f"images {note}" for note in mending.notes] if mending else []
    notes += [
        f"{keyword} of the source was mended or left out: not legal" for keyword in left_out(header, context)
    ]
    return _encoded(answer, source, subject, wrapping, notes)


def encode_for_study(answer: Answer, header: Dataset, wrapping: Wrapping) -> tuple[Result, ...]:
    """The same for an answer to fixed inputs alone: what lies on images stays with the job, and is said.

    Args:
        header: of an object of the study that the results belong to.
    Raises:
        Refused: RES-..., nothing of the answer can be encoded, or something in it must not be.
        Damaged: CTX-001, an identifier of the patient cannot be copied faithfully.
    """
    context = context_of(header)
    # The device that made this object made nothing of the answer.
    context.pop("Manufacturer", None)
    subject = StudySubject(study_instance_uid=text(header, "StudyInstanceUID") or "", context=context)
    notes = [
        f"{keyword} of the study was mended or left out: not legal" for keyword in left_out(header, context)
    ]
    return _encoded(answer, None, subject, wrapping, notes)


def _encoded(
    answer: Answer, source: Source | None, subject: About, wrapping: Wrapping, notes: list[str]
) -> tuple[Result, ...]:
    by_use, kept = _by_use(answer.parts, wrapping)
    readings, said = _readings(by_use, wrapping)
    notes = notes + kept + _not_there(answer, wrapping)
    missing = [one for one in answer.absent if one.presence is Presence.MISSING]
    results: list[Result] = []
    for use, encoder in ENCODERS.items():
        parts = by_use.get(use, ())
        absent = tuple(one for one in missing if use is Use.MESH and use_of(one, wrapping)[0] is use)
        if parts or absent:
            work = Work(
                parts=parts,
                absent=absent,
                source=source,
                subject=subject,
                wrapping=wrapping,
                readings=tuple(readings),
                said=tuple(said.get(use, ())),
            )
            made = encoder(work)
            results += made.results
            notes += made.notes
            readings = [reading for reading in readings if reading not in made.placed]
    if not results:
        raise Refused(
            "RES-060",
            "an answer of which nothing became a result: " + ("; ".join(notes) or "it has no outputs"),
            "at least one output of which the rule makes something",
            "Look at the outputs of the job and at what the rule asks for",
            numbers={"outputs": len(answer.parts)},
        )
    results[0] = replace(results[0], notes=(*results[0].notes, *notes))
    return tuple(results)


def _by_use(parts: Iterable[Part], wrapping: Wrapping) -> tuple[dict[Use, tuple[Part, ...]], list[str]]:
    found: dict[Use, tuple[Part, ...]] = {}
    notes = []
    for part in sorted(parts, key=lambda part: part.output.name):
        use, why = use_of(part.output, wrapping)
        if use is None:
            notes.append(f"{part.output.name}: {why}")
        else:
            found[use] = (*found.get(use, ()), part)
    return found, notes


def _readings(
    by_use: dict[Use, tuple[Part, ...]], wrapping: Wrapping
) -> tuple[list[Reading], dict[Use, list[str]]]:
    values = by_use.get(Use.VALUES, ())
    readings, notes = readings_of_values(values, wrapping.values, private=wrapping.private_codes)
    said = {Use.VALUES: notes, Use.TABLE: list[str]()}
    for part in by_use.get(Use.TABLE, ()):
        if isinstance(part.content, Table):
            name = part.output.name
            some, notes = readings_of_table(part.content, name, wrapping.tables[name])
            readings += some
            said[Use.TABLE] += notes
    return readings, said


def _not_there(answer: Answer, wrapping: Wrapping) -> list[str]:
    """What the rule gives a meaning to and the answer has not, perhaps misspelt; and what the platform has not."""
    there = {part.output.name for part in answer.parts}
    return [
        *(
            f"{one.name}: no output {one.output} came back"
            for one in wrapping.values
            if one.output not in there
        ),
        *(f"{name}: no such table came back" for name in wrapping.tables if name not in there),
        *(
            f"{one.name}: not there (a finding of the platform)"
            if one.presence is Presence.MISSING
            else f"{one.name}: the platform could not make it" + (f": {one.reason}" if one.reason else "")
            for one in answer.absent
        ),
    ]


def _masks(work: Work) -> Made:
    from bridge.results.measurement_report import Measured, encode_measurements
    from bridge.results.picture import encode_picture

    made = Made()
    wrapping, subject = work.wrapping, work.subject
    if work.source is None or not isinstance(subject, Subject):
        return on_no_image(work)
    for number, part in enumerate(work.parts, start=1):
        name, mask = part.output.name, part.content
        if not isinstance(mask, LabelMap):
            made.notes.append(f"{name}: no mask came back")
            continue
        labelled = replace(mask, labels=mask.labels or part.output.labels)
        found = segments_of(labelled, name, subject, wrapping.labels.get(name))
        before = len(made.results)
        segmentation = None
        if wrapping.segmentation:
            segmentation = encode_segmentation(found, name, subject, wrapping, instance_number=number)
            made.results.append(segmentation)
        if wrapping.measurement_report:
            about = _about(found, [one for one in work.readings if one not in made.placed])
            measured = Measured(
                found=found,
                output_name=name,
                values=work.source.values,
                segmentation=segmentation,
                readings=about,
            )
            report = encode_measurements(measured, subject, wrapping, instance_number=number)
            if report is None:
                made.notes.append(f"{name}: the mask is empty, so there is nothing to measure")
            else:
                made.results.append(report)
                made.placed.extend(one for some in about.values() for one in some)
        if wrapping.picture and found.is_empty:
            made.notes.append(f"{name}: the mask is empty, so there is no picture")
        elif wrapping.picture:
            made.results.append(
                encode_picture(found, name, work.source, subject, wrapping, instance_number=number)
            )
        if segmentation is None and len(made.results) > before:
            first = made.results[before]
            made.results[before] = replace(first, notes=(*first.notes, *found.notes))
    return made


def _about(found: Segmented, readings: Sequence[Reading]) -> dict[int, list[Reading]]:
    """The readings that are about segments with voxels, by Segment Number.

    Rows of a table that name one structure more than once are about its parts, and stay a table.
    """
    about: dict[int, list[Reading]] = {}
    rows: dict[tuple[str, str], set[int]] = {}
    for reading in readings:
        rows.setdefault((reading.output, reading.structure), set()).add(reading.row)
    for reading in readings:
        if reading.structure and len(rows[reading.output, reading.structure]) == 1:
            label, anatomy = plain(reading.structure).casefold(), anatomy_of(reading.structure)
            there = [one for one in found.segments if one.voxels]
            same = [one for one in there if one.label.casefold() == label] or [
                one for one in there if one.anatomy == anatomy and anatomy != ANY_TISSUE
            ]
            if len(same) == 1:
                about.setdefault(same[0].number, []).append(reading)
    return about


def _values(work: Work) -> Made:
    from bridge.results.value_report import encode_values

    names = {part.output.name for part in work.parts}
    mine = [reading for reading in work.readings if reading.output in names]
    if not mine:
        return Made(notes=list(work.said))
    notes = [
        *work.said,
        *(
            f"{one.name}: no single segment is {one.structure}: it stands in the report of values"
            for one in mine
            if one.structure
        ),
    ]
    report = encode_values(mine, notes, work.subject, work.wrapping, instance_number=_AFTER_MASKS)
    return Made(results=[report], placed=mine)


def _tables(work: Work) -> Made:
    from bridge.results.value_report import encode_values

    made = Made(notes=list(work.said))
    for number, part in enumerate(work.parts, start=_AFTER_MASKS + 1):
        name = part.output.name
        if mine := [reading for reading in work.readings if reading.output == name]:
            report = encode_values(
                mine, (), work.subject, work.wrapping, output_name=name, instance_number=number
            )
            made.results.append(report)
    return made


def _heat_maps(work: Work) -> Made:
    from bridge.results.heat_map import encode_fractional, encode_parametric_map

    subject = work.subject
    if not isinstance(subject, Subject):
        return on_no_image(work)
    as_map = work.wrapping.heat_maps is HeatMaps.PARAMETRIC_MAP
    encoder = encode_parametric_map if as_map else encode_fractional
    return Made(
        results=[
            encoder(part.content, part.output, subject, work.wrapping, instance_number=number)
            for number, part in enumerate(work.parts, start=1)
            if isinstance(part.content, HeatMap)
        ]
    )


def _documents(work: Work) -> Made:
    from bridge.results.document import encode_document, why_not

    made = Made()
    for number, part in enumerate(work.parts, start=1):
        if not isinstance(part.content, Document):
            continue
        if why := why_not(part.content):
            made.notes.append(f"{part.output.name}: {why}: it stays with the job")
            continue
        made.results.append(
            encode_document(part.content, part.output, work.subject, work.wrapping, instance_number=number)
        )
    return made


def _meshes(work: Work) -> Made:
    from bridge.results.meshes import encode_meshes

    return encode_meshes(work)


Encoder = Callable[[Work], Made]

ENCODERS: dict[Use, Encoder] = {
    Use.MASK: _masks,
    Use.VALUES: _values,
    Use.TABLE: _tables,
    Use.HEAT_MAP: _heat_maps,
    Use.DOCUMENT: _documents,
    Use.MESH: _meshes,
}
"""In the order of the results."""
