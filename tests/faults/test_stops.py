"""SIGTERM in the middle of everything, and a disk that is full: nothing acknowledged is lost, nothing is doubled."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path

import pytest
from harness import World

from bridge.sandbox.pacs import send

pytestmark = pytest.mark.slow

FULL = 0xA700


def statuses(world: World, files: list[Path]) -> list[int | None]:
    return send(files, port=world.port, called_ae_title="BRIDGE", calling_ae_title="PACS", timeout_s=30)


@pytest.mark.long
def test_sigterm_while_a_sender_sends_and_the_cloud_computes(tmp_path: Path) -> None:
    with World(tmp_path, compute_seconds=3.0) as world:
        computing = world.new_study()
        world.start()
        world.send_all(computing)
        world.wait_for(lambda: world.cloud_jobs == 1)
        files = world.new_study()
        left: list[Path] = []
        sender = threading.Thread(target=lambda: left.extend(world.send(files)))
        sender.start()
        time.sleep(0.2)
        begun = time.monotonic()
        assert world.end() == 0
        assert time.monotonic() - begun < 15
        sender.join()
        world.start()
        world.send_all(left)
        seen = world.finish(within_s=150)
        assert seen.as_expected, seen


def test_reserve_refuses_with_0xa700_and_takes_again_when_there_is_room(tmp_path: Path) -> None:
    with World(tmp_path, reserve_bytes=1 << 60) as world:
        files = world.new_study()
        world.start()
        assert set(statuses(world, files)) == {FULL}
        world.stop()
        world.change(reserve_bytes=0)
        world.start()
        world.send_all(files)
        assert world.finish(within_s=150).as_expected


@pytest.mark.long
def test_disk_that_fills_up_under_the_work_and_is_emptied(tmp_path: Path) -> None:
    """The data directory is a small disk of its own, which somebody else fills while jobs are at every stage."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs leave to mount (unshare -rm)")
    with World(tmp_path, compute_seconds=1.0) as world:
        world.mounted(size_mb=64)
        world.start()
        world.send_all(world.new_study())
        world.wait_for(lambda: world.cloud_jobs == 1)
        filler = world.data / "filler"
        fill(filler)
        late = world.new_study()
        refused = statuses(world, late)
        assert set(refused) == {FULL}, refused
        time.sleep(6)
        filler.unlink()
        world.send_all(late)
        seen = world.finish(within_s=90)
        assert seen.as_expected, seen


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as stream:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    stream.write(b"\0" * size)
            except OSError:
                continue
