"""Stage `prepare`: the chosen planes become the files that the platform ordered."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import TypeAdapter

from bridge.config.chains import reference_of
from bridge.config.inputs import InputModel
from bridge.config.rules import RuleModel
from bridge.dicom.instance import Instance
from bridge.errors import Damaged
from bridge.export.parcel import Parcel, ParcelFile
from bridge.flow.parts import Parts
from bridge.flow.stages import privacy
from bridge.flow.stages.fixed_files import copy_all
from bridge.flow.stages.inputs import documents_of, tolerance_of, volumes_of
from bridge.flow.stages.there import there_of
from bridge.flow.stages.written import write, write_mesh
from bridge.platforms.protocol import RemoteJob, Request, RequestedMesh, RequestedVolume, Spec
from bridge.store.jobs import Job
from bridge.volumes import Volume
from bridge.volumes.kinds import LABEL_MAP
from bridge.volumes.masks import laid_on
from bridge.volumes.meshes import MESH_CLASSES

PARCEL_FILE = "parcel.json"
SPEC_FILE = "spec.json"


def convert(parts: Parts, job: Job) -> None:
    """Plan the order, convert each volume in a child process, keep the parcel with the job.

    Raises what `plan`, `fixed_files.copy_all` and `written.write` raise, and Refused (DEI-009).
    """
    parts.passing("prepare:before")
    rule = RuleModel.model_validate_json(job.frozen)
    shelf = parts.shelf(job.id)
    volumes = _laid(volumes_of(parts.instances, job, tolerance_of(parts.site)), rule.inputs)
    documents = documents_of(parts.instances, job)
    copied = copy_all(parts.site.rules_file.absolute().parent, shelf, rule.values)
    _check_pixels(parts, job, rule, volumes, documents)
    others = documents.values() if volumes else parts.instances.of_study(job.study_instance_uid)
    terms = privacy.leaving(parts, job, rule.privacy, volumes, others)
    spec = _spec(parts, job)
    studies = {job.study_instance_uid, *(one.study_instance_uid for one in volumes.values())}
    order = parts.platform(job.account).plan(
        spec,
        Request(
            volumes=tuple(
                RequestedVolume(
                    input=name,
                    modality=volume.modality,
                    shape=volume.geometry.shape,
                    spacing_mm=volume.geometry.spacing_mm,
                    is_labels=bool(volume.slots),
                    objects=len(volume.instances),
                    labels=_labels(volume),
                )
                for name, volume in sorted(volumes.items())
            ),
            meshes=tuple(
                RequestedMesh(input=name, format=MESH_CLASSES[one.sop_class_uid])
                for name, one in sorted(documents.items())
            ),
            values={
                name: value
                for name, value in rule.values.items()
                if name not in copied and not reference_of(value)
            },
            declared_version=rule.version,
            there=tuple(
                there_of(parts.jobs, job, studies, name, reference)
                for name, value in sorted(rule.values.items())
                if (reference := reference_of(value))
            ),
            files=tuple(one.requested for _, one in sorted(copied.items())),
        ),
    )
    files: list[ParcelFile] = []
    for wanted in order.files:
        if wanted.input in documents:
            made = write_mesh(parts.children, shelf, wanted, documents[wanted.input])
        else:
            made = write(parts.children, shelf, wanted, volumes[wanted.input], terms.terms)
        parts.passing("prepare:mid")
        files += made
        parts.jobs.note(
            job.id,
            "prepare.converted",
            input=wanted.input,
            format=wanted.format,
            bytes=sum(one.size_bytes for one in made),
            **_told(volumes.get(wanted.input)),
        )
    files += [
        ParcelFile(
            input=wanted.input,
            ref=copied[wanted.input].ref,
            file_name=wanted.file_name,
            size_bytes=copied[wanted.input].requested.size_bytes,
            sha256=copied[wanted.input].sha256,
        )
        for wanted in order.copies
    ]
    parcel = Parcel(
        order=order,
        files=tuple(files),
        values=order.values,
        pseudonym=terms.terms.names.patient(),
        profile=terms.digest,
    )
    shelf.write(SPEC_FILE, TypeAdapter(Spec).dump_json(spec))
    shelf.write(PARCEL_FILE, TypeAdapter(Parcel).dump_json(parcel))
    remote = TypeAdapter(RemoteJob).dump_json(RemoteJob(key=job.id)).decode()
    parts.jobs.change(
        job.id,
        remote=job.remote or remote,
        deadline_at=job.deadline_at or parts.clock() + parts.site.accounts[job.account].deadline_hours * 3600,
    )
    parts.passing("prepare:after")


def _check_pixels(
    parts: Parts,
    job: Job,
    rule: RuleModel,
    volumes: Mapping[str, Volume],
    documents: Mapping[str, Instance],
) -> None:
    """Once more, whoever has decided: nothing is written of pixels that may not leave. Raises Refused (DEI-009)."""
    policy = privacy.policy_of(rule.privacy, parts.site)
    taken = (
        *privacy.check_pixels(volumes.values(), policy),
        *privacy.check_meshes(documents.values(), policy),
    )
    if taken:
        risks = ", ".join(dict.fromkeys(one.risk for one in taken))
        parts.jobs.note(job.id, "prepare.risks", risks=risks)


def _laid(volumes: dict[str, Volume], inputs: Mapping[str, InputModel]) -> dict[str, Volume]:
    """Masks on the grid of their image, where they are voxels of it."""
    return {
        name: laid_on(one, image) if one.slots and (image := _image(one, inputs[name], volumes)) else one
        for name, one in volumes.items()
    }


def _image(mask: Volume, wanted: InputModel, volumes: Mapping[str, Volume]) -> Volume | None:
    """The image that a rule names for the mask, else the first by name of its study."""
    if wanted.of in volumes:
        return volumes[wanted.of]
    images = {
        name
        for name, one in volumes.items()
        if not one.slots and one.study_instance_uid == mask.study_instance_uid
    }
    return volumes[min(images)] if images else None


def _labels(volume: Volume) -> tuple[int, ...]:
    """Those that occur, where headers say it: a label map has them in its pixels alone."""
    if not volume.slots or volume.sop_class_uid == LABEL_MAP:
        return ()
    return tuple(sorted({int(plane.slope) for plane in volume.planes}))


def _told(volume: Volume | None) -> dict[str, str]:
    if volume is None:
        return {}
    shape = {"shape": "x".join(str(n) for n in volume.geometry.shape)}
    return shape | ({"repaired": ", ".join(volume.mending.notes)} if volume.mending else {})


def _spec(parts: Parts, job: Job) -> Spec:
    known = parts.specs.get(job.account, job.algorithm, job.declared_version)
    if known is None or known.spec is None:
        raise Damaged("PRE-002", "no description of the algorithm", "one learned before the job began")
    return TypeAdapter(Spec).validate_json(known.spec)
