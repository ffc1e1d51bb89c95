"""`bridge jobs adopt` against a sandbox that has jobs of earlier days."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.contract.platform_benches import TokenFile, chest
from tests.contract.platform_engine import Engine, JobBench
from tests.unit.cli.site_bench import Bench
from typer.testing import CliRunner

from bridge.cli.app import app
from bridge.errors import BridgeError, ConfigError
from bridge.itk import read_image
from bridge.platforms import Account, Request, RequestedVolume
from bridge.sandbox.grand_challenge import Fault, Sandbox
from bridge.store.jobs import JobState

pytestmark = pytest.mark.slow

SITE = """\
[bridge]
ae_title = "BRIDGE"
data = "data"
rules = "rules.toml"

[accounts.gc]
platform = "grand-challenge"
base_url = "{base_url}"
token_file = "{token_file}"
ca = "{ca}"
retry_s = [0.01]
"""
LOBES = "pulmonary-lobe-segmentation-for-covid-19-ct-scans"
KEY = "0123456789abcdef" * 2


class House:
    """A sandbox, a site.toml that knows it, and nothing of a data directory."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox, self.folder, self.out = sandbox, folder, folder / "out"
        self.chest = chest(folder)
        self.file = folder / "site.toml"
        self.file.write_text(
            SITE.format(base_url=sandbox.base_url, token_file=sandbox.token_file, ca=sandbox.ca_file)
        )

    def compute(self, algorithm: str, values: dict[str, Any] | None = None, key: str = KEY) -> str:
        """Run a job as a bridge does, and give the platform's id of it."""
        volumes = {} if values else {"ct-image": self.chest}
        account = Account(
            name="gc",
            base_url=self.sandbox.base_url,
            token=TokenFile(self.sandbox.token_file),
            ca=str(self.sandbox.ca_file),
            options={"poll_first_s": 0.02, "poll_s": 0.02},
        )
        engine = Engine(JobBench(platform="grand-challenge", account=account, volumes=volumes), key)
        chosen = tuple(
            RequestedVolume(input=name, modality="CT", shape=(16, 48, 48), spacing_mm=(6.0, 6.0, 6.0))
            for name in volumes
        )

        async def story() -> str:
            platform = engine.platform()
            try:
                await engine.prepare(platform, algorithm, Request(volumes=chosen, values=values or {}))
                await engine.submit(platform)
                await engine.wait(platform)
                return engine.job.remote_id
            finally:
                await platform.close()

        return asyncio.run(story())

    def adopt(self, *words: str) -> tuple[int, str]:
        command = ["jobs", "adopt", *words, "--out", str(self.out), "--config", str(self.file)]
        told = CliRunner().invoke(app, command)
        if told.exception and not isinstance(told.exception, SystemExit):
            raise told.exception
        return told.exit_code, told.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.adopt(*words, "--json")[1])

    def downloads(self) -> int:
        return len([line for line in self.sandbox.requests("store") if line["method"] == "GET"])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with Sandbox(tmp_path / "sandbox") as sandbox:
        yield House(sandbox, tmp_path)
        assert not [line for line in sandbox.requests("store") if line["token"]]


def test_results_of_an_earlier_job_are_in_a_folder_and_nothing_is_billed(house: House) -> None:
    job = house.compute(LOBES)
    code, told = house.adopt(LOBES)
    assert code == 0
    assert job in told
    assert "2 of 2" in told
    mask = read_image(next(house.out.rglob("*-pulmonary-lobes.mha")))
    # The lungs of the chest as it was made: columns 8 to 19 and 27 to 39, the first of them on the patient's right.
    assert set(np.unique(mask.array[:, :, 8:20])) - {0} == {3, 4, 5}
    assert set(np.unique(mask.array[:, :, 27:40])) - {0} == {1, 2}
    assert read_image(next(house.out.rglob("*-pulmonary-lobes-picture.mha"))).array.shape == (1, 48, 48)
    assert len(house.sandbox.ledger()) == 1


def test_second_call_fetches_nothing_and_a_file_that_is_gone_again(house: House) -> None:
    house.compute(LOBES)
    first = house.json(LOBES)
    before = house.downloads()
    assert house.json(LOBES) == first
    assert house.downloads() == before
    next(house.out.rglob("*-pulmonary-lobes.mha")).unlink()
    assert house.json(LOBES) == first
    assert house.downloads() == before + 1


def test_each_item_of_an_archive_gets_its_results_and_one_without_a_job_is_told(house: House) -> None:
    house.compute(LOBES)
    volume = house.folder / "chest.mha"
    items = [house.sandbox.add_archive_item("coronacasesorg", {"ct-image": volume}).pk for _ in range(3)]
    jobs = [house.compute(LOBES, {"ct-image": {"archive_item": pk}}) for pk in items[:2]]
    told = house.json(LOBES, "--archive", "coronacasesorg")
    assert [(one["item"], one["job"]) for one in told["jobs"]] == list(zip(items[:2], jobs, strict=True))
    assert told["without"] == [items[2]]
    for item, job in zip(items[:2], jobs, strict=True):
        assert {file.suffix for file in (house.out / f"item-{item}" / f"job-{job}").iterdir()} == {
            ".mha",
            ".json",
        }
    code, words = house.adopt(LOBES, "--item", items[2])
    assert code == 0
    assert "No job was found" in words
    assert items[2] in words
    assert json.loads((house.out / "found.json").read_text())["without"] == [items[2]]


def test_archive_without_items_has_no_jobs(house: House) -> None:
    house.compute("identity-mask")
    assert house.json("identity-mask", "--archive", "chest-cts") == {"jobs": [], "without": []}


def test_jobs_of_another_version_or_image_are_left_alone(house: House) -> None:
    old = house.compute(LOBES)
    told = house.json(LOBES)
    pin, image = told["jobs"][0]["version"], told["jobs"][0]["inputs"][0]["image"]
    house.sandbox.new_version(LOBES)
    new = house.compute(LOBES, key=KEY[::-1])
    assert [one["job"] for one in house.json(LOBES, "--pin", pin)["jobs"]] == [old]
    assert [one["job"] for one in house.json(LOBES, "--image", image)["jobs"]] == [old]
    assert [one["job"] for one in house.json(LOBES)["jobs"]] == [old, new]


def test_broken_transfer_is_told_and_the_same_command_goes_on(house: House) -> None:
    house.compute(LOBES)
    house.sandbox.arm(Fault(origin="store", method="GET", cut_at=100, times=None))
    code, told = house.adopt(LOBES)
    assert code == 1
    assert "0 of 2" in told
    assert not list(house.out.rglob("*.mha"))
    house.sandbox.disarm()
    assert house.adopt(LOBES)[0] == 0


def test_job_that_failed_there_has_no_results(house: House) -> None:
    job = house.compute(LOBES)
    house.sandbox.set_status(job, "Failed")
    code, told = house.adopt(LOBES)
    assert code == 0
    assert "Failed" in told
    assert "none" in told


@pytest.mark.parametrize(
    ("state", "code", "says"),
    [
        (JobState.HELD, "CLD-001", "bridge jobs retry 01234567"),
        (JobState.FAILED, "ENG-010", "bridge jobs retry 01234567"),
        (JobState.RUNNING, "", "the service goes on with it"),
        (JobState.FAILED, "CLD-003", "failed"),
        (JobState.DONE, "", "done"),
    ],
)
def test_job_of_this_bridge_is_told_with_what_brings_it_on(
    house: House, state: JobState, code: str, says: str
) -> None:
    house.compute("identity-mask")
    own(house, state, code)
    _, told = house.adopt("identity-mask")
    line = next(line for line in told.splitlines() if "is 01234567 here" in line)
    assert says in line
    assert ("retry" in line) == ("retry" in says), "a retry that would be billed again is not offered"


def own(house: House, state: JobState, code: str) -> None:
    """Give the house a data directory that has the job."""
    (house.folder / "own").mkdir()
    bench = Bench(house.folder / "own")
    bench.job(KEY, state=state, code=code)
    bench.index.close()
    house.file.write_text(house.file.read_text().replace('data = "data"', 'data = "own/data"'))


def test_no_job_is_no_error(house: House) -> None:
    code, told = house.adopt("identity-mask")
    assert (code, told) == (0, "No job was found.\n")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("identity-masc",), "GC-010"),
        (("identity-mask", "--archive", "nothing-here"), "GC-260"),
        (("identity-mask", "--account", "cg"), "ADO-002"),
    ],
)
def test_mistake_is_a_sentence(house: House, words: tuple[str, ...], code: str) -> None:
    with pytest.raises(BridgeError) as told:
        house.adopt(*words)
    assert told.value.code == code


def test_of_several_accounts_one_must_be_named(house: House) -> None:
    second = SITE.partition("[accounts.gc]")[2].format(
        base_url=house.sandbox.base_url, token_file=house.sandbox.token_file, ca=house.sandbox.ca_file
    )
    house.file.write_text(house.file.read_text() + "\n[accounts.other]" + second)
    with pytest.raises(ConfigError) as told:
        house.adopt("identity-mask")
    assert told.value.code == "ADO-002"
    assert house.adopt("identity-mask", "--account", "other")[0] == 0
