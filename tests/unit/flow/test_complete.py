"""When a study counts as complete: the judgement as a table, and the questions to a real small PACS."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from bridge.config.site import Site
from bridge.deliver.association import Address
from bridge.deliver.query import Named, Silent
from bridge.flow.study.complete import Ask, Complete, Completeness, Terms, Wait, judge, terms_of
from bridge.sandbox.pacs import SmallPacs, send
from bridge.store.jobs import JobState
from bridge.store.studies import Study
from intake_bench import Bench
from made_objects import ct_slice

HOUR = 3600.0
TERMS = Terms(longest_s=4 * HOUR, then="hold", ask=None, retry_s=(10.0, 60.0))
ASKING = replace(TERMS, ask="pacs")
THREE = frozenset({"1.1", "1.2", "1.3"})
SILENT = Silent(reason="no connection")


def study(**changes: Any) -> Study:
    """Opened at 1000, quiet since 2000."""
    values: dict[str, Any] = {
        "study_instance_uid": "1.2",
        "name": "abc",
        "state": "open",
        "source": "ct",
        "first_at": 500.0,
        "last_at": 2000.0,
        "due_at": 2030.0,
        "quiet_s": 30.0,
        "attempts": 0,
        "opened_at": 1000.0,
        "waits": "",
        "complete": "",
        "asked": "",
        "released": "",
        "doubts": "",
    }
    return Study(**(values | changes))


def named(*uids: str) -> Named:
    return Named(sop_instance_uids=frozenset(uids))


def first_answer() -> str:
    """What is remembered of an archive that named those three."""
    verdict = judge(study(), ASKING, 2030.0, answer=Named(sop_instance_uids=THREE), held=THREE)
    assert isinstance(verdict, Wait)
    assert verdict.after_s == 30.0
    return verdict.asked


def test_quiet_study_is_complete_where_nobody_is_asked() -> None:
    assert judge(study(), TERMS, 2030.0) == Complete(reason="nothing for 30 s")


def test_quiet_study_is_asked_for_where_the_source_says_so() -> None:
    assert isinstance(judge(study(), ASKING, 2030.0), Ask)


MISSING = [
    ({"answer": named("1.1", "1.2", "1.4"), "held": THREE}, "pacs names 3 objects, 1 is not here"),
    ({"answer": named(), "held": THREE}, "pacs names no object of the study"),
    ({"answer": named("9.9"), "held": THREE, "own": {"9.9"}}, "pacs names no object of the study"),
    ({"answer": SILENT}, "pacs does not say what the study has: no connection"),
]


@pytest.mark.parametrize(("facts", "reason"), MISSING)
def test_study_waits_with_the_reason(facts: dict[str, Any], reason: str) -> None:
    verdict = judge(study(), ASKING, 2030.0, **facts)
    assert isinstance(verdict, Wait)
    assert (verdict.reason, verdict.alert) == (reason, False)


@pytest.mark.parametrize(("facts", "reason"), MISSING)
@pytest.mark.parametrize("then", ["go-on", "hold", "alert"])
def test_longest_wait_ends_as_the_source_says(facts: dict[str, Any], reason: str, then: Any) -> None:
    verdict = judge(study(), replace(ASKING, then=then), 1000.0 + 4 * HOUR, **facts)
    match verdict:
        case Complete(doubt=None):
            assert then == "go-on"
            assert verdict.reason == f"the longest wait is over: {reason}, 4 h after it opened"
        case Complete(doubt=doubt):
            assert then == "hold"
            assert doubt is not None
            assert doubt.reason == f"not complete: {reason}, 4 h after it opened"
        case Wait():
            assert then == "alert"
            assert verdict.alert


def test_only_two_equal_answers_make_it_complete() -> None:
    asked = first_answer()
    again = judge(study(asked=asked), ASKING, 2060.0, answer=Named(sop_instance_uids=THREE), held=THREE)
    assert again == Complete(reason="pacs names 3 objects, all are here; it named the same 30 s before")
    fewer = judge(study(asked=asked), ASKING, 2060.0, answer=named("1.1"), held=THREE)
    assert isinstance(fewer, Wait)


def test_results_of_ours_count_on_neither_side() -> None:
    asked = first_answer()
    facts: dict[str, Any] = {"held": THREE | {"8.8"}, "own": {"8.8", "9.9"}}
    verdict = judge(study(asked=asked), ASKING, 2060.0, answer=named(*THREE, "9.9"), **facts)
    assert isinstance(verdict, Complete)


def test_what_is_here_beyond_what_the_archive_names_does_not_hinder() -> None:
    asked = first_answer()
    verdict = judge(
        study(asked=asked), ASKING, 2060.0, answer=Named(sop_instance_uids=THREE), held=THREE | {"1.7"}
    )
    assert isinstance(verdict, Complete)


def test_second_answer_may_come_a_little_after_the_longest_wait() -> None:
    late = 1000.0 + 4 * HOUR
    at_end = study(last_at=late - 40.0)
    verdict = judge(at_end, ASKING, late, answer=Named(sop_instance_uids=THREE), held=THREE)
    assert isinstance(verdict, Wait)
    verdict = judge(at_end, ASKING, late + 60.0, answer=Named(sop_instance_uids=THREE), held=THREE)
    assert isinstance(verdict, Complete)
    assert verdict.doubt is not None


def test_silent_archive_is_asked_with_growing_pauses_up_to_the_limit() -> None:
    pauses = []
    for silences, now in ((0, 2030.0), (1, 2040.0), (7, 2100.0), (8, 1000.0 + 4 * HOUR - 5.0)):
        verdict = judge(study(), ASKING, now, answer=SILENT, silences=silences)
        assert isinstance(verdict, Wait)
        pauses.append(verdict.after_s)
    assert pauses == [10.0, 60.0, 60.0, 5.0]


def test_study_that_never_gets_quiet_has_a_limit() -> None:
    now = 1000.0 + 4 * HOUR
    growing = study(last_at=now - 1.0, due_at=now + 29.0)
    verdict = judge(growing, replace(ASKING, then="go-on"), now)
    assert verdict == Complete(reason="the longest wait is over: objects keep arriving, 4 h after it opened")


def test_study_that_got_quiet_in_the_end_is_complete_however_long_it_took() -> None:
    now = 1000.0 + 9 * HOUR
    assert judge(study(last_at=now - 30.0, due_at=now), TERMS, now) == Complete(reason="nothing for 30 s")


def test_person_can_let_an_incomplete_study_go_on() -> None:
    waiting = study(waits="pacs names no object of the study", released="STU-009.1000")
    assert judge(waiting, ASKING, 2030.0) == Complete(
        reason="a person let it go on although pacs names no object of the study"
    )
    assert isinstance(judge(replace(waiting, opened_at=7000.0), ASKING, 7030.0), Ask), "another round"


def test_source_without_settings_of_its_own_has_those_of_the_receiver(tmp_path: Path) -> None:
    site: Site = Bench(tmp_path, source='longest_s = 60.0\nthen = "alert"\nask = "pacs"').site
    assert terms_of(site, "ct") == Terms(longest_s=60.0, then="alert", ask="pacs", retry_s=(10.0, 30.0))
    assert terms_of(site, "gone") == Terms(longest_s=14400.0, then="hold", ask=None, retry_s=())


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[SmallPacs]:
    with SmallPacs(tmp_path / "pacs", ae_title="PACS") as pacs:
        yield pacs


def store(pacs: SmallPacs, folder: Path, made: list[Dataset]) -> None:
    files = []
    for one in made:
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
        files.append(folder / f"{one.SOPInstanceUID}.dcm")
        one.save_as(files[-1], enforce_file_format=True)
    assert send(files, port=pacs.port) == [0] * len(files)


def asking(folder: Path, pacs: SmallPacs, more: str = "") -> Bench:
    return Bench(folder, port=pacs.port, source=f'ask = "pacs"\n{more}')


def test_study_waits_for_what_the_archive_names_and_goes_on_when_it_is_here(
    tmp_path: Path, pacs: SmallPacs
) -> None:
    bench = asking(tmp_path, pacs)
    made = bench.receive("1.2", slices=5)
    late = others(2)
    store(pacs, tmp_path, [*made, *late])
    bench.pass_time_answered(30.0)
    assert bench.study().waits == "pacs names 7 objects, 2 are not here"
    assert bench.jobs.all() == []
    for one in late:
        bench.keep(one)
    bench.pass_time_answered(30.0)
    assert bench.study().waits == "pacs names 7 objects, all are here; asked again in 30 s"
    bench.pass_time_answered(30.0)
    assert bench.job().state is JobState.READY
    assert bench.study().complete == ("pacs names 7 objects, all are here; it named the same 30 s before")


def others(count: int) -> list[Dataset]:
    made = [ct_slice(number=20 + number, study="1.2", series="1.2.5") for number in range(count)]
    for one in made:
        one.Modality = "MR"
    return made


def test_own_result_at_the_archive_is_not_waited_for(tmp_path: Path, pacs: SmallPacs) -> None:
    bench = asking(tmp_path, pacs)
    made = bench.receive("1.2")
    (ours,) = others(1)
    store(pacs, tmp_path, [*made, ours])
    bench.pass_time_answered(30.0)
    assert "1 is not here" in bench.study().waits
    with bench.index.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO jobs (id, rule, study_instance_uid, account, algorithm, declared_version, state, stage,"
            " frozen, inputs, explanation, created_at, changed_at)"
            " VALUES ('j0', 'old', '1.2', 'gc', 'a', '', 'done', 'deliver', '{}', '{}', '{}', 0, 0)"
        )
    bench.own_result(ours.SOPInstanceUID, "j0")
    bench.pass_time_answered(30.0)
    bench.pass_time_answered(30.0)
    assert bench.study().state == "decided"


def test_archive_that_is_down_is_asked_again_and_in_the_end_a_person_is_called(tmp_path: Path) -> None:
    bench = Bench(tmp_path, port=1, source='ask = "pacs"\nlongest_s = 100.0\nthen = "alert"')
    bench.receive("1.2")
    bench.pass_time_answered(30.0)
    assert bench.study().waits.startswith("pacs does not say what the study has: no connection")
    assert bench.alert_kinds() == []
    assert bench.study().due_at == bench.now + 10.0
    bench.pass_time_answered(10.0)
    assert bench.study().due_at == bench.now + 30.0
    bench.pass_time_answered(60.0)
    assert bench.alert_kinds() == ["study-incomplete"]
    assert bench.studies.accept(bench.study().name)
    bench.pass_time_answered(0.0)
    assert bench.job().state is JobState.READY
    assert bench.study().complete.startswith("a person let it go on although pacs does not say")
    assert bench.alert_kinds() == []


def test_archive_that_hangs_keeps_no_other_study_waiting(tmp_path: Path) -> None:
    bench = Bench(tmp_path, source='ask = "pacs"')
    release, asked = threading.Event(), []

    def hangs(address: Address, study_instance_uid: str) -> Named | Silent:
        asked.append((study_instance_uid, address.dimse_timeout_s))
        release.wait(10.0)
        return SILENT

    bench.intake._completeness = Completeness(bench.parts, ask=hangs)
    for number in range(5):
        bench.receive(f"1.2.{number}", slices=1)
    with bench.index.write() as connection:
        connection.exec_driver_sql("UPDATE studies SET source = 'other' WHERE study_instance_uid = '1.2.4'")
    began = time.monotonic()
    for _ in range(5):
        bench.pass_time(30.0)
    assert time.monotonic() - began < 5.0
    assert bench.study("1.2.4").state == "decided"
    assert len(asked) == Completeness.AT_ONCE, "one question per study, and not all at once"
    assert len(set(asked)) == len(asked)
    release.set()


def test_answer_that_is_older_than_the_study_is_not_used(tmp_path: Path) -> None:
    bench = Bench(tmp_path, source='ask = "pacs"')
    answers = iter([named("2.2"), SILENT])
    done = threading.Event()

    def ask(address: Address, study_instance_uid: str) -> Named | Silent:
        answer = next(answers)
        done.wait(5.0)
        return answer

    bench.intake._completeness = Completeness(bench.parts, ask=ask)
    bench.receive("1.2")
    bench.pass_time(30.0)
    bench.receive("1.2", slices=1, first=4)
    done.set()
    bench.pass_time_answered(30.0)
    assert bench.study().waits == "pacs does not say what the study has: no connection"


def test_study_of_a_sender_that_never_stops_is_decided_once_a_round(tmp_path: Path) -> None:
    bench = Bench(tmp_path, source='longest_s = 100.0\nthen = "go-on"')
    for number in range(25):
        bench.receive("1.2", slices=1, first=number)
        bench.pass_time(5.0)
        bench.pass_time(5.0)
    # 250 s: two rounds of 100 s; the second job replaced the first, which had not begun.
    assert sorted(job.state for job in bench.jobs.all()) == [JobState.CANCELLED, JobState.READY]
    ready = next(job for job in bench.jobs.all() if job.state is JobState.READY)
    assert "objects keep arriving" in bench.line(ready.id, "study.complete").keys["reason"]


def test_study_of_a_sender_that_never_stops_is_held_and_goes_on_when_it_stops(tmp_path: Path) -> None:
    bench = Bench(tmp_path, source="longest_s = 100.0")
    for number in range(12):
        bench.receive("1.2", slices=1, first=number)
        bench.pass_time(10.0)
    outcome, reason = bench.outcome()
    assert outcome == "held"
    assert reason == "STU-009: not complete: objects keep arriving, 100 s after it opened"
    assert bench.jobs.all() == []
    assert bench.alert_kinds() == ["study-incomplete"]
    bench.pass_time(30.0)
    assert bench.job().state is JobState.READY
    assert bench.alert_kinds() == []


def test_held_study_goes_on_when_a_person_accepts_it_as_it_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path, port=1, source='ask = "pacs"\nlongest_s = 40.0')
    bench.receive("1.2")
    bench.pass_time_answered(40.0)
    assert bench.outcome()[0] == "held"
    assert bench.studies.accept(bench.study().name)
    bench.pass_time(0.0)
    assert bench.job().state is JobState.READY
    assert bench.alert_kinds() == []
