"""Which ready job goes first: what is urgent, what is higher, what has waited. No number of others is in its way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.store.jobs import Jobs, JobState, NewJob, Stage
from bridge.store.ready import PAGE, Kind
from bridge.store.rows import ROUTINE_SLACK_S, STEP_S
from bridge.store.tables import Index, jobs
from intake_bench import Bench

HOUR = 3600.0


def add(bench: Bench, id: str, *, algorithm: str = "known", **words: Any) -> None:
    new = NewJob(
        id=id,
        rule="lungs",
        account="gc",
        algorithm=algorithm,
        declared_version="",
        state=JobState.READY,
        reason="",
        frozen="{}",
        inputs="{}",
        **words,
    )
    bench.jobs.add("1.2", new, explanation="{}", event="made", keys={})


def bench_with(folder: Path) -> Bench:
    bench = Bench(folder)
    describe(bench)
    return bench


def describe(bench: Bench) -> None:
    """As the platform said a moment ago."""
    bench.specs.keep("gc", "known", "", spec="{}")
    bench.specs.keep("gc", "unknown", "", spec=None, code="GC-010", reason="not visible")


def handed(bench: Bench) -> list[str]:
    return [id.removesuffix(".prepare") for name, _, id in bench.enqueued if name == "prepare"]


def test_urgent_goes_first_then_priority_then_age(tmp_path: Path) -> None:
    bench = bench_with(tmp_path)
    for id, words in {
        "old": {},
        "low": {"priority": -1},
        "high": {"priority": 2},
        "urgent": {"urgent": True},
        "highest": {"priority": 10},
        "urgent-and-high": {"urgent": True, "priority": 1},
    }.items():
        add(bench, id, **words)
        bench.now += 60.0
    bench.relay.tick()
    assert handed(bench) == ["urgent-and-high", "urgent", "highest", "high", "old", "low"]


def test_nothing_starves_behind_what_is_urgent(tmp_path: Path) -> None:
    bench = bench_with(tmp_path)
    add(bench, "routine")
    bench.now += ROUTINE_SLACK_S + 1
    add(bench, "urgent", urgent=True)
    describe(bench)
    bench.relay.tick()
    assert handed(bench) == ["routine", "urgent"]


def test_engine_gets_the_same_order_in_every_queue(tmp_path: Path) -> None:
    bench = bench_with(tmp_path)
    told: dict[str, float | None] = {}
    enqueue = bench.parts.enqueue
    bench.parts.enqueue = lambda name, queue, id, *words, due_at=None: (  # type: ignore[misc]
        told.update({id: due_at}),
        enqueue(name, queue, id, *words, due_at=due_at),
    )[1]
    add(bench, "job", urgent=True, priority=3)
    bench.relay.tick()
    assert told == {"job.prepare": bench.now - 3 * STEP_S}
    assert bench.jobs.get("job").due_at == told["job.prepare"]


def test_jobs_behind_thousands_that_cannot_go_are_handed_over(tmp_path: Path) -> None:
    bench = bench_with(tmp_path)
    with bench.index.write() as connection:
        row = {
            "rule": "lungs",
            "study_instance_uid": "1.2",
            "account": "gc",
            "algorithm": "unknown",
            "declared_version": "",
            "state": JobState.READY,
            "stage": Stage.PREPARE,
            "code": "",
            "reason": "",
            "frozen": "{}",
            "inputs": "{}",
            "explanation": "{}",
            "remote": "",
            "outputs": "[]",
            "contents": "{}",
            "rerun": 0,
            "run": 0,
            "created_at": bench.now,
            "changed_at": bench.now,
            "urgent": True,
            "priority": 0,
            "not_before": "",
        }
        connection.execute(sa.insert(jobs), [row | {"id": f"u{number:04}"} for number in range(1500)])
    bench.now -= HOUR
    add(bench, "older")
    bench.now += 2 * HOUR
    add(bench, "newer")
    describe(bench)
    bench.relay.tick()
    assert handed(bench) == ["older", "newer"]
    assert [name for name, _, _ in bench.enqueued].count("describe") == 0, "asked a moment ago"
    assert {bench.jobs.get(id).reason for id in ("u0000", "u1499")} == {"not visible"}


def test_many_jobs_go_page_by_page_and_an_urgent_one_overtakes_the_rest(tmp_path: Path) -> None:
    bench = bench_with(tmp_path)
    for number in range(PAGE + 5):
        add(bench, f"j{number:03}")
    bench.relay.tick()
    assert len(handed(bench)) == PAGE
    add(bench, "urgent", urgent=True)
    bench.relay.tick()
    assert handed(bench)[PAGE] == "urgent"
    assert len(set(handed(bench))) == PAGE + 6
    bench.relay.tick()
    assert len(handed(bench)) == PAGE + 6


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.booleans(), st.integers(-10, 10), st.integers(0, 12 * 3600)), min_size=1, max_size=20
    )
)
def test_table_and_value_agree_on_the_order(tmp_path_factory: Any, rows: list[tuple[bool, int, int]]) -> None:
    folder = tmp_path_factory.mktemp("order")
    bench = Bench(folder)
    start = bench.now
    for number, (urgent, priority, at) in enumerate(rows):
        bench.now = start + at
        add(bench, f"j{number:02}", urgent=urgent, priority=priority)
    kind = Kind(account="gc", algorithm="known", declared_version="", stage=Stage.PREPARE, not_before="")
    store = Jobs(Index(folder / "index.sqlite"))
    found = store.ready.first([kind])
    every = sorted(store.all(), key=lambda one: (one.due_at, one.created_at, one.id))
    assert [(one.id, one.due_at) for one in found] == [(one.id, one.due_at) for one in every]
    urgent_first = [one for one in every if one.urgent]
    for one in urgent_first:
        for other in every:
            if (
                not other.urgent
                and other.created_at >= one.created_at
                and other.priority <= 10 + one.priority
            ):
                assert one.due_at <= other.due_at, "what is urgent goes before what came later"
