"""The same work once more: another job of the same rule and content, with a counter."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.uid import RLELossless
from tests.unit.flow.test_intake_growth import a_dose_report, in_rle, other_pixels

from bridge.errors import Refused
from bridge.flow.acts.rerun import rerun
from bridge.store.jobs import Job, JobState
from intake_bench import Bench


def done(folder: Path) -> tuple[Bench, Job]:
    bench = Bench(folder)
    bench.receive("1.2")
    bench.pass_time(30.0)
    bench.jobs.change(bench.job().id, state=JobState.DONE)
    return bench, bench.job()


def test_rerun_is_another_job_of_the_same_rule_and_content(tmp_path: Path) -> None:
    bench, first = done(tmp_path)
    again = bench.jobs.get(rerun(bench.parts, first.id))
    assert again.id != first.id
    assert (again.state, again.rerun, again.reason) == (JobState.READY, 1, "")
    same = ("rule", "frozen", "contents", "inputs", "account", "algorithm", "study_instance_uid")
    assert [getattr(again, name) for name in same] == [getattr(first, name) for name in same]
    assert bench.line(again.id, "job.rerun-of").keys == {"job": first.id, "rerun": 1}


def test_each_rerun_counts_on_whichever_job_it_is_of(tmp_path: Path) -> None:
    bench, first = done(tmp_path)
    second = rerun(bench.parts, first.id)
    third = rerun(bench.parts, first.id)
    fourth = rerun(bench.parts, second)
    assert [bench.jobs.get(one).rerun for one in (second, third, fourth)] == [1, 2, 3]
    assert len({first.id, second, third, fourth}) == 4


def test_rerun_of_a_job_of_before_contents_were_kept_has_the_same_identity(tmp_path: Path) -> None:
    bench, first = done(tmp_path)
    bench.jobs.change(first.id, contents="{}")
    bench.fail = lambda: pytest.fail("the digests are kept: nothing is decoded again")
    again = bench.jobs.get(rerun(bench.parts, first.id))
    assert again.contents == first.contents
    assert bench.jobs.get(rerun(bench.parts, again.id)).rerun == 2


def test_rerun_takes_the_newest_versions_that_show_the_same(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    sent = bench.receive("1.2")
    bench.pass_time(30.0)
    bench.jobs.started(bench.job().id)
    for one in sent:
        packed, body = in_rle(one)
        bench.keep(packed, body, RLELossless)
    again = bench.jobs.get(rerun(bench.parts, bench.job().id))
    assert json.loads(again.inputs) == {"ct-image": [5, 6, 7, 8]}


def test_rerun_keeps_its_input_where_newer_versions_show_something_else(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    sent = bench.receive("1.2")
    bench.pass_time(30.0)
    first = bench.job()
    bench.jobs.started(first.id)
    other_pixels(bench, sent)
    again = bench.jobs.get(rerun(bench.parts, first.id))
    assert again.inputs == first.inputs


def test_decision_leaves_a_rerun_alone(tmp_path: Path) -> None:
    bench, first = done(tmp_path)
    again = rerun(bench.parts, first.id)
    sent = bench.receive("1.2", slices=1, first=4)
    a_dose_report(bench, sent)
    bench.pass_time(30.0)
    assert bench.jobs.get(again).state is JobState.READY
    assert len(bench.jobs.all()) == 3


def test_rerun_without_pixels_is_refused(tmp_path: Path) -> None:
    bench, first = done(tmp_path)
    gone = bench.instances

    class Dropped:
        def of_study(self, study: str) -> tuple[object, ...]:
            return tuple(replace(one, dropped_at=1.0) for one in gone.of_study(study))

        def by_number(self, numbers: list[int]) -> dict[int, object]:
            held = gone.by_number(numbers)
            return {number: replace(one, dropped_at=1.0) for number, one in held.items()}

        def frame_digests(self, numbers: list[int]) -> dict[tuple[int, int], str]:
            return gone.frame_digests(numbers)

    bench.parts.instances = Dropped()  # type: ignore[misc, assignment]
    with pytest.raises(Refused, match="4 of 4 objects whose pixels retention has removed"):
        rerun(bench.parts, first.id)
    assert [job.id for job in bench.jobs.all()] == [first.id]
