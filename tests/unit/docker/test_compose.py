"""The files of docker/ as they are shipped: hardened, consistent with each other, buildable from what they name."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.conftest import ROOT

from bridge.config import check_rules, load_rules, load_site
from bridge.rules import compile_rules
from bridge.version import __version__

DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
FILES = {"bridge": DOCKER / "Dockerfile", "orthanc": DOCKER / "orthanc" / "Dockerfile"}


def instructions(name: str) -> list[tuple[str, str]]:
    """(instruction, arguments) of a Dockerfile, continuation lines joined, comments left out."""
    lines = [line for line in FILES[name].read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(one.split(" ", 1)[0], one.split(" ", 1)[1]) for one in joined.splitlines() if one.strip()]


def last(name: str, instruction: str) -> str:
    return [arguments for one, arguments in instructions(name) if one == instruction][-1]


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_service_is_hardened(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [mount.split(":")[0] for mount in service["tmpfs"]] == ["/tmp"]
    assert service["mem_limit"]
    assert service["pids_limit"] > 0
    assert service["stop_grace_period"] == "60s"
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_ports_are_those_of_this_machine_only(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


@pytest.mark.parametrize("name", SERVICES)
def test_image_and_service_run_as_the_same_user_who_is_not_root(name: str) -> None:
    user = SERVICES[name]["user"]
    assert user == last(name, "USER")
    assert min(int(number) for number in user.split(":")) >= 10001
    assert f"--owner={user.split(':')[0]}" in " ".join(
        text for one, text in instructions(name) if one == "RUN"
    )


@pytest.mark.parametrize("name", SERVICES)
def test_only_named_volumes_can_be_written(name: str) -> None:
    mounts = [volume.split(":") for volume in SERVICES[name]["volumes"]]
    writable = [mount for mount in mounts if mount[2:] != ["ro"]]
    assert [mount[0] in COMPOSE["volumes"] for mount in writable] == [True]
    assert [mount[1] for mount in writable] == [last(name, "VOLUME")]
    for mount in mounts:
        assert mount in writable or (DOCKER / mount[0]).exists()


def test_archive_cannot_reach_the_internet() -> None:
    networks = COMPOSE["networks"]
    assert networks["pacs"]["internal"] is True
    assert "out" in SERVICES["bridge"]["networks"]
    for name in SERVICES["orthanc"]["networks"]:
        options = networks[name].get("driver_opts", {})
        closed = options.get("com.docker.network.bridge.enable_ip_masquerade") == "false"
        assert networks[name].get("internal") or closed


def test_secrets_are_files_outside_of_history_and_never_in_the_environment() -> None:
    assert all("environment" not in service and "env_file" not in service for service in SERVICES.values())
    ignored = (DOCKER / "secrets" / ".gitignore").read_text().splitlines()
    assert ignored[0] == "*"
    for secret in COMPOSE["secrets"].values():
        assert (DOCKER / secret["file"]).resolve().parent == DOCKER / "secrets"
    assert (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()[1] == "*"
    told = json.loads((DOCKER / "secrets" / "orthanc-users.json.example").read_text())
    assert list(told) == ["RegisteredUsers"]


def test_bridge_stops_by_sigterm_and_says_how_it_is() -> None:
    assert last("bridge", "STOPSIGNAL") == "SIGTERM"
    assert json.loads(last("bridge", "ENTRYPOINT")) == ["bridge"]
    assert json.loads(last("bridge", "CMD")) == ["serve", "--config", "/etc/bridge/site.toml"]
    assert '"bridge", "health"' in last("bridge", "HEALTHCHECK")
    site = load_site(DOCKER / "bridge" / "site.toml")
    assert site.engine.stop_s < 60, "compose kills after a minute"


def test_configuration_is_read_and_agrees_with_compose_and_orthanc() -> None:
    site = load_site(DOCKER / "bridge" / "site.toml")
    rules = load_rules(site.rules_file)
    assert check_rules(rules, site) == []
    compile_rules(rules)
    assert not site.same_machine
    assert str(site.data) == last("bridge", "VOLUME")
    assert last("bridge", "EXPOSE") == str(site.receive.port)
    (secret,) = SERVICES["bridge"]["secrets"]
    assert str(site.accounts["gc"].token_file) == f"/run/secrets/{secret}"
    orthanc = json.loads((DOCKER / "orthanc" / "orthanc.json").read_text())
    bridge = orthanc["DicomModalities"]["bridge"]
    assert (bridge["AET"], bridge["Host"], bridge["Port"]) == (site.ae_title, "bridge", site.receive.port)
    there = site.destinations["orthanc"]
    assert (there.ae_title, there.host, there.port) == (orthanc["DicomAet"], "orthanc", orthanc["DicomPort"])
    assert [source.ae_title for source in site.sources.values()] == [orthanc["DicomAet"]]
    assert last("orthanc", "VOLUME") == orthanc["StorageDirectory"] == orthanc["IndexDirectory"]
    assert last("orthanc", "EXPOSE").split() == [str(orthanc["DicomPort"]), str(orthanc["HttpPort"])]


def test_archive_lets_nobody_in_whom_it_does_not_know() -> None:
    orthanc = json.loads((DOCKER / "orthanc" / "orthanc.json").read_text())
    assert orthanc["AuthenticationEnabled"] is True
    assert "RegisteredUsers" not in orthanc, "they are a secret"
    for right in ("Store", "Find", "Get", "Move"):
        assert orthanc[f"DicomAlwaysAllow{right}"] is False
    assert orthanc["ExecuteLuaEnabled"] is False


def copied() -> list[str]:
    """What the image is built from, by name below the root of the checkout."""
    found = []
    for instruction, arguments in instructions("bridge"):
        if instruction == "COPY" and not arguments.startswith("--from="):
            found += arguments.split()[:-1]
    return found


def test_image_is_built_from_what_is_there_and_let_through() -> None:
    let_through = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    for name in copied():
        assert (ROOT / name).exists()
        assert f"!{name}" in let_through


@pytest.mark.slow
def test_wheel_from_what_the_image_copies_runs_in_a_fresh_environment(tmp_path: Path) -> None:
    pytest.importorskip(
        "hatchling", reason="needs hatchling: an isolated build would fetch it from a registry"
    )
    source = tmp_path / "source"
    source.mkdir()
    for name in copied():
        (source / name).symlink_to(ROOT / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", str(source), "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("bridge/")}
    there = {
        str(file.relative_to(ROOT / "src"))
        for file in (ROOT / "src" / "bridge").rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }
    assert packed == there
    fresh = tmp_path / "fresh"
    venv.create(fresh)
    into = next(fresh.glob("lib/python*/site-packages"))
    subprocess.run([*pip, "install", "--no-deps", "--target", str(into), str(wheel)], check=True)
    # Dependencies from here; a path in a .pth file brings no editable installation along.
    (into / "dependencies.pth").write_text(str(Path(yaml.__file__).parents[1]))
    run = [str(fresh / "bin" / "python"), "-c", "import bridge; print(bridge.__file__)"]
    where = subprocess.run(run, check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    assert where.startswith(str(fresh))
    run = [str(fresh / "bin" / "python"), "-m", "bridge", "version"]
    told = subprocess.run(run, check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    assert told.strip() == __version__
