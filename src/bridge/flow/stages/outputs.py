"""The files of an answer as the encoders want to see them. Runs in child processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import assert_never

import numpy as np

from bridge.errors import Damaged, Refused
from bridge.itk import ItkImage, read_image
from bridge.results.output import Output
from bridge.results.result import Document, HeatMap, Json, LabelMap, MeshFile, Part, Wrapping
from bridge.results.table import read_table
from bridge.results.use import MOST_BYTES, Use, use_of
from bridge.volumes.volume import FloatArray


def part_of(output: Output, file: Path, wrapping: Wrapping) -> Part:
    """An output with its content; without, where nothing is made of it.

    Raises:
        Damaged: ITK-..., HVY-001, RES-083, a file that is not what it is said to be.
        Refused: HVY-002, a file that is too large to be read.
    """
    use, _ = use_of(output, wrapping)
    match use:
        case None:
            return Part(output=output, content=None)
        case Use.MASK:
            image = _image(output, file, use)
            content = LabelMap(array=image.array, affine_lps=affine_lps(image), labels=output.labels)
            return Part(output=output, content=content)
        case Use.HEAT_MAP:
            image = _image(output, file, use)
            return Part(output=output, content=HeatMap(array=image.array, affine_lps=affine_lps(image)))
        case Use.VALUES:
            return Part(output=output, content=_json(output, file))
        case Use.TABLE:
            _check_size(output, file, use)
            return Part(output=output, content=read_table(file.read_bytes(), output.name))
        case Use.DOCUMENT:
            with file.open("rb") as stream:
                # One byte too many is enough to know.
                return Part(output=output, content=Document(data=stream.read(MOST_BYTES[use] + 1)))
        case Use.MESH:
            _check_size(output, file, use)
            return Part(output=output, content=MeshFile(data=file.read_bytes()))
        case _:
            assert_never(use)


def affine_lps(image: ItkImage) -> FloatArray:
    """(4, 4) float64: (k, j, i) -> LPS mm of the voxel's centre, from ITK's x, y, z order."""
    direction = np.asarray(image.direction, dtype=np.float64).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = (direction * np.asarray(image.spacing_mm))[:, ::-1]
    affine[:3, 3] = image.origin_lps
    return affine


def _image(output: Output, file: Path, use: Use) -> ItkImage:
    _check_size(output, file, use)
    try:
        return read_image(file)
    except Damaged as error:
        raise Damaged(
            error.code, f"output {output.name}: {error.found}", error.expected, error.remedy, error.numbers
        ) from None


def _json(output: Output, file: Path) -> Json:
    _check_size(output, file, Use.VALUES)
    try:
        value: Json = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        raise Damaged(
            "HVY-001",
            f"output {output.name} is no JSON",
            "a JSON value",
            "Fetch the job's outputs again",
        ) from None
    return value


def _check_size(output: Output, file: Path, use: Use) -> None:
    size, most = file.stat().st_size, MOST_BYTES[use]
    if size > most:
        raise Refused(
            "HVY-002",
            f"output {output.name} is a file of {size} bytes",
            f"at most {most} for a {use.value}",
            "Take this output out of the rule: it stays with the job",
            numbers={"bytes": size, "most": most},
        )
