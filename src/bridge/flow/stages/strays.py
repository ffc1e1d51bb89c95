"""Submitting, where the world may be further than our tables: what is there of a job is found, never doubled."""

from __future__ import annotations

from bridge.errors import Held
from bridge.export.parcel import Order
from bridge.flow.engine import in_thread
from bridge.flow.parts import Parts
from bridge.flow.stages import cloud, leaving
from bridge.flow.stages.cloud import REMOTE
from bridge.flow.verdicts import Answer
from bridge.platforms.protocol import RemoteJob
from bridge.store.jobs import Job


async def submit(parts: Parts, job: Job, name: str) -> Answer | None:
    """`cloud.submit`, after a look for a stray of the job; notes each job that we have at the platform.

    Raises Held (FEN-030): the platform lists the job and does not find it.
    """
    order = (await in_thread(cloud.parcel_of, parts, job.id)).order
    remote = REMOTE.validate_json(job.remote)
    strays = [] if _is_made(order, remote) else await in_thread(parts.submits.strays, job.account, job.id)
    if strays:
        remote = await cloud.look(parts, job, parts.platform(job.account), remote, order)
        await in_thread(parts.submits.looked_for, job.account, job.id)
        if not _is_made(order, remote):
            raise Held(
                "FEN-030",
                f"the platform lists {len(strays)} jobs with the key of this one and does not find it",
                "one that is gone on with",
                "Look at the platform; `bridge jobs retry` then makes the job anew, which is billed",
            )
    answer = None if _is_made(order, remote) else await leaving.submit(parts, job, name)
    row = await in_thread(parts.jobs.get, job.id)
    made = REMOTE.validate_json(row.remote).remote_id
    if made:
        await in_thread(parts.submits.made, job.account, job.id, made)
    return answer


def _is_made(order: Order, remote: RemoteJob) -> bool:
    commits = [step.name for step in order.steps if step.commits]
    return bool(commits) and all(name in remote.notes for name in commits)
