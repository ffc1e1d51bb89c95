"""A rule that takes every volume, through intake: real objects, real tables."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydicom.dataset import Dataset

from bridge.flow.acts import perform
from bridge.flow.acts.rerun import rerun
from bridge.flow.stages.inputs import tolerance_of, volumes_of
from bridge.rules import Explanation
from bridge.store.jobs import Job, JobState
from bridge.store.not_begun import REPLACED
from intake_bench import Bench

EACH = '[rules.lungs]\nfor_each = "ct-image"\n'


def bench_with(folder: Path, rule: str = "", mode: str = "live") -> Bench:
    bench = Bench(folder, mode=mode)
    file = folder / "rules.toml"
    file.write_text(file.read_text().replace("[rules.lungs]\n", EACH + rule, 1))
    bench.load_rules()
    return bench


def series(bench: Bench, number: int, slices: int = 4, first: int = 0, **attributes: Any) -> list[Dataset]:
    """A series that shows something of its own: its numbers begin elsewhere."""
    given = {"SeriesInstanceUID": f"1.2.{number}", "SeriesNumber": number, "RescaleIntercept": -1000 - number}
    return bench.receive("1.2", slices, first, **given | attributes)


def by_series(bench: Bench) -> dict[int, Job]:
    """The jobs that stand, by the number of the series that they take."""
    held = {one.number: one for one in bench.instances.of_study("1.2")}
    found = {}
    for job in bench.jobs.of_study("1.2"):
        numbers = json.loads(job.inputs)["ct-image"]
        if job.code != REPLACED:
            found[int(held[numbers[0]].header.SeriesNumber)] = job
    return found


def told(job: Job) -> Explanation:
    return TypeAdapter(Explanation).validate_json(job.explanation)


def test_each_series_has_its_job_and_its_reason(tmp_path: Path) -> None:
    bench = bench_with(tmp_path)
    series(bench, 1)
    series(bench, 2)
    bench.pass_time(30.0)
    jobs = by_series(bench)
    assert sorted(jobs) == [1, 2]
    for number, job in jobs.items():
        (volume,) = volumes_of(bench.instances, job, tolerance_of(bench.site)).values()
        assert volume.series_instance_uid == f"1.2.{number}"
        assert told(job).reason.startswith(f"ct-image is series {number}, CT, 4 images")
        (one,) = told(job).inputs
        assert [verdict.chosen for verdict in one.candidates] == [number == 1, number == 2]
        assert bench.told(job.id)[-1] == "rule.matched"
    outcome, reason = bench.outcome()
    assert (outcome, reason.partition(":")[0]) == ("match", "ct-image is each of 2 volumes")


def test_series_of_a_rule_that_gets_for_each_makes_no_second_job(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    series(bench, 1)
    bench.pass_time(30.0)
    first = bench.job()
    file = tmp_path / "rules.toml"
    file.write_text(file.read_text().replace("[rules.lungs]\n", EACH, 1))
    bench.load_rules()
    series(bench, 2)
    bench.pass_time(30.0)
    assert by_series(bench)[1].id == first.id
    assert len(bench.jobs.all()) == 2


def test_two_series_that_show_the_same_are_one_job(tmp_path: Path) -> None:
    bench = bench_with(tmp_path)
    series(bench, 1)
    series(bench, 2, RescaleIntercept=-1001)
    series(bench, 3)
    bench.pass_time(30.0)
    assert sorted(by_series(bench)) == [1, 3]
    assert bench.outcome()[1].endswith("; 1 of them show what another shows, which is one job")


def test_series_without_pixels_that_can_be_read_makes_no_job_and_the_others_do(tmp_path: Path) -> None:
    bench = bench_with(tmp_path)
    series(bench, 1, PixelData=b"\0\0")
    series(bench, 2)
    bench.pass_time(30.0)
    assert sorted(by_series(bench)) == [2]
    outcome, reason = bench.outcome()
    assert outcome == "match"
    assert "; no job for 1 of them, PIX-" in reason


def test_no_series_with_pixels_that_can_be_read_is_refused(tmp_path: Path) -> None:
    bench = bench_with(tmp_path)
    series(bench, 1, PixelData=b"\0\0")
    series(bench, 2, PixelData=b"\0\0\0\0")
    bench.pass_time(30.0)
    assert bench.jobs.all() == []
    outcome, reason = bench.outcome()
    assert (outcome, reason[:4], reason[-12:]) == ("refused", "PIX-", "(and 1 more)")


def test_series_that_comes_later_makes_its_own_job_only(tmp_path: Path) -> None:
    bench = bench_with(tmp_path)
    series(bench, 1)
    bench.pass_time(30.0)
    first = bench.job()
    series(bench, 2)
    bench.pass_time(30.0)
    assert by_series(bench).keys() == {1, 2}
    assert bench.jobs.get(first.id) == first


def test_series_that_grew_replaces_its_own_job_only(tmp_path: Path) -> None:
    bench = bench_with(tmp_path)
    series(bench, 1)
    series(bench, 2)
    bench.pass_time(30.0)
    before = by_series(bench)
    series(bench, 2, slices=2, first=4)
    bench.pass_time(30.0)
    after = by_series(bench)
    assert after[1] == before[1]
    assert bench.line(before[2].id, "job.replaced").keys["by"] == after[2].id
    assert len(json.loads(after[2].inputs)["ct-image"]) == 6


@pytest.mark.parametrize(
    ("mode", "jobs"), [("hold", JobState.HELD), ("explain", None), ("live", JobState.READY)]
)
def test_mode_is_that_of_every_job(tmp_path: Path, mode: str, jobs: JobState | None) -> None:
    bench = bench_with(tmp_path, mode=mode)
    series(bench, 1)
    series(bench, 2)
    bench.pass_time(30.0)
    assert [job.state for job in bench.jobs.all()] == ([jobs, jobs] if jobs else [])
    assert bench.outcome()[0] == "match"


def test_rest_of_a_study_is_made_when_the_budget_has_room(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule="jobs_per_day = 2\n")
    for number in range(1, 6):
        series(bench, number)
    bench.pass_time(30.0)
    assert sorted(by_series(bench)) == [1, 2]
    assert "; 2 of 5 jobs are made" in bench.outcome()[1]
    bench.pass_time(5.0)
    assert len(bench.jobs.all()) == 2
    for count in (4, 5):
        bench.pass_time(86400.0)
        assert len(bench.jobs.all()) == count
    assert bench.outcome()[0] == "match"
    assert "rule-paused" not in bench.alert_kinds()


def test_log_has_a_line_for_each_job(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bench = bench_with(tmp_path, rule="jobs_per_day = 1\n")
    series(bench, 1)
    series(bench, 2)
    with caplog.at_level("INFO", logger="bridge.intake"):
        bench.pass_time(30.0)
        bench.pass_time(86400.0)
    lines = [one for one in caplog.records if "rule.decided" in one.getMessage()]
    assert len(lines) == 3
    assert len({job.id for job in bench.jobs.all()}) == 2


def test_rerun_of_one_is_that_one(tmp_path: Path) -> None:
    bench = bench_with(tmp_path)
    series(bench, 1)
    series(bench, 2)
    bench.pass_time(30.0)
    jobs = by_series(bench)
    again = [bench.jobs.get(rerun(bench.parts, jobs[number].id)) for number in (1, 2)]
    assert [one.rerun for one in again] == [1, 1]
    assert [one.inputs for one in again] == [jobs[number].inputs for number in (1, 2)]


def test_rerun_of_another_volume_is_not_taken_for_its_own(tmp_path: Path) -> None:
    """Two acts wait; the first is done, and a crash comes between the two halves of the second."""
    bench = bench_with(tmp_path)
    series(bench, 1)
    series(bench, 2)
    bench.pass_time(30.0)
    jobs = by_series(bench)
    for job in jobs.values():
        bench.jobs.change(job.id, state=JobState.DONE)
    first = rerun(bench.parts, jobs[1].id)
    act: Any = SimpleNamespace(asked_at=bench.now - 60)
    assert perform._began_since(bench.parts, jobs[1], act) == first
    assert perform._began_since(bench.parts, jobs[2], act) == ""
