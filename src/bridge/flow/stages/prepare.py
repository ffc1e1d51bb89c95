"""Stage `prepare`: the chosen planes become the files that the platform ordered."""

from __future__ import annotations

from pydantic import TypeAdapter

from bridge.config.rules import RuleModel
from bridge.errors import Damaged
from bridge.export.parcel import Parcel, ParcelFile
from bridge.flow.parts import Parts
from bridge.flow.stages import heavy
from bridge.flow.stages.fixed_files import copy_all
from bridge.flow.stages.inputs import image_of, tolerance_of, volumes_of
from bridge.flow.stages.shelf import PARCEL
from bridge.platforms.protocol import RemoteJob, Request, RequestedVolume, Spec
from bridge.store.jobs import Job
from bridge.volumes import Volume
from bridge.volumes.kinds import LABEL_MAP
from bridge.volumes.masks import laid_on
from bridge.volumes.pixels import for_reading

PARCEL_FILE = "parcel.json"
SPEC_FILE = "spec.json"


def convert(parts: Parts, job: Job) -> None:
    """Plan the order, convert each volume in a child process, keep the parcel with the job.

    Raises what `plan` and `fixed_files.copy_all` raise.
    """
    parts.passing("prepare:before")
    rule = RuleModel.model_validate_json(job.frozen)
    shelf = parts.shelf(job.id)
    volumes = _laid(volumes_of(parts.instances, job, tolerance_of(parts.site)))
    copied = copy_all(parts.site.rules_file.absolute().parent, shelf, rule.values)
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
                    is_labels=bool(volume.slots),
                    labels=_labels(volume),
                )
                for name, volume in sorted(volumes.items())
            ),
            values={name: value for name, value in rule.values.items() if name not in copied},
            declared_version=rule.version,
            files=tuple(one.requested for _, one in sorted(copied.items())),
        ),
    )
    files = []
    for wanted in order.files:
        ref = f"{PARCEL}/{wanted.file_name}"
        size_bytes, sha256 = parts.children.run(
            heavy.convert,
            for_reading(volumes[wanted.input]),
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
            **_told(volumes[wanted.input]),
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


def _laid(volumes: dict[str, Volume]) -> dict[str, Volume]:
    """Masks on the grid of the image, where they are voxels of it."""
    image = image_of(volumes) if volumes else None
    return {name: laid_on(one, image) if image and one.slots else one for name, one in volumes.items()}


def _labels(volume: Volume) -> tuple[int, ...]:
    """Those that occur, where headers say it: a label map has them in its pixels alone."""
    if not volume.slots or volume.sop_class_uid == LABEL_MAP:
        return ()
    return tuple(sorted({int(plane.slope) for plane in volume.planes}))


def _told(volume: Volume) -> dict[str, str]:
    return {"repaired": ", ".join(volume.mending.notes)} if volume.mending else {}


def _spec(parts: Parts, job: Job) -> Spec:
    known = parts.specs.get(job.account, job.algorithm, job.declared_version)
    if known is None or known.spec is None:
        raise Damaged("PRE-002", "no description of the algorithm", "one learned before the job began")
    return TypeAdapter(Spec).validate_json(known.spec)
