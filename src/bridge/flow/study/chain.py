"""One rule's answer on its way to another: masks are taken into the study, values are read, the study is looked at.

The rules look at a study again when an answer is there, and what they decide then finds everything by itself: nothing
here must happen at a certain moment, or once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pydantic import JsonValue

from bridge.config.chains import Reference, reference_to
from bridge.config.masks import STUDY
from bridge.dicom.headers import read_file
from bridge.dicom.instance import Instance
from bridge.flow.parts import Parts
from bridge.flow.stages.shelf import RESULTS, JobShelf
from bridge.flow.stages.there import OUTPUT_LIST
from bridge.results.output import Output, OutputKind, Presence
from bridge.results.use import JSON, MOST_BYTES, Use
from bridge.rules import Rule
from bridge.rules.answers import Answer, Offered
from bridge.store.jobs import FINAL, Job, Jobs, JobState, StoredResult
from bridge.volumes.kinds import MASK_CLASSES

Shelf = Callable[[str], JobShelf]
"""Of a job, by its id."""


def tick(parts: Parts, rules: Iterable[Rule]) -> None:
    """Let the rules look at each study that has an answer which some rule takes."""
    new = parts.answers.new()
    wanted = _makers(rules) if new else frozenset()
    for one in new:
        parts.passing("chain:before")
        parts.answers.seen(one, wanted=one.rule in wanted)
        parts.passing("chain:after")


def take_in(parts: Parts, study_instance_uid: str, rules: Iterable[Rule]) -> None:
    """Hold the masks of a study that its rules may take, without waiting for an archive that sends them back."""
    for job in _jobs(parts.jobs, study_instance_uid, _mask_makers(rules)):
        for result in base_masks(parts.jobs.results(job.id)) if _counts(job) else ():
            file = _file(parts.shelf(job.id), result)
            if file.is_file():
                parts.instances.take_in(file)


def answers_of(
    jobs: Jobs, study_instance_uid: str, rules: Iterable[Rule], shelf: Shelf
) -> tuple[Answer, ...]:
    """Of each job of the study whose rule others take something from."""
    rules = tuple(rules)
    read = {source.rule for rule in rules for source in rule.sources.values()}
    return tuple(
        _answer(job, jobs.results(job.id), shelf if job.rule in read else None)
        for job in _jobs(jobs, study_instance_uid, _makers(rules))
    )


def not_held(
    jobs: Jobs, study_instance_uid: str, rules: Iterable[Rule], shelf: Shelf, held: Iterable[Instance]
) -> Iterator[Instance]:
    """Masks that `take_in` would hold and that are not held yet; for a question, which changes nothing."""
    there = {one.sop_instance_uid for one in held}
    number = 0
    for job in _jobs(jobs, study_instance_uid, _mask_makers(rules)):
        for result in base_masks(jobs.results(job.id)) if _counts(job) else ():
            file = _file(shelf(job.id), result)
            if result.sop_instance_uid in there or not file.is_file():
                continue
            header, syntax = read_file(file)
            number -= 1
            yield Instance(
                number=number,
                sop_class_uid=result.sop_class_uid,
                sop_instance_uid=result.sop_instance_uid,
                series_instance_uid=result.series_instance_uid,
                study_instance_uid=study_instance_uid,
                transfer_syntax_uid=syntax,
                file=file,
                header=header.data_set,
                own=True,
            )


def made_by(jobs: Jobs, study_instance_uid: str, rules: Iterable[Rule]) -> dict[str, str]:
    """The rule of each mask of a study that rules may take, by SOP Instance UID."""
    return {
        result.sop_instance_uid: job.rule
        for job in _jobs(jobs, study_instance_uid, _mask_makers(rules))
        for result in (base_masks(jobs.results(job.id)) if _counts(job) else ())
    }


def base_masks(results: Iterable[StoredResult]) -> list[StoredResult]:
    """The segmentations of a job, each output in one form: the usual one, else the first that there is."""
    masks = [one for one in results if one.sop_class_uid in MASK_CLASSES]
    first = {
        name: min(one.variant for one in masks if one.output_name == name)
        for name in {one.output_name for one in masks}
    }
    return [one for one in masks if one.variant == first[one.output_name]]


def _makers(rules: Iterable[Rule]) -> frozenset[str]:
    rules = tuple(rules)
    return _mask_makers(rules) | {source.rule for rule in rules for source in rule.sources.values()}


def _mask_makers(rules: Iterable[Rule]) -> frozenset[str]:
    return frozenset(one.mask for rule in rules for one in rule.inputs) - {"", STUDY}


def _jobs(jobs: Jobs, study_instance_uid: str, makers: frozenset[str]) -> list[Job]:
    every = jobs.of_study(study_instance_uid) if makers else []
    return [one for one in every if one.rule in makers]


def _counts(job: Job) -> bool:
    """What a person has cancelled is no answer."""
    return job.state is not JobState.CANCELLED


def _answer(job: Job, results: list[StoredResult], shelf: Shelf | None) -> Answer:
    is_given = _counts(job) and (bool(results) or job.state is JobState.DONE)
    outputs = [o for o in OUTPUT_LIST.validate_json(job.outputs) if o.presence is Presence.HERE]
    return Answer(
        rule=job.rule,
        job=job.id,
        at=job.created_at,
        is_given=is_given,
        ended=str(job.state) if job.state in FINAL and not is_given else "",
        contents=frozenset(json.loads(job.contents).values()),
        masks=frozenset(one.sop_instance_uid for one in base_masks(results)) if is_given else frozenset(),
        outputs=tuple(_offered(job, one, shelf(job.id)) for one in outputs) if shelf and is_given else (),
    )


def _offered(job: Job, output: Output, shelf: JobShelf) -> Offered:
    """A value with what it says, an image with how the platform finds it again."""
    if output.kind is OutputKind.VALUE or output.media_type == JSON:
        value, lacks = _value(shelf.path(output.ref))
        return Offered(name=output.name, value=value, lacks=lacks)
    if output.kind in (OutputKind.IMAGE, OutputKind.MASK):
        reference = Reference(rule=job.rule, output=output.name, sha256=output.sha256 or "")
        return Offered(name=output.name, value=reference_to(reference), account=job.account)
    return Offered(name=output.name, lacks=f"is a {output.kind}; a rule takes values and images from another")


def _value(file: Path) -> tuple[JsonValue, str]:
    """What stands in a file; or None, and why."""
    if not file.is_file():
        return None, "is gone: retention has removed what the platform sent"
    if file.stat().st_size > MOST_BYTES[Use.VALUES]:
        return None, "is too large for a value"
    try:
        value: JsonValue = json.loads(file.read_bytes(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None, "is no JSON"
    return value, "is null, which no platform takes" if value is None else ""


def _no_number(word: str) -> None:
    # Python reads NaN and Infinity, which RFC 8259 does not know.
    raise ValueError(word)


def _file(shelf: JobShelf, result: StoredResult) -> Path:
    return shelf.path(f"{RESULTS}/{result.file}")
