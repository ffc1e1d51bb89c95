"""Make the data directory of a bridge that was killed with jobs halted at each stage, by the code of a release.

    PYTHONPATH=RELEASE/src:RELEASE/tests/faults python -P tests/faults/make_release_file.py OUT.tar.gz

RELEASE is a checkout of that release; `-P` keeps today's helpers out. The file holds the directory `data`, what the
cloud billed (`ledger.jsonl`) and `halted.json`: where each job was, in the words of its release. Nothing of the
machine that made it is inside but a port number, which `test_previous_release.py` replaces.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import harness
from harness import World

from bridge.store.jobs import Jobs, JobState
from bridge.store.tables import Index

PASSED = "await:mid"
"""Passed again and again by a job that waits at the platform."""
HALTED = (
    ("prepare", "prepare:mid"),
    ("encode", "encode:mid"),
    ("waiting", PASSED),
    ("submit", "submit-upload:before"),
)
"""What is halted, and at which point; the last one halts the loop that all waiting stages share."""


def worker(site_file: Path) -> None:
    """A bridge in which the first job that passes the point named in `halt` stays there for ever."""
    from bridge.config import load_rules, load_site
    from bridge.log import start_logging
    from bridge.service import Service

    halt = site_file.with_name("halt")

    def passing(point: str) -> None:
        if halt.exists() and halt.read_text() == point:
            halt.write_text("")
            while point != PASSED:
                time.sleep(60)

    site = load_site(site_file)
    start_logging()
    service = Service(site, load_rules(site.rules_file), passing=passing)
    service.start()
    service.run()


class Halting(World):
    """A world whose bridge halts."""

    def start_halting(self) -> None:
        log_file = self.folder / "bridge.log"
        log_file.unlink(missing_ok=True)
        with log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    str(Path(__file__).absolute()),
                    "--worker",
                    str(self.folder / "site.toml"),
                ],
                stderr=log,
            )
        self.until(lambda: '"service.started"' in log_file.read_text())

    def until(self, what: Any) -> None:
        end = time.monotonic() + 60
        while not what():
            assert time.monotonic() < end, "it did not come about"
            time.sleep(0.1)

    def jobs(self) -> list[Any]:
        index = Index(self.folder / "data" / "index.sqlite")
        try:
            return Jobs(index).all()
        finally:
            index.close()

    def send_and_wait(self, state: JobState, count: int) -> str:
        """Send a study; returns the id of its job as soon as so many jobs are in a state."""
        before = {job.id for job in self.jobs()}
        self.send_all(self.new_study())
        self.until(lambda: sum(job.state is state for job in self.jobs()) == count)
        (new,) = {job.id for job in self.jobs()} - before
        return str(new)


def make(folder: Path, out: Path) -> None:
    halted: dict[str, str] = {}
    with Halting(folder, compute_seconds=0.1) as world:
        rules = folder / "rules.toml"
        live = rules.read_text()
        site = folder / "site.toml"
        # Halted jobs keep their places.
        site.write_text(site.read_text().replace("[engine]", "[engine]\ncores = 4"))
        rules.write_text(live.replace('"live"', '"hold"'))
        world.start_halting()
        halted["held"] = world.send_and_wait(JobState.HELD, 1)
        world.stop()

        rules.write_text(live)
        world.start_halting()
        halted["done"] = world.send_and_wait(JobState.DONE, 1)
        world.pacs.stop()
        halted["deliver"] = world.send_and_wait(JobState.RUNNING, 1)
        world.until(lambda: any(job.stage == "deliver" and job.reason for job in world.jobs()))
        for running, (name, point) in enumerate(HALTED, start=2):
            if point == PASSED:
                world.cloud._runner._compute_s = 600.0  # for the rest of this world
            (folder / "halt").write_text(point)
            halted[name] = world.send_and_wait(JobState.RUNNING, running)
            world.until(lambda: not (folder / "halt").read_text())
        os.kill(world._process.pid, signal.SIGKILL)
        world._process.wait()
        at = {job.id: f"{job.stage} {job.state}" for job in world.jobs()}
        (folder / "halted.json").write_text(
            json.dumps({name: {"job": job, "was": at[job]} for name, job in halted.items()}, indent=1)
        )
        (folder / "ledger.jsonl").write_bytes((folder / "cloud" / "ledger.jsonl").read_bytes())
        pack(folder, out)
        world.cloud._runner._stopping.set()


def pack(folder: Path, out: Path) -> None:
    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if member.name.endswith(("-shm", "/lock", "health.json")):
            return None
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(out, "w:xz" if out.suffix == ".xz" else "w:gz") as archive:
        for name in ("data", "ledger.jsonl", "halted.json"):
            archive.add(folder / name, name, filter=plain)


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        worker(Path(sys.argv[2]))
    else:
        assert Path(harness.__file__).parent != Path(__file__).parent, "PYTHONPATH names no release"
        with TemporaryDirectory(prefix="release-") as made:
            make(Path(made), Path(sys.argv[1]).absolute())
