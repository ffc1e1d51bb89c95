"""What runs in child processes: decoding, converting, encoding. Paths and values in, numbers out.

The pure rooms do the work; here stands the reading and writing of files around them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bridge.dicom.pixels import FileReader
from bridge.errors import Damaged
from bridge.export import format_named
from bridge.flow.shelf import FileSink
from bridge.itk import ItkImage, read_image, set_threads
from bridge.results.encoders import encode as encode_results
from bridge.results.output import Output, OutputKind
from bridge.results.result import Answer, LabelMap, Part, Source, Wrapping
from bridge.store.rows import StoredResult
from bridge.volumes import Volume, read_values
from bridge.volumes import frame_digests as digests_of
from bridge.volumes.volume import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An encoded result on the shelf, and what a reader of the job should know of it."""

    stored: StoredResult
    notes: tuple[str, ...]


def frame_digests(volume: Volume) -> dict[tuple[int, int], str]:
    """Digest of each plane: (instance number, frame) -> hex. Decodes every pixel once."""
    return digests_of(volume, FileReader())


def convert(volume: Volume, format_name: str, file: Path) -> tuple[int, str]:
    """Write a volume in a format of the table; returns size in bytes and SHA-256."""
    format = format_named(format_name)
    values = read_values(volume, FileReader())
    with FileSink(file) as sink:
        written = format.write(volume.geometry, values, sink)
    return written.size_bytes, written.sha256


def encode(
    volume: Volume, outputs: tuple[Output, ...], shelf: Path, results: Path, wrapping: Wrapping
) -> tuple[Made, ...]:
    """Make the DICOM objects of an answer and write them into `results`.

    Args:
        outputs: what was fetched; each `ref` is a file below `shelf`.
    Raises:
        Refused: RES-..., the answer cannot be brought onto the volume. Damaged: ITK-..., HVY-001, an unreadable file.
    """
    set_threads(1)  # as many children as cores work at once
    parts = tuple(_part(output, shelf / output.ref) for output in outputs)
    source = Source(volume=volume, values=read_values(volume, FileReader()))
    made = []
    for number, result in enumerate(encode_results(Answer(parts=parts), source, wrapping)):
        file = f"{number:03d}.{result.kind.lower()}.dcm"
        with FileSink(results / file) as sink:
            sink.write(result.data)
        stored = StoredResult(
            sop_instance_uid=result.sop_instance_uid,
            job_id=wrapping.job,
            kind=result.kind,
            output_name=result.output_name,
            sop_class_uid=result.sop_class_uid,
            series_instance_uid=result.series_instance_uid,
            file=file,
            sha256=sink.sha256,
            size_bytes=sink.size_bytes,
        )
        made.append(Made(stored=stored, notes=result.notes))
    return tuple(made)


def _part(output: Output, file: Path) -> Part:
    match output.kind:
        case OutputKind.MASK:
            image = read_image(file)
            content = LabelMap(array=image.array, affine_lps=affine_lps(image), labels=output.labels)
            return Part(output=output, content=content)
        case OutputKind.VALUE:
            try:
                return Part(output=output, content=json.loads(file.read_bytes()))
            except ValueError:
                raise Damaged(
                    "HVY-001",
                    f"output {output.name} is no JSON",
                    "a JSON value",
                    "Fetch the job's outputs again",
                ) from None
        case _:
            # Kept with the job; an encoder for its kind may come.
            return Part(output=output, content=None)


def affine_lps(image: ItkImage) -> FloatArray:
    """(4, 4) float64: (k, j, i) -> LPS mm of the voxel's centre, from ITK's x, y, z order."""
    direction = np.asarray(image.direction, dtype=np.float64).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = (direction * np.asarray(image.spacing_mm))[:, ::-1]
    affine[:3, 3] = image.origin_lps
    return affine
