"""Other people's readings of the standard: dicom3tools and dcmqi, and what counts as an error of ours."""

from __future__ import annotations

import json
import re
import subprocess
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from tests.conftest import peer_tool

KEPT = frozenset(
    {
        "PatientName",
        "PatientID",
        "IssuerOfPatientID",
        "OtherPatientIDs",
        "AccessionNumber",
        "StudyID",
        "StudyInstanceUID",
        "FrameOfReferenceUID",
    }
)
"""Identifiers: an archive files by them, so a result repeats them even where the source wrote them wrongly."""

_PLACE = re.compile(
    r"^Error - </(?P<keyword>\w+)\((?P<group>[0-9a-f]{4}),(?P<element>[0-9a-f]{4})\)(\[\d+\])?>"
)


def errors(tool: str, *arguments: str | Path) -> list[str]:
    """Lines that begin with `Error`, of a validator that echoes values in whatever character set they have."""
    return [line for line in complaints(tool, *arguments) if line.startswith("Error")]


def complaints(tool: str, *arguments: str | Path) -> list[str]:
    """Errors and warnings of dciodvfy or dcentvfy."""
    done = subprocess.run([peer_tool(tool), *arguments], capture_output=True, timeout=120, check=False)
    text = (done.stdout + done.stderr).decode(errors="replace")
    return [line for line in text.splitlines() if line.startswith(("Error", "Warning"))]


def errors_of_ours(result: Path, sources: Iterable[Path]) -> list[str]:
    """Errors of dciodvfy in a result, without those that it had to take over.

    An error is the source's when the same attribute with the same value is in error in a source and is an identifier
    that must be kept. Everything else is ours.
    """
    found = errors("dciodvfy", "-new", result)
    if not any(_identifier(line) for line in found):
        return found
    made = dcmread(result, stop_before_pixels=True)
    taken_over = set()
    for source in sources:
        theirs = dcmread(source, stop_before_pixels=True)
        for line in errors("dciodvfy", "-new", source):
            tag = _identifier(line)
            if tag is not None and value_bytes(theirs, tag) == value_bytes(made, tag):
                taken_over.add(tag)
    return [line for line in found if _identifier(line) not in taken_over]


def _identifier(line: str) -> int | None:
    """The tag of a kept identifier that an error of dciodvfy is about, at the top level."""
    match = _PLACE.match(line)
    if match is None or match["keyword"] not in KEPT:
        return None
    return int(match["group"] + match["element"], 16)


def value_bytes(data_set: Dataset, tag: int | str) -> bytes | None:
    """A value as it is encoded, without padding; None when the attribute is absent."""
    element = data_set.get_item(Tag(tag))
    if element is None:
        return None
    value = element.value or b""
    # pydicom decodes the character set at once, to know it; its terms are ASCII.
    encoded = (
        value
        if isinstance(value, bytes)
        else "\\".join([value] if isinstance(value, str) else value).encode()
    )
    return encoded.rstrip(b" \0")


def segmentation_images(segmentation: Path, folder: Path) -> Sequence[Path]:
    """dcmqi's decoding: images of the extent of the frames present, voxel value = segment number."""
    folder.mkdir(parents=True, exist_ok=True)
    _dcmqi(
        "segimage2itkimage",
        "--inputDICOM",
        segmentation,
        "--outputDirectory",
        folder,
        "--outputType",
        "nrrd",
        "--mergeSegments",
    )
    return sorted(folder.glob("*.nrrd"))


def measurement_groups(report: Path, folder: Path) -> list[dict[str, Any]]:
    """dcmqi's reading of the TID 1500 measurement groups."""
    folder.mkdir(parents=True, exist_ok=True)
    _dcmqi("tid1500reader", "--inputDICOM", report, "--outputMetadata", folder / "report.json")
    groups: list[dict[str, Any]] = json.loads((folder / "report.json").read_bytes())["Measurements"]
    return groups


def _dcmqi(name: str, *arguments: str | Path) -> None:
    program = Path(sysconfig.get_path("scripts")) / name
    if not program.exists():
        pytest.skip(f"needs {name} (the package dcmqi) in this environment")
    done = subprocess.run([program, *arguments], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-2000:]
