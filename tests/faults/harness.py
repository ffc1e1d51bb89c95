"""A PACS, a cloud and a bridge that can be killed; and what the world saw at the end.

PACS and cloud live in the test's process and are never killed: what they saw is the truth that the bridge is
measured against. The bridge is a process of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from bridge.dicom.headers import read_body
from bridge.errors import TryLater
from bridge.sandbox.grand_challenge import Sandbox
from bridge.sandbox.pacs import SmallPacs, send
from bridge.sandbox.phantom import make_study, write_study
from bridge.store.jobs import Jobs
from bridge.store.tables import Index, instances

SEG, SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"
SCALE = 0.12
"""A phantom of a few thousand voxels: what is tested is the order of work, not the pixels."""

SITE = """\
[bridge]
ae_title = "BRIDGE"
data = "data"
rules = "rules.toml"

[receive]
port = {port}
quiet_s = 1.0
reserve_bytes = 0

[sources.pacs]
ae_title = "PACS"

[destinations.pacs]
ae_title = "PACS"
host = "127.0.0.1"
port = {pacs}
retry_s = [0.3, 0.5, 1.0]

[accounts.gc]
platform = "grand-challenge"
base_url = "{base_url}"
token_file = "{token}"
ca = "{ca}"
retry_s = [0.3, 0.5, 1.0]
options = {{ poll_first_s = 0.2, poll_s = 0.2 }}

[engine]
poll_s = 0.1
look_s = 0.1
retry_s = [0.3, 0.5, 1.0]
"""

RULES = """\
[rules.lungs]
mode = "live"
platform = "gc"
algorithm = "lungs-and-airways"
destinations = ["pacs"]

[rules.lungs.inputs.ct-image]
volume = { Modality = "CT" }
prefer = ["thinnest", "most-instances"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the world saw."""

    studies: int
    cloud_jobs: int
    segs: int
    srs: int
    lost: int
    states: dict[str, int]

    @property
    def as_expected(self) -> bool:
        n = self.studies
        return (self.cloud_jobs, self.segs, self.srs, self.lost) == (n, n, n, 0) and self.states == {
            "done": n
        }


class World:
    def __init__(self, folder: Path, *, compute_seconds: float = 0.3) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.pacs = SmallPacs(folder / "pacs", ae_title="PACS")
        self.cloud = Sandbox(folder / "cloud", compute_seconds=compute_seconds)
        self.port = _free_port()
        self.acknowledged: list[Path] = []
        self.studies = 0
        self.kills = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> World:
        self.pacs.start()
        self.cloud.start()
        (self.folder / "site.toml").write_text(
            SITE.format(
                port=self.port,
                pacs=self.pacs.port,
                base_url=self.cloud.base_url,
                token=self.cloud.token_file,
                ca=self.cloud.ca_file,
            )
        )
        (self.folder / "rules.toml").write_text(RULES)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.cloud.stop()
        self.pacs.stop()

    def start(self, kill_at: str = "") -> None:
        """Start the bridge; returns when it listens, or when it has killed itself already."""
        worker = Path(__file__).with_name("worker.py")
        with (self.folder / "bridge.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(worker), str(self.folder / "site.toml"), kill_at], stderr=log
            )
        until = time.monotonic() + 60
        while self._process.poll() is None:
            assert time.monotonic() < until, "the bridge does not listen"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)

    def kill(self) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
        self.kills += self._process.wait() == -signal.SIGKILL

    def wait_for_death(self, within_s: float) -> bool:
        """Whether the bridge killed itself in time; one that did not is killed."""
        assert self._process is not None
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        self.kills += self._process.returncode == -signal.SIGKILL
        return True

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def new_study(self) -> list[Path]:
        self.studies += 1
        when = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
        study = make_study(when=when, variant=f"study-{self.studies}", scale=SCALE)
        return write_study(study, self.folder / "sent" / str(self.studies))

    def send(self, files: Sequence[Path]) -> list[Path]:
        """Send as a modality does; returns what was not acknowledged, to be sent again."""
        try:
            statuses = send(
                files, port=self.port, called_ae_title="BRIDGE", calling_ae_title="PACS", timeout_s=10
            )
        except TryLater:
            return list(files)
        self.acknowledged += [f for f, status in zip(files, statuses, strict=True) if status == 0]
        return [f for f, status in zip(files, statuses, strict=True) if status != 0]

    def send_all(self, files: Sequence[Path]) -> None:
        left = list(files)
        until = time.monotonic() + 60
        while left:
            assert time.monotonic() < until, f"{len(left)} objects not taken"
            left = self.send(left)

    def finish(self, within_s: float) -> Seen:
        """Wait until every study has its results at PACS and every job has ended, then look twice."""
        until = time.monotonic() + within_s
        seen = self.seen()
        while not seen.as_expected and time.monotonic() < until:
            time.sleep(0.3)
            seen = self.seen()
        time.sleep(1.5)  # something superfluous would come now
        return self.seen()

    def seen(self) -> Seen:
        stored = {a.sop_instance_uid: a.sop_class_uid for a in self.pacs.attempts if a.file}
        kinds = Counter(stored.values())
        index = Index(self.folder / "data" / "index.sqlite")
        try:
            with index.read() as connection:
                names = connection.execute(sa.select(instances.c.file)).scalars().all()
            states = Counter(job.state for job in Jobs(index).all())
        finally:
            index.close()
        held = {read_body(self.folder / "data" / "instances" / name)[0] for name in names}
        return Seen(
            studies=self.studies,
            cloud_jobs=self.cloud_jobs,
            segs=kinds[SEG],
            srs=kinds[SR],
            lost=sum(read_body(file)[0] not in held for file in self.acknowledged),
            states=dict(states),
        )

    @property
    def cloud_jobs(self) -> int:
        ledger = self.folder / "cloud" / "ledger.jsonl"
        return (
            sum(bool(json.loads(line)) for line in ledger.read_text().splitlines()) if ledger.exists() else 0
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
