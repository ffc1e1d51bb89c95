"""The order for a job, and the steps that submit it.

create            makes a job that waits for its inputs; without them it never runs and costs nothing
upload:<input>    one PUT to storage
notify:<input>    tells that an input is there; with the last one the work begins, and the bill
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from bridge.errors import ConfigError
from bridge.export.parcel import Order, OrderedCopy, OrderedFile, Step
from bridge.platforms.protocol import Request, RequestedVolume, Spec
from bridge.platforms.virtual_patient_engine.answers import CREATE_STEP
from bridge.platforms.virtual_patient_engine.wishes import WANTED, Wishes, body_of, wishes_of

FORMATS = {
    ".dcm": "dicom-multi-frame",
    ".zip": "dicom-zip",
    ".nii": "nii",
    ".nii.gz": "nii.gz",
    ".nrrd": "nrrd",
    ".mha": "mha",
}
"""By extension. The platform documents all but the last."""
ONE_OBJECT, SLICES = ".dcm", ".zip"
"""Where nothing is said. STL has neither unit nor frame, and a NIfTI input may move the frame: what a viewer must place
starts as DICOM."""
UPLOAD, NOTIFY = "upload", "notify"


def upload_step(name: str) -> str:
    return f"{UPLOAD}:{name}"


def notify_step(name: str) -> str:
    return f"{NOTIFY}:{name}"


def plan(spec: Spec, request: Request, *, uncompressed: bool = True) -> Order:
    """Raises ConfigError: VPE-020 and VPE-024 (values), VPE-021 (no such format), VPE-022 (no extension, or one for
    an input that is not given), VPE-023 (nothing is sent, or an image at the platform is named), VPE-025 (a mesh of
    another format), VPE-026 (one object as an archive of slices)."""
    wishes = wishes_of(request.values)
    volumes = {volume.input: volume for volume in request.volumes}
    copies = {file.input: file for file in request.files}
    meshes = {one.input: one.format for one in request.meshes}
    sent = {*volumes, *copies, *meshes}
    if request.there or not sent:
        raise ConfigError(
            "VPE-023",
            "the rule names an image at the platform" if request.there else "the rule sends nothing",
            "a volume, a mesh or a file of the site as input: this platform keeps none",
        )
    unknown = sorted(set(wishes.inputs) - sent)
    if unknown:
        raise ConfigError(
            "VPE-022",
            f"values.inputs speaks of {', '.join(unknown)}, which the rule does not send",
            "one of " + ", ".join(sorted(sent)),
        )
    extensions = {name: _volume_extension(one, wishes) for name, one in volumes.items()}
    extensions |= {name: _file_extension(name, wishes) for name in copies}
    extensions |= {name: _mesh_extension(name, format, wishes) for name, format in meshes.items()}
    body, wanted = body_of(wishes, extensions)
    return Order(
        files=tuple(
            OrderedFile(
                input=name,
                format=meshes.get(name) or FORMATS[extensions[name]],
                file_name=f"{name}{extensions[name]}",
                as_labels=name in volumes and volumes[name].is_labels,
                uncompressed=uncompressed and extensions[name] in (ONE_OBJECT, SLICES),
            )
            for name in sorted({*volumes, *meshes})
        ),
        steps=_steps(sorted(extensions)),
        details={
            "version": spec.pin,
            "body": json.dumps(body, ensure_ascii=False, allow_nan=False),
            "wanted": WANTED.dump_json(wanted).decode(),
        },
        copies=tuple(
            OrderedCopy(input=name, file_name=f"{name}{extensions[name]}") for name in sorted(copies)
        ),
    )


def _volume_extension(volume: RequestedVolume, wishes: Wishes) -> str:
    name, is_one = volume.input, volume.objects == 1 and volume.shape[0] > 1
    own = SLICES if volume.objects > 1 else ONE_OBJECT
    extension = wishes.inputs[name].extension if name in wishes.inputs else own
    if extension not in FORMATS:
        raise ConfigError(
            "VPE-021",
            f"a volume cannot be written as {extension}",
            "one of " + ", ".join(FORMATS),
            f"Mend values.inputs.{name}.extension of the rule",
        )
    if extension == SLICES and is_one:
        raise ConfigError(
            "VPE-026",
            f"one object with {volume.shape[0]} frames, and an archive of single slices for {name}",
            f"{ONE_OBJECT}, or a format of voxels",
            f"Leave values.inputs.{name} out of the rule: the extension follows the objects",
        )
    return extension


def _file_extension(name: str, wishes: Wishes) -> str:
    if name not in wishes.inputs:
        raise ConfigError(
            "VPE-022",
            f"nothing says what kind of file {name} is",
            "its extension, for example .stl",
            f'Write values.inputs.{name} = {{ extension = ".stl" }} into the rule',
        )
    return wishes.inputs[name].extension


def _mesh_extension(name: str, format: str, wishes: Wishes) -> str:
    extension = f".{format}"
    if name in wishes.inputs and wishes.inputs[name].extension != extension:
        raise ConfigError(
            "VPE-025",
            f"{name} is a mesh of the format {extension}, and the rule sends it as {wishes.inputs[name].extension}",
            f"{extension}: a mesh of the study leaves as it is",
            f"Leave values.inputs.{name} out, or choose another object for it",
        )
    return extension


def _steps(inputs: Iterable[str]) -> tuple[Step, ...]:
    names = tuple(inputs)
    uploads = tuple(upload_step(name) for name in names)
    return (
        Step(name=CREATE_STEP),
        *(Step(name=upload_step(name), needs=(CREATE_STEP,), sends=(name,)) for name in names),
        *(
            Step(name=notify_step(name), needs=(CREATE_STEP, *uploads), commits=name == names[-1])
            for name in names
        ),
    )
