"""Results of earlier jobs in a folder: nothing twice, nothing lost, nothing outside the folder."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from bridge.errors import BridgeError, ConfigError, Damaged, Never, TryLater, Unauthorized
from bridge.flow.adopt import Adopted, Asked, adopt
from bridge.flow.stages.shelf import JobShelf
from bridge.platforms import Adoption, Earlier, Fetched, Phase, Platform, RemoteJob, State, Verdict
from bridge.results.output import Output, OutputKind, Presence

MASK = Output(name="mask", kind=OutputKind.MASK, media_type="image/x-metaimage", ref="image/7")
SCORE = Output(name="score", kind=OutputKind.VALUE, media_type="application/json", ref="value/8")


def earlier(id: str = "a1", verdict: Verdict | None = Verdict.DONE, item: str = "") -> Earlier:
    state = State(phase=Phase.ENDED if verdict else Phase.RUNNING, verdict=verdict, raw="word")
    return Earlier(job=RemoteJob(key="", remote_id=id), state=state, inputs=(), item=item)


class Cloud:
    """A platform with jobs of earlier days, and troubles on demand."""

    def __init__(self, *jobs: Earlier) -> None:
        self.jobs = jobs or (earlier(),)
        self.bodies = {"mask": b"voxels", "score": b"1.5"}
        self.told: tuple[Output, ...] = (MASK, SCORE)
        self.fetched: list[str] = []
        self.troubles: dict[str, list[BridgeError]] = {}

    async def earlier(self, algorithm: str, **asked: Any) -> Adoption:
        self._raise("earlier")
        return Adoption(jobs=self.jobs, without=("i9",))

    async def outputs(self, job: RemoteJob) -> tuple[Output, ...]:
        self._raise("outputs")
        return self.told

    async def fetch(self, job: RemoteJob, output: Output, sink: Any) -> Fetched:
        self._raise(output.name)
        self.fetched.append(output.name)
        body = self.bodies[output.name]
        sink.write(body)
        return Fetched(size_bytes=len(body), sha256=hashlib.sha256(self.bodies[output.name]).hexdigest())

    def _raise(self, where: str) -> None:
        if self.troubles.get(where):
            raise self.troubles[where].pop(0)


def bring(cloud: Any, folder: Path) -> Adopted:
    return asyncio.run(
        adopt(cast(Platform, cloud), Asked(algorithm="a"), JobShelf(folder), (0.0,), lambda what: None)
    )


def files(folder: Path) -> set[str]:
    return {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()}


def test_each_job_has_a_folder_with_a_file_for_each_output(tmp_path: Path) -> None:
    cloud = Cloud(earlier("a1"), earlier("b2", item="c3"))
    found = bring(cloud, tmp_path)
    assert files(tmp_path) == {
        "job-a1/00-mask.mha",
        "job-a1/01-score.json",
        "job-a1/job.json",
        "item-c3/job-b2/00-mask.mha",
        "item-c3/job-b2/01-score.json",
        "item-c3/job-b2/job.json",
    }
    assert (tmp_path / "job-a1" / "00-mask.mha").read_bytes() == b"voxels"
    assert [one.is_whole for one in found.jobs] == [True, True]
    assert found.without == ("i9",)


def test_file_that_is_there_is_not_fetched_again_and_one_that_changed_is(tmp_path: Path) -> None:
    bring(Cloud(), tmp_path)
    again = Cloud()
    assert bring(again, tmp_path).jobs[0].is_whole
    assert again.fetched == []
    (tmp_path / "job-a1" / "00-mask.mha").write_bytes(b"voxelz")
    bring(again, tmp_path)
    assert again.fetched == ["mask"]
    assert (tmp_path / "job-a1" / "00-mask.mha").read_bytes() == b"voxels"


def test_stop_between_two_files_forgets_neither(tmp_path: Path) -> None:
    bring(Cloud(), tmp_path)
    (tmp_path / "job-a1" / "00-mask.mha").unlink()
    stopped = Cloud()
    stopped.troubles["mask"] = [Unauthorized("X-1", "the token died")]
    with pytest.raises(Unauthorized):
        bring(stopped, tmp_path)
    again = Cloud()
    bring(again, tmp_path)
    assert again.fetched == ["mask"]


@pytest.mark.parametrize(
    ("trouble", "tries"),
    [
        ([TryLater("X-1", "away", after_s=0.0)] * 3, True),
        ([TryLater("X-1", "away", after_s=0.0)] * 4, False),
        ([Never("X-2", "deleted there")], False),
        ([Damaged("X-3", "cut off")], False),
    ],
    ids=["back-in-time", "away", "gone", "damaged"],
)
def test_trouble_with_one_output_keeps_none_of_the_others(
    tmp_path: Path, trouble: list[BridgeError], tries: bool
) -> None:
    cloud = Cloud()
    cloud.troubles["mask"] = list(trouble)
    mask, score = bring(cloud, tmp_path).jobs[0].outputs
    assert (bool(mask.file), bool(score.file)) == (tries, True)
    assert tries or trouble[0].found in mask.reason
    assert bring(Cloud(), tmp_path).jobs[0].is_whole, "the same command goes on"


def test_bytes_that_are_not_those_that_were_told_are_not_kept(tmp_path: Path) -> None:
    class Liar(Cloud):
        async def fetch(self, job: RemoteJob, output: Output, sink: Any) -> Fetched:
            await super().fetch(job, output, sink)
            return Fetched(size_bytes=1, sha256="00")

    found = bring(Liar(), tmp_path)
    assert not any(one.file for one in found.jobs[0].outputs)
    assert not list(tmp_path.rglob("*.mha"))


def test_outputs_that_cannot_be_listed_are_said(tmp_path: Path) -> None:
    cloud = Cloud()
    cloud.troubles["outputs"] = [Never("X-2", "this job is gone")]
    (job,) = bring(cloud, tmp_path).jobs
    assert not job.is_whole
    assert "this job is gone" in job.reason


@pytest.mark.parametrize("verdict", [None, Verdict.FAILED, Verdict.CANCELLED])
def test_job_that_did_not_succeed_is_told_and_nothing_of_it_is_asked(
    tmp_path: Path, verdict: Verdict | None
) -> None:
    cloud = Cloud(earlier(verdict=verdict))
    cloud.troubles["outputs"] = [Never("X-2", "must not be asked")]
    (job,) = bring(cloud, tmp_path).jobs
    assert (job.folder, job.outputs, job.is_whole) == ("", (), True)
    assert files(tmp_path) == set()


def test_output_whose_link_dangles_is_told_and_is_not_whole(tmp_path: Path) -> None:
    cloud = Cloud()
    cloud.told = (replace(MASK, presence=Presence.FAILED, reason="withdrawn"), SCORE)
    (job,) = bring(cloud, tmp_path).jobs
    assert [one.reason for one in job.outputs] == ["withdrawn", ""]
    assert not job.is_whole


@pytest.mark.parametrize("word", ["../../outside", "/etc/outside", "..", "a\0b", "x" * 400, "ä b"])
def test_no_word_of_the_platform_leads_out_of_the_folder(tmp_path: Path, word: str) -> None:
    folder = tmp_path / "in" / "here"
    cloud = Cloud(earlier(word, item=word))
    cloud.told = (replace(SCORE, name=word),)
    cloud.bodies[word] = b"1"
    assert bring(cloud, folder).jobs[0].is_whole
    assert all(one.startswith("in/here/item-") for one in files(tmp_path))


def test_platform_that_cannot_look_back_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        bring(object(), tmp_path)
    assert told.value.code == "ADO-001"
