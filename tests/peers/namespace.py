"""A network of its own for servers that would listen on every interface of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import ROOT, peer_tool

NAMESPACE = ("--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child")


def run_in_namespace(module: str, *words: str | Path, within_s: float, log: Path | None = None) -> None:
    """Run `tests.peers.MODULE` there, to its end; a failure shows its errors and the end of `log`.

    The test is skipped, with the reason, where the system allows no such namespace.
    """
    unshare = (peer_tool("unshare"), *NAMESPACE)
    if subprocess.run([*unshare, "true"], capture_output=True, timeout=20, check=False).returncode:
        pytest.skip("needs a network namespace (unshare --user --net), which this system does not allow")
    done = subprocess.run(
        [*unshare, sys.executable, "-m", f"tests.peers.{module}", *(str(word) for word in words)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT}:{ROOT / 'src'}"},
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )
    told = log.read_text()[-3000:] if log and log.exists() else ""
    assert done.returncode == 0, f"{done.stderr[-3000:]}\n{told}"
