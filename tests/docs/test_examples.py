"""docs/examples.md is run as it is written, and what comes back is judged by its voxels."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from bridge.config import check_rules, load_rules, load_site
from bridge.itk import ItkImage, read_image
from bridge.rules import compile_rules

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "config" / "examples"
PAGE = ROOT / "docs" / "examples.md"
BLOCK = re.compile(r"^```(console|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
READY_S = 30

pytestmark = pytest.mark.slow


def script(section: str, port: int) -> list[str]:
    """Every command of a section. What is put into the background has a moment to get ready."""
    text = next(part for part in PAGE.read_text().split("\n## ") if part.startswith(section))
    commands = ["set -e", "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT"]
    for language, block in BLOCK.findall(text):
        for line in block.splitlines():
            command = line.removeprefix("$ ") if language == "console" else line
            command = command.replace("8443", str(port))
            if command.endswith("&"):
                ready = f"for n in $(seq {READY_S * 10}); do grep -q ready told && break; sleep 0.1; done"
                commands += [f"{command[:-1]}> told &", ready]
            else:
                commands.append(command)
    return commands


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What an example left behind."""

    folder: Path
    said: str

    def found(self, folder: str) -> Any:
        return json.loads((self.folder / folder / "found.json").read_text())

    def image(self, folder: str, socket: str) -> ItkImage:
        (file,) = (self.folder / folder).rglob(f"*-{socket}.mha")
        return read_image(file)

    def lines(self, file: str) -> list[Any]:
        return [json.loads(line) for line in (self.folder / "cloud" / file).read_text().splitlines()]


def run(example: str, section: str, folder: Path) -> Ran:
    shutil.copytree(EXAMPLES / example, folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    site = folder / "site.toml"
    site.write_text(site.read_text().replace("8443", str(port)))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    told = subprocess.run(
        ["bash", "-c", "\n".join(script(section, port))],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return Ran(folder=folder, said=told.stdout + told.stderr)


@pytest.fixture(scope="module")
def lobes(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run("lobes", "Lobes", tmp_path_factory.mktemp("examples") / "lobes")


@pytest.fixture(scope="module")
def registration(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run("registration", "Registration", tmp_path_factory.mktemp("examples") / "registration")


@pytest.mark.parametrize("example", ["lobes", "registration", "chain", "folders"])
def test_example_files_are_valid(example: str) -> None:
    site = load_site(EXAMPLES / example / "site.toml")
    rules = load_rules(site.rules_file)
    assert check_rules(rules, site) == []
    compile_rules(rules)


def test_label_map_becomes_a_seg_with_the_lobes_of_the_rule(lobes: Ran) -> None:
    for folder in ("lobes", "both"):
        seg = dcmread(lobes.folder / folder / "pulmonary-lobes.seg.dcm")
        names = [segment.SegmentLabel for segment in seg.SegmentSequence]
        assert names == [
            "Left upper lobe",
            "Left lower lobe",
            "Right upper lobe",
            "Right lower lobe",
            "Right middle lobe",
        ]
        assert (lobes.folder / folder / "pulmonary-lobes.sr.dcm").exists()
    codes = [
        segment.SegmentedPropertyTypeCodeSequence[0].CodeValue
        for segment in dcmread(lobes.folder / "both" / "pulmonary-lobes.seg.dcm").SegmentSequence
    ]
    assert codes == ["45653009", "90572001", "45653009", "90572001", "72481006"]


def test_each_of_several_outputs_is_fetched_under_the_name_of_its_socket(lobes: Ran) -> None:
    labels = lobes.image("files", "pulmonary-lobes")
    picture = lobes.image("files", "pulmonary-lobes-picture")
    assert set(np.unique(labels.array)) == {0, 1, 2, 3, 4, 5}
    assert picture.array.shape == (1, *labels.array.shape[1:])
    # The phantom's middle slice, by its files: the thin series has 140 slices of 2 mm.
    files = [dcmread(file) for file in (lobes.folder / "study").iterdir()]
    thin = sorted((one for one in files if one.get("SliceThickness") == 2), key=lambda one: one.SliceLocation)
    middle = thin[len(thin) // 2]
    hu = middle.pixel_array.astype(int) * int(middle.RescaleSlope) + int(middle.RescaleIntercept)
    assert np.array_equal(picture.array[0], hu)


def test_one_job_is_one_volume_and_nothing_is_billed_twice(lobes: Ran) -> None:
    assert len(lobes.lines("ledger.jsonl")) == 2
    assert lobes.found("archive") == {"jobs": [], "without": []}


@pytest.mark.long
def test_registration_has_two_volumes_of_ours_and_two_masks_that_were_there(registration: Ran) -> None:
    (job,) = registration.found("registered/files")["jobs"]
    given = {one["socket"]: one["image"] for one in job["inputs"]}
    assert set(given) == {"fixed-image", "moving-image", "fixed-mask", "moving-mask"}
    assert len(set(given.values())) == 4
    puts = [line for line in registration.lines("requests.jsonl") if line["method"] == "PUT"]
    uploads = {line["path"].rsplit("/", 1)[1] for line in puts}
    assert len(uploads) == 4, "two for the lobes, two volumes, and no mask"
    assert len(registration.lines("ledger.jsonl")) == 3


@pytest.mark.long
def test_moved_image_lies_on_the_grid_of_the_fixed_one(registration: Ran) -> None:
    moved = registration.image("registered/files", "moved-image")
    fixed_mask = read_image(registration.folder / "earlier" / "fixed-mask.mha")
    moving_mask = read_image(registration.folder / "earlier" / "moving-mask.mha")
    assert moved.array.shape == fixed_mask.array.shape == (140, 256, 256)
    assert moving_mask.array.shape == (56, 256, 256)
    assert (moved.spacing_mm, moved.origin_lps) == (fixed_mask.spacing_mm, fixed_mask.origin_lps)
    for mask in (fixed_mask, moving_mask):
        assert mask.array.dtype == np.uint8
        assert set(np.unique(mask.array)) == {0, 1}


@pytest.mark.long
def test_token_reached_no_storage(lobes: Ran, registration: Ran) -> None:
    for ran in (lobes, registration):
        assert not [
            line for line in ran.lines("requests.jsonl") if line["origin"] == "store" and line["token"]
        ]
