"""The phantom before the validators of dicom3tools: David Clunie's reading of PS3.3, not ours."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.sandbox.phantom import PhantomStudy, make_study, write_study

pytestmark = pytest.mark.peer

WHEN = datetime(2024, 3, 5, 14, 30, tzinfo=UTC)


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name} (dicom3tools) on this machine")
    return found


@pytest.fixture(scope="module")
def study() -> PhantomStudy:
    return make_study(when=WHEN, scale=0.25)


@pytest.fixture(scope="module")
def files(study: PhantomStudy, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_study(study, tmp_path_factory.mktemp("phantom"))


def complaints(*command: str | Path) -> list[str]:
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    text = (done.stdout + done.stderr).decode(errors="replace")
    return [line for line in text.splitlines() if line.startswith("Error")]


def test_no_instance_has_an_error(files: list[Path]) -> None:
    dciodvfy = tool("dciodvfy")
    assert {path.name: found for path in files if (found := complaints(dciodvfy, "-new", path))} == {}


def test_validator_would_have_said_so(study: PhantomStudy, tmp_path: Path) -> None:
    broken = make_study(when=WHEN, scale=0.2).datasets[1]
    del broken.KVP
    broken.save_as(tmp_path / "broken.dcm", enforce_file_format=True)
    assert any("KVP" in line for line in complaints(tool("dciodvfy"), "-new", tmp_path / "broken.dcm"))


def test_instances_agree_about_patient_study_series_and_frame_of_reference(files: list[Path]) -> None:
    assert complaints(tool("dcentvfy"), *files) == []


def test_disagreement_would_have_been_found(files: list[Path], tmp_path: Path) -> None:
    other = make_study(when=WHEN, scale=0.25).datasets[2]
    other.PatientID = "PHANTOM-2"
    other.save_as(tmp_path / "other.dcm", enforce_file_format=True)
    assert complaints(tool("dcentvfy"), files[1], tmp_path / "other.dcm")
