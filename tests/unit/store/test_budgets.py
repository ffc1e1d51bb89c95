"""A rule makes no job beyond its budget, whoever else decides; what it owes to the calendar comes by itself."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.store.budgets import FAILURES, PER_DAY, PER_MONTH, Budgets
from bridge.store.decisions import Decisions
from bridge.store.jobs import Decision, Jobs, JobState, NewJob
from bridge.store.migrations import MIGRATIONS
from bridge.store.rows import Budget
from bridge.store.studies import Studies
from bridge.store.tables import Index, pauses, spent, studies

NOON = datetime(2026, 3, 30, 10, tzinfo=UTC).timestamp()
"""Noon in summer time."""
HOUR_S = 3600.0
DAY_S = 86400.0


@pytest.fixture(autouse=True)
def amsterdam(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TZ", "Europe/Amsterdam")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class Bench:
    def __init__(self, folder: Path, **budget: int) -> None:
        self.now = NOON
        self.index = Index(folder / "index.sqlite", clock=lambda: self.now)
        self.index.open()
        self.budget = Budget(**budget)
        self.jobs, self.budgets = Jobs(self.index), Budgets(self.index)
        self.decisions, self.studies = Decisions(self.index), Studies(self.index)

    def study(self, number: int) -> str:
        uid = f"1.2.{number}"
        names = ("first_at", "last_at", "due_at", "quiet_s")
        row: dict[str, Any] = dict.fromkeys(names, 1.0) | {"attempts": 0, "opened_at": float(number)}
        texts = dict.fromkeys(("waits", "complete", "asked", "released", "doubts"), "")
        with self.index.write() as connection:
            connection.execute(
                sa.insert(studies)
                .prefix_with("OR IGNORE")
                .values(study_instance_uid=uid, name=f"n{number}", state="open", source="", **row, **texts)
            )
        return uid

    def decide(self, number: int, *, content: str = "one", rule: str = "lungs") -> list[str]:
        uid = self.study(number)
        job = NewJob(
            id=f"{rule}-{number}-{content}",
            rule=rule,
            account="gc",
            algorithm="x",
            declared_version="",
            state=JobState.READY,
            reason="",
            frozen="{}",
            inputs="{}",
            contents=f'{{"ct": "{content}"}}',
        )
        told = '{"rule": "lungs", "outcome": "match", "reason": "so", "study": [], "inputs": []}'
        made = Decision(
            rule=rule, outcome="match", reason="so", explanation=told, jobs=(job,), budget=self.budget
        )
        return self.decisions.decide(uid, 1.0, [made])

    def held(self) -> list[tuple[str, str]]:
        return [(one.code, one.reason) for _, one in self.decisions.waiting()]

    def fail(self, number: int, state: JobState = JobState.FAILED) -> None:
        self.now += 1
        assert self.jobs.ended(f"lungs-{number}-one", state)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, jobs_per_day=2)


def test_no_job_beyond_the_budget_of_a_day_and_the_decision_says_why(bench: Bench) -> None:
    assert [len(bench.decide(number)) for number in range(3)] == [1, 1, 0]
    reason = "the rule pauses: 2 jobs today (jobs_per_day = 2); it goes on tomorrow"
    assert bench.held() == [(PER_DAY, reason)]
    (kept,) = bench.decisions.of_study("1.2.2")
    assert '"outcome": "held"' in kept.explanation
    assert bench.budgets.pauses()["lungs"].until == NOON + 12 * HOUR_S


def test_next_day_begins_at_midnight_here(bench: Bench) -> None:
    for number in range(3):
        bench.decide(number)
    bench.now = NOON + 12 * HOUR_S - 1
    assert bench.budgets.room("lungs", bench.budget) == 0
    bench.now += 1
    assert bench.budgets.look("lungs", bench.budget) is None
    assert bench.budgets.pauses() == {}
    assert bench.budgets.room("lungs", bench.budget) == 2
    assert bench.decide(2) == ["lungs-2-one"]


def test_the_day_on_which_clocks_change_has_its_own_length(tmp_path: Path) -> None:
    bench = Bench(tmp_path, jobs_per_day=1)
    bench.now = datetime(2026, 3, 29, 0, 30).timestamp()  # noqa: DTZ001
    bench.decide(0)
    bench.now += 22 * HOUR_S
    assert bench.budgets.room("lungs", bench.budget) == 0
    bench.now += HOUR_S
    assert bench.budgets.room("lungs", bench.budget) == 1


def test_month_is_that_of_the_calendar(tmp_path: Path) -> None:
    bench = Bench(tmp_path, jobs_per_month=2)
    bench.now = datetime(2026, 2, 28, 23).timestamp()  # noqa: DTZ001
    bench.decide(0)
    bench.now = datetime(2026, 3, 1).timestamp()  # noqa: DTZ001
    assert [len(bench.decide(number)) for number in (1, 2, 3)] == [1, 1, 0]
    pause = bench.budgets.pauses()["lungs"]
    assert (pause.code, pause.until) == (PER_MONTH, datetime(2026, 4, 1).timestamp())  # noqa: DTZ001


def test_rules_have_budgets_of_their_own(bench: Bench) -> None:
    for number in range(3):
        bench.decide(number)
    assert bench.decide(3, rule="head") == ["head-3-one"]


def test_what_is_known_already_costs_nothing(bench: Bench) -> None:
    for _ in range(5):
        bench.decide(0)
    assert bench.budgets.room("lungs", bench.budget) == 1


def test_job_that_replaces_one_that_never_began_takes_its_place(bench: Bench) -> None:
    bench.decide(0)
    bench.decide(1)
    assert bench.decide(1, content="two") == ["lungs-1-two"]
    assert bench.decide(1, content="one") == ["lungs-1-one"], "it comes back"
    assert bench.budgets.room("lungs", bench.budget) == 0
    with bench.index.read() as connection:
        rows = connection.execute(sa.select(spent.c.job_id).order_by(spent.c.id)).scalars().all()
    assert sorted(rows) == ["lungs-0-one", "lungs-1-one"]


def test_job_that_has_begun_is_not_replaced_for_nothing(bench: Bench) -> None:
    bench.decide(0)
    bench.decide(1)
    bench.jobs.started("lungs-1-one")
    assert bench.decide(1, content="two") == []
    assert bench.jobs.get("lungs-1-one").state is JobState.RUNNING
    assert bench.held()[0][0] == PER_DAY


def test_rerun_of_a_person_counts_and_is_never_refused(bench: Bench) -> None:
    bench.decide(0)
    bench.decide(1)
    again = NewJob(
        id="again",
        rule="lungs",
        account="gc",
        algorithm="x",
        declared_version="",
        state=JobState.READY,
        reason="",
        frozen="{}",
        inputs="{}",
        rerun=1,
    )
    assert bench.jobs.add("1.2.0", again, explanation="{}", event="job.rerun-of", keys={})
    bench.budget = Budget(jobs_per_day=3)
    assert bench.decide(2) == []


def test_person_who_resumes_a_rule_begins_its_count_again(bench: Bench) -> None:
    for number in range(4):
        bench.decide(number)
    assert bench.budgets.resume("lungs")
    assert not bench.budgets.resume("lungs")
    assert [len(bench.decide(number)) for number in (2, 3, 4)] == [1, 1, 0]


def test_budget_that_is_raised_counts_at_once(bench: Bench) -> None:
    for number in range(3):
        bench.decide(number)
    bench.budget = Budget(jobs_per_day=3)
    assert bench.budgets.look("lungs", bench.budget) is None
    assert bench.decide(2) == ["lungs-2-one"]


def test_failures_in_a_row_pause_a_rule_until_a_person_resumes_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, failures_in_a_row=2)
    for number in range(4):
        bench.decide(number)
    bench.fail(0)
    assert bench.budgets.look("lungs", bench.budget) is None
    bench.fail(1, JobState.DONE)
    bench.fail(2)
    assert bench.budgets.look("lungs", bench.budget) is None, "a success lies between"
    bench.fail(3)
    assert bench.decide(4) == []
    pause = bench.budgets.pauses()["lungs"]
    assert (pause.code, pause.until) == (FAILURES, None)
    bench.now += 400 * DAY_S
    assert bench.decide(5) == []
    bench.budgets.resume("lungs")
    assert len(bench.decide(4)) == 1
    bench.fail(4)
    assert bench.budgets.look("lungs", bench.budget) is None, "the two of before are over"


def test_late_success_does_not_end_a_pause_for_failures(tmp_path: Path) -> None:
    bench = Bench(tmp_path, failures_in_a_row=1)
    bench.decide(0)
    bench.decide(1)
    bench.fail(0)
    assert bench.budgets.look("lungs", bench.budget)
    bench.fail(1, JobState.DONE)
    assert bench.budgets.look("lungs", bench.budget)


def test_what_waits_is_found_again_the_longest_waiting_first(bench: Bench) -> None:
    for number in range(6):
        bench.now += 1
        bench.decide(number)
    assert bench.decisions.kept_back({PER_DAY}, "lungs", 2) == ["1.2.2", "1.2.3"]
    bench.studies.decide_again(["1.2.2", "1.2.3"])
    assert [study.study_instance_uid for study in bench.studies.due(bench.now)] == ["1.2.2", "1.2.3"]
    assert bench.decisions.kept_back({PER_DAY}, "lungs") == ["1.2.4", "1.2.5"], "those two are open now"


def test_budget_is_not_exceeded_by_fifty_studies_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, jobs_per_day=7, jobs_per_month=9)
    for number in range(50):
        bench.study(number)
    together = threading.Barrier(50)
    new: list[list[str]] = []

    def decide(number: int) -> None:
        together.wait()
        new.append(bench.decide(number))

    threads = [threading.Thread(target=decide, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(map(len, new)) == len(bench.jobs.all()) == 7
    assert len(bench.held()) == 43


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("decide"), st.integers(0, 9), st.sampled_from(["one", "two"])),
        st.tuples(st.just("begin"), st.integers(0, 9), st.sampled_from(["one", "two"])),
        st.tuples(st.just("pass"), st.integers(1, 30), st.just("")),
    ),
    max_size=40,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_no_day_has_more_jobs_than_its_budget(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, str]]
) -> None:
    """Counted another way: from the job rows, by the day on which a job that was not replaced came into being."""
    bench = Bench(tmp_path_factory.mktemp("b"), jobs_per_day=3)
    for what, number, content in steps:
        match what:
            case "decide":
                bench.decide(number, content=content)
            case "begin" if bench.jobs.find(f"lungs-{number}-{content}"):
                bench.jobs.started(f"lungs-{number}-{content}")
            case "pass":
                bench.now += number * HOUR_S
    live = [job for job in bench.jobs.all() if job.state is not JobState.CANCELLED]
    with bench.index.read() as connection:
        rows = connection.execute(sa.select(spent)).all()
    assert sorted(row.job_id for row in rows) == sorted(job.id for job in live), "each counts once"
    days: dict[str, int] = {}
    for row in rows:
        day = datetime.fromtimestamp(row.at).strftime("%Y-%m-%d")  # noqa: DTZ006
        days[day] = days.get(day, 0) + 1
    assert all(count <= 3 for count in days.values())
    bench.index.close()


def test_jobs_of_an_earlier_release_count(tmp_path: Path) -> None:
    file = tmp_path / "index.sqlite"
    index = Index(file, clock=lambda: NOON)
    with index.write() as connection:
        for statements in MIGRATIONS[:2]:
            for statement in statements:
                connection.exec_driver_sql(statement)
        for id, state, code in (("a", "done", ""), ("b", "cancelled", "STU-020"), ("c", "cancelled", "")):
            connection.exec_driver_sql(
                "INSERT INTO jobs (id, rule, study_instance_uid, account, algorithm, declared_version, state,"
                " stage, code, frozen, inputs, explanation, created_at, changed_at)"
                f" VALUES ('{id}', 'lungs', '1.2', 'gc', 'x', '', '{state}', 'prepare', '{code}', '{{}}', '{{}}',"
                f" '{{}}', {NOON - 60}, {NOON})"
            )
        connection.exec_driver_sql(
            "INSERT INTO decisions (study_instance_uid, rule, outcome, reason, explanation, decided_at)"
            " VALUES ('1.2', 'lungs', 'match', 'so', '{}', 1)"
        )
        connection.exec_driver_sql("PRAGMA user_version = 2")
    index.open()
    assert Budgets(index).room("lungs", Budget(jobs_per_day=5)) == 3
    assert (Decisions(index).of_study("1.2")[0].code, Decisions(index).of_study("1.2")[0].waits) == ("", None)
    assert [(one.urgent, one.priority, one.not_before) for one in Jobs(index).all()] == [(False, 0, "")] * 3
    with index.read() as connection:
        assert connection.execute(sa.select(pauses)).all() == []
