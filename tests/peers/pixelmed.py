"""PixelMed's validator of structured reports, in one Java process: starting it takes longer than a dozen reports."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.conftest import peer_tool

JAR = Path("/usr/share/java/pixelmed.jar")
PROGRAM = Path(__file__).with_name("ValidateReports.java")
LIMITS = tuple(f"-Djdk.xml.xpath{name}Limit=0" for name in ("TotalOp", "ExprOp", "ExprGrp"))
"""Its style sheets are larger than what Java 17 takes by itself."""
PATIENCE_S = 180.0
EXPECTED = ("different code meaning", "99BRIDGE", "99SITE")
"""Warnings on a meaning that a library writes with a capital letter, and on private codes in an open template."""


class ReportValidator:
    """Says what the validator finds. Its exit code would be 0 whatever it finds."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def complaints(self, report: Path) -> list[str]:
        """Errors and warnings on a file, without those that are expected."""
        said = self._said(report)
        # Without these lines it has not come to the end, or has not known what it was about.
        assert any("Found Root Template TID_1500" in line for line in said), said[-5:]
        assert "IOD validation complete" in said
        found = [line for line in said if line.startswith(("Error", "Warning"))]
        return [line for line in found if not any(word in line for word in EXPECTED)]

    def _said(self, report: Path) -> list[str]:
        asked, told = self._process.stdin, self._process.stdout
        assert asked is not None and told is not None
        late = threading.Timer(PATIENCE_S, self._process.kill)
        late.start()
        try:
            asked.write(f"{report}\n")
            asked.flush()
            lines = []
            for line in told:
                if line == "= end\n":
                    return lines
                lines.append(line.rstrip("\n"))
        finally:
            late.cancel()
        raise AssertionError(f"the validator ended: {lines[-5:]}")


@contextmanager
def running() -> Iterator[ReportValidator]:
    """The test is skipped, with the reason, where Java's compiler or PixelMed is missing."""
    if not JAR.exists():
        pytest.skip("needs PixelMed's DicomSRValidator (package libpixelmed-java) on this machine")
    peer_tool("javac")
    with subprocess.Popen(
        [peer_tool("java"), *LIMITS, "-cp", JAR, PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        errors="replace",
    ) as process:
        try:
            yield ReportValidator(process)
        finally:
            process.kill()
