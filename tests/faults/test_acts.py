"""What a person asks for from another process while the service runs: done there, said here, billed only where said."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import RULES, World

from bridge.store.rows import JobState

DONE, REFUSED, RECORDED = 0, 1, 3

pytestmark = pytest.mark.slow


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path, compute_seconds=0.0) as world:
        yield world


def bridge(world: World, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bridge", *words, "--config", str(world.site)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def shown(world: World, job: str) -> dict[str, Any]:
    told = json.loads(bridge(world, "jobs", "show", job, "--json").stdout)
    assert isinstance(told, dict)
    return told


def events(world: World, job: str) -> list[str]:
    return [one["event"] for one in shown(world, job)["timeline"]]


def computing(world: World) -> str:
    """A job that the platform has and does not end. Returns its id here."""
    world.cloud.hold("Executing")
    world.start()
    world.send_all(world.new_study())
    world.wait_for(lambda: world.cloud_jobs == 1)
    [job] = world.jobs()
    world.wait_for(lambda: shown(world, job.id)["remote_id"])
    return job.id


def test_retry_after_the_platform_failed_makes_one_new_job_there(world: World) -> None:
    job = computing(world)
    world.cloud.set_status(shown(world, job)["remote_id"], "Failed")
    world.wait_for(lambda: world.jobs()[0].state is JobState.FAILED)
    assert world.jobs()[0].code == "CLD-003"
    assert bridge(world, "jobs", "retry", job[:6], "--from", "encode").returncode == REFUSED
    told = bridge(world, "jobs", "retry", job[:6], "--reason", "their disk was full")
    assert (told.returncode, told.stderr) == (DONE, "")
    assert "bills" in told.stdout
    assert bridge(world, "jobs", "retry", job[:6]).returncode == REFUSED
    world.cloud.release()
    world.wait_for(lambda: world.jobs()[0].state is JobState.DONE)
    seen = world.finish(5)
    assert (seen.cloud_jobs, seen.segs, seen.srs, seen.states) == (2, 1, 1, {"done": 1})
    noted = next(one for one in shown(world, job)["timeline"] if one["event"] == "act.retry")
    assert noted["keys"]["reason"] == "their disk was full"
    assert [one["outcome"] for one in world.events("act.retry")] == ["refused", "done", "refused"]


def test_cancelled_while_computing_then_retried_is_billed_once_and_rerun_twice(world: World) -> None:
    job = computing(world)
    told = bridge(world, "jobs", "cancel", job[:6])
    assert (told.returncode, told.stderr) == (DONE, "")
    assert world.jobs()[0].state is JobState.CANCELLED
    world.wait_for(lambda: "cloud.not-stopped" in events(world, job))
    assert bridge(world, "jobs", "cancel", job[:6]).returncode == REFUSED

    assert bridge(world, "jobs", "retry", job[:6]).returncode == DONE
    world.cloud.release()
    world.wait_for(lambda: world.jobs()[0].state is JobState.DONE)
    assert world.cloud_jobs == 1

    assert bridge(world, "jobs", "rerun", job[:6]).returncode == 2, "without a reason"
    told = bridge(world, "jobs", "rerun", job[:6], "--reason", "a new version of the algorithm")
    assert (told.returncode, told.stderr) == (DONE, "")
    assert "bills it again" in told.stdout
    world.wait_for(lambda: [one.state for one in world.jobs()] == [JobState.DONE] * 2)
    seen = world.finish(0)
    assert (seen.cloud_jobs, seen.segs, seen.srs) == (2, 2, 2)
    status = bridge(world, "status", "--json")
    assert (status.returncode, json.loads(status.stdout)["needs_a_person"]) == (0, 0)


def test_release_while_nothing_runs_is_done_at_the_next_start(world: World) -> None:
    world.change(rules=RULES.replace('"live"', '"hold"'))
    world.start()
    world.send_all(world.new_study())
    world.wait_for(world.jobs)
    [job] = world.jobs()
    assert job.state is JobState.HELD
    world.stop()
    told = bridge(world, "jobs", "release", job.id[:6])
    assert told.returncode == RECORDED
    assert "when it starts" in told.stderr
    world.start()
    assert world.finish(150).as_expected
    assert "act.release" in events(world, job.id)


def test_rules_are_read_again_while_the_service_runs(world: World) -> None:
    lungs = RULES.replace("rules.lungs", "rules.elsewhere")
    world.change(rules=RULES.replace('mode = "live"', 'mode = "explain"'))
    world.start()
    world.send_all(world.new_study())
    world.wait_for(lambda: world.events("rule.decided"))
    # With a mistake nothing changes, whoever asks: the command looks before it asks, the signal says so in an alert.
    rules = world.folder / "rules.toml"
    rules.write_text(RULES.replace("algorithm", "algoritm"))
    told = bridge(world, "rules", "reload")
    assert told.returncode == 2
    assert "did you mean algorithm" in told.stderr.lower()
    world.signal(signal.SIGHUP)
    world.wait_for(lambda: world.events("alert.rules-refused"))
    assert world.cloud_jobs == 0
    rules.write_text(RULES + lungs)
    told = bridge(world, "rules", "reload")
    assert told.returncode == DONE, told.stderr
    assert told.stdout == "the rules are read again: new elsewhere; changed lungs\n"
    assert world.events("alert.rules-refused.over")
    world.send_all(world.new_study())
    world.wait_for(lambda: [job.state for job in world.jobs()] == [JobState.DONE] * 2, 60)
    assert {job.rule for job in world.jobs()} == {"lungs", "elsewhere"}
