"""Files that the demonstration reads to show them: the study, and what left the house."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from bridge.dicom.headers import Header, is_part10, read_file, text
from bridge.errors import ConfigError, Refused
from bridge.flow.stages.prepare import PARCEL_FILE
from bridge.rules import Explanation
from bridge.store.jobs import Job

MARKER = ".bridge-demo"
IDENTIFYING = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyDate",
    "StudyDescription",
    "InstitutionName",
    "ReferringPhysicianName",
    "DeviceSerialNumber",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
)


def fresh_folder(out: Path) -> None:
    """An empty folder for this run. Raises ConfigError (DMO-010) rather than empty one that is not ours."""
    if out.exists() and any(out.iterdir()):
        if not (out / MARKER).exists():
            raise ConfigError("DMO-010", f"{out} is not empty", "a new folder", "Choose another with --out")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).touch()


def own_study(folder: Path) -> list[Path]:
    """The DICOM files of a user's folder. Raises ConfigError (DMO-011) when there is none."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and is_part10(path))
    if not files:
        raise ConfigError("DMO-011", f"no DICOM files in {folder}", "Part 10 files of one study")
    return files


def series_rows(explanation: Explanation, files: Sequence[Path]) -> Iterable[tuple[str, str, str, bool]]:
    """For each series: its description, what it is, the verdict, whether it was chosen."""
    names: dict[str, str] = {}
    for file in files:
        header = _header(file)
        if header:
            names.setdefault(
                header.uid("SeriesInstanceUID"), text(header.data_set, "SeriesDescription") or ""
            )
    for one in explanation.inputs:
        for candidate in one.candidates:
            name = names.get(candidate.series_instance_uid, "")
            yield name, candidate.label, candidate.reason, candidate.chosen


def header_inside(files: Sequence[Path], job: Job) -> Iterable[tuple[str, str]]:
    """Identifying lines of the header of the series that was sent to the cloud."""
    explanation = json.loads(job.explanation)
    chosen = {c["series_instance_uid"] for i in explanation["inputs"] for c in i["candidates"] if c["chosen"]}
    for file in files:
        header = _header(file)
        if header and header.uid("SeriesInstanceUID") in chosen:
            for keyword in IDENTIFYING:
                value = text(header.data_set, keyword)
                if value:
                    yield keyword, value if len(value) <= 40 else value[:37] + "..."
            return


def header_outside(shelf: Path) -> Iterable[str]:
    """Every line of the header of the file that left."""
    parcel = json.loads((shelf / PARCEL_FILE).read_text())
    head = (shelf / parcel["files"][0]["ref"]).open("rb").read(4096)
    if head.startswith(b"NRRD"):
        return str(head[: head.index(b"\n\n")], "ascii").splitlines()
    lines = head[: head.index(b"ElementDataFile = LOCAL")].decode("ascii").splitlines()
    return [*lines, "ElementDataFile = LOCAL"]


def _header(file: Path) -> Header | None:
    try:
        return read_file(file)[0]
    except Refused:
        return None
