"""A PACS, a cloud and a bridge that can be killed; and what the world saw at the end.

PACS and cloud live in the test's process and are never killed: what they saw is the truth that the bridge is
measured against. The bridge is a process of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bridge.dicom.headers import read_body
from bridge.errors import TryLater
from bridge.sandbox.grand_challenge import Sandbox
from bridge.sandbox.pacs import SmallPacs, send
from bridge.sandbox.phantom import make_study, write_study
from bridge.store.jobs import FINAL, Job, Jobs
from bridge.store.tables import Index, disclosures, instances

SEG, SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"
SCALE = 0.12
"""A phantom of a few thousand voxels: what is tested is the order of work, not the pixels."""

SITE = """\
[bridge]
ae_title = "BRIDGE"
data = "{data}"
rules = "rules.toml"
{bridge}

[receive]
port = {port}
quiet_s = {quiet_s}
reserve_bytes = {reserve_bytes}

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
stop_s = 5.0
{more}
"""

# 17 images are the whole thin series: a busy machine may pause longer than the short quiet period while it sends.
RULES = """\
[rules.lungs]
mode = "live"
platform = "gc"
algorithm = "lungs-and-airways"
destinations = ["pacs"]

[rules.lungs.inputs.ct-image]
volume = { Modality = "CT", instances = { min = 17 } }
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
    disclosed: tuple[int, int] = (0, 0)
    """Lines of the record of what left, and how many of them have an end."""

    @property
    def as_expected(self) -> bool:
        n = self.studies
        return (self.cloud_jobs, self.segs, self.srs, self.lost) == (n, n, n, 0) and self.states == {
            "done": n
        }


class World:
    """`folder` holds the sites of bridges (`site.toml`, `data`), what PACS stored, what the cloud billed, and the log.

    `bridge`: further lines of the table [bridge]; `more`: further tables of site.toml.
    """

    def __init__(
        self,
        folder: Path,
        *,
        compute_seconds: float = 0.3,
        quiet_s: float = 0.6,
        reserve_bytes: int = 0,
        bridge: str = "",
        more: str = "",
        rules: str = RULES,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.pacs = SmallPacs(folder / "pacs", ae_title="PACS")
        self.cloud = Sandbox(folder / "cloud", compute_seconds=compute_seconds)
        self.port = free_port()
        self.data = folder / "data"
        self.site = folder / "site.toml"
        self._bridge, self._more, self._rules = bridge, more, rules
        self._disk: list[str] = []
        self._quiet_s, self._reserve_bytes = quiet_s, reserve_bytes
        self.acknowledged: list[Path] = []
        self.studies = 0
        self.kills = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> World:
        self.pacs.start()
        self.cloud.start()
        self.write_site()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.cloud.stop()
        self.pacs.stop()

    def write_site(self) -> None:
        """(Re)write site.toml and the rules as they are asked for now."""
        text = SITE.format(
            port=self.port,
            pacs=self.pacs.port,
            base_url=self.cloud.base_url,
            token=self.cloud.token_file,
            ca=self.cloud.ca_file,
            data=self.data.name,
            bridge=self._bridge,
            more=self._more,
            quiet_s=self._quiet_s,
            reserve_bytes=self._reserve_bytes,
        )
        self.site.write_text(text)
        (self.folder / "rules.toml").write_text(self._rules)

    def change(self, **settings: Any) -> None:
        """Other settings for the next start: `bridge`, `rules`, `quiet_s`, `reserve_bytes`, `compute_seconds`."""
        for name, value in settings.items():
            setattr(self, f"_{name}", value)
        self.write_site()

    def start(self, kill_at: str = "", *, most: int = 0) -> None:
        """Start the bridge; returns when it listens, or when it has killed itself already.

        `kill_at`: a point, or `point@UID` for one study alone. `most`: how often a study may interrupt a stage.
        """
        worker = Path(__file__).with_name("worker.py")
        self._started = len(self.events("service.started")) if (self.folder / "bridge.log").exists() else 0
        with (self.folder / "bridge.log").open("ab") as log:
            program = [sys.executable, str(worker), str(self.site), kill_at, str(most)]
            self._process = subprocess.Popen([*self._disk, *program], stderr=log)
        if self._disk:
            self.data = Path(f"/proc/{self._process.pid}/root{self.folder / 'data'}")
        until = time.monotonic() + 60
        while self._process.poll() is None:
            assert time.monotonic() < until, "the bridge does not listen"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)

    def mounted(self, size_mb: int) -> None:
        """Give the next life a data directory on a small disk of its own, which is gone with it."""
        self.data.mkdir()
        mount = f'mount -t tmpfs -o size={size_mb}m none {self.data} && exec "$0" "$@"'
        self._disk = ["unshare", "-rm", "sh", "-c", mount]

    def is_dead(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def end(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(60)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

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

    def log(self) -> list[dict[str, Any]]:
        """Everything that all lives have logged."""
        lines = (self.folder / "bridge.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.log() if line["event"] == name]

    def wait_for(self, what: Callable[[], object], within_s: float = 30.0) -> None:
        until = time.monotonic() + within_s
        while not what():
            assert time.monotonic() < until, "it did not come about"
            time.sleep(0.1)

    def wait_until_started(self, within_s: float = 30.0) -> None:
        """Until the present life has done all that a start does: it listens before."""
        self.wait_for(lambda: len(self.events("service.started")) > self._started, within_s)

    def index(self) -> Index:
        if not self._disk:
            return Index(self.data / "index.sqlite")
        # SQLite follows links to their end, which leads out of /proc into our own view of the folder.
        peek = self.folder / "peek"
        shutil.rmtree(peek, ignore_errors=True)
        peek.mkdir()
        for name in ("index.sqlite", "index.sqlite-wal"):
            shutil.copyfile(self.data / name, peek / name)
        return Index(peek / "index.sqlite")

    def jobs(self) -> list[Job]:
        index = self.index()
        try:
            return Jobs(index).all()
        finally:
            index.close()

    def is_over(self) -> bool:
        """Whether every study has a job, and every job has ended."""
        jobs = self.jobs()
        return len(jobs) == self.studies and all(job.state in FINAL for job in jobs)

    def seen(self) -> Seen:
        stored = {a.sop_instance_uid: a.sop_class_uid for a in self.pacs.attempts if a.file}
        kinds = Counter(stored.values())
        index = self.index()
        try:
            with index.read() as connection:
                names = connection.execute(sa.select(instances.c.file)).scalars().all()
                ends = connection.execute(sa.select(disclosures.c.sent_at)).scalars().all()
            states = Counter(job.state for job in Jobs(index).all())
        finally:
            index.close()
        held = {read_body(self.data / "instances" / name)[0] for name in names}
        return Seen(
            studies=self.studies,
            cloud_jobs=self.cloud_jobs,
            segs=kinds[SEG],
            srs=kinds[SR],
            lost=sum(read_body(file)[0] not in held for file in self.acknowledged),
            states=dict(states),
            disclosed=(len(ends), sum(end is not None for end in ends)),
        )

    @property
    def cloud_jobs(self) -> int:
        ledger = self.folder / "cloud" / "ledger.jsonl"
        return (
            sum(bool(json.loads(line)) for line in ledger.read_text().splitlines()) if ledger.exists() else 0
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
