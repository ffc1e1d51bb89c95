"""What is finished leaves the engine's file; the job rows stay, so nothing of it ever begins again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from harness import World

pytestmark = pytest.mark.long


def stages(world: World) -> list[str]:
    with closing(sqlite3.connect(world.data / "engine.sqlite")) as engine:
        return [id for (id,) in engine.execute("SELECT workflow_uuid FROM workflow_status")]


def test_a_forgotten_stage_is_never_begun_again(tmp_path: Path) -> None:
    with World(tmp_path, compute_seconds=0.1, more="[retention]\nstages_days = 0") as world:
        files = world.new_study()
        world.start()
        world.send_all(files)
        assert world.finish(within_s=150).as_expected
        [done] = world.jobs()
        assert [stage for stage in stages(world) if done.id in stage] != []
        world.stop()

        world.start()
        world.wait_for(lambda: world.events("engine.cleaned"))
        assert [stage for stage in stages(world) if done.id in stage] == []
        world.send_all(files)
        decided = len(world.events("rule.decided"))
        late = world.new_study()
        world.send_all(late)
        world.wait_for(lambda: len(world.events("rule.decided")) > decided)
        seen = world.finish(within_s=150)
        assert seen.as_expected, seen
        assert [stage for stage in stages(world) if done.id in stage] == []


def test_a_job_that_is_not_over_keeps_its_stages(tmp_path: Path) -> None:
    with World(tmp_path, compute_seconds=4.0, more="[retention]\nstages_days = 0") as world:
        world.start()
        world.send_all(world.new_study())
        world.wait_for(lambda: world.cloud_jobs == 1)
        world.kill()
        [job] = world.jobs()
        (world.data / "health.json").unlink(missing_ok=True)
        world.start()
        world.wait_for(lambda: (world.data / "health.json").exists())
        assert {f"{job.id}.prepare", f"{job.id}.cloud"} <= set(stages(world))
        assert world.finish(within_s=150).as_expected
