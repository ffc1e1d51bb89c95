"""What all tests share: where real data lies, and which peers this machine has."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


def data_folder(name: str = "") -> Path:
    """A folder of real DICOM beside the checkout; the test is skipped, with the reason, where it is absent."""
    folder = SHARED / "data" / name
    if not folder.exists():
        pytest.skip(f"needs real data beside the checkout: ../shared/data/{name}")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    return data_folder()


def peer_tool(name: str) -> str:
    """Path of an installed program that is not a script of this environment.

    pynetdicom installs scripts called storescu, echoscu ... whose options differ from DCMTK's.
    """
    folders = [f for f in _search_path() if not Path(f).resolve().is_relative_to(Path(sys.prefix).resolve())]
    found = shutil.which(name, path=":".join(folders))
    if found is None:
        pytest.skip(f"needs {name} on this machine (`make peers` installs it)")
    return found


def _search_path() -> list[str]:
    import os

    return [*os.environ.get("PATH", "").split(":"), "/usr/sbin", "/usr/bin"]
