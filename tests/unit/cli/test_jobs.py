"""`bridge jobs`: what a person reads, and what becomes of a wish."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from tests.unit.cli.site_bench import Bench

from bridge.errors import ConfigError
from bridge.operate.acts import LONGEST_REASON, user
from bridge.store.acts import DONE, REFUSED, Acts
from bridge.store.deliveries import Answered, Deliveries
from bridge.store.jobs import JobState, Stage
from bridge.store.tables import Index
from bridge.store.turns import Turns


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_list_says_in_short_what_each_destination_waits_for(bench: Bench) -> None:
    bench.job("aaaa1111", state=JobState.RUNNING, stage=Stage.DELIVER)
    bench.results("aaaa1111")
    turn = Turns(bench.index).get("aaaa1111", "pacs")
    assert turn is not None
    Turns(bench.index).later(turn, time.time() + 600, "DLV-001", "0xA700 refused: out of resources")
    told = bench.run("jobs", "list")[1]
    assert "pacs in 10 min: 0xA700 refused: out of resources" in told
    [listed] = bench.json("jobs", "list")
    assert [one["destination"] for one in listed["turns"]] == ["pacs"]


def test_list_says_which_volume_is_whose_job(bench: Bench) -> None:
    for id, chosen in (("aaaa1111", 0), ("bbbb2222", 1)):
        candidates = [
            {
                "series_instance_uid": "",
                "label": f"series {n}",
                "chosen": n == chosen,
                "reason": "",
                "checks": [],
            }
            for n in range(2)
        ]
        taken = {"input": "ct-image", "chosen": chosen, "reason": "", "candidates": candidates}
        explanation = {"rule": "lungs", "outcome": "match", "reason": "", "study": [], "inputs": [taken]}
        bench.job(id, frozen='{"for_each":"ct-image"}', explanation=json.dumps(explanation))
    told = " ".join(bench.run("jobs", "list")[1].split())
    assert "aaaa1111 lungs series 0 cancelled" in told
    assert "bbbb2222 lungs series 1 ready" in told


def test_job_whose_destination_is_away_waits_for_the_line(bench: Bench) -> None:
    bench.job("aaaa1111", state=JobState.RUNNING, stage=Stage.DELIVER)
    bench.results("aaaa1111")
    Turns(bench.index).line_down("pacs", time.time() + 1200, "DLV-005", "no connection")
    assert "pacs in 20 min: no connection" in bench.run("jobs", "list")[1]
    assert "in 20 min" in bench.run("jobs", "show", "aaaa")[1]


def test_show_has_each_result_at_each_destination_by_its_kind(bench: Bench) -> None:
    bench.job("aaaa1111", state=JobState.RUNNING, stage=Stage.DELIVER)
    bench.results("aaaa1111")
    said = Answered(outcome="warned", status=0xB000, reason="0xB000 coercion of data elements")
    Deliveries(bench.index).answered("aaaa1111", "pacs", {"1.2.826.0.1.3680043.8.498.0": said})
    lines = bench.run("jobs", "show", "aaaa")[1].splitlines()
    assert any(line.split()[:3] == ["pacs", "SEG", "warned"] and "0xB000 coercion" in line for line in lines)
    assert any(line.split()[:3] == ["pacs", "SR", "owed"] for line in lines)
    assert {one["kind"] for one in bench.json("jobs", "show", "aaaa")["deliveries"]} == {"SEG", "SR"}


def test_show_has_what_people_asked_about_the_job_and_its_stages(bench: Bench) -> None:
    bench.job("aaaa1111", state=JobState.FAILED)
    asked = Acts(bench.index)
    asked.done(asked.ask("retry", "aaaa1111.encode", who="ann", reason="again"), DONE, "goes on")
    asked.ask("cancel", "aaaa1111", who="ben")
    told = bench.json("jobs", "show", "aaaa")["acts"]
    assert [(one["act"], one["who"], one["outcome"]) for one in told] == [
        ("retry", "ann", "done"),
        ("cancel", "ben", ""),
    ]


@pytest.mark.parametrize("command", ["show", "retry", "cancel", "release"])
def test_unknown_job_says_so(bench: Bench, command: str) -> None:
    with pytest.raises(ConfigError, match=r"no job begins with 'ffff'; expected one job"):
        bench.run("jobs", command, "ffff")


def test_beginning_of_two_jobs_names_both(bench: Bench) -> None:
    bench.job("aaaa1111")
    bench.job("aaaa2222")
    with pytest.raises(ConfigError, match="2 jobs begin with 'aaaa': aaaa1111, aaaa2222"):
        bench.run("jobs", "show", "aaaa")


def test_wish_is_recorded_when_no_service_runs(bench: Bench) -> None:
    bench.job("aaaa1111", state=JobState.FAILED)
    code, told = bench.run("jobs", "retry", "aaaa", "--from", "prepare", "--reason", "disk\nfull")
    assert code == 3
    assert "it is done when it starts" in told
    [wish] = Acts(bench.index).waiting()
    assert (wish.act, wish.target, wish.reason, wish.who) == (
        "retry",
        "aaaa1111.prepare",
        "disk full",
        user(),
    )


def test_long_reasons_are_cut(bench: Bench) -> None:
    bench.job("aaaa1111", state=JobState.FAILED)
    bench.run("jobs", "cancel", "aaaa", "--reason", "x" * 1000)
    assert len(Acts(bench.index).waiting()[0].reason) == LONGEST_REASON


@pytest.mark.parametrize(("outcome", "code"), [(DONE, 0), (REFUSED, 1)])
def test_answer_of_the_service_is_printed_and_decides_the_exit_code(
    bench: Bench, outcome: str, code: int
) -> None:
    bench.job("aaaa1111", state=JobState.FAILED)
    bench.lives()
    service = threading.Thread(target=answer, args=(bench.index, outcome))
    service.start()
    assert bench.run("jobs", "cancel", "aaaa") == (code, "so it is\n")
    service.join()


def answer(index: Index, outcome: str) -> None:
    acts = Acts(index)
    until = time.monotonic() + 10
    while not acts.waiting() and time.monotonic() < until:
        time.sleep(0.02)
    acts.done(acts.waiting()[0].id, outcome, "so it is")


def test_study_is_released_by_the_beginning_of_its_name(bench: Bench) -> None:
    bench.run("jobs", "release", "abcd")
    assert Acts(bench.index).waiting()[0].target == "abcdef012345"


def test_rule_that_pauses_is_resumed_by_its_name(bench: Bench) -> None:
    code, told = bench.run("rules", "resume", "lungs", "--reason", "seen")
    (asked,) = Acts(bench.index).waiting()
    assert (asked.act, asked.target, asked.reason) == ("rules-resume", "lungs", "seen")
    assert code == 3
    assert "the service does not run" in told


def test_stage_that_is_none_is_a_mistake(bench: Bench) -> None:
    bench.job("aaaa1111")
    with pytest.raises(ConfigError, match="one of prepare, cloud, encode, deliver"):
        bench.run("jobs", "retry", "aaaa", "--from", "upload")


def test_index_of_another_release_is_a_sentence(bench: Bench) -> None:
    with bench.index.write() as connection:
        connection.exec_driver_sql("PRAGMA user_version = 1")
    with pytest.raises(ConfigError, match="an index of schema 1"):
        bench.run("jobs", "list")


def test_text_of_a_peer_neither_colours_nor_steers_the_terminal(bench: Bench) -> None:
    bench.job("aaaa1111", state=JobState.FAILED, reason="[red]x[/] \x1b[2Jgone")
    told = bench.run("jobs", "list")[1]
    assert "[red]x[/] ?[2Jgone" in told
    assert "\x1b[2J" not in told
