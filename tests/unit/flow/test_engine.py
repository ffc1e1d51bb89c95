"""The engine itself: what it forgets, and what it takes up again. One engine to a process, so each runs in its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bridge.flow.keeping.engine_file import read_epoch, set_aside, shrink, write_ahead, write_epoch

pytestmark = pytest.mark.slow

PROGRAM = """
import json, sys, threading, time
from pathlib import Path
from bridge.flow.engine import Engine, Queue, step
from bridge.log import silence_libraries

silence_libraries()
file = Path(sys.argv[1])
engine = Engine(file, poll_s=0.05)
ran = []
hold = threading.Event()

def work(job, text):
    step("note", lambda: ran.append(job))
    if text == "fail":
        raise OSError("no room")
    return "x" * 200_000 if text == "long" else "ok"

def wait(job):
    hold.wait(30)

def until(what):
    end = time.monotonic() + 30
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)

engine.register("work", work, attempts=3)
engine.register("wait", wait, attempts=None)
assert not file.exists()
engine.launch([Queue(name="q", at_once=4)])
told = {}
exec(sys.argv[2])
hold.set()
engine.stop(2)
print(json.dumps(told))
sys.stdout.flush()
import os
os._exit(0)
"""


def run(folder: Path, body: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder / "engine.sqlite"), body],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_only_ended_stages_of_jobs_that_are_over_are_forgotten(tmp_path: Path) -> None:
    body = """
for job in ("over", "going"):
    engine.enqueue("work", "q", f"{job}.work", job, "")
engine.enqueue("wait", "q", "over.wait", "over")
until(lambda: len(ran) == 2 and engine.under_way() == {"over.wait"})
told["too_young"] = engine.clean(time.time() - 60, lambda job: True)
told["forgotten"] = engine.clean(time.time() + 60, lambda job: job == "over")
for id in ("over.work", "going.work"):
    engine.enqueue("work", "q", id, id, "")
until(lambda: len(ran) == 3)
time.sleep(0.5)
told["ran"] = [*sorted(ran[:2]), *ran[2:]]  # both were enqueued within a second
told["under_way"] = sorted(engine.under_way())
"""
    told = run(tmp_path, body)
    assert told == {
        "too_young": 0,
        "forgotten": 1,
        # The one that was forgotten runs again when its id comes again: hence the rule which may be forgotten.
        "ran": ["going", "over", "over.work"],
        "under_way": ["over.wait"],
    }


def test_file_shrinks_when_a_quarter_of_it_is_empty(tmp_path: Path) -> None:
    body = """
for n in range(20):
    engine.enqueue("work", "q", f"j{n}.work", f"j{n}", "long")
until(lambda: len(ran) == 20 and not engine.under_way())
import sqlite3
size = lambda: sqlite3.connect(file).execute("PRAGMA page_count").fetchone()[0]
told["before"] = size()
told["forgotten"] = engine.clean(time.time() + 60, lambda job: True)
told["after"] = size()
"""
    told = run(tmp_path, body)
    assert told["forgotten"] == 20
    assert told["after"] < told["before"] / 2


def test_error_of_the_machine_is_told_by_its_class(tmp_path: Path) -> None:
    body = """
engine.enqueue("work", "q", "j.work", "j", "fail")
until(lambda: engine.given_up())
[one] = engine.given_up()
told.update(id=one.id, status=one.status, error=one.error)
"""
    assert run(tmp_path, body) == {"id": "j.work", "status": "ERROR", "error": "OSError"}


def test_stage_that_nobody_works_at_is_taken_up_and_one_at_work_is_not(tmp_path: Path) -> None:
    body = """
engine.enqueue("wait", "q", "busy.wait", "busy")
engine.enqueue("wait", "q", "alone.wait", "alone")
until(lambda: len(engine._active) == 2)
engine._active.discard("alone.wait")  # as after the death of its thread
told["looks"] = [engine.take_up() for _ in range(4)]
"""
    assert run(tmp_path, body) == {"looks": [[], [], ["alone.wait"], []]}


def test_file_is_put_aside_with_its_log(tmp_path: Path) -> None:
    file = tmp_path / "engine.sqlite"
    assert read_epoch(file) == ""
    assert set_aside(file, 7.0) is None
    write_ahead(file)
    assert read_epoch(file) == ""
    write_epoch(file, "one")
    write_epoch(file, "two")
    assert read_epoch(file) == "two"
    (tmp_path / "engine.sqlite-wal").write_bytes(b"log")
    aside = set_aside(file, 7.9)
    assert aside == tmp_path / "engine.sqlite.7"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["engine.sqlite.7", "engine.sqlite.7-wal"]
    shrink(aside)


def test_queue_with_a_limit_runs_what_is_due_first(tmp_path: Path) -> None:
    body = """
engine.launch([])
from dbos import DBOS
DBOS.register_queue("narrow", global_concurrency=1, polling_interval_sec=0.05, on_conflict="always_update")
engine.enqueue("wait", "narrow", "gate.wait", "gate", due_at=0.0)
until(lambda: any(w.workflow_id == "gate.wait" and str(w.status) == "PENDING" for w in engine._list()))
now = time.time()
for id, due_at in {"routine": now + 14400, "later": now + 14460, "urgent": now + 60, "abort": 0.0}.items():
    engine.enqueue("work", "narrow", f"{id}.work", id, "", due_at=due_at)
time.sleep(0.3)
told["before"] = list(ran)
hold.set()
until(lambda: len(ran) == 4)
told["ran"] = ran
"""
    assert run(tmp_path, body) == {"before": [], "ran": ["abort", "urgent", "routine", "later"]}
