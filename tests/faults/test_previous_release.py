"""What the previous release left halted at each stage is finished by this one: nothing lost, nothing made twice."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import tarfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from harness import SEG, SR, World

from bridge.assembly import platform_of
from bridge.config import load_site
from bridge.flow.stages.cloud import PARCEL, REMOTE
from bridge.flow.stages.prepare import PARCEL_FILE, SPEC_FILE
from bridge.flow.stages.shelf import JobShelf
from bridge.platforms.protocol import RemoteJob
from bridge.store.acts import Acts
from bridge.store.jobs import JobState

pytestmark = pytest.mark.slow

FILES = sorted(Path(__file__).with_name("data").glob("release-*.tar.xz"))
"""Made by `make_release_file.py`, one for each release."""


def bring_to_this_hour(index: sqlite3.Connection) -> None:
    """Move every time, as if the bridge had been killed just now: deadlines and patience are no part of this."""
    (last,) = index.execute("SELECT max(at) FROM events").fetchone()
    for (table,) in index.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for _, column, kind, *_ in index.execute(f"PRAGMA table_info({table})").fetchall():
            if kind == "REAL" and re.search(r"(^|_)at$", column):
                index.execute(f"UPDATE {table} SET {column} = {column} + ?", (time.time() - last,))


def move_the_platform(world: World, index: sqlite3.Connection) -> None:
    """Its address is this sandbox's, wherever the address of the one that is gone was written down."""
    (spec,) = index.execute("SELECT spec FROM specs").fetchone()
    was = json.loads(spec)["details"]["api_url"].partition("algorithms/")[0]
    index.execute("UPDATE specs SET spec = replace(spec, ?, ?)", (was, world.cloud.base_url))
    index.execute("UPDATE jobs SET remote = replace(remote, ?, ?)", (was, world.cloud.base_url))
    for name in (PARCEL_FILE, SPEC_FILE):
        for file in (world.data / "jobs").glob(f"*/{name}"):
            file.write_text(file.read_text().replace(was, world.cloud.base_url))


def submit_again(world: World, index: sqlite3.Connection, job: str) -> None:
    """Give this sandbox the job that the one which is gone had, and the row its numbers."""
    (was,) = index.execute("SELECT remote FROM jobs WHERE id = ?", (job,)).fetchone()
    shelf = JobShelf(world.data / "jobs" / job)
    with shelf.open(PARCEL_FILE) as stream:
        parcel = PARCEL.validate_json(stream.read())
    site = load_site(world.site)

    async def perform() -> RemoteJob:
        platform = platform_of("gc", site.accounts["gc"], site.data)
        try:
            remote = RemoteJob(key=job)
            for step in parcel.order.steps:
                remote = await platform.perform(step, remote, parcel, shelf)
            return remote
        finally:
            await platform.close()

    made = asyncio.run(perform())
    text = was
    for step, note in REMOTE.validate_json(was).notes.items():
        if "pk" in note:
            text = text.replace(str(note["pk"]), str(made.notes[step]["pk"]))
    assert REMOTE.validate_json(text).remote_id == made.remote_id != REMOTE.validate_json(was).remote_id
    index.execute("UPDATE jobs SET remote = ? WHERE id = ?", (text, job))


def unpack(world: World, archive: Path) -> dict[str, Any]:
    with tarfile.open(archive) as tar:
        tar.extractall(world.folder, filter="data")
    halted: dict[str, Any] = json.loads((world.folder / "halted.json").read_text())
    with closing(sqlite3.connect(world.data / "index.sqlite")) as index, index:
        bring_to_this_hour(index)
        move_the_platform(world, index)
        submit_again(world, index, halted["waiting"]["job"])
    return halted


def test_there_is_a_file_of_a_release() -> None:
    assert FILES


@pytest.mark.parametrize("archive", FILES, ids=[file.name for file in FILES])
def test_halted_jobs_of_an_earlier_release_are_finished(tmp_path: Path, archive: Path) -> None:
    with World(tmp_path, compute_seconds=1.0) as world:
        halted = unpack(world, archive)
        assert {name: one["was"] for name, one in halted.items()} == {
            "held": "prepare held",
            "done": "deliver done",
            "deliver": "deliver running",
            "prepare": "prepare running",
            "encode": "encode running",
            "waiting": "cloud running",
            "submit": "cloud running",
        }
        billed = len((tmp_path / "ledger.jsonl").read_text().splitlines())
        assert billed == 4  # done, deliver, encode, waiting
        world.start()
        world.wait_for(lambda: sum(job.state is JobState.DONE for job in world.jobs()) == 6, 90)
        index = world.index()
        Acts(index).ask("release", halted["held"]["job"], who="operator")
        index.close()
        world.wait_for(lambda: sum(job.state is JobState.DONE for job in world.jobs()) == 7, 90)
        time.sleep(1.5)  # something superfluous would come now

        # The one that waited was billed by the sandbox that is gone, and once more by our giving it to this one.
        assert billed - 1 + world.cloud_jobs == len(halted)
        stored = Counter(one.sop_class_uid for one in world.pacs.attempts if one.file)
        assert stored == {SEG: 6, SR: 6}  # of all but the one that was done
        assert len({one.sop_instance_uid for one in world.pacs.attempts}) == 12
        assert not [line for line in world.log() if "fence" in line["event"] or "alert" in line["event"]]
