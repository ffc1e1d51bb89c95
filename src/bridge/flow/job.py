"""The order of work of one job: four short durable stages, chained by the job's id.

    prepare   choose the planes again, convert                  queue `cpu`
    cloud     submit, wait, fetch                               queue `platform-<account>`
    encode    masks and values become DICOM                     queue `cpu`
    deliver   one for each destination, until it is stored      queue `dest-<name>`

No stage waits for another: the last step of one enqueues the next, so a PACS that is down holds no place at a
platform and an upgrade finds short histories. Each line below is a durable step whose result is a word and a number.
Names of stages and steps are never used again for something else.

A stage belongs to a run of its job. A person who retries a job begins another run; what an older one still has under
way finds that it counts no more, and stops. `deliver` is handed over by the relay, turn by turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from bridge.errors import BridgeError
from bridge.flow.acts import abort, forget
from bridge.flow.at_work import at_work
from bridge.flow.engine import Engine, Queue, Workflow, in_thread, sleep, sleep_async, step, step_async
from bridge.flow.parts import Parts
from bridge.flow.stages import cloud, deliveries, encode, prepare, sending
from bridge.flow.verdicts import GOING, Answer, again, end, guard, guard_async
from bridge.log import event
from bridge.store.jobs import Job, JobState, Stage

log = logging.getLogger("bridge.job")

CPU = "cpu"
CRASHES = 20
"""How often a stage that works in this process may be interrupted by its death: more is a study that causes it.

Native code runs in children and is counted there; reboots and upgrades must not use this up. Stages that only wait
are restarted for ever.
"""

OPEN_LOOK_S = 0.5
TURN_PAUSE_S = 30.0
MACHINE = frozenset({"OperationalError", "OSError", "StorageError"})
"""Errors of a full disk or a locked file that ended a stage between two of its steps: the job is not at fault."""


def platform_queue(account: str) -> str:
    return f"platform-{account}"


def destination_queue(name: str) -> str:
    return f"dest-{name}"


def stage_id(job_id: str, stage: str, run: int) -> str:
    """The engine's id of a stage; a first run has none of its number in it."""
    return f"{job_id}.{stage}" + (f"~{run}" if run else "")


def turn_id(job_id: str, destination: str, turn: int) -> str:
    """The engine's id of one turn of a job at a destination."""
    return f"{job_id}.deliver.{destination}~{turn}"


def turn_name(job_id: str, destination: str) -> str:
    """What is at work while a turn is: two turns of a job at one destination never are at once."""
    return f"{job_id}.deliver.{destination}"


class Stages:
    """The four stages, bound to the parts they work with."""

    def __init__(self, parts: Parts, is_open: Callable[[str], bool] = lambda account: True) -> None:
        """`is_open`: whether jobs may be made at an account; until then its steps wait (`fencing`)."""
        self._parts = parts
        self._is_open = is_open

    def register(self, engine: Engine) -> None:
        engine.register("prepare", self.prepare, attempts=CRASHES)
        engine.register_async("cloud", self.cloud, attempts=None)
        engine.register("encode", self.encode, attempts=CRASHES)
        engine.register("deliver", self.deliver, attempts=None)
        engine.register_async("describe", self.describe, attempts=None)
        engine.register_async("abort", self.abort, attempts=None)
        engine.register_async("forget", self.forget, attempts=None)

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
        """Say in the job row what the engine knows: a stage that it will not run again ends the job.

        One that trouble of the machine has ended goes on in another run, or in another turn.
        """
        for stage in engine.given_up():
            job_id = stage.id.split(".")[0]
            jobs = self._parts.jobs
            found = jobs.find(job_id)
            if len(found) != 1 or found[0].state not in GOING or not self._counts(stage.id, found[0]):
                continue
            if stage.error in MACHINE:
                self._begin_again(stage.id, found[0])
            else:
                end(self._parts, found[0], JobState.FAILED, _why(stage, found[0]))

    def prepare(self, job: str, run: str = "0") -> None:
        if self._until_done("convert", prepare.convert, job, run):
            step("next", self._next, "cloud", job, run)

    async def cloud(self, job: str, run: str = "0") -> None:
        for name in await step_async("steps", in_thread, cloud.step_names, self._parts, job):
            if not await self._until_done_async(f"submit {name}", sending.submit, job, run, name):
                return
        if await self._until_done_async("await", cloud.wait, job, run) and await self._until_done_async(
            "fetch", cloud.fetch, job, run
        ):
            await step_async("next", in_thread, self._next, "encode", job, run)

    def encode(self, job: str, run: str = "0") -> None:
        if self._until_done("encode", encode.encode, job, run):
            # Histories of an earlier release hold these steps too: one for the list, one for each destination.
            for _ in step("destinations", self._destinations, job):
                step("next", self._hand_over, job)

    def deliver(self, job: str, destination: str, turn: str = "0") -> None:
        step("store", self._turn, job, destination, int(turn))

    async def abort(self, job: str, run: str) -> None:
        """Tell the platform of a job that a person has cancelled."""
        attempt = 0
        while True:
            answer = await step_async("abort", abort.tell, self._parts, job, int(run), attempt)
            if answer["then"] != "again":
                return
            attempt += 1
            await sleep_async(answer["pause_s"])

    async def forget(self, job: str, act: str) -> None:
        """Ask the platform to erase what it has of a job whose study was erased here."""
        attempt = 0
        while True:
            answer = await step_async("forget", forget.ask, self._parts, job, int(act), attempt)
            if answer["then"] != "again":
                return
            attempt += 1
            await sleep_async(answer["pause_s"])

    async def describe(self, account: str, algorithm: str, declared_version: str) -> None:
        await step_async("describe", cloud.describe, self._parts, account, algorithm, declared_version)

    def _turn(self, job_id: str, destination: str, number: int) -> Answer:
        """One try at one destination; what is left gets another turn, later."""
        with at_work(turn_name(job_id, destination)):
            return deliveries.turn(self._parts, job_id, destination, number)

    def _until_done(self, name: str, body: Callable[..., Any], job: str, run: str, *arguments: str) -> bool:
        attempt = 0
        waits = self._parts.site.engine.retry_s
        while True:
            answer = step(
                name,
                guard,
                self._parts,
                partial(body, self._parts),
                job,
                int(run),
                attempt,
                waits,
                *arguments,
            )
            if answer["then"] != "again":
                return bool(answer["then"] == "on")
            attempt += 1
            sleep(answer["pause_s"])

    async def _until_done_async(
        self, name: str, body: Callable[..., Any], job: str, run: str, *arguments: str
    ) -> bool:
        attempt = 0
        while True:
            answer = await step_async(
                name, self._platform_step, partial(body, self._parts), job, int(run), attempt, *arguments
            )
            if answer["then"] != "again":
                return bool(answer["then"] == "on")
            attempt += 1
            await sleep_async(answer["pause_s"])

    async def _platform_step(
        self, body: Callable[..., Any], job: str, run: int, attempt: int, *arguments: str
    ) -> Any:
        account = (await in_thread(self._parts.jobs.get, job)).account
        if account not in self._parts.site.accounts:
            return again(self._parts.site.engine.retry_s[-1])
        while not self._is_open(account):
            await in_thread(self._say_closed, job, run, account)
            await asyncio.sleep(OPEN_LOOK_S)
        waits = self._parts.site.accounts[account].retry_s
        return await guard_async(self._parts, body, job, run, attempt, waits, *arguments)

    def _say_closed(self, job: str, run: int, account: str) -> None:
        row = self._parts.jobs.get(job)
        reason = f"{account} has not said since the start which jobs it has; nothing is sent there before"
        if row.state in GOING and row.run == run and row.reason != reason:
            self._parts.jobs.change(job, code="FEN-021", reason=reason)

    def _next(self, stage: str, job: str, run: str) -> None:
        self._parts.passing(f"{stage}:next")
        row = self._parts.jobs.get(job)
        if row.run != int(run):
            return
        queue = platform_queue(row.account) if stage == "cloud" else CPU
        self._parts.jobs.change(job, stage=stage)
        self._parts.enqueue(stage, queue, stage_id(job, stage, int(run)), job, run, due_at=row.due_at)

    def _counts(self, stage: str, job: Job) -> bool:
        """Whether a stage of that id is what the job is at: a person may have begun another run or turn."""
        job_id, _, rest = stage.partition(".")
        if rest.startswith(f"{Stage.DELIVER}."):
            return any(
                stage == turn_id(job_id, t.destination, t.turn) for t in self._parts.turns.of_job(job_id)
            )
        return stage in {stage_id(job_id, one, job.run) for one in Stage}

    def _begin_again(self, stage: str, job: Job) -> None:
        event(log, "job.begins-again", level=logging.WARNING, job=job.id, stage=job.stage)
        for turn in self._parts.turns.of_job(job.id):
            if stage == turn_id(job.id, turn.destination, turn.turn):
                due_at = self._parts.clock() + TURN_PAUSE_S
                self._parts.turns.later(turn, due_at, turn.code, turn.reason)
                return
        self._parts.jobs.change(job.id, state=JobState.READY, run=job.run + 1)

    def _destinations(self, job: str) -> list[str]:
        return sorted({one.destination for one in self._parts.deliveries.of(job)})

    def _hand_over(self, job: str) -> None:
        """From here on the relay hands over the turns of each destination."""
        self._parts.passing("deliver:next")
        self._parts.jobs.change(job, stage=Stage.DELIVER)


def _why(stage: Workflow, job: Job) -> BridgeError:
    if stage.error:
        return BridgeError(
            "ENG-011",
            f"an unexpected {stage.error} between two steps of stage {job.stage}",
            remedy="Look at the log and report it; `bridge jobs retry` lets the job go on",
        )
    return BridgeError(
        "ENG-010",
        f"stage {job.stage} was interrupted {stage.attempts} times",
        f"at most {CRASHES}",
        "The study may be what kills the process: look at the log, then run it again",
    )
