"""A job before the step that makes it at a platform which takes everything."""

from __future__ import annotations

import asyncio

import pytest

from bridge.export.parcel import Order, Repeat, Step
from bridge.flow.stages import cloud, leaving
from bridge.platforms.protocol import RemoteJob
from bridge.store.jobs import JobState, Stage
from intake_bench import Bench

STEPS = (Step(name="upload"), Step(name="create", commits=True, repeat=Repeat.FIND_FIRST))


def remote(*begun: str) -> str:
    return cloud.REMOTE.dump_json(RemoteJob(key="k", begun=begun)).decode()


def submit(bench: Bench, job: str) -> object:
    """`leaving.submit` before a platform that takes everything: "left" when the step is reached."""
    with pytest.MonkeyPatch.context() as patch:

        async def left(*_: object) -> str:
            return "left"

        class Read:
            order = Order(files=(), steps=STEPS, details={})

        patch.setattr(cloud, "parcel_of", lambda parts, id: Read)
        patch.setattr(cloud, "submit", left)
        patch.setattr(cloud, "LOOK_S", 0.01)
        patch.setattr(leaving, "LOOK_S", 0.01)
        return asyncio.run(leaving.submit(bench.parts, bench.jobs.get(job), "create"))


def under_way(bench: Bench, *begun: str) -> str:
    job = bench.job()
    bench.jobs.change(job.id, state=JobState.RUNNING, stage=Stage.CLOUD, remote=remote(*begun))
    return job.id
