"""Before anything of a job leaves: whether its patient has opted out meanwhile, and whether its rule pauses.

Asked again before each step, until the one that makes the job at its platform has begun: from then on there may be a
job there, and what comes of it is looked after.
"""

from __future__ import annotations

import logging

from bridge.config.opt_out import read_opt_out
from bridge.errors import ConfigError, Held, Refused
from bridge.export.parcel import Order
from bridge.flow.engine import in_thread
from bridge.flow.parts import Parts
from bridge.flow.stages import cloud
from bridge.flow.stages.hours import CLOSED, closed, closed_reason
from bridge.flow.verdicts import STOP, Answer
from bridge.log import event
from bridge.platforms.protocol import RemoteJob
from bridge.rules.guards import patients
from bridge.store.budgets import FAILURES
from bridge.store.jobs import Job

log = logging.getLogger("bridge.cloud")

OPTED_OUT = "RUL-005"
SENT_BACK = "job.hours-over"
LOOK_S = 5.0


async def submit(parts: Parts, job: Job, name: str) -> Answer | None:
    """`cloud.submit`, when nothing keeps the job here.

    Raises Refused (RUL-005): the patient is on the opt-out list; Held (RUL-003): the rule pauses because its jobs
    fail. While the list cannot be read the job waits (RUL-004).
    """
    order = (await in_thread(cloud.parcel_of, parts, job.id)).order
    if not _may_be_there(order, cloud.REMOTE.validate_json(job.remote)):
        if not await _opted_in(parts, job):
            return STOP
        # What a person has begun again goes on, whatever became of others.
        if not (job.rerun or parts.instead) and await in_thread(_runs_by_itself, parts, job):
            await in_thread(_check_pause, parts, job)
        if not parts.instead and await in_thread(_sent_back, parts, job):
            return STOP
    return await cloud.submit(parts, job, name)


def _may_be_there(order: Order, remote: RemoteJob) -> bool:
    done = {*remote.begun, *remote.notes}
    return any(step.commits and step.name in done for step in order.steps)


async def _opted_in(parts: Parts, job: Job) -> bool:
    """False when a person has ended the job while it waited for a list that can be read."""
    file = parts.site.opt_out_file
    while file is not None:
        try:
            listed = (await in_thread(read_opt_out, file)).names(await in_thread(_patients, parts, job))
        except ConfigError as error:
            if parts.instead:
                raise
            await in_thread(_say, parts, job, error)
            if not await cloud.rest(parts, job, LOOK_S):
                return False
            continue
        if listed:
            raise Refused(
                OPTED_OUT,
                "the patient is on the opt-out list of this site",
                "a patient who is not",
                "No job was made at the platform; `bridge jobs retry` looks at the list again",
            )
        return True
    return True


def _patients(parts: Parts, job: Job) -> frozenset[tuple[str, str]]:
    return patients(one for one in parts.instances.of_study(job.study_instance_uid) if not one.own)


def _say(parts: Parts, job: Job, error: ConfigError) -> None:
    """Once, not at every look."""
    if parts.jobs.get(job.id).code != error.code:
        parts.jobs.change(job.id, code=error.code, reason=error.sentence())
        parts.jobs.note(job.id, "job.waits", stage=job.stage, code=error.code, pause_s=LOOK_S)
        event(log, "job.waits", level=logging.WARNING, job=job.id, code=error.code, reason=error.sentence())


def _sent_back(parts: Parts, job: Job) -> bool:
    """Whether its hours ended while it stood in a queue. It leaves its place there, and goes in another run."""
    until = closed(job.not_before, parts.clock())
    if until is None:
        return False
    reason = closed_reason(job.not_before, until)
    # One that the relay is just handing over goes, a moment late: its row would say that it runs.
    return parts.jobs.sent_back(job, SENT_BACK, code=CLOSED, reason=reason, until=f"{until:%H:%M}")


def _runs_by_itself(parts: Parts, job: Job) -> bool:
    """Whether no person has begun it again: every run but the first is of its hours."""
    told = sum(line.event == SENT_BACK for line in parts.jobs.timeline(job.id)) if job.run else 0
    return job.run <= told


def _check_pause(parts: Parts, job: Job) -> None:
    pause = parts.budgets.pauses().get(job.rule)
    if pause is not None and pause.code == FAILURES:
        raise Held(
            FAILURES,
            f"the rule pauses: {pause.reason}",
            "a rule whose jobs succeed",
            f"`bridge rules resume {job.rule}` lets all its jobs go on",
        )
