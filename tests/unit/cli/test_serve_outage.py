"""`bridge serve` with thirty jobs, four places, an urgent few, and a platform that goes away in the middle."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.unit.cli.test_run_meshes import SITE
from typer.testing import CliRunner

from bridge.cli.app import app
from bridge.cli.demo.programs import Program, free_port
from bridge.sandbox.pacs import SmallPacs, send
from bridge.sandbox.phantom import make_study, write_study
from bridge.sandbox.virtual_patient_engine import Fault, Sandbox
from bridge.store.jobs import FINAL, Job, Jobs, JobState
from bridge.store.outages import AWAY
from bridge.store.tables import Index

pytestmark = pytest.mark.long

COUNT, LIMIT, URGENT = 30, 4, ("r27", "r28", "r29")
DEADLINE_S, OUTAGE_S = 45.0, 40.0
"""With the time before and after it more than the patience: without time given back, jobs would be held."""
MORE = f"""
jobs_in_flight = {LIMIT}
deadline_hours = {DEADLINE_S / 3600}
"""
RULE = """\
[rules.{name}]
mode = "live"
platform = "vpe"
algorithm = "virtual-patient"
version = "24.06"
destinations = ["pacs"]
urgent = {urgent}

[rules.{name}.inputs.cbct]
volume = {{ Modality = "CT" }}
prefer = ["thinnest"]

[rules.{name}.values]
inputs = {{ cbct = {{ extension = ".nrrd" }} }}
outputs = {{ meshes = [{{ structures = ["tooth18"] }}] }}
"""


def write_files(folder: Path, sandbox: Sandbox, port: int, pacs: int) -> None:
    site = SITE.format(
        base_url=sandbox.base_url,
        token_url=sandbox.token_url,
        client_id=sandbox.client_id,
        token_file=sandbox.token_file,
        ca=sandbox.ca_file,
    )
    site = site.replace("port = 1\n", f"port = {pacs}\n").replace("retry_s = [0.01]", "retry_s = [0.1, 0.3]")
    site = site.replace(
        "[receive]", f'[sources.ct]\nae_title = "CT"\n\n[receive]\nport = {port}\nquiet_s = 1.0'
    )
    options = "breaker_failures = 3, breaker_s = 0.5, breaker_longest_s = 1.0 }"
    site = site.replace(" }\n", f", {options}\n") + MORE
    (folder / "site.toml").write_text(site)
    names = [f"r{number:02}" for number in range(COUNT)]
    rules = [RULE.format(name=name, urgent=str(name in URGENT).lower()) for name in names]
    (folder / "rules.toml").write_text("\n".join(rules))


def until(found: Callable[[], bool], within_s: float = 120.0) -> None:
    end = time.monotonic() + within_s
    while not found():
        assert time.monotonic() < end
        time.sleep(0.1)


def ledger(sandbox: Sandbox) -> list[dict[str, str]]:
    return [json.loads(line) for line in (sandbox.folder / "ledger.jsonl").read_text().splitlines()]


def most_at_once(lines: list[dict[str, str]]) -> int:
    most = now = 0
    for line in lines:
        now += {"created": 1, "finished": -1}.get(line["event"], 0)
        most = max(most, now)
    return most


def test_thirty_jobs_keep_to_four_places_and_outlive_an_outage(tmp_path: Path) -> None:
    files = write_study(make_study(when=datetime(2026, 5, 4, tzinfo=UTC), scale=0.2), tmp_path / "study")
    with (
        Sandbox(tmp_path / "cloud", compute_seconds=0.5) as sandbox,
        SmallPacs(tmp_path / "pacs") as pacs,
    ):
        port = free_port()
        write_files(tmp_path, sandbox, port, pacs.port)
        service = Program(tmp_path, "bridge", "serve", "--config", str(tmp_path / "site.toml"))
        service.start()
        try:
            service.listening(port)
            send(files, port=port, called_ae_title="BRIDGE", calling_ae_title="CT")
            until((tmp_path / "data" / "index.sqlite").exists)
            index = Index(tmp_path / "data" / "index.sqlite")
            until(lambda: sum(one["event"] == "finished" for one in ledger(sandbox)) >= 6)

            sandbox.arm(Fault(origin="engine", status=503, times=None))
            began = time.monotonic()
            until(lambda: AWAY in {one["kind"] for one in status(tmp_path)["alerts"]})
            said = status(tmp_path)
            (alert,) = (one for one in said["alerts"] if one["kind"] == AWAY)
            assert " jobs wait" in alert["reason"]
            assert said["accounts"][0]["away_since"]
            assert said["accounts"][0]["waiting"] > 0
            made = sandbox.ledger()["created"]
            time.sleep(max(OUTAGE_S - (time.monotonic() - began), 0.0))
            assert sandbox.ledger()["created"] == made, "nothing new while it is away"
            sandbox.disarm()

            def jobs() -> list[Job]:
                return Jobs(index).all()

            until(
                lambda: len(jobs()) == COUNT and all(job.state in FINAL | {JobState.HELD} for job in jobs())
            )
        finally:
            service.stop()
        assert {(job.state, job.code) for job in jobs()} == {(JobState.DONE, "")}
        told = sandbox.ledger()
        assert (told["started"], told["tokens"]) == (COUNT, 1)
        lines = ledger(sandbox)
        assert most_at_once(lines) <= LIMIT
        order = [line["job"] for line in lines if line["event"] == "created"]
        remote = {json.loads(job.remote)["remote_id"]: job.rule for job in jobs()}
        assert set(URGENT) <= {remote.get(one, "") for one in order[: LIMIT + len(URGENT)]}
        assert not status(tmp_path)["alerts"]


def status(folder: Path) -> dict:
    told = CliRunner().invoke(app, ["status", "--json", "--config", str(folder / "site.toml")])
    return json.loads(told.output)
