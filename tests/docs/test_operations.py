"""docs/operations.md says what the code does: every alert, every option, readable shell, a restore that works."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.conftest import ROOT

from bridge.operate.status import REMEDIES

PAGE = (ROOT / "docs" / "operations.md").read_text()
SHELL = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^\$ (bridge .*)$", PAGE, re.MULTILINE)
READY_S = 30.0
SITE = """\
[bridge]
ae_title = "BRIDGE"
data = "data"
rules = "rules.toml"

[receive]
port = {port}

[destinations.pacs]
ae_title = "PACS"
host = "127.0.0.1"
port = 11113

[accounts.gc]
platform = "grand-challenge"
base_url = "{base_url}"
token_file = "{token_file}"
ca = "{ca}"
"""
RULES = """\
[rules.lungs]
mode = "explain"
platform = "gc"
algorithm = "lungs-and-airways"
destinations = ["pacs"]
inputs.ct-image.volume = { Modality = "CT" }
"""


def bridge(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bridge", *words], cwd=folder, capture_output=True, text=True, check=False
    )


def test_every_alert_has_its_line() -> None:
    told = re.findall(
        r"^\| `([a-z-]+)` \|", PAGE.partition("| alert |")[2].partition("\n\n")[0], re.MULTILINE
    )
    assert sorted(told) == sorted(REMEDIES)


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.splitlines()[0])
def test_shell_can_be_read(block: str) -> None:
    subprocess.run(["bash", "-n", "-c", block], check=True)


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.splitlines()[0])
def test_files_that_are_copied_from_the_checkout_are_there(block: str, tmp_path: Path) -> None:
    for line in block.splitlines():
        words = shlex.split(line, comments=True)
        for word in words[1:-1] if words and words[0] == "cp" else ():
            if not word.startswith(("-", "/")):
                assert (ROOT / word).exists() or (ROOT / "docker" / word).exists(), word


@pytest.mark.parametrize("line", COMMANDS)
def test_options_exist(line: str, tmp_path: Path) -> None:
    words = shlex.split(line)[1:]
    command = words[:2] if words[0] in ("jobs", "fence") else words[:1]
    told = bridge(tmp_path, *command, "--help").stdout
    for option in (word for word in words if word.startswith("--")):
        assert option in told


@contextmanager
def cloud(folder: Path) -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "bridge", "sandbox", "grand-challenge", str(folder / "cloud")]
    with (folder / "cloud.log").open("a") as log:
        program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert program.stdout is not None
        yield json.loads(program.stdout.readline())
    finally:
        program.terminate()
        program.wait(30)


@contextmanager
def serving(folder: Path) -> Iterator[None]:
    with (folder / "log").open("a") as log:
        service = subprocess.Popen([sys.executable, "-m", "bridge", "serve"], cwd=folder, stderr=log)
    try:
        until = time.monotonic() + READY_S
        while bridge(folder, "health").returncode:
            assert service.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, "it does not answer"
            time.sleep(0.2)
        yield
    finally:
        service.terminate()
        service.wait(30)
    assert service.returncode == 0


@pytest.mark.slow
def test_back_up_and_restore_work_as_written(tmp_path: Path, free_port: int) -> None:
    with cloud(tmp_path) as there:
        (tmp_path / "site.toml").write_text(SITE.format(port=free_port, **there))
        (tmp_path / "rules.toml").write_text(RULES)
        with serving(tmp_path):
            saved = bridge(tmp_path, "backup", "backups/whole", "--files")
            assert saved.returncode == 0, saved.stderr
        key = (tmp_path / "data" / "secret.key").read_bytes()
        (block,) = (one for one in SHELL if "cp -a" in one)
        for line in block.splitlines():
            if not line.startswith(("systemctl", "chown")):
                here = line.replace("/var/lib/bridge", "data").replace("/var/backups/bridge", "backups")
                subprocess.run(["bash", "-c", here], cwd=tmp_path, check=True)
        assert (tmp_path / "data" / "secret.key").read_bytes() == key
        with serving(tmp_path):
            assert json.loads(bridge(tmp_path, "fence", "show", "--json").stdout)["case"] == "moved"
            lifted = bridge(tmp_path, "fence", "lift", "--reason", "the old one is off")
            assert lifted.returncode == 0, lifted.stdout + lifted.stderr
            until = time.monotonic() + READY_S
            while bridge(tmp_path, "fence", "show").returncode:
                assert time.monotonic() < until, bridge(tmp_path, "fence", "show").stdout
                time.sleep(0.5)
            assert bridge(tmp_path, "status").returncode == 0


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
