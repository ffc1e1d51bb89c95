"""After a start: what was under way goes on, and what cannot is said for as long as it is so."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.flow.keeping.resume import resume
from bridge.flow.stages.prepare import PARCEL_FILE
from bridge.flow.stages.shelf import JobShelf
from bridge.store.alerts import Alerts
from bridge.store.deliveries import Deliveries
from bridge.store.jobs import Job, Jobs, JobState, Stage
from bridge.store.studies import Studies, touch
from bridge.store.tables import Index, jobs

JOB = "a" * 32


class Bench:
    """One running job and what a start needs of the parts."""

    def __init__(self, folder: Path) -> None:
        self.index = Index(folder / "index.sqlite", clock=lambda: 1000.0)
        self.index.open()
        self.enqueued: list[str] = []
        self.interrupted: list[str] = []
        self.site = SimpleNamespace(accounts={"gc": None}, destinations={"pacs": None}, sources={"ct": None})
        self.parts: Any = SimpleNamespace(
            site=self.site,
            jobs=Jobs(self.index),
            deliveries=Deliveries(self.index),
            alerts=Alerts(self.index),
            studies=Studies(self.index),
            shelf=lambda job: JobShelf(folder / job),
            enqueue=lambda workflow, queue, id, *words, **more: self.enqueued.append(id),
        )
        words = ("rule", "study_instance_uid", "algorithm", "declared_version")
        empty = dict.fromkeys(words, "") | dict.fromkeys(("frozen", "inputs", "explanation"), "{}")
        row = {"id": JOB, "account": "gc", "state": "running", "stage": "prepare"}
        with self.index.write() as connection:
            connection.execute(jobs.insert().values(**empty, **row, created_at=0.0, changed_at=0.0))

    def start(self, *under_way: str) -> None:
        engine: Any = SimpleNamespace(
            under_way=lambda: frozenset(under_way), interrupted=lambda names: self.interrupted
        )
        resume(self.parts, engine)

    @property
    def job(self) -> Job:
        return self.parts.jobs.get(JOB)  # type: ignore[no-any-return]

    @property
    def alerts(self) -> list[tuple[str, str]]:
        return [(one.kind, one.subject) for one in self.parts.alerts.all()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_stage_that_the_engine_remembers_is_left_to_it(bench: Bench) -> None:
    bench.start(f"{JOB}.prepare")
    assert bench.enqueued == []


@pytest.mark.parametrize("stage", [Stage.PREPARE, Stage.ENCODE])
def test_stage_that_the_engine_has_lost_is_handed_over_again(bench: Bench, stage: Stage) -> None:
    bench.parts.jobs.change(JOB, stage=stage)
    bench.start()
    assert bench.enqueued == [f"{JOB}.{stage}"]


@pytest.mark.parametrize(("interrupted", "left"), [([], 2), ([f"{JOB}.prepare"], 1)])
def test_death_is_charged_to_a_stage_before_it_is_charged_to_a_study(
    bench: Bench, interrupted: list[str], left: int
) -> None:
    with bench.index.write() as connection:
        touch(connection, b"k" * 32, "1.2", source="", now=0.0, quiet_s=1.0)
    row = bench.parts.studies.study("1.2")
    for _ in range(2):
        bench.parts.studies.count_attempt(row)
    bench.interrupted = interrupted
    bench.start(f"{JOB}.prepare")
    assert bench.parts.studies.study("1.2").attempts == left


def test_job_whose_parcel_is_lost_is_prepared_again(bench: Bench) -> None:
    bench.parts.jobs.change(JOB, stage=Stage.CLOUD)
    bench.start()
    assert bench.enqueued == []
    assert (bench.job.state, bench.job.stage, bench.job.run) == (JobState.READY, Stage.PREPARE, 1)


def test_job_with_its_parcel_goes_on_at_the_platform(bench: Bench) -> None:
    bench.parts.jobs.change(JOB, stage=Stage.CLOUD)
    bench.parts.shelf(JOB).write(PARCEL_FILE, b"{}")
    bench.start()
    assert bench.enqueued == [f"{JOB}.cloud"]


def test_deliveries_are_left_to_the_relay(bench: Bench) -> None:
    bench.parts.jobs.change(JOB, stage=Stage.DELIVER)
    bench.start()
    assert bench.enqueued == []


def test_job_whose_account_is_gone_says_so_until_it_is_back(bench: Bench) -> None:
    del bench.site.accounts["gc"]
    bench.start()
    assert bench.alerts == [("job-stranded", JOB)]
    assert bench.job.code == "CFG-020"
    assert bench.enqueued == []
    bench.site.accounts["gc"] = None
    bench.start()
    assert bench.alerts == []
    assert bench.enqueued == [f"{JOB}.prepare"]


@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.DONE])
def test_alert_about_a_job_that_has_ended_ends(bench: Bench, state: JobState) -> None:
    del bench.site.accounts["gc"]
    bench.start()
    bench.parts.jobs.change(JOB, state=state)
    bench.start()
    assert bench.alerts == []


def test_alert_about_a_name_that_is_no_longer_in_the_settings_ends(bench: Bench) -> None:
    for kind, subject in (
        ("destination-away", "pacs"),
        ("unauthorized", "gc"),
        ("study-held", "abc"),
        ("source-away", "ct"),
    ):
        bench.parts.alerts.begin(kind, subject, "so")
    for kind, subject in (("destination-away", "old"), ("unauthorized", "old"), ("source-away", "old")):
        bench.parts.alerts.begin(kind, subject, "so")
    bench.start()
    assert sorted(bench.alerts) == [
        ("destination-away", "pacs"),
        ("source-away", "ct"),
        ("study-held", "abc"),
        ("unauthorized", "gc"),
    ]
