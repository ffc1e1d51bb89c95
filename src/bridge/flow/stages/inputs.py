"""The volumes of a job, from the objects that its identity was computed over."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from bridge.config.inputs import InputModel
from bridge.config.rules import RuleModel
from bridge.config.site import Site
from bridge.dicom.instance import Instance
from bridge.errors import Damaged
from bridge.store.instances import Instances
from bridge.store.jobs import Job
from bridge.volumes import Candidate, Tolerance, Volume, candidates_of, content_of, mended
from bridge.volumes.masks import masks_of


def volumes_of(instances: Instances, job: Job, tolerance: Tolerance) -> dict[str, Volume]:
    """The volumes of a job, from exactly the instance versions that its identity was computed over.

    Raises Damaged (PRE-001) when they no longer make the volume that was chosen.
    """
    inputs = RuleModel.model_validate_json(job.frozen).inputs
    contents = json.loads(job.contents)
    volumes = {}
    for name, numbers in json.loads(job.inputs).items():
        if inputs[name].mesh:
            continue
        held = instances.by_number(numbers)
        repairs = inputs[name].repair
        digests = instances.frame_digests(numbers) if repairs else {}
        found = [
            volume
            for candidate in candidates_for(inputs[name], [held[n] for n in numbers if n in held], tolerance)
            if (volume := mended(candidate, repairs, digests, tolerance).volume)
            and [i.number for i in volume.chosen] == numbers
        ]
        if len(found) > 1:
            # Of several volumes in one object the one that shows what was chosen; two that show the same are as good.
            digests = instances.frame_digests(numbers)
            found = [one for one in found if _shows(one, digests) == contents.get(name)][:1]
        if len(found) != 1:
            raise Damaged(
                "PRE-001",
                f"{len(held)} of {len(numbers)} instances of input {name}, which do not make its volume",
                "the instances that the rule chose",
                "Send the study again: the rule then decides anew",
            )
        volumes[name] = found[0]
    return volumes


def documents_of(instances: Instances, job: Job) -> dict[str, Instance]:
    """The objects that hold the meshes of a job. Raises Damaged: PRE-001, one is gone."""
    inputs = RuleModel.model_validate_json(job.frozen).inputs
    numbers = {name: some for name, some in json.loads(job.inputs).items() if inputs[name].mesh}
    found = {}
    for name, (number,) in numbers.items():
        held = instances.by_number([number])
        if number not in held:
            raise Damaged(
                "PRE-001",
                f"the object of input {name} is not there",
                "the object that the rule chose",
                "Send the study again: the rule then decides anew",
            )
        found[name] = held[number]
    return found


def object_of_study(instances: Instances, job: Job) -> Instance:
    """The oldest object of a job's study, for the patient and the study that it names. Raises Damaged (PRE-005)."""
    held = [one for one in instances.of_study(job.study_instance_uid) if not one.own]
    if not held:
        raise Damaged(
            "PRE-005",
            "no object of the study is here any more",
            "one that names the patient",
            "Send it again",
        )
    return min(held, key=lambda one: one.number)


def candidates_for(
    wanted: InputModel, instances: Sequence[Instance], tolerance: Tolerance
) -> tuple[Candidate, ...]:
    """Masks for an input that takes labels, else volumes."""
    return masks_of(instances, tolerance) if wanted.mask else candidates_of(instances, tolerance)


def image_of(volumes: Mapping[str, Volume], study_instance_uid: str) -> Volume:
    """The volume of that study that results refer to: the first by name that is an image."""
    return volumes[
        min(
            name
            for name, one in volumes.items()
            if not one.slots and one.study_instance_uid == study_instance_uid
        )
    ]


def tolerance_of(site: Site) -> Tolerance:
    """What a site takes for a regular grid."""
    asked = site.grid
    return Tolerance(
        step_mm=asked.step_mm,
        step=asked.step_percent / 100,
        lean_degrees=asked.lean_deg,
        drift_pixels=asked.drift_pixels,
    )


def borrowed(volumes: Mapping[str, Volume], study_instance_uid: str) -> tuple[str, ...]:
    """Other studies of which a job takes volumes."""
    return tuple(sorted({one.study_instance_uid for one in volumes.values()} - {study_instance_uid}))


def repairs_of(volumes: Mapping[str, Volume]) -> dict[str, tuple[str, ...]]:
    """Names of the repairs that were needed, as they stand in a job's identity."""
    return {name: one.mending.repairs for name, one in volumes.items() if one.mending}


def _shows(volume: Volume, digests: Mapping[tuple[int, int], str]) -> str:
    frames = [(plane.instance.number, plane.frame) for plane in volume.planes]
    return (
        content_of(volume, [digests[one] for one in frames]) if digests.keys() >= set(frames) else "unknown"
    )
