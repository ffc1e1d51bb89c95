"""A large input travels with flat memory. `make large` does the same with 1.5 GB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench" / "large_input.py"

pytestmark = pytest.mark.slow


def test_upload_of_a_large_input_holds_a_small_part_of_it_in_memory() -> None:
    told = subprocess.run(
        [sys.executable, str(BENCH), "--size-mb", "450"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "arrived as sent: yes" in told.stdout
