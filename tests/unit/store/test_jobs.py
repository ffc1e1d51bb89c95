"""The job row: decided once, whatever is repeated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from bridge.errors import Damaged
from bridge.store import tables
from bridge.store.decisions import Decisions
from bridge.store.deliveries import Answered, Deliveries
from bridge.store.jobs import Decision, Jobs, JobState, NewJob, StoredResult
from bridge.store.own import issued_for
from bridge.store.tables import Index, studies


@pytest.fixture
def index(tmp_path: Path) -> Index:
    index = Index(tmp_path / "index.sqlite")
    index.open()
    with index.write() as connection:
        connection.execute(
            sa.insert(studies).values(
                study_instance_uid="1.2",
                name="abc",
                state="open",
                source="ct",
                first_at=1.0,
                last_at=2.0,
                due_at=3.0,
                quiet_s=1.0,
                attempts=0,
            )
        )
    return index


def decision(job: str = "j1", outcome: str = "match") -> Decision:
    return Decision(
        rule="lungs",
        outcome=outcome,
        reason="because",
        explanation="{}",
        jobs=(
            NewJob(
                id=job,
                rule="lungs",
                account="gc",
                algorithm="a",
                declared_version="",
                state=JobState.READY,
                reason="",
                frozen="{}",
                inputs="{}",
            ),
        )
        if outcome == "match"
        else (),
    )


def result(uid: str) -> StoredResult:
    return StoredResult(
        sop_instance_uid=uid,
        job_id="j1",
        kind="SEG",
        output_name="lungs",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
        series_instance_uid="2.25.3",
        file="000.seg.dcm",
        sha256="00",
        size_bytes=5,
    )


def test_deciding_twice_makes_one_job(index: Index) -> None:
    jobs = Jobs(index)
    assert Decisions(index).decide("1.2", 3.0, [decision()]) == ["j1"]
    assert Decisions(index).decide("1.2", 3.0, [decision()]) == []
    assert [job.id for job in jobs.all()] == ["j1"]


def test_study_that_grew_meanwhile_stays_open(index: Index) -> None:
    Decisions(index).decide("1.2", 2.5, [decision()])
    with index.read() as connection:
        assert connection.execute(sa.select(studies.c.state)).scalar_one() == "open"


def test_decided_study_is_closed(index: Index) -> None:
    Decisions(index).decide("1.2", 3.0, [])
    with index.read() as connection:
        assert connection.execute(sa.select(studies.c.state)).scalar_one() == "decided"


def test_started_touches_only_ready_jobs(index: Index) -> None:
    jobs = Jobs(index)
    Decisions(index).decide("1.2", 3.0, [decision()])
    jobs.change("j1", state=JobState.CANCELLED)
    jobs.started("j1")
    assert jobs.get("j1").state is JobState.CANCELLED


def test_results_are_owed_once_to_each_destination(index: Index) -> None:
    jobs = Jobs(index)
    Decisions(index).decide("1.2", 3.0, [decision()])
    owed = {"pacs": ["2.25.1"], "archive": ["2.25.1"]}
    jobs.keep_results([result("2.25.1")], owed)
    deliveries = Deliveries(index)
    deliveries.offered("j1", "pacs", ["2.25.1"])
    answer = Answered(outcome="delivered", status=0, reason="0x0000 success")
    deliveries.answered("j1", "pacs", {"2.25.1": answer})
    jobs.keep_results([result("2.25.1")], owed)
    rows = {row.destination: (row.outcome, row.attempts) for row in deliveries.of("j1")}
    assert rows == {"pacs": ("delivered", 1), "archive": ("owed", 0)}


def test_each_destination_is_owed_its_own_variant(index: Index) -> None:
    jobs = Jobs(index)
    Decisions(index).decide("1.2", 3.0, [decision()])
    made = [result("2.25.1"), replace(result("2.25.2"), variant="labelmap"), result("2.25.3")]
    jobs.keep_results(made, {"pacs": {"2.25.1", "2.25.3"}, "archive": {"2.25.2", "2.25.3"}})
    owed = {(row.destination, row.sop_instance_uid) for row in Deliveries(index).of("j1")}
    assert owed == {
        ("pacs", "2.25.1"),
        ("pacs", "2.25.3"),
        ("archive", "2.25.2"),
        ("archive", "2.25.3"),
    }
    assert {one.variant for one in jobs.results("j1")} == {"", "labelmap"}
    with index.read() as connection:
        # The guard against results that come back knows every variant.
        assert {issued_for(connection, one.sop_instance_uid) for one in made} == {"j1"}


def test_held_decision_without_job_is_listed(index: Index) -> None:
    Decisions(index).decide("1.2", 3.0, [decision(outcome="held")])
    assert [(study, one.reason) for study, one in Decisions(index).waiting()] == [("abc", "because")]


def test_tables_and_migrations_name_the_same_columns(index: Index) -> None:
    inspector = sa.inspect(index._engine)
    for name, table in tables.metadata.tables.items():
        assert {c["name"] for c in inspector.get_columns(name)} == {c.name for c in table.columns}, name
    assert set(inspector.get_table_names()) - {"sqlite_sequence"} == set(tables.metadata.tables)


def test_index_of_a_newer_version_is_left_alone(index: Index) -> None:
    with index.write() as connection:
        connection.exec_driver_sql("PRAGMA user_version = 99")
    with pytest.raises(Damaged, match="schema 99"):
        index.open()


def test_committed_rows_are_synced(index: Index) -> None:
    with index.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
