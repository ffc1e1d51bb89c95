"""Files of another moment, a copy of the directory, a second process: nothing is billed or sent twice."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import World

from bridge.flow.keeping.fencing import Case, fence_state
from bridge.store.acts import Acts
from bridge.store.alerts import Alerts

pytestmark = pytest.mark.slow

INDEX, ENGINE = "index.sqlite", "engine.sqlite"


def put_back(world: World, snapshot: Path, *databases: str) -> None:
    """Files of an earlier moment for those of today; without names all that is in the directory."""
    if not databases:
        # The directory itself stays: another one would be a copy, which is another case of the fence.
        for one in world.data.iterdir():
            shutil.rmtree(one) if one.is_dir() else one.unlink()
        shutil.copytree(snapshot, world.data, dirs_exist_ok=True)
        return
    for name in databases:
        for file in world.data.glob(f"{name}*"):
            file.unlink()
        for file in snapshot.glob(f"{name}*"):
            shutil.copy2(file, world.data)


def lifted(world: World) -> list[str]:
    return [line["case"] for line in world.events("fence.lifted")]


def standing(world: World) -> Case | None:
    index = world.index()
    try:
        fence = fence_state(index)
        assert bool(fence) == any(alert.kind == "fenced" for alert in Alerts(index).all())
        return fence.case if fence else None
    finally:
        index.close()


@pytest.mark.long
@pytest.mark.parametrize("databases", [(INDEX,), (ENGINE,), ()], ids=["index", "engine", "everything"])
def test_files_of_an_earlier_moment_bill_nothing_twice(tmp_path: Path, databases: tuple[str, ...]) -> None:
    with World(tmp_path / "world", compute_seconds=0.1) as world:
        first = world.new_study()
        world.start("submit-upload:before")
        world.send_all(first)
        assert world.wait_for_death(30)
        snapshot = tmp_path / "snapshot"
        shutil.copytree(world.data, snapshot)
        second = world.new_study()
        world.start()
        world.send_all(second)
        assert world.finish(within_s=150).as_expected
        world.kill()

        put_back(world, snapshot, *databases)
        world.start()
        if databases != (ENGINE,):
            world.send_all(second)  # its sender finds it missing
        seen = world.finish(within_s=150)
        assert seen.as_expected, seen
        assert seen.cloud_jobs == 2
        assert lifted(world) == [Case.AHEAD if databases != (ENGINE,) else Case.RESTORED]
        assert standing(world) is None


@pytest.mark.long
def test_a_lost_engine_file_costs_time_and_nothing_else(tmp_path: Path) -> None:
    with World(tmp_path, compute_seconds=2.0) as world:
        files = world.new_study()
        world.start("await:mid")
        world.send_all(files)
        assert world.wait_for_death(30)
        world.start()
        world.send_all(world.new_study())
        world.kill()
        for file in world.data.glob(f"{ENGINE}*"):
            file.unlink()
        world.start()
        seen = world.finish(within_s=150)
        assert seen.as_expected, seen
        assert lifted(world) == [Case.RESTORED]


@pytest.mark.long
def test_an_ordinary_start_after_each_kind_of_stop_is_not_fenced(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.start()
        world.kill()
        for point in ("fence:begun", "fence:mid", "fence:asked"):
            world.start(point)
            assert world.wait_for_death(30)
        world.start()
        world.wait_until_started()
        world.stop()
        world.start()
        world.wait_until_started()
        assert not [line for line in world.log() if "fence" in line["event"]]


def test_a_copy_of_the_directory_sends_nothing_until_a_person_lifts_the_fence(tmp_path: Path) -> None:
    with World(tmp_path, compute_seconds=2.0) as world:
        files = world.new_study()
        world.start("await:mid")
        world.send_all(files)
        assert world.wait_for_death(30)

        shutil.copytree(world.data, tmp_path / "copy")
        world.data = tmp_path / "copy"
        world.write_site()
        world.start()
        late = world.new_study()
        world.send_all(late)  # receiving goes on
        world.wait_for(lambda: len(world.jobs()) == 2)
        assert standing(world) is Case.MOVED
        asked, stored = len(world.cloud.requests_file.read_text()), len(world.pacs.attempts)
        world.wait_for(lambda: '"fenced": "moved"' in (world.data / "health.json").read_text())
        world.stop()
        world.start()  # a restart lifts nothing
        world.wait_until_started()
        assert standing(world) is Case.MOVED
        assert (len(world.cloud.requests_file.read_text()), len(world.pacs.attempts)) == (asked, stored)

        index = world.index()
        Acts(index).ask("fence-lift", "fence", who="operator")
        index.close()
        seen = world.finish(within_s=150)
        assert seen.as_expected, seen
        assert standing(world) is None


@pytest.mark.long
def test_another_place_means_nothing_where_the_site_says_so(tmp_path: Path) -> None:
    with World(tmp_path, bridge="same_machine = false") as world:
        world.start()
        world.kill()
        shutil.copytree(world.data, tmp_path / "copy")
        world.data = tmp_path / "copy"
        world.write_site()
        world.start()
        world.send_all(world.new_study())
        assert world.finish(within_s=150).as_expected
        assert standing(world) is None


@pytest.mark.long
def test_second_process_on_the_same_directory_ends_and_disturbs_nothing(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.start()
        worker = Path(__file__).with_name("worker.py")
        second = subprocess.run(
            [sys.executable, str(worker), str(world.site)], capture_output=True, text=True, timeout=60
        )
        assert second.returncode != 0
        assert "the data directory is in use by process" in second.stderr
        world.send_all(world.new_study())
        assert world.finish(within_s=150).as_expected
