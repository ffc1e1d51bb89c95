"""The unit of systemd: understood by systemd, closed to what a receiver does not need, restarted for ever."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import ROOT, peer_tool

UNIT = ROOT / "systemd" / "bridge.service"
EXPOSURE = 20
"""Of 100, by `systemd-analyze security`: an ordinary service has 96."""


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNIT)
    return parser


def test_service_lives_as_the_documents_say() -> None:
    service = unit()["Service"]
    assert service["ExecStart"].endswith("serve --config /etc/bridge/site.toml")
    assert service["Restart"] == "always"
    assert service["StateDirectory"] == "bridge"
    assert service["User"] != "root"
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert unit()["Install"]["WantedBy"] == "multi-user.target"


def test_service_is_killed_only_after_what_runs_had_its_time() -> None:
    from bridge.config.site import EngineSettings

    assert int(unit()["Service"]["TimeoutStopSec"].removesuffix("s")) > 2 * EngineSettings().stop_s


@pytest.mark.peer
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    analyze = peer_tool("systemd-analyze")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/bridge/bin/bridge", sys.executable))
    told = subprocess.run([analyze, "verify", str(copy)], capture_output=True, text=True, check=False)
    about_ours = [line for line in told.stderr.splitlines() if UNIT.name in line]
    assert about_ours == []
    assert told.returncode == 0, told.stderr


@pytest.mark.peer
def test_service_is_closed_to_what_it_does_not_need(tmp_path: Path) -> None:
    analyze = peer_tool("systemd-analyze")
    shutil.copy(UNIT, tmp_path)
    command = [analyze, "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager"]
    told = subprocess.run([*command, str(tmp_path / UNIT.name)], capture_output=True, text=True, check=False)
    if "unrecognized option" in told.stderr:
        pytest.skip("needs systemd 250 or newer (systemd-analyze security --offline)")
    assert told.returncode == 0, told.stdout + told.stderr
