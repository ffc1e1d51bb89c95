"""What is asked again and again, or inside a transaction, takes no longer because a site has been running for years."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.config.priors import NO_PRIOR
from bridge.store.decisions import Decisions
from bridge.store.instances import Instances
from bridge.store.jobs import Jobs, Stage
from bridge.store.ready import Kind
from bridge.store.studies import Studies
from bridge.store.tables import Index, decisions, patients, studies

KEY = b"k" * 32
KIND = Kind(account="gc", algorithm="lungs", declared_version="", stage=Stage.PREPARE, not_before="")
LOOKS: dict[str, Callable[[Index, Instances], Any]] = {
    "what waited and is over": lambda index, held: Decisions(index).waits_over("RUL-006", ["lungs"], 5.0),
    "what a budget keeps back": lambda index, held: Decisions(index).kept_back(["BUD-001"], "lungs"),
    "studies that are due": lambda index, held: Studies(index).due(5.0, 5.0),
    "kinds of ready jobs": lambda index, held: Jobs(index).ready.kinds(),
    "a page of ready jobs": lambda index, held: Jobs(index).ready.first([KIND]),
    "the newest event": lambda index, held: Jobs(index).last_event(),
    "series of a study": lambda index, held: held.arrivals("1.2"),
    "other studies of the patient": lambda index, held: held.patients.others("1.2"),
    "later studies are told": lambda index, held: held.patients.tell("1.2"),
    "a study is looked at again": lambda index, held: Studies(index).decide_again(["1.2"]),
}


@contextmanager
def plans(index: Index) -> Iterator[list[str]]:
    """How SQLite goes about each statement, one line for each table."""
    told: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            dbapi = connection.connection.dbapi_connection
            told.extend(row[3] for row in dbapi.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    engine = index._engine
    sa.event.listen(engine, "before_cursor_execute", explain)
    try:
        yield told
    finally:
        sa.event.remove(engine, "before_cursor_execute", explain)


@pytest.fixture
def index(tmp_path: Path) -> Index:
    made = Index(tmp_path / "index.sqlite", clock=lambda: 5.0)
    made.open()
    row = dict.fromkeys(("source", "waits", "complete", "asked", "released", "doubts"), "")
    times = dict.fromkeys(("first_at", "last_at", "due_at", "quiet_s", "opened_at", "attempts"), 0)
    said = dict.fromkeys(("outcome", "reason", "explanation"), "")
    with made.write() as connection:
        for uid in ("1.2", "3.4"):
            this = {"study_instance_uid": uid}
            connection.execute(
                sa.insert(studies).values(name=uid, state="decided", news=True, **this, **row, **times)
            )
            connection.execute(sa.insert(patients).values(patient="p", **this))
        connection.execute(
            sa.insert(decisions).values(rule="growth", code=NO_PRIOR, decided_at=0, **this, **said)
        )
    return made


@pytest.mark.parametrize("name", LOOKS)
def test_look_reads_only_what_it_is_about(index: Index, tmp_path: Path, name: str) -> None:
    held = Instances(index, tmp_path / "instances", key=KEY)
    with plans(index) as told:
        LOOKS[name](index, held)
    assert told
    assert [one for one in told if one.startswith("SCAN")] == []
    if name != "studies that are due":
        # In the end every study of a site is decided: what goes by the state reads them all.
        assert [one for one in told if "studies_due" in one] == []
