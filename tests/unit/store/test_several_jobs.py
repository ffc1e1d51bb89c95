"""A decision that makes a job of every volume: each has its own place, and its own share of the budget."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.store.budgets import PER_DAY, Budgets
from bridge.store.decisions import Decisions
from bridge.store.jobs import Decision, Jobs, JobState, NewJob
from bridge.store.migrations import MIGRATIONS
from bridge.store.not_begun import REPLACED
from bridge.store.overview import Overview
from bridge.store.rows import Budget
from bridge.store.tables import Index, instances, spent, studies

NOON = datetime(2026, 3, 30, 12, tzinfo=UTC).timestamp()
DAY_S = 86400.0
DOUBT = "STU-001"
TOLD = '{"rule": "lungs", "outcome": "match", "reason": "so", "study": [], "inputs": []}'


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class Bench:
    """One rule; a volume is named by a letter, the objects that it is made of, and what it shows."""

    def __init__(self, folder: Path, **budget: int) -> None:
        self.now = NOON
        self.index = Index(folder / "index.sqlite", clock=lambda: self.now)
        self.index.open()
        self.budget = Budget(**budget)
        self.jobs, self.decisions, self.budgets = Jobs(self.index), Decisions(self.index), Budgets(self.index)
        with self.index.write() as connection:
            for number in range(1, 40):
                known = {"number": number, "sop_instance_uid": f"1.3.{number}", "version": 1, "digest": "x"}
                texts = {column.name: "" for column in instances.columns if column.name not in known}
                times = {"received_at": 1.0, "dropped_at": None, "own": False, "arrival": 1, "size_bytes": 1}
                connection.execute(sa.insert(instances).values(**texts | known | times))

    def study(self, uid: str) -> str:
        texts = ("waits", "complete", "asked", "released", "doubts", "source")
        times = dict.fromkeys(("first_at", "last_at", "due_at", "quiet_s", "opened_at"), 1.0)
        row: dict[str, Any] = {**times, **dict.fromkeys(texts, ""), "attempts": 0}
        with self.index.write() as connection:
            connection.execute(
                sa.insert(studies)
                .prefix_with("OR IGNORE")
                .values(study_instance_uid=uid, name=uid, state="open", **row)
            )
        return uid

    def wanted(self, uid: str, name: str, objects: list[int], other: list[int], content: str = "") -> NewJob:
        return NewJob(
            id=f"{uid}-{name}",
            rule="lungs",
            account="gc",
            algorithm="x",
            declared_version="",
            state=JobState.READY,
            reason="",
            frozen="{}",
            inputs=json.dumps({"ct": objects, "pet": other}),
            contents=json.dumps({"ct": content or name}),
            explanation=f"of {name}",
        )

    def decide(self, uid: str = "1.2", each: str = "ct", code: str = "", **volumes: list[int]) -> list[str]:
        """By name of a volume its objects. Returns the names of jobs that are new or come back."""
        jobs = tuple(self.wanted(uid, name, objects, [39]) for name, objects in volumes.items())
        made = Decision(
            rule="lungs",
            outcome="match",
            reason="so",
            explanation=TOLD,
            jobs=jobs,
            each=each,
            code=code,
            budget=self.budget,
        )
        new = self.decisions.decide(self.study(uid), 1.0, [made])
        return [id.removeprefix(f"{uid}-") for id in new]

    def states(self, uid: str = "1.2") -> dict[str, str]:
        """By name; of one that was replaced, by which."""
        told = {}
        for job in self.jobs.of_study(uid):
            by = [line.keys["by"] for line in self.jobs.timeline(job.id) if line.event == "job.replaced"]
            replaced = (job.state, job.code) == (JobState.CANCELLED, REPLACED)
            told[job.id.removeprefix(f"{uid}-")] = (
                f"by {by[-1].removeprefix(f'{uid}-')}" if replaced else job.state
            )
        return told

    def counted(self) -> list[str]:
        with self.index.read() as connection:
            return sorted(connection.execute(sa.select(spent.c.job_id)).scalars())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_every_volume_has_its_job_and_the_decision_names_them_in_order(bench: Bench) -> None:
    assert bench.decide(b=[1, 2], a=[3, 4]) == ["b", "a"]
    assert bench.states() == {"a": "ready", "b": "ready"}
    assert [job.id for job in bench.decisions.jobs("1.2", "lungs")] == ["1.2-b", "1.2-a"]
    assert bench.decisions.job_ids("1.2") == {"lungs": ("1.2-b", "1.2-a")}
    assert [job.explanation for job in bench.decisions.jobs("1.2", "lungs")] == ["of b", "of a"]
    assert bench.decide(b=[1, 2], a=[3, 4]) == []


def test_volume_that_comes_later_makes_its_own_job_and_touches_no_other(bench: Bench) -> None:
    bench.decide(a=[1, 2])
    assert bench.decide(a=[1, 2], b=[3, 4]) == ["b"]
    assert bench.states() == {"a": "ready", "b": "ready"}


def test_volume_that_grew_replaces_its_own_job_alone(bench: Bench) -> None:
    bench.decide(a=[1, 2], b=[3, 4], c=[5, 6])
    assert bench.decide(a=[1, 2], b2=[3, 4, 7], c=[5, 6]) == ["b2"]
    assert bench.states() == {"a": "ready", "b": "by b2", "b2": "ready", "c": "ready"}
    assert bench.decide(a=[1, 2], b=[3, 4], c=[5, 6]) == ["b"], "it comes back"
    assert bench.states() == {"a": "ready", "b": "ready", "b2": "by b", "c": "ready"}


def test_input_beside_it_that_changed_replaces_each_by_its_own(bench: Bench) -> None:
    bench.decide(a=[1, 2], b=[3, 4])
    bench.decide(a2=[1, 2], b2=[3, 4])
    assert bench.states() == {"a": "by a2", "a2": "ready", "b": "by b2", "b2": "ready"}


def test_two_volumes_of_one_object_make_room_for_one_each(bench: Bench) -> None:
    bench.decide(a=[1], b=[1])
    bench.decide(a2=[1], b2=[1])
    assert bench.states() == {"a": "by a2", "a2": "ready", "b": "by b2", "b2": "ready"}


def test_two_volumes_that_became_one_make_room_for_it(bench: Bench) -> None:
    bench.decide(a=[1, 2], b=[3, 4])
    bench.decide(ab=[1, 2, 3, 4])
    assert bench.states() == {"a": "by ab", "ab": "ready", "b": "by ab"}


def test_volume_that_no_longer_fits_leaves_its_job_alone_as_any_rule_does(bench: Bench) -> None:
    bench.decide(a=[1, 2], b=[3, 4])
    bench.decide(b=[3, 4], c=[5, 6])
    assert bench.states() == {"a": "ready", "b": "ready", "c": "ready"}


def test_job_that_has_begun_is_not_replaced(bench: Bench) -> None:
    bench.decide(a=[1, 2], b=[3, 4])
    bench.jobs.started("1.2-a")
    bench.decide(a2=[1, 2, 7], b=[3, 4])
    assert bench.states() == {"a": "running", "a2": "ready", "b": "ready"}


def test_doubt_holds_all_of_them_and_its_end_releases_all(bench: Bench) -> None:
    bench.decide(a=[1, 2], b=[3, 4])
    bench.decide(code=DOUBT)
    assert bench.states() == {"a": "held", "b": "held"}
    assert bench.decisions.job_ids("1.2") == {}
    bench.decide(a=[1, 2], b=[3, 4])
    assert bench.states() == {"a": "ready", "b": "ready"}


def test_rule_that_wants_one_job_again_replaces_all_others(bench: Bench) -> None:
    bench.decide(a=[1, 2], b=[3, 4])
    bench.decide(each="", c=[5, 6])
    assert bench.states() == {"a": "by c", "b": "by c", "c": "ready"}
    assert bench.counted() == ["1.2-c"]


def test_rerun_of_one_takes_newer_objects_of_its_own_content(bench: Bench) -> None:
    bench.decide(a=[1, 2], b=[3, 4])
    again = bench.wanted("1.2", "again", [1, 2], [39], content="a")
    bench.jobs.add("1.2", replace(again, rerun=1), explanation="{}", event="job.rerun-of", keys={})
    bench.decide(a=[7, 8], b=[9, 10])
    assert json.loads(bench.jobs.get("1.2-again").inputs)["ct"] == [7, 8]


def test_budget_stops_in_the_middle_and_the_rest_is_made_later(tmp_path: Path) -> None:
    bench = Bench(tmp_path, jobs_per_day=2)
    assert bench.decide(a=[1], b=[2], c=[3], d=[4], e=[5]) == ["a", "b"]
    (kept,) = bench.decisions.of_study("1.2")
    reason = "the rule pauses: 2 jobs today (jobs_per_day = 2); it goes on tomorrow; 2 of 5 jobs are made"
    assert (kept.outcome, kept.code, kept.reason) == ("held", PER_DAY, reason)
    assert json.loads(kept.explanation)["reason"] == reason
    assert [one.reason for _, one in bench.decisions.waiting()] == [reason]
    held = Overview(bench.index).studies_held()
    assert held is not None
    assert held.count == 1
    assert bench.decisions.kept_back({PER_DAY}, "lungs") == ["1.2"]
    bench.now += DAY_S
    assert bench.decide(a=[1], b=[2], c=[3], d=[4], e=[5]) == ["c", "d"]
    assert "4 of 5 jobs are made" in bench.decisions.of_study("1.2")[0].reason
    bench.now += DAY_S
    assert bench.decide(a=[1], b=[2], c=[3], d=[4], e=[5]) == ["e"]
    (kept,) = bench.decisions.of_study("1.2")
    assert (kept.outcome, kept.code) == ("match", "")
    assert len(bench.decisions.jobs("1.2", "lungs")) == 5


def test_what_takes_the_place_of_another_costs_nothing_more(tmp_path: Path) -> None:
    bench = Bench(tmp_path, jobs_per_day=2)
    bench.decide(a=[1], b=[2])
    assert bench.decide(a2=[1, 7], b2=[2, 8], c=[3]) == ["a2", "b2"]
    assert bench.counted() == ["1.2-a2", "1.2-b2"]
    assert bench.states() == {"a": "by a2", "a2": "ready", "b": "by b2", "b2": "ready"}


def test_jobs_that_come_back_are_counted_one_by_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.decide(a=[1], b=[2], c=[3])
    bench.decide(abc=[1, 2, 3])
    assert bench.counted() == ["1.2-abc"]
    bench.jobs.started("1.2-abc")
    bench.budget = Budget(jobs_per_day=3)
    assert bench.decide(a=[1], b=[2], c=[3]) == ["a", "b"]
    assert bench.counted() == ["1.2-a", "1.2-abc", "1.2-b"]


def test_fifty_studies_at_once_with_many_volumes_each_stay_within_the_budget(tmp_path: Path) -> None:
    bench = Bench(tmp_path, jobs_per_day=37)
    for number in range(50):
        bench.study(f"1.{number}")
    together = threading.Barrier(50)
    new: list[list[str]] = []

    def decide(number: int) -> None:
        together.wait()
        volumes = {f"v{place}": [place + 1] for place in range(1 + number % 4)}
        new.append(bench.decide(f"1.{number}", **volumes))

    threads = [threading.Thread(target=decide, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(new) == 50
    assert sum(map(len, new)) == len(bench.jobs.all()) == len(bench.counted()) == 37
    wanted = sum(1 + number % 4 for number in range(50))
    named = sum(len(bench.decisions.job_ids(f"1.{number}").get("lungs", ())) for number in range(50))
    assert (wanted, named) == (123, 37)


VOLUMES = st.dictionaries(
    st.sampled_from("abcdef"), st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True), max_size=4
)
STEPS = st.lists(
    st.tuples(st.sampled_from(["decide", "decide", "one", "begin", "pass"]), st.integers(0, 2), VOLUMES),
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_volumes_do_no_day_has_more_jobs_than_its_budget(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, dict[str, list[int]]]]
) -> None:
    """Counted another way: what was not replaced has been counted, each once, on a day with room for it."""
    bench = Bench(tmp_path_factory.mktemp("b"), jobs_per_day=4)
    for what, number, volumes in steps:
        uid = f"1.{number}"
        # A job is what it is made of: the same objects are the same job.
        named = {f"{name}{'-'.join(map(str, objects))}": objects for name, objects in volumes.items()}
        match what:
            case "decide":
                bench.decide(uid, **named)
            case "one" if named:
                bench.decide(uid, each="", **dict([next(iter(named.items()))]))
            case "begin":
                for job in bench.jobs.of_study(uid)[:1]:
                    bench.jobs.started(job.id)
            case "pass":
                bench.now += DAY_S / 3
    standing = [job.id for job in bench.jobs.all() if (job.state, job.code) != (JobState.CANCELLED, REPLACED)]
    assert bench.counted() == sorted(standing)
    with bench.index.read() as connection:
        days = [int(at // DAY_S) for at in connection.execute(sa.select(spent.c.at)).scalars()]
    assert all(days.count(day) <= 4 for day in days)
    bench.index.close()


def test_decisions_of_an_earlier_release_keep_their_jobs(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite", clock=lambda: NOON)
    with index.write() as connection:
        for statements in MIGRATIONS[:2]:
            for statement in statements:
                connection.exec_driver_sql(statement)
        for rule, job in (("lungs", "'j1'"), ("head", "NULL")):
            connection.exec_driver_sql(
                "INSERT INTO decisions (study_instance_uid, rule, outcome, reason, explanation, job_id, decided_at)"
                f" VALUES ('1.2', '{rule}', 'match', 'so', '{{}}', {job}, 1)"
            )
        connection.exec_driver_sql("PRAGMA user_version = 2")
    index.open()
    assert Decisions(index).job_ids("1.2") == {"lungs": ("j1",)}
    assert [one.rule for one in Decisions(index).of_study("1.2")] == ["head", "lungs"]
