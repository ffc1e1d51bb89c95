"""Folder in, cloud, folder out, and no PACS anywhere; then the same with a bridge that dies at every point of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from harness import RULES, SEG, SR, World
from pydicom import dcmread

MORE = """
[sources.scanner]
folder = "in"
settle_s = 0.3
look_s = 0.1

[destinations.planning]
folder = "out"
files = "both"
case = "{PatientID}_{StudyDate}"
retry_s = [0.3, 0.5, 1.0]
"""
POINTS = (
    "receive:mid",
    "receive:after",
    "folder:kept",
    "folder:put-away",
    "deliver:before",
    "folder:mid",
    "folder:written",
    "folder:named",
    "deliver:mid",
    "deliver:after",
)
"""In the order of one study, that is killed at all of them, life after life."""
SOME = ("receive:after", "folder:kept", "folder:written")


class Clinic(World):
    """Without senders: what is laid into `in` comes back in `out`."""

    def __init__(self, folder: Path) -> None:
        rules = RULES.replace('destinations = ["pacs"]', 'destinations = ["planning"]')
        super().__init__(folder, more=MORE, rules=f"{rules}\n[rules.lungs.results]\npicture = true\n")
        (folder / "in").mkdir()
        (folder / "out").mkdir()

    def lay(self) -> list[Path]:
        """As a scanner's export does: each file under a name that is not its own until it is whole."""
        files = self.new_study()
        for file in files:
            part = self.folder / "in" / f"{file.stem}.part"
            shutil.copyfile(file, part)
            part.rename(part.with_name(file.stem))
        return files

    def results(self) -> dict[str, Path]:
        (case,) = (self.folder / "out").iterdir()
        return {file.name: file for file in case.iterdir()}


def judged(world: Clinic, files: list[Path]) -> None:
    """By what lies on both shares, and by what the cloud billed."""
    assert [job.state for job in world.jobs()] == ["done"]
    assert world.cloud_jobs == 1
    assert not world.pacs.attempts
    done = {file.name: file for file in (world.folder / "in" / "done").iterdir()}
    assert {name: file.read_bytes() for name, file in done.items()} == {
        file.stem: file.read_bytes() for file in files
    }
    assert [one.name for one in (world.folder / "in").iterdir()] == ["done"]
    results = world.results()
    source = dcmread(files[0], stop_before_pixels=True)
    assert results["case.json"].parent.name == f"{source.PatientID}_{source.StudyDate}"
    dicom = {name: dcmread(file) for name, file in results.items() if name.endswith(".dcm")}
    assert {str(one.SOPClassUID) for one in dicom.values()} >= {SEG, SR}
    assert {(one.PatientID, one.StudyInstanceUID) for one in dicom.values()} == {
        (source.PatientID, source.StudyInstanceUID)
    }
    assert np.any(dicom["segmentation.dcm"].pixel_array)
    assert results["picture.png"].read_bytes().startswith(b"\x89PNG")
    index = json.loads(results["case.json"].read_text())
    assert set(index["files"]) == set(results) - {"case.json"}
    uids = [one["sop_instance_uid"] for name, one in index["files"].items() if name in dicom]
    assert len(uids) == len(set(uids)) == len(dicom)


@pytest.mark.slow
def test_study_goes_from_folder_to_folder_without_any_pacs(tmp_path: Path) -> None:
    with Clinic(tmp_path) as world:
        world.start()
        files = world.lay()
        world.wait_for(world.is_over, within_s=120)
        world.stop()
        judged(world, files)


@pytest.mark.slow
@pytest.mark.parametrize(
    "points", [pytest.param(SOME, id="some"), pytest.param(POINTS, id="all", marks=pytest.mark.long)]
)
def test_killed_at_points_of_both_folders_nothing_is_lost_or_there_twice(
    tmp_path: Path, points: tuple[str, ...]
) -> None:
    with Clinic(tmp_path) as world:
        files = world.lay()
        missed = []
        for point in points:
            world.start(point)
            if not world.wait_for_death(60):
                missed.append(point)
        world.start()
        world.wait_for(world.is_over, within_s=120)
        world.stop()
        assert missed == []
        assert world.kills == len(points)
        judged(world, files)
