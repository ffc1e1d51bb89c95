"""`bridge status`: what waits, on whom, since when; nothing of a patient in it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.unit.cli.site_bench import STUDY, Bench

from bridge.operate.status import REMEDIES
from bridge.receive.admit import Why
from bridge.store.alerts import Alerts
from bridge.store.jobs import JobState, Stage
from bridge.store.refusals import Refusals
from bridge.store.turns import Turns


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_nothing_waits_and_the_service_lives(bench: Bench) -> None:
    bench.lives()
    code, told = bench.run("status")
    assert code == 0
    assert told.startswith("BRIDGE serves on port 11112; nothing needs a person\n")


def test_service_that_does_not_run_needs_a_person(bench: Bench) -> None:
    code, told = bench.run("status")
    assert code == 1
    assert told.startswith("BRIDGE does not run; 1 thing needs a person\n")


@pytest.mark.parametrize("kind", REMEDIES)
def test_alert_comes_first_with_its_remedy(bench: Bench, kind: str) -> None:
    bench.lives()
    Alerts(bench.index).begin(kind, "pacs", "no connection")
    code, told = bench.run("status")
    lines = told.splitlines()
    assert code == 1
    assert lines[1].startswith(f"! {kind} pacs,")
    assert lines[2].strip() == REMEDIES[kind]


@pytest.mark.parametrize(
    ("state", "needs"),
    [(state, int(state in (JobState.HELD, JobState.FAILED))) for state in JobState],
)
def test_jobs_that_only_a_person_can_move_need_one(bench: Bench, state: JobState, needs: int) -> None:
    bench.lives()
    for id in ("aaaa1111", "bbbb1111"):
        bench.job(id, state=state, run=1)
    told = bench.json("status")
    assert told["needs_a_person"] == needs
    assert [(one["what"], one["count"]) for one in told["groups"]] == [(f"jobs {state}", 2)]


def test_jobs_at_a_platform_are_counted_against_its_limit(bench: Bench) -> None:
    for number in range(3):
        bench.job(f"aaaa{number}", state=JobState.RUNNING, stage=Stage.CLOUD)
    bench.job("bbbb", state=JobState.READY)
    [account] = bench.json("status")["accounts"]
    assert (account["at_work"], account["limit"], account["waiting"]) == (2, 2, 2)


def test_line_that_is_down_says_since_when_and_when_it_is_tried(bench: Bench) -> None:
    bench.job("aaaa1111", state=JobState.RUNNING, stage=Stage.DELIVER)
    bench.results("aaaa1111")
    Turns(bench.index).line_down("pacs", time.time() + 1200, "DLV-005", "connection refused")
    line = next(text for text in bench.run("status")[1].splitlines() if text.startswith("pacs "))
    assert line.split()[:2] == ["pacs", "1"]
    assert "in 20 min" in line
    assert "down for 0 s: connection refused" in line


def test_studies_say_why_they_wait(bench: Bench) -> None:
    bench.study("open12345678", "1.2.3", state="open", waits="the archive names 3 more objects")
    bench.study("held12345678", "1.2.4", doubts="STU-001:x", waits="two Patient IDs")
    told = {one["name"]: one for one in bench.json("status")["studies"]}
    assert told["open12345678"]["why"] == "the archive names 3 more objects"
    assert told["open12345678"]["due_at"] is not None
    assert (told["held12345678"]["state"], told["held12345678"]["due_at"]) == ("held", None)


def test_held_study_says_why_it_is_held(bench: Bench) -> None:
    bench.study("held12345678", "1.2.4", doubts="STU-001:x")
    Alerts(bench.index).begin("study-held", "held12345678", "STU-001: the study has 2 different Patient IDs")
    [held] = bench.json("status")["studies"]
    assert held["why"] == "STU-001: the study has 2 different Patient IDs"


def test_what_nothing_is_said_of_has_no_column(bench: Bench) -> None:
    bench.lives()
    bench.job("aaaa1111", state=JobState.DONE)
    told = bench.run("status")[1].splitlines()
    assert ["what", "count"] in [line.split() for line in told]
    assert ["platform", "at", "work", "waiting"] in [line.split() for line in told]
    bench.job("bbbb1111", state=JobState.FAILED, run=1)
    rows = [line.split() for line in bench.run("status")[1].splitlines()]
    assert ["what", "count", "oldest", "do"] in rows
    assert ["jobs", "done", "1", "-"] in rows


def test_refused_peer_comes_with_what_would_admit_it(bench: Bench) -> None:
    Refusals(bench.index).note("NEWCT", "BRIDGE", "10.0.0.7", Why.CALLING)
    Refusals(bench.index).note("LOST", "OTHER", "10.0.0.8", Why.CALLED)
    told = bench.run("status")[1]
    assert '    [sources.newct]\n    ae_title = "NEWCT"\n    host = "10.0.0.7"\n' in told
    assert "sources.lost" not in told


def test_one_screen_however_much_waits(bench: Bench) -> None:
    for number in range(100):
        bench.study(f"study{number:07}", f"1.2.{number}", state="open")
        Refusals(bench.index).note(f"CT{number}", "BRIDGE", "10.0.0.7", Why.CALLED)
    told = bench.run("status")[1]
    assert len(told.splitlines()) < 50
    assert told.count("and 92 more") == 2


def test_no_uid_of_the_house_is_shown(bench: Bench) -> None:
    bench.study("open12345678", "1.2.826.0.1.3680043.8.498.78", state="open")
    bench.job("aaaa1111", state=JobState.HELD, reason="two candidates")
    bench.results("aaaa1111")
    for words in (["status"], ["status", "--json"], ["jobs", "list"]):
        assert STUDY.rpartition(".")[0] not in bench.run(*words)[1]
