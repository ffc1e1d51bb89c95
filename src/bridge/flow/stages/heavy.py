"""What runs in child processes: decoding, converting, encoding. Paths and values in, numbers out.

The pure rooms do the work; here stands the reading and writing of files around them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.dicom.instance import Instance
from bridge.dicom.lossy import lossy_note
from bridge.dicom.pixels import FileReader
from bridge.dicom.uncompressed import is_compressed, uncompressed
from bridge.errors import Damaged, Refused
from bridge.export import Format, ObjectFormat, Objects, Terms, format_named
from bridge.export.conversion import convert as write_volume
from bridge.export.masking import Masked
from bridge.export.meshes import bare_mesh
from bridge.export.pixel_bytes import Region
from bridge.flow.stages.outputs import part_of
from bridge.flow.stages.shelf import FileSink
from bridge.itk import set_threads
from bridge.results.encoders import encode as encode_results
from bridge.results.encoders import encode_for_study
from bridge.results.grid import has_voxels_of
from bridge.results.output import Output, Presence
from bridge.results.result import Answer, HeatMap, LabelMap, Part, Result, Source, Variant, Wrapping
from bridge.store.rows import StoredResult
from bridge.volumes import Stack, Volume, read_values
from bridge.volumes import frame_digests as digests_of
from bridge.volumes.meshes import MESH_CLASSES
from bridge.volumes.pixels import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An encoded result on the shelf, and what a reader of the job should know of it."""

    stored: StoredResult
    notes: tuple[str, ...]
    variants: tuple[Variant, ...] = (Variant(),)
    """Those in which it is this very object."""


def frame_digests(images: Volume | Stack) -> dict[tuple[int, int], str]:
    """Digest of each plane: (instance number, frame) -> hex. Decodes every pixel once."""
    return digests_of(images, FileReader())


def convert(
    volume: Volume,
    format_name: str,
    file: Path,
    labels: tuple[int, ...] | None = None,
    regions: tuple[Region, ...] = (),
) -> tuple[int, str]:
    """Write a volume in a format of voxels; returns size in bytes and SHA-256.

    Args:
        labels: values that may occur besides 0 in a volume of labels, which leaves as unsigned 8-bit integers; () for
            any; None for an image. One alone: whatever is marked.
        regions: of every frame of an image, blackened.
    Raises:
        Refused: HVY-002, a volume of labels with other values; DEI-008, a region beyond the image; what the format
            raises.
    """
    format = format_named(format_name)
    assert isinstance(format, Format)
    reader: Reader = FileReader()
    if labels is None:
        reader = Masked(reader, regions) if regions else reader
        written = write_volume(volume, reader, format, partial(FileSink, file))
    else:
        voxels = _as_labels(read_values(volume, reader), labels)
        with FileSink(file) as sink:
            written = format.write(volume.geometry, voxels, sink)
    return written.size_bytes, written.sha256


def write_objects(
    instances: tuple[Instance, ...],
    format_name: str,
    files: tuple[Path, ...],
    terms: Terms,
    decode: bool = False,
) -> tuple[tuple[int, str], ...]:
    """Write objects de-identified, one at a time; returns size in bytes and SHA-256 of each file.

    Args:
        files: one, or for a format of many one for each object.
        decode: compressed objects leave in Explicit VR Little Endian.
    Raises:
        Damaged: PIX-008, an object without its file. Refused: DEI-..., one that cannot be de-identified.
    """
    format = format_named(format_name)
    assert isinstance(format, ObjectFormat)
    objects = Objects(instances=instances, read=_bytes_of, terms=terms)
    if decode:
        objects = replace(objects, decoded=lambda one: uncompressed(one) if is_compressed(one) else None)
    written = format.write(objects, lambda place: FileSink(files[place]))
    return tuple((one.size_bytes, one.sha256) for one in written)


def write_mesh(instance: Instance, file: Path) -> tuple[int, str]:
    """Write the bare mesh of an Encapsulated STL or OBJ object; returns size in bytes and SHA-256.

    Raises:
        Damaged: PIX-008, an object without its file. Refused: EXP-011, EXP-012, no such mesh in it.
    """
    with FileSink(file) as sink:
        sink.write(_bare_mesh(instance))
    return sink.size_bytes, sink.sha256


def mesh_digest(instance: Instance) -> str:
    """SHA-256, in hex, over the mesh as it would leave. Raises as `write_mesh`."""
    return hashlib.sha256(MESH_DOMAIN + _bare_mesh(instance)).hexdigest()


MESH_DOMAIN = b"bridge mesh 1\0"
"""Change the number with anything that changes the file: every identity of a job with a mesh changes with it."""


def _bare_mesh(instance: Instance) -> bytes:
    from pydicom import dcmread

    held = dcmread(
        BytesIO(_bytes_of(instance)), specific_tags=["EncapsulatedDocument", "EncapsulatedDocumentLength"]
    )
    document, length = held.get("EncapsulatedDocument"), held.get("EncapsulatedDocumentLength")
    return bare_mesh(
        bytes(document or b""), None if length is None else int(length), MESH_CLASSES[instance.sop_class_uid]
    )


def _bytes_of(instance: Instance) -> bytes:
    try:
        return instance.file.read_bytes()
    except OSError:
        raise Damaged("PIX-008", "an instance whose file cannot be opened", "the file it came in") from None


def _as_labels(values: NDArray[Any], labels: tuple[int, ...]) -> NDArray[np.uint8]:
    """Where the platform knows one label, whatever is marked becomes that."""
    if len(labels) == 1 and 0 < labels[0] < 2**8:
        return np.where(values > 0, labels[0], 0).astype(np.uint8)
    found = np.unique(values)
    allowed = np.array([0, *labels]) if labels else np.arange(256)
    wrong = found[~np.isin(found, allowed)]
    if wrong.size:
        expected = ", ".join(str(one) for one in labels) if labels else "whole numbers to 255"
        raise Refused(
            "HVY-002",
            f"a mask with {wrong.size} other values, the first {wrong[0]:g}",
            f"0 and {expected}",
            "Choose the mask that this input of the algorithm takes",
            numbers={"values": int(wrong.size)},
        )
    return values.astype(np.uint8)


def encode(
    about: Volume | Instance,
    outputs: tuple[Output, ...],
    shelf: Path,
    results: Path,
    wrapping: Wrapping,
    variants: Sequence[Variant] = (Variant(),),
    elsewhere: Sequence[Volume] = (),
) -> tuple[Made, ...]:
    """Make the DICOM objects of an answer in each variant and write them into `results`.

    Args:
        about: the volume that results lie on, or an object of the study that they belong to.
        outputs: what was fetched, each `ref` a file below `shelf`, and what there was none of.
        variants: what the destinations want; an object that is the same in several is written once.
        elsewhere: other inputs of the job that are in other frames of reference, or of an earlier study.
    Raises:
        Refused: HVY-002, a file is too large; HVY-003, a mask or map that has the voxels of one of those; RES-..., the
            answer cannot be brought onto the volume.
        Damaged: ITK-..., HVY-001, RES-083, an unreadable file.
    """
    set_threads(1)  # as many children as cores work at once
    here = [output for output in outputs if output.presence is Presence.HERE]
    parts = tuple(part_of(output, shelf / output.ref, wrapping) for output in here)
    answer = Answer(
        parts=parts, absent=tuple(output for output in outputs if output.presence is not Presence.HERE)
    )
    encoded: Callable[[Wrapping], tuple[Result, ...]]
    if isinstance(about, Volume):
        _check_frame(parts, about, elsewhere)
        source = Source(volume=about, values=read_values(about, FileReader()))
        encoded = partial(encode_results, answer, source)
        lossy = lossy_note(about.instances)
    else:
        encoded = partial(encode_for_study, answer, about.header)
        lossy = ""
    made: dict[str, Made] = {}
    said: set[str] = set()
    for variant in variants:
        for result in encoded(replace(wrapping, variant=variant)):
            known = made.get(result.sop_instance_uid)
            if known:
                made[result.sop_instance_uid] = replace(known, variants=(*known.variants, variant))
                continue
            stored = _written(result, results, len(made), variant, wrapping)
            notes = tuple(note for note in result.notes if note not in said)
            if lossy and not made:
                notes = (lossy, *notes)
            made[result.sop_instance_uid] = Made(stored=stored, notes=notes, variants=(variant,))
            said.update(notes if len(variants) > 1 else ())
    return tuple(made.values())


def _check_frame(parts: Sequence[Part], about: Volume, elsewhere: Sequence[Volume]) -> None:
    """Equal millimetres in another frame of reference are another place: nothing is brought from there to here."""
    for part in parts:
        if not isinstance(part.content, (LabelMap, HeatMap)):
            continue
        image = (part.content.array, part.content.affine_lps)
        if has_voxels_of(*image, about.geometry):
            continue
        if any(has_voxels_of(*image, other.geometry) for other in elsewhere):
            raise Refused(
                "HVY-003",
                f"output {part.output.name} lies on another input of the job, in another frame of reference "
                f"or of an earlier study ({'x'.join(str(n) for n in part.content.array.shape)} voxels)",
                "masks and maps on the first input of the study by name, or in its frame of reference",
                "Switch that kind of result off in the rule: it stays with the job",
            )


def _written(result: Result, folder: Path, number: int, variant: Variant, wrapping: Wrapping) -> StoredResult:
    """The file of a result: numbered, so that what refers to an object is sent behind it."""
    named = result.variant or variant.numbering
    file = ".".join(part for part in (f"{number:03d}", named, result.kind.lower(), "dcm") if part)
    with FileSink(folder / file) as sink:
        sink.write(result.data)
    return StoredResult(
        sop_instance_uid=result.sop_instance_uid,
        job_id=wrapping.job,
        kind=result.kind,
        output_name=result.output_name,
        sop_class_uid=result.sop_class_uid,
        series_instance_uid=result.series_instance_uid,
        file=file,
        sha256=sink.sha256,
        size_bytes=sink.size_bytes,
        variant=named,
    )
