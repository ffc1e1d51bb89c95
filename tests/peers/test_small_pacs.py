"""The small PACS against DCMTK's echoscu, storescu and findscu."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.sandbox.pacs import SmallPacs
from bridge.sandbox.phantom import make_study, write_study

pytestmark = pytest.mark.peer


def dcmtk(name: str) -> str:
    """pynetdicom installs scripts of the same names into the environment: those are not meant."""
    ours = Path(sys.prefix).resolve()
    folders = [f for f in os.environ["PATH"].split(os.pathsep) if not Path(f).resolve().is_relative_to(ours)]
    found = shutil.which(name, path=os.pathsep.join([*folders, "/usr/bin"]))
    if found is None:
        pytest.skip(f"needs DCMTK's {name} on this machine")
    return found


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[SmallPacs]:
    with SmallPacs(tmp_path / "pacs") as running:
        yield running


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    study = make_study(when=datetime(2024, 3, 5, tzinfo=UTC), scale=0.2)
    return write_study(study, tmp_path_factory.mktemp("study"))


def call(tool: str, pacs: SmallPacs, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [
        dcmtk(tool),
        "-aec",
        pacs.ae_title,
        *arguments[:-1],
        "127.0.0.1",
        str(pacs.port),
        arguments[-1],
    ]
    return subprocess.run(
        [str(part) for part in command if part != ""], capture_output=True, text=True, timeout=60, check=False
    )


def data_set_bytes(path: Path) -> bytes:
    content = path.read_bytes()
    return content[144 + int.from_bytes(content[140:144], "little") :]


def test_echoscu_is_answered(pacs: SmallPacs) -> None:
    assert call("echoscu", pacs, "").returncode == 0


def test_storescu_delivers_a_study_byte_for_byte(pacs: SmallPacs, files: list[Path]) -> None:
    done = call("storescu", pacs, "-R", "-aet", "SCANNER", "+sd", files[0].parent)
    assert done.returncode == 0, done.stderr
    assert sorted(map(data_set_bytes, pacs.held.values())) == sorted(map(data_set_bytes, files))
    assert {attempt.calling_ae_title for attempt in pacs.attempts} == {"SCANNER"}


def test_storescu_sees_the_refusal(pacs: SmallPacs, files: list[Path]) -> None:
    pacs.refuse(1, 0xA700)
    # 167 is the low byte of 0xA7xx: storescu ends at the first failure and tells its status.
    assert call("storescu", pacs, "-R", files[1]).returncode == 167
    assert call("storescu", pacs, "-R", files[1]).returncode == 0
    assert [attempt.status for attempt in pacs.attempts] == [0xA700, 0x0000]


def test_findscu_finds_the_series(pacs: SmallPacs, files: list[Path]) -> None:
    call("storescu", pacs, "-R", "+sd", files[0].parent)
    keys = ["-S", "-k", "QueryRetrieveLevel=SERIES", "-k", "SeriesDescription", "-k", "Modality=CT"]
    done = call("findscu", pacs, *keys, "")
    assert done.returncode == 0, done.stderr
    output = done.stdout + done.stderr
    for description in ("Thorax scout", "Thorax 10.0 lung", "Thorax 25.0 soft", "Dose page"):
        assert output.count(description) == 1
