"""One bridge for one data directory, and one key for ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.errors import ConfigError, Damaged
from bridge.flow.keeping import fence


def test_second_process_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    with fence.lock(tmp_path):
        script = (
            "import sys, pathlib\n"
            "from bridge.flow.keeping import fence\n"
            "try: fence.lock(pathlib.Path(sys.argv[1]))\n"
            "except Exception as e: print(type(e).__name__, e)\n"
        )
        told = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
        ).stdout
    assert "ConfigError" in told
    assert f"process {os.getpid()}" in told


def test_lock_ends_with_its_holder(tmp_path: Path) -> None:
    fence.lock(tmp_path).close()
    fence.lock(tmp_path).close()


def test_same_process_cannot_take_it_twice(tmp_path: Path) -> None:
    with fence.lock(tmp_path), pytest.raises(ConfigError, match="in use"):
        fence.lock(tmp_path)


def test_key_is_made_once_and_for_this_user_only(tmp_path: Path) -> None:
    key = fence.installation_key(tmp_path)
    assert len(key) == 32
    assert fence.installation_key(tmp_path) == key
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600


def test_damaged_key_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_bytes(b"short")
    with pytest.raises(Damaged, match="5 bytes"):
        fence.installation_key(tmp_path)
    assert (tmp_path / "secret.key").read_bytes() == b"short"


def test_key_that_is_gone_from_a_used_directory_is_not_made_anew(tmp_path: Path) -> None:
    (tmp_path / "index.sqlite").touch()
    with pytest.raises(Damaged, match="an index without its secret"):
        fence.installation_key(tmp_path)
    assert not (tmp_path / "secret.key").exists()
