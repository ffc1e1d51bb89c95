"""An outage: one job tries, deadlines stand still, and afterwards 1, 2, 4 ... go, also after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from bridge.flow.stages.pace import Pace, Patience
from bridge.platforms import Platform
from bridge.store.alerts import Alerts
from bridge.store.jobs import Jobs, JobState, NewJob, Stage
from bridge.store.outages import AWAY, Outages
from bridge.store.tables import Index

HOUR = 3600.0
PATIENCE_H = 50


class Cloud:
    """A platform's breaker."""

    def __init__(self) -> None:
        self.pause_s, self.good = 0.0, 0

    def away_s(self) -> float:
        return self.pause_s

    def answers(self) -> int:
        return self.good


class Bench:
    def __init__(self, folder: Path, limit: int = 8) -> None:
        self.now = 1_000_000.0
        self.limit = limit
        self.index = Index(folder / "index.sqlite", clock=lambda: self.now)
        self.index.open()
        self.jobs = Jobs(self.index)
        self.start()

    def start(self) -> None:
        """A process of its own: nothing but the tables is left."""
        self.cloud = Cloud()
        self.pace = Pace(
            Outages(self.index),
            lambda account: cast(Platform, self.cloud),
            {"gc": Patience(limit=self.limit, deadline_s=PATIENCE_H * HOUR)},
        )

    def add(self, id: str, **values: Any) -> None:
        job = NewJob(
            id=id,
            rule="r",
            account=values.pop("account", "gc"),
            algorithm="a",
            declared_version="",
            state=JobState.READY,
            reason="",
            frozen="{}",
            inputs="{}",
        )
        self.jobs.add("1.2", job, explanation="{}", event="made", keys={})
        self.jobs.change(id, **{"stage": Stage.CLOUD, "deadline_at": self.now + PATIENCE_H * HOUR, **values})

    def breaks(self) -> None:
        self.cloud.pause_s = 15.0
        self.pace.look("gc")

    def answers(self, job: str = "") -> None:
        self.cloud.pause_s, self.cloud.good = 0.0, self.cloud.good + 1
        self.pace.look("gc", job)

    def admitted(self, *names: str) -> list[str]:
        """Those of them that may send; their places are given back."""
        found = [name for name in names if self.pace.may("gc", name)]
        for name in names:
            self.pace.sent("gc", name)
        return found

    def alert(self) -> str:
        return " ".join(one.reason for one in Alerts(self.index).all() if one.kind == AWAY)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


NAMES = tuple("abcdefghijkl")


def test_without_an_outage_everybody_may_send(bench: Bench) -> None:
    bench.answers("a")
    assert bench.admitted(*NAMES) == list(NAMES)
    assert bench.alert() == ""


def test_while_it_is_away_one_at_a_time_may_try(bench: Bench) -> None:
    bench.breaks()
    assert bench.admitted(*NAMES) == ["a"]
    assert bench.admitted("b", "a") == ["b"], "its place is free again"


def test_pause_of_the_breaker_that_is_over_is_no_answer(bench: Bench) -> None:
    bench.cloud.good = 7
    bench.breaks()
    bench.cloud.pause_s = 0.0
    bench.pace.look("gc", "a")
    assert bench.pace.is_away("gc")
    assert bench.admitted(*NAMES) == ["a"]


def test_after_it_one_two_four_and_then_all_may_send(bench: Bench) -> None:
    bench.breaks()
    seen = []
    for answered in (["a"], ["b", "c"], ["d", "e", "f", "g"]):
        seen.append(len(bench.admitted(*NAMES)))
        for job in answered:
            bench.answers(job)
    assert seen == [1, 2, 4]
    assert bench.admitted(*NAMES) == list(NAMES)


def test_one_job_that_is_answered_again_and_again_opens_for_nobody(bench: Bench) -> None:
    bench.breaks()
    for _ in range(10):
        bench.answers("a")
    assert len(bench.admitted(*NAMES)) == 2


def test_looks_at_running_jobs_end_an_outage_and_open_no_further(bench: Bench) -> None:
    bench.breaks()
    for _ in range(10):
        bench.answers()
    assert not bench.pace.is_away("gc")
    assert len(bench.admitted(*NAMES)) == 1


def test_next_outage_begins_from_one_again(bench: Bench) -> None:
    bench.breaks()
    bench.answers("a")
    bench.breaks()
    assert bench.admitted(*NAMES) == ["a"]


def test_deadlines_get_the_time_of_the_outage_back_and_no_more(bench: Bench) -> None:
    bench.add("before")
    bench.now += HOUR
    bench.add("other", account="vpe")
    bench.add("over", state=JobState.DONE)
    bench.breaks()
    bench.now += 2 * HOUR
    bench.add("amid")
    bench.add("preparing", stage=Stage.PREPARE, deadline_at=None)
    bench.now += 3 * HOUR
    was = {name: bench.jobs.get(name).deadline_at for name in ("before", "amid", "other", "over")}
    bench.answers("before")
    later = {name: (bench.jobs.get(name).deadline_at or 0) - (at or 0) for name, at in was.items()}
    assert later == {"before": 5 * HOUR, "amid": 3 * HOUR, "other": 0.0, "over": 0.0}
    assert bench.jobs.get("preparing").deadline_at is None
    bench.answers("before")
    assert bench.jobs.get("before").deadline_at == (was["before"] or 0) + 5 * HOUR, "once"


def test_alert_tells_how_many_wait_and_ends_with_the_outage(bench: Bench) -> None:
    bench.add("a")
    bench.breaks()
    assert bench.alert().endswith("1 job waits")
    bench.add("b")
    bench.add("elsewhere", account="vpe")
    bench.pace.look("gc")
    assert bench.alert().endswith("2 jobs wait")
    bench.answers()
    assert bench.alert() == ""


def test_restart_goes_on_with_the_outage_and_counts_it_whole(bench: Bench) -> None:
    bench.add("a")
    deadline = bench.jobs.get("a").deadline_at or 0
    bench.breaks()
    bench.now += HOUR
    bench.start()
    assert bench.pace.is_away("gc")
    assert bench.admitted(*NAMES) == ["a"]
    bench.now += HOUR
    bench.answers("a")
    assert bench.jobs.get("a").deadline_at == deadline + 2 * HOUR
    bench.start()
    assert not bench.pace.is_away("gc")
    assert len(bench.admitted(*NAMES)) == 2, "and with the slow start"


def test_outage_for_which_nobody_waits_any_longer_ends(bench: Bench) -> None:
    bench.add("a")
    bench.breaks()
    bench.pace.settle()
    assert bench.pace.is_away("gc")
    bench.jobs.change("a", state=JobState.CANCELLED)
    bench.pace.settle()
    assert not bench.pace.is_away("gc")
    assert bench.alert() == ""
    assert bench.admitted(*NAMES) == list(NAMES)


def test_platform_without_a_breaker_is_never_away(bench: Bench) -> None:
    bench.pace = Pace(Outages(bench.index), lambda account: cast(Platform, object()), {})
    bench.pace.look("gc", "a")
    assert bench.admitted(*NAMES) == list(NAMES)
