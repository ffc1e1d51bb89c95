"""The configuration of docker/ at work: a real Orthanc and the bridge know each other, and nobody else.

Nothing is built: the programs of this machine run with the files, paths and names that the containers get.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from tests.conftest import ROOT, peer_tool

pytestmark = [pytest.mark.peer, pytest.mark.slow]
NAMESPACES = ("--user", "--map-root-user", "--net", "--mount")


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    orthanc = peer_tool("Orthanc")
    if ROOT.is_relative_to("/tmp") or ROOT.is_relative_to("/run"):
        pytest.skip(
            "needs a checkout outside /tmp and /run, which the containers have empty and of their own"
        )
    unshare = (peer_tool("unshare"), *NAMESPACES)
    probe = [*unshare, "mount", "-t", "tmpfs", "tmpfs", "/run"]
    if subprocess.run(probe, capture_output=True, timeout=20, check=False).returncode:
        pytest.skip("needs namespaces (unshare --user --net --mount), which this system does not allow")
    done = subprocess.run(
        [*unshare, sys.executable, "-m", "tests.peers.containers_in_namespace", orthanc],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_both_run_on_a_root_file_system_that_is_read_only(seen: dict[str, Any]) -> None:
    assert seen["read_only"]
    assert seen["bridge_status"] == 0


def test_orthanc_reads_its_configuration_and_asks_for_a_password(seen: dict[str, Any]) -> None:
    assert seen["orthanc_without_password"] == 401
    assert seen["orthanc_version"].startswith("1.")


def test_orthanc_knows_the_bridge_and_gets_its_echo(seen: dict[str, Any]) -> None:
    bridge = seen["modalities"]["bridge"]
    assert (bridge["AET"], bridge["Host"], bridge["Port"]) == ("BRIDGE", "bridge", 11112)
    assert seen["echo"] == 200


def test_bridge_knows_orthanc_and_gets_its_echo(seen: dict[str, Any]) -> None:
    assert seen["destinations"]
    assert all(seen["destinations"])


def test_orthanc_stores_from_the_bridge_and_from_no_stranger(seen: dict[str, Any]) -> None:
    assert seen["stored_for"] == {"BRIDGE": True, "STRANGER": False}


def test_health_check_of_orthanc_tells_life_from_death(seen: dict[str, Any]) -> None:
    assert seen["orthanc_is_well"]
    assert not seen["orthanc_is_well_when_it_is_gone"]
