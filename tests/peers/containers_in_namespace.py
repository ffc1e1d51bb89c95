"""The files of docker/ without containers: the same paths, names and ports, a root file system that is read-only.

    unshare -rnm python -m tests.peers.containers_in_namespace ORTHANC

Runs in namespaces of its own; writes what it saw to standard output as JSON, for `test_containers.py` to judge.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

import yaml
from tests.conftest import ROOT
from tests.peers.house import BRIDGE_PORT, bring_loopback_up, listens

DOCKER = ROOT / "docker"
SITE = DOCKER / "bridge" / "site.toml"
USERS = DOCKER / "secrets" / "orthanc-users.json.example"
CONFIGURATION = Path("/run/orthanc-site")
ORTHANC = "http://127.0.0.1:8042"
READY_S = 30.0


def main() -> None:
    bring_loopback_up()
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    (facts := {})["read_only"] = furnish()
    orthanc = subprocess.Popen([sys.argv[1], str(CONFIGURATION)], stdout=sys.stderr, env=environment)
    bridge = subprocess.Popen(
        [sys.executable, "-m", "bridge", "serve", "--config", str(SITE)],
        stdout=sys.stderr,
        env=environment,
        cwd="/",
    )
    try:
        facts |= look(orthanc, bridge, environment)
    finally:
        orthanc.terminate()
        bridge.terminate()
        facts["bridge_status"] = bridge.wait(30)
        orthanc.wait(30)
    facts["orthanc_is_well_when_it_is_gone"] = well()
    print(json.dumps(facts))


def furnish() -> bool:
    """Volumes, tmpfs, secrets and names as compose.yaml gives them. True when the root is read-only in the end."""
    for folder in ("/var/lib", "/run", "/tmp"):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    Path("/var/lib/bridge").mkdir(mode=0o700)
    Path("/var/lib/orthanc/site").mkdir(parents=True)
    Path("/run/secrets").mkdir()
    Path("/run/secrets/gc_token").write_text("a token")
    CONFIGURATION.mkdir()
    shutil.copy(DOCKER / "orthanc" / "orthanc.json", CONFIGURATION)
    shutil.copy(USERS, CONFIGURATION / "users.json")
    hosts = Path("/run/hosts")
    hosts.write_text("127.0.0.1 localhost bridge orthanc\n")
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", "/"], check=True)
    try:
        (ROOT / "written").touch()
    except OSError:
        return True
    return False


def look(
    orthanc: subprocess.Popen[bytes], bridge: subprocess.Popen[bytes], environment: dict[str, str]
) -> dict[str, Any]:
    wait_for(lambda: listens(8042) and listens(BRIDGE_PORT), orthanc, bridge)

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bridge", *words, "--config", str(SITE)],
            capture_output=True,
            text=True,
            env=environment,
            cwd="/",
            check=False,
        )

    wait_for(lambda: command("health").returncode == 0, orthanc, bridge)
    checked = json.loads(command("check", "--json").stdout)
    return {
        "orthanc_without_password": ask("/system", password=None)[0],
        "orthanc_version": ask("/system")[1]["Version"],
        "modalities": ask("/modalities?expand")[1],
        "echo": ask("/modalities/bridge/echo", b"{}")[0],
        "orthanc_is_well": well(),
        "destinations": [line["ok"] for line in checked if line["subject"] == "destination orthanc"],
        "stored_for": {name: stored_for(name) for name in ("BRIDGE", "STRANGER")},
    }


def ask(path: str, body: bytes | None = None, password: str | None = "") -> tuple[int, Any]:
    """Status and content; with the user of the example file unless `password` is None."""
    ((user, known),) = json.loads(USERS.read_text())["RegisteredUsers"].items()
    headers = {}
    if password is not None:
        headers["Authorization"] = f"Basic {base64.b64encode(f'{user}:{known}'.encode()).decode()}"
    try:
        with build_opener(ProxyHandler({})).open(
            Request(ORTHANC + path, body, headers), timeout=20
        ) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except HTTPError as refused:
        return refused.code, None
    except URLError:
        return 0, None


def well() -> bool:
    """The health check of the service, as it stands in compose.yaml."""
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    kind, *words = services["orthanc"]["healthcheck"]["test"]
    assert kind == "CMD"
    return subprocess.run(words, capture_output=True, timeout=20, check=False).returncode == 0


def stored_for(calling_ae_title: str) -> bool:
    """Whether Orthanc stores an object that comes under this AE title."""
    from pynetdicom.ae import ApplicationEntity

    from made_objects import CT_IMAGE_STORAGE, ct_slice

    entity = ApplicationEntity(calling_ae_title)
    entity.add_requested_context(CT_IMAGE_STORAGE, "1.2.840.10008.1.2.1")
    association = entity.associate("127.0.0.1", 4242, ae_title="ORTHANC")
    if not association.is_established:
        return False
    status = association.send_c_store(ct_slice())
    association.release()
    return "Status" in status and status.Status == 0


def wait_for(happened: Callable[[], bool], *programs: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_S
    while not happened():
        assert all(one.poll() is None for one in programs), "a program ended"
        assert time.monotonic() < until, f"nothing for {READY_S:.0f} s"
        time.sleep(0.2)


if __name__ == "__main__":
    main()
