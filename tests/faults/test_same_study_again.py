"""What comes again, late, or back from PACS starts and bills nothing; what changes an input does."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import World
from pydicom import dcmread
from pydicom.uid import RLELossless, generate_uid

from bridge.store.jobs import Jobs
from bridge.store.studies import Studies
from bridge.store.tables import Index


def decided(world: World) -> int:
    """How often rules have decided about a study so far."""
    return (world.folder / "bridge.log").read_text().count('"rule.decided"')


def wait_for_decision(world: World, before: int) -> None:
    import time

    until = time.monotonic() + 30
    while decided(world) == before:
        assert time.monotonic() < until, "nothing was decided"
        time.sleep(0.2)


@pytest.mark.slow
def test_resent_late_and_returned_objects_start_no_job(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        files = world.new_study()
        world.start()
        world.send_all(files)
        assert world.finish(within_s=150).as_expected

        before = decided(world)
        world.send_all(files)  # bit for bit
        world.send_all(list(world.pacs.held.values()))  # PACS forwards our own results
        index = Index(tmp_path / "data" / "index.sqlite")
        study = dcmread(files[0], stop_before_pixels=True).StudyInstanceUID
        row = Studies(index).study(study)
        assert row is not None
        assert row.state == "decided"

        late = dcmread(files[-1])  # a dose page that comes after everything else
        late.SOPInstanceUID = late.file_meta.MediaStorageSOPInstanceUID = generate_uid(prefix="2.25.")
        late.save_as(tmp_path / "late.dcm")
        packed = []
        for one in map(dcmread, files):
            if one.SeriesNumber == 2:
                one.compress(RLELossless, generate_instance_uid=False)
                packed.append(tmp_path / f"{one.SOPInstanceUID}.dcm")
                one.save_as(packed[-1])
        world.send_all([tmp_path / "late.dcm", *packed])
        wait_for_decision(world, before)
        assert world.finish(within_s=90).as_expected
        (job,) = Jobs(index).all()
        again = [line for line in Jobs(index).timeline(job.id) if line.event == "instance.late"]
        assert {line.keys["change"] for line in again} == {"re-encoded"}
        assert len(again) == len(packed)
        assert len(Jobs(index).all()) == 1

        changed = next(one for one in map(dcmread, files) if one.SeriesNumber == 2)
        pixels = bytearray(changed.PixelData)
        pixels[0] ^= 1
        changed.PixelData = bytes(pixels)
        changed.save_as(tmp_path / "changed.dcm")
        before = decided(world)
        world.send_all([tmp_path / "changed.dcm"])
        wait_for_decision(world, before)
        assert len(Jobs(index).all()) == 2
        index.close()
