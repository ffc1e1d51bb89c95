"""The programs of the demonstration, each a process of its own that can be killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bridge.errors import BridgeError

READY_S = 30.0


class Program:
    """`python -m bridge ...` with its output in a file."""

    def __init__(self, folder: Path, name: str, *arguments: str) -> None:
        self._log = folder / f"{name}.log"
        self._name = name
        self._command = [sys.executable, "-m", "bridge", *arguments]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )

    def ready(self) -> dict[str, Any]:
        """Wait for the line of JSON in which a program of the sandbox says where it listens."""
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._dead()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def listening(self, port: int) -> None:
        """Wait until something listens on that port of 127.0.0.1."""
        assert self._process is not None
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise self._dead()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise self._dead()

    def kill(self) -> None:
        """SIGKILL: no warning, no clean-up."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _dead(self) -> BridgeError:
        last = self._log.read_text().strip().splitlines()[-1:] if self._log.exists() else []
        return BridgeError(
            "DMO-001", f"{self._name} did not start", "a running program", f"{self._log}: {' '.join(last)}"
        )


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
