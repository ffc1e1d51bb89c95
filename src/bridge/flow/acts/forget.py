"""A study was erased here: the platform is asked to erase what it has of a job, and what it says is kept."""

from __future__ import annotations

import logging

from bridge.errors import BridgeError, TryLater, Unauthorized
from bridge.flow.engine import in_thread
from bridge.flow.parts import Parts
from bridge.flow.stages.cloud import REMOTE
from bridge.flow.verdicts import STOP, Answer, again, pause
from bridge.log import event
from bridge.store.disclosures import Erased

log = logging.getLogger("bridge.cloud")

TRIES = 24
"""As for a job that is to be stopped."""


def forget_id(job_id: str, act_id: int) -> str:
    """The engine's id: one for each wish."""
    return f"{job_id}.forget~{act_id}"


async def ask(parts: Parts, job_id: str, act_id: int, attempt: int) -> Answer:
    """Ask once. The record has a line for each thing that the platform names, or one for its silence."""
    if await in_thread(parts.disclosures.has_asked, act_id, job_id):
        return STOP
    job = await in_thread(parts.jobs.get, job_id)
    try:
        told = await parts.platform(job.account).forget(REMOTE.validate_json(job.remote))
        lines = [(one.what, one.erased, one.reason) for one in told]
    except (TryLater, Unauthorized) as error:
        if attempt + 1 < TRIES:
            event(log, "cloud.not-told", level=logging.WARNING, job=job_id, code=error.code)
            waits = parts.site.accounts[job.account].retry_s
            return again(max(getattr(error, "after_s", None) or 0.0, pause(waits, attempt)))
        lines = [("what was sent", False, error.sentence())]
    except BridgeError as error:
        lines = [("what was sent", False, error.sentence())]
    await in_thread(keep, parts, act_id, job_id, job.account, lines or [("nothing is there", True, "")])
    return STOP


def keep(parts: Parts, act_id: int, job_id: str, account: str, lines: list[tuple[str, bool, str]]) -> None:
    study = parts.disclosures.study_of_act(act_id)
    parts.disclosures.note_erased(
        Erased(
            act_id=act_id, study=study, job_id=job_id, place=account, what=what, erased=erased, reason=reason
        )
        for what, erased, reason in lines
    )
    left = sum(not erased for _, erased, _ in lines)
    parts.jobs.note(job_id, "cloud.forgotten", account=account, erased=len(lines) - left, left=left)
    event(log, "cloud.forgotten", job=job_id, account=account, erased=len(lines) - left, left=left)
