"""The index database: one SQLite file of our own, beside the engine's.

Sharing one file with the engine starved the receiver (10-19 instances/s against 78-103): SQLite's lock is not fair.
Write-ahead log with `synchronous = FULL`: what was committed before 0x0000 survives a power cut.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, Float, Integer, LargeBinary, MetaData, Table, Text

from bridge.errors import Damaged
from bridge.store.migrations import MIGRATIONS, migrate

metadata = MetaData()


def _table(table: str, /, **columns: Any) -> Table:
    # Keys and constraints stand in the migrations alone; here are the names and Python types.
    return Table(table, metadata, *(Column(key, kind) for key, kind in columns.items()))


meta = _table("meta", key=Text, value=Text)
studies = _table(
    "studies",
    study_instance_uid=Text,
    name=Text,
    state=Text,
    source=Text,
    first_at=Float,
    last_at=Float,
    due_at=Float,
    quiet_s=Float,
    attempts=Integer,
    opened_at=Float,
    waits=Text,
    complete=Text,
    asked=Text,
    released=Text,
    doubts=Text,
    news=Boolean,
)
instances = _table(
    "instances",
    number=Integer,
    sop_instance_uid=Text,
    version=Integer,
    sop_class_uid=Text,
    series_instance_uid=Text,
    study_instance_uid=Text,
    transfer_syntax_uid=Text,
    digest=Text,
    size_bytes=Integer,
    file=Text,
    calling_ae_title=Text,
    own=Boolean,
    received_at=Float,
    arrival=Integer,
    change=Text,
    dropped_at=Float,
    called_ae_title=Text,
)
headers = _table("headers", number=Integer, syntax=Text, encoded=LargeBinary)
frames = _table("frames", number=Integer, frame=Integer, digest=Text)
decisions = _table(
    "decisions",
    study_instance_uid=Text,
    rule=Text,
    outcome=Text,
    reason=Text,
    explanation=Text,
    decided_at=Float,
    code=Text,
    waits_since=Float,
    waits_until=Float,
    waits_seen=Integer,
)
decision_jobs = _table("decision_jobs", study_instance_uid=Text, rule=Text, place=Integer, job_id=Text)
jobs = _table(
    "jobs",
    id=Text,
    rule=Text,
    study_instance_uid=Text,
    account=Text,
    algorithm=Text,
    declared_version=Text,
    state=Text,
    stage=Text,
    code=Text,
    reason=Text,
    frozen=Text,
    inputs=Text,
    explanation=Text,
    remote=Text,
    outputs=Text,
    created_at=Float,
    changed_at=Float,
    deadline_at=Float,
    run=Integer,
    rerun=Integer,
    contents=Text,
    urgent=Boolean,
    priority=Integer,
    not_before=Text,
)
events = _table("events", id=Integer, job_id=Text, at=Float, event=Text, keys=Text)
results = _table(
    "results",
    sop_instance_uid=Text,
    job_id=Text,
    kind=Text,
    output_name=Text,
    sop_class_uid=Text,
    series_instance_uid=Text,
    file=Text,
    sha256=Text,
    size_bytes=Integer,
    variant=Text,
)
deliveries = _table(
    "deliveries",
    job_id=Text,
    destination=Text,
    sop_instance_uid=Text,
    outcome=Text,
    status=Integer,
    reason=Text,
    attempts=Integer,
    first_at=Float,
    last_at=Float,
    few=Integer,
    asked=Integer,
    resent=Integer,
)
specs = _table(
    "specs",
    account=Text,
    algorithm=Text,
    declared_version=Text,
    spec=Text,
    code=Text,
    reason=Text,
    learned_at=Float,
)
turns = _table(
    "turns",
    job_id=Text,
    destination=Text,
    turn=Integer,
    tries=Integer,
    due_at=Float,
    code=Text,
    reason=Text,
    since=Float,
)
lines = _table(
    "lines",
    destination=Text,
    down_since=Float,
    next_at=Float,
    tries=Integer,
    code=Text,
    reason=Text,
    trial=Text,
)
refusals = _table(
    "refusals",
    calling_ae_title=Text,
    called_ae_title=Text,
    host=Text,
    why=Text,
    count=Integer,
    first_at=Float,
    last_at=Float,
)
acts = _table(
    "acts",
    id=Integer,
    act=Text,
    target=Text,
    who=Text,
    reason=Text,
    asked_at=Float,
    done_at=Float,
    outcome=Text,
    answer=Text,
)
alerts = _table("alerts", kind=Text, subject=Text, reason=Text, since=Float, last_at=Float)
spent = _table("spent", id=Integer, rule=Text, job_id=Text, at=Float)
pauses = _table(
    "pauses",
    rule=Text,
    code=Text,
    reason=Text,
    since=Float,
    until_at=Float,
    resumed_at=Float,
    resumed_after=Integer,
)
answers = _table("answers", job_id=Text, at=Float)
patients = _table("patients", study_instance_uid=Text, patient=Text)
borrowed = _table("borrowed", job_id=Text, study_instance_uid=Text)
crosswalk = _table(
    "crosswalk",
    job_id=Text,
    study=Text,
    patient=Text,
    account=Text,
    pseudonym=Text,
    outward_study=Text,
    naming=Integer,
    sealing=Integer,
    sealed=LargeBinary,
    made_at=Float,
)
disclosures = _table(
    "disclosures",
    job_id=Text,
    attempt=Integer,
    name=Text,
    sha256=Text,
    size_bytes=Integer,
    input=Text,
    format=Text,
    rule=Text,
    account=Text,
    platform=Text,
    algorithm=Text,
    pseudonym=Text,
    profile=Text,
    begun_at=Float,
    sent_at=Float,
)
disclosed_patients = _table("disclosed_patients", job_id=Text, study=Text, patient=Text, issued=Text)
erasures = _table(
    "erasures",
    id=Integer,
    act_id=Integer,
    study=Text,
    job_id=Text,
    place=Text,
    what=Text,
    erased=Boolean,
    reason=Text,
    at=Float,
)
submits = _table("submits", account=Text, remote_id=Text, key=Text, at=Float, stray=Boolean)


class Index:
    """The index database. `write()` is one transaction that holds SQLite's only write lock: keep it short."""

    def __init__(self, file: Path, *, clock: Any = time.time) -> None:
        self.file = file
        self.clock = clock
        self._engine = sa.create_engine(
            f"sqlite:///{file}", pool_size=8, max_overflow=-1, connect_args={"timeout": 30.0}
        )
        sa.event.listen(self._engine, "connect", _prepare)
        sa.event.listen(self._engine, "begin", _begin)

    def open(self) -> None:
        """Create or migrate the file. Raises Damaged (IDX-001) for one written by a newer version."""
        with self.write() as connection:
            have = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
            if have > len(MIGRATIONS):
                raise Damaged(
                    "IDX-001",
                    f"an index of schema {have}",
                    f"schema {len(MIGRATIONS)} or older",
                    "Start the newer version of bridge, or restore the index from before the upgrade",
                )
            migrate(connection)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        with self._engine.connect().execution_options(write=True) as connection, connection.begin():
            yield connection

    def write_back(self) -> None:
        """Empty the write-ahead log, as far as nobody reads from it: what was overwritten stands there once more."""
        with closing(self._engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self._engine.dispose()


def _prepare(dbapi: Any, _record: object) -> None:
    dbapi.isolation_level = None  # we say BEGIN ourselves: a read that turns into a write would fail as busy
    dbapi.execute("PRAGMA journal_mode = WAL")
    dbapi.execute("PRAGMA synchronous = FULL")
    dbapi.execute("PRAGMA busy_timeout = 30000")
    dbapi.execute("PRAGMA foreign_keys = ON")


def _begin(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
