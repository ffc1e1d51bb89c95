"""The order of work of one job: four short durable stages, chained by the job's id.

    prepare   choose the planes again, convert                  queue `cpu`
    cloud     submit, wait, fetch                               queue `platform-<account>`
    encode    masks and values become DICOM                     queue `cpu`
    deliver   one for each destination, until it is stored      queue `dest-<name>`

No stage waits for another: the last step of one enqueues the next, so a PACS that is down holds no place at a
platform and an upgrade finds short histories. Each line below is a durable step whose result is a word and a number.
Names of stages and steps are never used again for something else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from bridge.errors import BridgeError
from bridge.flow import cloud, deliveries, encode, prepare
from bridge.flow.engine import Engine, Queue, in_thread, sleep, sleep_async, step, step_async
from bridge.flow.parts import Parts
from bridge.flow.verdicts import GOING, end, guard, guard_async
from bridge.store.jobs import JobState

CPU = "cpu"
CRASHES = 20
"""How often a stage that works in this process may be interrupted by its death: more is a study that causes it.

Native code runs in children and is counted there; reboots and upgrades must not use this up. Stages that only wait
are restarted for ever.
"""


def platform_queue(account: str) -> str:
    return f"platform-{account}"


def destination_queue(name: str) -> str:
    return f"dest-{name}"


class Stages:
    """The four stages, bound to the parts they work with."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def register(self, engine: Engine) -> None:
        engine.register("prepare", self.prepare, attempts=CRASHES)
        engine.register_async("cloud", self.cloud, attempts=None)
        engine.register("encode", self.encode, attempts=CRASHES)
        engine.register("deliver", self.deliver, attempts=None)
        engine.register_async("describe", self.describe, attempts=None)

    def queues(self, cores: int) -> list[Queue]:
        site = self._parts.site
        return [
            Queue(name=CPU, at_once=cores),
            *(
                Queue(name=platform_queue(name), at_once=account.jobs_in_flight)
                for name, account in site.accounts.items()
            ),
            *(
                Queue(name=destination_queue(name), at_once=destination.parallel)
                for name, destination in site.destinations.items()
            ),
        ]

    def give_up(self, engine: Engine) -> None:
        """Say in the job row what the engine knows: a stage that it will not run again ends the job."""
        for stage in engine.given_up():
            job_id = stage.id.split(".")[0]
            jobs = self._parts.jobs
            found = jobs.find(job_id)
            if len(found) == 1 and found[0].state in GOING:
                error = BridgeError(
                    "ENG-010",
                    f"stage {found[0].stage} was interrupted {stage.attempts} times",
                    f"at most {CRASHES}",
                    "The study may be what kills the process: look at the log, then run it again",
                )
                end(self._parts, found[0], JobState.FAILED, error)

    def prepare(self, job: str) -> None:
        if self._until_done("convert", prepare.convert, job):
            step("next", self._next, "cloud", job)

    async def cloud(self, job: str) -> None:
        for name in await step_async("steps", in_thread, cloud.step_names, self._parts, job):
            if not await self._until_done_async(f"submit {name}", cloud.submit, job, name):
                return
        if await self._until_done_async("await", cloud.wait, job) and await self._until_done_async(
            "fetch", cloud.fetch, job
        ):
            await step_async("next", in_thread, self._next, "encode", job)

    def encode(self, job: str) -> None:
        if self._until_done("encode", encode.encode, job):
            for destination in step("destinations", encode.destinations, self._parts, job):
                step("next", self._next, "deliver", job, destination)

    def deliver(self, job: str, destination: str) -> None:
        pauses_s = self._parts.site.destinations[destination].retry_s
        self._until_done("store", deliveries.store, job, destination, pauses_s=pauses_s)

    async def describe(self, account: str, algorithm: str, declared_version: str) -> None:
        await step_async("describe", cloud.describe, self._parts, account, algorithm, declared_version)

    def _until_done(
        self,
        name: str,
        body: Callable[..., Any],
        job: str,
        *arguments: str,
        pauses_s: Sequence[float] | None = None,
    ) -> bool:
        attempt = 0
        waits = pauses_s or self._parts.site.engine.retry_s
        while True:
            answer = step(
                name, guard, self._parts, partial(body, self._parts), job, attempt, waits, *arguments
            )
            if answer["then"] != "again":
                return bool(answer["then"] == "on")
            attempt += 1
            sleep(answer["pause_s"])

    async def _until_done_async(self, name: str, body: Callable[..., Any], job: str, *arguments: str) -> bool:
        attempt = 0
        while True:
            answer = await step_async(
                name, self._platform_step, partial(body, self._parts), job, attempt, *arguments
            )
            if answer["then"] != "again":
                return bool(answer["then"] == "on")
            attempt += 1
            await sleep_async(answer["pause_s"])

    async def _platform_step(self, body: Callable[..., Any], job: str, attempt: int, *arguments: str) -> Any:
        account = (await in_thread(self._parts.jobs.get, job)).account
        waits = self._parts.site.accounts[account].retry_s
        return await guard_async(self._parts, body, job, attempt, waits, *arguments)

    def _next(self, stage: str, job: str, *arguments: str) -> None:
        self._parts.passing(f"{stage}:next")
        queue = CPU
        if stage == "cloud":
            queue = platform_queue(self._parts.jobs.get(job).account)
        elif stage == "deliver":
            queue = destination_queue(arguments[0])
        self._parts.jobs.change(job, stage=stage)
        self._parts.enqueue(stage, queue, ".".join([job, stage, *arguments]), job, *arguments)
