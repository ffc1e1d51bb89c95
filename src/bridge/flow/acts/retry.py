"""A person lets a job go on that stopped: in another run, at the stage where it stopped or at an earlier one.

What the platform has of the job decides how. A job there that may still run, or that succeeded, is gone on with, and
never made twice; one that ended there without success, or was stopped, is made anew.
"""

from __future__ import annotations

from typing import Any

from bridge.dicom.statuses import STORED
from bridge.errors import ConfigError
from bridge.flow.acts import abort
from bridge.flow.acts.asked import moved_on, not_so, the_job, waits_for_release
from bridge.flow.parts import Parts
from bridge.flow.stages.cloud import REMOTE
from bridge.flow.stages.prepare import PARCEL_FILE
from bridge.platforms.protocol import RemoteJob
from bridge.store.acts import Turning
from bridge.store.rows import Act, Job, JobState, Stage

STOPPED = frozenset({JobState.HELD, JobState.FAILED, JobState.REFUSED, JobState.CANCELLED})
STAGES = tuple(Stage)
ENDED_THERE = "CLD-003"


def retry(parts: Parts, act: Act) -> str:
    """`act.target` is a job's id, or `<id>.<stage>` with the stage at which it is to begin."""
    job_id, _, wanted = act.target.partition(".")
    job = the_job(parts, job_id)
    if parts.acts.noted(act, job.id):
        return f"job {job.id[:8]} goes on"
    if job.state is JobState.RUNNING and job.stage is Stage.DELIVER and wanted in ("", Stage.DELIVER):
        return _deliver_now(parts, act, job)
    if job.state not in STOPPED:
        raise not_so(job, "a job that stopped: held, failed, refused or cancelled")
    if waits_for_release(job):
        raise not_so(job, "a job that stopped", "`bridge jobs release` lets it go on")
    stage = _stage(parts, job, wanted)
    values, how = _changes(parts, job, stage)
    if stage in abort.BEFORE and job.remote and _is_dead(parts, job):
        parts.budgets.spend(job.rule, job.id)
    turning = Turning.AGAIN if stage is Stage.DELIVER else Turning.KEPT
    if not parts.acts.fulfil(act, job, turning=turning, run=job.run + 1, **values):
        raise moved_on(job)
    return f"job {job.id[:8]} goes on in {stage}{how}"


def _deliver_now(parts: Parts, act: Act, job: Job) -> str:
    left = sum(one.outcome not in STORED for one in parts.deliveries.of(job.id))
    if not parts.acts.fulfil(act, job, turning=Turning.AGAIN, code="", reason=""):
        raise moved_on(job)
    return f"job {job.id[:8]}: {left} result{'s' * (left != 1)} tried again now"


def _stage(parts: Parts, job: Job, wanted: str) -> Stage:
    """Raises ConfigError (ACT-006) for a stage that the job has not reached, or cannot go back to."""
    reached = STAGES[: STAGES.index(job.stage) + 1]
    if parts.jobs.results(job.id):
        # Issued: wherever they are sent, they are the same bytes.
        reached = (Stage.DELIVER,)
    if wanted and wanted not in reached:
        raise ConfigError(
            "ACT-006",
            f"the stage {wanted[:20]!r}",
            f"for job {job.id[:8]}: {' or '.join(reached)}",
            "" if len(reached) > 1 else "`bridge jobs rerun` makes new results, and is billed again",
        )
    stage = Stage(wanted) if wanted else reached[-1]
    if stage is Stage.CLOUD and not parts.shelf(job.id).path(PARCEL_FILE).exists():
        return Stage.PREPARE
    return stage


def _changes(parts: Parts, job: Job, stage: Stage) -> tuple[dict[str, Any], str]:
    """New values of the row, and in words what becomes of the job at the platform."""
    going: dict[str, Any] = {"code": "", "reason": "", "stage": stage}
    if stage is Stage.DELIVER:
        return {**going, "state": JobState.RUNNING}, ": what is not stored is sent again"
    # The relay hands a ready job over at its stage, so a crash between here and there loses nothing.
    going["state"] = JobState.READY
    if stage is Stage.ENCODE:
        return going, ""
    going["deadline_at"] = None
    account = parts.site.accounts.get(job.account)
    if stage is Stage.CLOUD and account:
        going["deadline_at"] = parts.clock() + account.deadline_hours * 3600
    if not job.remote:
        return going, ""
    remote = REMOTE.validate_json(job.remote)
    if _is_dead(parts, job):
        anew = RemoteJob(key=remote.key, attempt=remote.attempt + 1)
        changes = {**going, "remote": REMOTE.dump_json(anew).decode(), "outputs": "[]"}
        return changes, f": {job.account} gets it as a new job, which it bills"
    if abort.committed(parts, job, remote):
        return going, f": with the job that {job.account} has, if it has one"
    if stage is Stage.PREPARE:
        # What was sent so far belongs to files that are made again.
        anew = RemoteJob(key=remote.key, attempt=remote.attempt)
        going["remote"] = REMOTE.dump_json(anew).decode()
    return going, ""


def _is_dead(parts: Parts, job: Job) -> bool:
    """Whether the platform's job of the present run ended without success, or was stopped for us."""
    for event in reversed(parts.jobs.timeline(job.id)):
        match event.event:
            case "act.retry":
                return False
            case "cloud.stopped":
                return True
            case "job.failed" if event.keys.get("code") == ENDED_THERE:
                return True
    return False
