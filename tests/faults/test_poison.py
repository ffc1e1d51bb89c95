"""A study that kills the process is set aside after its attempts; the others go on."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import World
from pydicom import dcmread

from bridge.store.jobs import JobState

pytestmark = pytest.mark.long

MOST = 2


def die_until_set_aside(world: World, point: str, within: int) -> int:
    """Start the bridge again whenever it dies, as systemd does; returns how often it died."""
    for deaths in range(within):
        world.start(point, most=MOST)
        world.wait_for(lambda: world.is_dead() or world.events("alert.study-set-aside") or failed(world))
        if not world.is_dead():
            return deaths
        assert world.wait_for_death(0)
    raise AssertionError(f"it still dies after {within} starts")


def failed(world: World) -> bool:
    return any(job.state is JobState.FAILED for job in world.jobs())


def test_study_that_kills_the_process_while_rules_look_at_it(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        poison = world.new_study()
        uid = dcmread(poison[0], stop_before_pixels=True).StudyInstanceUID
        world.start()
        world.send_all(poison)
        world.kill()
        good = world.new_study()
        point = f"decide:mid@{uid}"
        world.start(point, most=MOST)
        world.send(good)
        world.wait_for_death(30)
        assert die_until_set_aside(world, point, MOST + 2) <= MOST
        world.send_all(good)
        world.studies = 1  # that of the other study
        seen = world.finish(within_s=150)
        assert seen.as_expected, seen
        index = world.index()
        index.close()
        assert len(world.events("alert.study-set-aside")) == 1


def test_study_that_kills_the_process_while_it_is_converted(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        poison = world.new_study()
        uid = dcmread(poison[0], stop_before_pixels=True).StudyInstanceUID
        point = f"prepare:mid@{uid}"
        world.start(point, most=MOST)
        world.send_all(poison)
        assert world.wait_for_death(30)
        good = world.new_study()
        world.start(point, most=MOST)
        world.send(good)
        world.wait_for_death(30)
        die_until_set_aside(world, point, MOST + 4)
        world.send_all(good)
        world.wait_for(lambda: any(job.state is JobState.DONE for job in world.jobs()), 60)
        ended = {job.study_instance_uid: (job.state, job.code) for job in world.jobs()}
        assert ended.pop(uid) == (JobState.FAILED, "ENG-010")
        assert [state for state, _ in ended.values()] == [JobState.DONE]
        seen = world.seen()
        assert (seen.cloud_jobs, seen.segs, seen.srs) == (1, 1, 1)
