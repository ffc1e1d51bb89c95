"""Stage `prepare`: the chosen planes become the files that the platform ordered."""

from __future__ import annotations

import json

from pydantic import TypeAdapter

from bridge.config.rules import RuleModel
from bridge.errors import Damaged
from bridge.export.parcel import Parcel, ParcelFile
from bridge.flow.parts import Parts
from bridge.flow.stages import heavy
from bridge.flow.stages.shelf import PARCEL
from bridge.platforms.protocol import RemoteJob, Request, RequestedVolume, Spec
from bridge.store.instances import Instances
from bridge.store.jobs import Job
from bridge.volumes.split import candidates_of
from bridge.volumes.volume import Volume

PARCEL_FILE = "parcel.json"
SPEC_FILE = "spec.json"


def convert(parts: Parts, job: Job) -> None:
    """Plan the order, convert each volume in a child process, keep the parcel with the job."""
    parts.passing("prepare:before")
    rule = RuleModel.model_validate_json(job.frozen)
    shelf = parts.shelf(job.id)
    volumes = volumes_of(parts.instances, job)
    spec = _spec(parts, job)
    order = parts.platform(job.account).plan(
        spec,
        Request(
            volumes=tuple(
                RequestedVolume(
                    input=name,
                    modality=volume.modality,
                    shape=volume.geometry.shape,
                    spacing_mm=volume.geometry.spacing_mm,
                )
                for name, volume in sorted(volumes.items())
            ),
            values=rule.values,
            declared_version=rule.version,
        ),
    )
    files = []
    for wanted in order.files:
        ref = f"{PARCEL}/{wanted.file_name}"
        size_bytes, sha256 = parts.children.run(
            heavy.convert,
            volumes[wanted.input],
            wanted.format,
            shelf.path(ref),
            wanted.labels if wanted.as_labels else None,
        )
        parts.passing("prepare:mid")
        files.append(
            ParcelFile(
                input=wanted.input,
                ref=ref,
                file_name=wanted.file_name,
                size_bytes=size_bytes,
                sha256=sha256,
            )
        )
        parts.jobs.note(
            job.id,
            "prepare.converted",
            input=wanted.input,
            format=wanted.format,
            bytes=size_bytes,
            shape="x".join(str(n) for n in volumes[wanted.input].geometry.shape),
        )
    parcel = Parcel(order=order, files=tuple(files), values=order.values)
    shelf.write(SPEC_FILE, TypeAdapter(Spec).dump_json(spec))
    shelf.write(PARCEL_FILE, TypeAdapter(Parcel).dump_json(parcel))
    remote = TypeAdapter(RemoteJob).dump_json(RemoteJob(key=job.id)).decode()
    parts.jobs.change(
        job.id,
        remote=job.remote or remote,
        deadline_at=job.deadline_at or parts.clock() + parts.site.accounts[job.account].deadline_hours * 3600,
    )
    parts.passing("prepare:after")


def volumes_of(instances: Instances, job: Job) -> dict[str, Volume]:
    """The volumes of a job, from exactly the instance versions that its identity was computed over.

    Raises Damaged (PRE-001) when they no longer make the volume that was chosen.
    """
    volumes = {}
    for name, numbers in json.loads(job.inputs).items():
        held = instances.by_number(numbers)
        found = [
            candidate.volume
            for candidate in candidates_of([held[n] for n in numbers if n in held])
            if candidate.volume and [i.number for i in candidate.volume.instances] == numbers
        ]
        if len(found) != 1:
            raise Damaged(
                "PRE-001",
                f"{len(held)} of {len(numbers)} instances of input {name}, which do not make its volume",
                "the instances that the rule chose",
                "Send the study again: the rule then decides anew",
            )
        volumes[name] = found[0]
    return volumes


def _spec(parts: Parts, job: Job) -> Spec:
    known = parts.jobs.spec(job.account, job.algorithm, job.declared_version)
    if known is None or known.spec is None:
        raise Damaged("PRE-002", "no description of the algorithm", "one learned before the job began")
    return TypeAdapter(Spec).validate_json(known.spec)
