"""Which studies name the same patient: what an index of an earlier release becomes, and what stands in the table."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from bridge.store.migrations import MIGRATIONS
from bridge.store.patients import NOBODY, Patients
from bridge.store.studies import Studies
from bridge.store.tables import Index, patients


def test_study_that_was_open_at_the_upgrade_still_has_news(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite", clock=lambda: 9.0)
    with index.write() as connection:
        for statements in MIGRATIONS[:2]:
            for statement in statements:
                connection.exec_driver_sql(statement)
        for uid, state in (("1.2", "open"), ("1.3", "decided")):
            connection.exec_driver_sql(
                "INSERT INTO studies (study_instance_uid, name, state, source, first_at, last_at, due_at, quiet_s)"
                f" VALUES ('{uid}', 'n{uid}', '{state}', '', 1, 2, 3, 4)"
            )
        connection.exec_driver_sql("PRAGMA user_version = 2")
    index.open()
    rows = [Studies(index).study(uid) for uid in ("1.2", "1.3")]
    assert [row.news for row in rows if row] == [True, False]
    here = Patients(index, b"k" * 32)
    assert [here.fill(), here.fill()] == [2, 0], "a study without a patient is looked at once"
    with index.read() as connection:
        assert {row.patient for row in connection.execute(sa.select(patients))} == {NOBODY}
    assert here.others("1.2") == [], "two studies of nobody are not one patient's"
