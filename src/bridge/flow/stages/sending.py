"""Submitting at the pace that a platform bears: after an outage one job first, then more."""

from __future__ import annotations

from bridge.errors import BridgeError
from bridge.flow.engine import in_thread
from bridge.flow.parts import Parts
from bridge.flow.stages import strays
from bridge.flow.stages.cloud import rest
from bridge.flow.verdicts import STOP, Answer
from bridge.store.jobs import Job

LOOK_S = 1.0
WAITS = "CLD-006"


async def submit(parts: Parts, job: Job, name: str) -> Answer | None:
    """`strays.submit`, when it is this job's turn to send."""
    pace = parts.pace
    while not await in_thread(pace.may, job.account, job.id):
        await in_thread(_say, parts, job)
        if not await rest(parts, job, LOOK_S):
            return STOP
    answered = ""
    try:
        answer = await strays.submit(parts, job, name)
        answered = job.id
    except BridgeError:
        await in_thread(pace.look, job.account)
        raise
    finally:
        await in_thread(pace.sent, job.account, job.id)
    await in_thread(pace.look, job.account, answered)
    return answer


def _say(parts: Parts, job: Job) -> None:
    reason = f"{job.account} was away; jobs are sent there a few at a time"
    if parts.jobs.get(job.id).reason != reason:
        parts.jobs.change(job.id, code=WAITS, reason=reason)
