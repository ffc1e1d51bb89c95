"""One job in this process, without the engine: the same step bodies, one after another.

For a case without a PACS. It goes on where it was interrupted, because what a step did stands in the job row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from bridge.errors import BridgeError
from bridge.flow.parts import Parts
from bridge.flow.stages import cloud, encode, leaving, prepare
from bridge.flow.verdicts import guard, guard_async
from bridge.store.jobs import FINAL, Job, JobState


def run_job(parts: Parts, job_id: str, tell: Callable[[str], None]) -> Job:
    """Prepare, compute and encode. `tell` hears what begins. Returns the job as it ended.

    Raises BridgeError (SGL-001) when the platform cannot describe the algorithm.
    """
    if parts.jobs.get(job_id).state in FINAL:
        return parts.jobs.get(job_id)
    asyncio.run(_run(parts, job_id, tell))
    job = parts.jobs.get(job_id)
    if job.state in (JobState.READY, JobState.RUNNING):
        parts.jobs.change(job_id, state=JobState.DONE, code="", reason="")
        parts.jobs.note(job_id, "job.done", results=len(parts.jobs.results(job_id)))
    return parts.jobs.get(job_id)


async def _run(parts: Parts, job_id: str, tell: Callable[[str], None]) -> None:
    job = parts.jobs.get(job_id)
    parts.jobs.started(job_id)
    platform = parts.platform(job.account)
    try:
        known = parts.specs.get(job.account, job.algorithm, job.declared_version)
        if known is None or known.spec is None:
            tell(f"asking {job.account} what {job.algorithm} takes")
            await cloud.describe(parts, job.account, job.algorithm, job.declared_version)
            known = parts.specs.get(job.account, job.algorithm, job.declared_version)
        if known is None or known.spec is None:
            raise BridgeError(known.code if known else "SGL-001", known.reason if known else "no description")
        tell("converting")
        if not await _until_done(parts, prepare.convert, job_id):
            return
        for name in cloud.step_names(parts, job_id):
            tell(f"submitting: {name}")
            if not await _until_done_async(parts, leaving.submit, job_id, name):
                return
        tell("computing")
        if not await _until_done_async(parts, cloud.wait, job_id):
            return
        tell("fetching")
        if not await _until_done_async(parts, cloud.fetch, job_id):
            return
        tell("encoding")
        await _until_done(parts, encode.encode, job_id)
    finally:
        await platform.close()


async def _until_done(parts: Parts, body: Callable[..., Any], job_id: str) -> bool:
    run = partial(body, parts)
    attempt = 0
    while True:
        answer = await asyncio.to_thread(guard, parts, run, job_id, 0, attempt, parts.site.engine.retry_s)
        if answer["then"] != "again":
            return answer["then"] == "on"
        attempt += 1
        await asyncio.sleep(answer["pause_s"])


async def _until_done_async(parts: Parts, body: Callable[..., Any], job_id: str, *arguments: str) -> bool:
    run = partial(body, parts)
    account = parts.jobs.get(job_id).account
    attempt = 0
    while True:
        waits = parts.site.accounts[account].retry_s
        answer = await guard_async(parts, run, job_id, 0, attempt, waits, *arguments)
        if answer["then"] != "again":
            return answer["then"] == "on"
        attempt += 1
        await asyncio.sleep(answer["pause_s"])
