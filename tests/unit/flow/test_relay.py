"""What is ready goes to the engine, once its algorithm is described; why it waits stands in its row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bridge.flow.at_work import at_work
from bridge.flow.job import turn_name
from bridge.flow.relay import ASK_AGAIN_S
from bridge.store.jobs import JobState
from intake_bench import Bench
from owed import DeliveryBench, job_ids


def ready(folder: Path) -> Bench:
    bench = Bench(folder)
    bench.receive("1.2")
    bench.pass_time(30.0)
    return bench


def test_job_waits_for_the_description_and_asks_once(tmp_path: Path) -> None:
    bench = ready(tmp_path)
    bench.relay.tick()
    bench.now += 1.0
    bench.relay.tick()
    assert [workflow for workflow, _, _ in bench.enqueued] == ["describe"]
    bench.specs.keep("gc", "lungs-and-airways", "", spec="{}")
    bench.relay.tick()
    assert bench.enqueued[-1] == ("prepare", "cpu", f"{bench.job().id}.prepare")
    assert bench.job().state is JobState.RUNNING


def test_job_says_why_the_platform_cannot_describe_and_asks_again(tmp_path: Path) -> None:
    bench = ready(tmp_path)
    bench.specs.keep("gc", "lungs-and-airways", "", spec=None, code="GC-010", reason="not visible")
    bench.relay.tick()
    job = bench.job()
    assert (job.code, job.reason, job.state) == ("GC-010", "not visible", JobState.READY)
    asked = len(bench.enqueued)
    bench.now += ASK_AGAIN_S
    bench.relay.tick()
    assert len(bench.enqueued) == asked + 1


def test_job_of_an_account_that_is_gone_waits_and_stops_no_other(tmp_path: Path) -> None:
    bench = ready(tmp_path)
    object.__setattr__(bench.parts, "site", replace(bench.site, accounts={}))
    bench.relay.tick()
    assert "no longer in site.toml" in bench.job().reason
    assert bench.job().state is JobState.READY


def test_due_turn_is_handed_over_once(tmp_path: Path) -> None:
    bench = DeliveryBench(tmp_path, pacs=1)
    (job,) = job_ids(1)
    bench.owe(job)
    for _ in range(3):
        bench.relay.tick()
    assert bench.handed == [(job, "pacs", 1)]
    bench.new_relay().tick()  # after a start: the engine may have lost it, and knows it if not
    assert bench.handed == [(job, "pacs", 1)] * 2


def test_turn_of_another_destination_does_not_wait_for_a_line_that_is_down(tmp_path: Path) -> None:
    bench = DeliveryBench(tmp_path, archive=1, pacs=1)
    one, other = job_ids(2)
    bench.owe(one, "archive")
    assert bench.look() == [(one, "archive")]
    bench.owe(other, "archive", "pacs")
    bench.relay.tick()
    assert bench.handed[1:] == [(other, "pacs", 1)]


def test_line_of_a_destination_that_left_site_toml_is_forgotten(tmp_path: Path) -> None:
    bench = DeliveryBench(tmp_path, pacs=1)
    bench.owe(*job_ids(1))
    bench.look()
    assert len(bench.alerts.all()) == 1
    bench.settings.clear()
    bench.look()
    assert bench.alerts.all() == []
    assert bench.turns.lines() == {}


def test_turn_does_not_begin_while_an_older_one_is_at_work(tmp_path: Path) -> None:
    bench = DeliveryBench(tmp_path, pacs=1)
    (job,) = job_ids(1)
    bench.owe(job)
    with at_work(turn_name(job, "pacs")):
        bench.relay.tick()
        assert bench.handed == []
    bench.relay.tick()
    assert bench.handed == [(job, "pacs", 1)]
