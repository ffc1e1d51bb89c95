"""What the bridge keeps and tells: marks stand where identity is meant to be, and nowhere else.

All of a data directory is read after a good run and after one in which every step failed: the log, the engine's
database as bytes, every column of the index, health.json, what commands print, reports, and the files of jobs.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from harness import World
from pydicom import dcmread
from pydicom.dataset import Dataset
from tests.canaries import sources
from tests.canaries.marks import Marks
from tests.canaries.planting import written
from tests.canaries.search import Searcher
from tests.canaries.sources import Planted

from bridge.sandbox.loopback.faults import Fault
from bridge.sandbox.pacs import Orders, order
from bridge.sandbox.phantom import make_study
from bridge.store.jobs import FINAL

OF_THE_STUDY = "names the study, by which everything in the house is found"
ALLOWED = {
    ("headers", "encoded"): "the header as it came: explain, replay and results are made of it",
    ("instances", "sop_instance_uid"): "names the object",
    ("instances", "series_instance_uid"): "names the series",
    ("instances", "study_instance_uid"): OF_THE_STUDY,
    ("studies", "study_instance_uid"): OF_THE_STUDY,
    ("decisions", "study_instance_uid"): OF_THE_STUDY,
    ("decision_jobs", "study_instance_uid"): OF_THE_STUDY,
    ("jobs", "study_instance_uid"): OF_THE_STUDY,
    ("patients", "study_instance_uid"): OF_THE_STUDY,
    ("borrowed", "study_instance_uid"): OF_THE_STUDY,
}
"""Columns of index.sqlite in which marks may stand, and why. `patients.patient` is a keyed hash, so it is not here."""
NAMED_BY = {
    # A series without a number is named by its UID in what a rule made of it, which is masked wherever it is shown.
    "index: decisions.explanation": {"SeriesInstanceUID"},
    "index: jobs.explanation": {"SeriesInstanceUID"},
}
"""Columns in which some marks may stand."""
FILES = ("instances/", "index.sqlite")
"""Below the data directory: objects as received; the index is looked at by column."""


def planted(variant: str, *, day: int) -> Planted:
    study = make_study(when=datetime(2026, 3, day, 8, tzinfo=UTC), variant=variant, scale=0.12)
    return sources.made(variant, study.datasets)


def cells(file: Path) -> Iterator[tuple[str, str, bytes]]:
    """Every value of every table of a database, as bytes."""
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            rows = database.execute(f'SELECT * FROM "{table}"')
            columns = [one[0] for one in rows.description]
            for row in rows:
                for column, value in zip(columns, row, strict=True):
                    if value is not None:
                        yield table, column, value if isinstance(value, bytes) else str(value).encode()


def told(world: World) -> Iterator[tuple[str, bytes]]:
    """What commands print, with the reports of all jobs. Some end with 1, which means that something waits."""
    jobs = [job.id for job in world.jobs()]
    commands = [
        ["status"],
        ["status", "--json"],
        ["jobs", "list"],
        ["jobs", "list", "--json"],
        ["fence", "show", "--json"],
        *(["jobs", "show", job, "--report", str(world.folder / f"{job}.html")] for job in jobs),
        *(["jobs", "show", job, "--json"] for job in jobs),
    ]
    for command in commands:
        program = [sys.executable, "-m", "bridge", *command, "--config", str(world.site)]
        done = subprocess.run(program, capture_output=True, timeout=120, check=False)
        assert done.returncode in (0, 1), done.stderr[-400:]
        yield " ".join(command[:2]), done.stdout + done.stderr
    for job in jobs:
        yield "report.html", (world.folder / f"{job}.html").read_bytes()


def places(world: World, study: Planted) -> dict[str, set[str]]:
    """Where marks stand that should not, and which."""
    searcher = Searcher(study.wanted)
    found: dict[str, set[str]] = {}

    def look(place: str, data: bytes) -> None:
        marks = searcher.search(data).marks
        if marks:
            found.setdefault(place, set()).update(study.marks.planted.get(mark, mark) for mark in marks)

    columns: dict[tuple[str, str], set[bytes]] = {}
    for table, column, value in cells(world.data / "index.sqlite"):
        columns.setdefault((table, column), set()).add(value)
    for (table, column), values in columns.items():
        if (table, column) not in ALLOWED:
            look(f"index: {table}.{column}", b"\n".join(values))
    for file in sorted(one for one in world.data.rglob("*") if one.is_file()):
        name = str(file.relative_to(world.data))
        # Results name the patient whose they are: they go to PACS and nowhere else.
        if not name.startswith(FILES) and not (name.startswith("jobs/") and file.suffix == ".dcm"):
            look(name.split("/", 2)[-1], file.read_bytes())
    look("bridge.log", (world.folder / "bridge.log").read_bytes())
    for file in (world.folder / "cloud").rglob("*"):
        if file.is_file():
            look(f"cloud: {file.name}", file.read_bytes())
    for what, text in told(world):
        look(what, text)
    return {place: left for place, marks in found.items() if (left := marks - NAMED_BY.get(place, set()))}


@pytest.mark.slow
def test_a_mark_in_a_column_or_a_file_is_found(tmp_path: Path) -> None:
    """The looking itself: what is put where nothing should be is told with its place."""
    study = sources.MADE["US"]()
    mark = study.marks.text("planted here")
    with sqlite3.connect(tmp_path / "index.sqlite") as database:
        database.execute("CREATE TABLE alerts (kind TEXT, reason TEXT)")
        database.execute("INSERT INTO alerts VALUES ('x', ?)", (json.dumps({"a": mark}),))
    seen = {
        (table, column)
        for table, column, value in cells(tmp_path / "index.sqlite")
        if Searcher(study.wanted).search(value).marks
    }
    assert seen == {("alerts", "reason")}


@pytest.mark.long
def test_after_a_good_run_marks_stand_only_where_identity_is_kept(tmp_path: Path) -> None:
    study = planted("good", day=1)
    with World(tmp_path) as world:
        world.start()
        world.studies = 1
        world.send_all(sorted(study.write(tmp_path / "sent").iterdir()))
        seen = world.finish(within_s=200)
        world.stop()
        assert (seen.segs, seen.srs) == (1, 1)
        assert places(world, study) == {}


@pytest.mark.long
def test_after_every_step_has_failed_marks_stand_only_where_identity_is_kept(tmp_path: Path) -> None:
    unlucky = planted("unlucky", day=2)
    broken, homeless, refused = (light(number) for number in (1, 2, 3))
    with World(tmp_path) as world:
        world.start()
        world.wait_until_started()
        for fault in STEPS:
            world.cloud.arm(fault)
        order(tmp_path / "pacs", Orders(abort=2, refuse=2))
        world.studies = 1
        world.send_all(sorted(unlucky.write(tmp_path / "sent" / "a").iterdir()))
        world.send(_cut(broken.write(tmp_path / "sent" / "b")))
        world.send(_homeless(homeless.write(tmp_path / "sent" / "c")))
        world.wait_for(lambda: any(job.state in FINAL for job in world.jobs()), 200)
        hits = [fault["hits"] for fault in world.cloud.faults()]
        assert all(hits), f"a fault that struck nothing: {hits}"
        world.cloud.arm(REFUSAL)
        world.send_all(sorted(refused.write(tmp_path / "sent" / "d").iterdir()))
        world.wait_for(lambda: any(job.code for job in world.jobs()), 100)
        world.stop()
        studies = (unlucky, broken, homeless, refused)
        told = {mark: where for one in studies for mark, where in one.marks.planted.items()}
        every = Planted(name="all", files=(), marks=Marks(planted=told), raw={})
        assert places(world, every) == {}


STEPS = (
    Fault(origin="api", method="GET", path="*/algorithms/*", status=500),
    Fault(origin="store", method="PUT", reset=True),
    Fault(origin="store", method="PUT", status=500),
    Fault(origin="api", method="POST", path="*/uploads/", status=502),
    Fault(origin="api", method="PATCH", path="*/uploads/*/complete*", status=502),
    Fault(origin="api", method="POST", path="*/algorithms/jobs/", reset=True, after=True),
    Fault(origin="api", method="GET", path="*/algorithms/jobs/*", status=503, times=2),
    Fault(origin="store", method="GET", cut_at=100),
)
"""One failure at each step of a case, after which it goes on."""
REFUSAL = Fault(
    origin="api",
    method="POST",
    path="*/algorithms/jobs/",
    status=400,
    times=None,
    body={"inputs": [{"value": ["This field may not be blank."]}]},
)


def light(number: int) -> Planted:
    """A study of its own with marks in what it says anyway."""
    study = make_study(
        when=datetime(2026, 3, 2 + number, 8, tzinfo=UTC), variant=f"light-{number}", scale=0.12
    )
    return sources.overwritten(f"light {number}", study.datasets, Marks(count=100_000 * number))


def _cut(folder: Path) -> list[Path]:
    """The files with half of their pixels, so that decoding fails."""
    return _changed(folder, lambda one: setattr(one, "PixelData", one.PixelData[: len(one.PixelData) // 2]))


def _homeless(folder: Path) -> list[Path]:
    return _changed(folder, lambda one: setattr(one, "StudyInstanceUID", ""))


def _changed(folder: Path, change: Callable[[Dataset], None]) -> list[Path]:
    files = sorted(folder.iterdir())
    for file in files:
        one = dcmread(file)
        change(one)
        file.write_bytes(written(one))
    return files
