"""A person has cancelled a job: its platform is told, where it can be told, and what it says is kept."""

from __future__ import annotations

import asyncio
import logging

from bridge.errors import BridgeError, TryLater, Unauthorized
from bridge.export.parcel import Repeat
from bridge.flow.at_work import at_work, is_at_work
from bridge.flow.engine import in_thread
from bridge.flow.parts import Parts
from bridge.flow.stages.cloud import REMOTE, parcel_of, spec_of
from bridge.flow.verdicts import STOP, Answer, again, pause
from bridge.log import event
from bridge.platforms.protocol import AskAgain, Found, RemoteJob, Stopped
from bridge.store.jobs import Job, JobState, Stage

log = logging.getLogger("bridge.cloud")

TRIES = 24
"""A platform that could not be told so often has computed it meanwhile."""
LOOK_S = 0.5
BEFORE = (Stage.PREPARE, Stage.CLOUD)
"""Stages in which a job may run at its platform: a retry from `prepare` keeps what was made there."""

WORDS = {
    Stopped.TOO_LATE: "the job had ended already",
    Stopped.NOT_POSSIBLE: "the platform cannot be asked to stop a job: it goes on there, and is billed",
}


def wanted(job: Job) -> bool:
    """Whether there may be something at the platform that could be stopped."""
    return job.stage in BEFORE and bool(job.remote) and bool(REMOTE.validate_json(job.remote).begun)


def committed(parts: Parts, job: Job, remote: RemoteJob) -> bool:
    """Whether the step that costs was begun: the platform may have a job."""
    try:
        order = parcel_of(parts, job.id).order
    except FileNotFoundError:
        return bool(remote.begun)
    done = {*remote.begun, *remote.notes}
    return any(step.commits and step.name in done for step in order.steps)


async def tell(parts: Parts, job_id: str, run: int, attempt: int) -> Answer:
    """Ask the platform to stop the job of a run that was cancelled; the answer stands in its timeline."""
    while is_at_work(job_id):
        # A step that was under way when the person cancelled may just be making the job that is to be stopped.
        if not await _still(parts, job_id, run):
            return STOP
        await asyncio.sleep(LOOK_S)
    with at_work(job_id):
        job = await _still(parts, job_id, run)
        return await _tell(parts, job, attempt) if job else STOP


async def _still(parts: Parts, job_id: str, run: int) -> Job | None:
    job: Job = await in_thread(parts.jobs.get, job_id)
    return job if job.state is JobState.CANCELLED and job.run == run else None


async def _tell(parts: Parts, job: Job, attempt: int) -> Answer:
    platform = parts.platform(job.account)
    remote = REMOTE.validate_json(job.remote)
    try:
        remote = await _found(parts, job, remote)
        stopped = await platform.stop(remote)
    except (TryLater, Unauthorized) as error:
        if attempt + 1 < TRIES:
            event(log, "cloud.not-told", level=logging.WARNING, job=job.id, code=error.code)
            waits = parts.site.accounts[job.account].retry_s
            return again(max(getattr(error, "after_s", None) or 0.0, pause(waits, attempt)))
        await in_thread(_keep, parts, job, "cloud.not-stopped", error.sentence())
    except BridgeError as error:
        await in_thread(_keep, parts, job, "cloud.not-stopped", error.sentence())
    else:
        name = "cloud.stopped" if stopped is Stopped.STOPPED else "cloud.not-stopped"
        await in_thread(_keep, parts, job, name, WORDS.get(stopped, "the platform has stopped it"))
    return STOP


async def _found(parts: Parts, job: Job, remote: RemoteJob) -> RemoteJob:
    """The job with what is noted of it at the platform, where the step that makes it left no note here."""
    try:
        order = parcel_of(parts, job.id).order
    except FileNotFoundError:
        return remote
    unsure = [step for step in order.steps if step.name in remote.begun and step.name not in remote.notes]
    if not any(step.repeat is Repeat.FIND_FIRST for step in unsure):
        return remote
    match await parts.platform(job.account).find(remote, spec_of(parts, job.id), order):
        case Found(job=there):
            await in_thread(lambda: parts.jobs.change(job.id, remote=REMOTE.dump_json(there).decode()))
            return there
        case AskAgain(after_s=after_s):
            raise TryLater("CLD-005", "the platform cannot say yet whether it has the job", after_s=after_s)
        case _:
            return remote


def _keep(parts: Parts, job: Job, name: str, reason: str) -> None:
    parts.jobs.note(job.id, name, account=job.account, reason=reason)
    event(log, name, job=job.id, account=job.account, reason=reason)
