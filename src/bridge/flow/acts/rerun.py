"""A person wants the same work once more: another job, whose identity has a counter."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bridge.config.inputs import InputModel
from bridge.config.rules import RuleModel
from bridge.dicom.instance import Instance
from bridge.errors import BridgeError, Refused
from bridge.flow.parts import Parts
from bridge.flow.stages.inputs import (
    borrowed,
    candidates_for,
    documents_of,
    repairs_of,
    tolerance_of,
    volumes_of,
)
from bridge.flow.study.contents import content, mend
from bridge.rules import job_id as identity
from bridge.store.jobs import Job, JobState, NewJob
from bridge.volumes import Volume


def rerun(parts: Parts, job_id: str) -> str:
    """Make a job like this one, with its frozen rule, of the newest objects that show the same. Returns its id.

    Raises Refused (RRN-001) when retention has removed what is needed, Damaged (PRE-001) when the inputs no longer
    make the volumes that were chosen.
    """
    job = parts.jobs.get(job_id)
    rule = RuleModel.model_validate_json(job.frozen)
    contents = contents_of(parts, job)
    volumes = {
        name: _newest(parts, rule.inputs[name], contents[name], old)
        for name, old in _chosen(parts, job).items()
    }
    documents = documents_of(parts.instances, job)
    _all_there([*(one for volume in volumes.values() for one in volume.instances), *documents.values()])
    count = 1 + max(
        one.rerun
        for one in parts.jobs.of_study(job.study_instance_uid)
        if one.id == job.id or _is_alike(one, job, rule, contents)
    )
    new = NewJob(
        id=identity(
            parts.key,
            rule=job.rule,
            platform=job.account,
            algorithm=job.algorithm,
            version=job.declared_version,
            study_instance_uid=job.study_instance_uid,
            inputs=contents,
            values=rule.values,
            repairs=repairs_of(volumes),
            rerun=count,
        ),
        rule=job.rule,
        account=job.account,
        algorithm=job.algorithm,
        declared_version=job.declared_version,
        state=JobState.READY,
        reason="",
        frozen=job.frozen,
        inputs=json.dumps(
            {name: [one.number for one in volume.chosen] for name, volume in volumes.items()}
            | {name: [one.number] for name, one in documents.items()}
        ),
        contents=json.dumps(contents),
        rerun=count,
        urgent=job.urgent,
        priority=job.priority,
        not_before=job.not_before,
        borrows=borrowed(volumes, job.study_instance_uid),
    )
    parts.jobs.add(
        job.study_instance_uid,
        new,
        explanation=job.explanation,
        event="job.rerun-of",
        keys={"job": job.id, "rerun": count},
    )
    return new.id


def contents_of(parts: Parts, job: Job) -> dict[str, str]:
    """What the inputs of a job show; for one of before this was written down, from the digests of its frames."""
    known: dict[str, str] = json.loads(job.contents)
    if known:
        return known
    return {name: content(parts, volume) for name, volume in sorted(_chosen(parts, job).items())}


def _chosen(parts: Parts, job: Job) -> dict[str, Volume]:
    return volumes_of(parts.instances, job, tolerance_of(parts.site))


def _newest(parts: Parts, wanted: InputModel, shown: str, chosen: Volume) -> Volume:
    """The same volume of the newest versions of its objects, if they still show the same; else as it was."""
    uids = {one.sop_instance_uid for one in chosen.chosen}
    newest = [
        one for one in parts.instances.of_study(chosen.study_instance_uid) if one.sop_instance_uid in uids
    ]
    if {one.number for one in newest} == {one.number for one in chosen.chosen}:
        return chosen
    for candidate in candidates_for(wanted, newest, tolerance_of(parts.site)):
        volume = mend(parts, candidate, wanted.repair).volume
        if volume and len(volume.chosen) == len(uids) and _shows(parts, volume) == shown:
            return volume
    return chosen


def _shows(parts: Parts, volume: Volume) -> str:
    try:
        return content(parts, volume)
    except BridgeError:
        return ""  # a newer version whose pixels cannot be read is none that shows the same


def _all_there(every: Sequence[Instance]) -> None:
    gone = [one for one in every if one.dropped_at is not None]
    if gone:
        raise Refused(
            "RRN-001",
            f"{len(gone)} of {len(every)} objects whose pixels retention has removed",
            "all of them",
            "Send the study again, then ask again",
        )


def _is_alike(one: Job, job: Job, rule: RuleModel, contents: dict[str, str]) -> bool:
    """Whether two jobs differ in nothing but the counter."""
    key = (one.rule, one.account, one.algorithm, one.declared_version)
    if key != (job.rule, job.account, job.algorithm, job.declared_version):
        return False
    if RuleModel.model_validate_json(one.frozen).values != rule.values:
        return False
    # A job of before contents were written down has no counter either.
    return one.rerun > 0 and json.loads(one.contents) == contents
