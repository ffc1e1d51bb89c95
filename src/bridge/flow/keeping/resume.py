"""After a start: jobs that were under way go on, whether the engine remembers them or not."""

from __future__ import annotations

import logging
from collections.abc import Collection

from bridge.flow.engine import Engine
from bridge.flow.job import CPU, platform_queue, stage_id
from bridge.flow.parts import Parts
from bridge.flow.stages.destinations import AWAY
from bridge.flow.stages.prepare import PARCEL_FILE
from bridge.flow.verdicts import UNAUTHORIZED
from bridge.log import event
from bridge.receive.folder import AWAY as SOURCE_AWAY
from bridge.store.jobs import Job, JobState, Stage

log = logging.getLogger("bridge.job")

ALL = 1_000_000
STRANDED = "job-stranded"


def resume(parts: Parts, engine: Engine) -> None:
    """Note the restart with each running job; say which cannot go on because site.toml has changed."""
    known = engine.under_way()
    stranded = set()
    for job in parts.jobs.all(state=JobState.RUNNING, limit=ALL):
        parts.jobs.note(job.id, "job.resumed", stage=job.stage)
        owed = {one.destination for one in parts.deliveries.of(job.id)}
        gone = sorted({job.account} - set(parts.site.accounts) | owed - set(parts.site.destinations))
        if gone:
            reason = f"{', '.join(gone)} is no longer in site.toml; expected for this job. Put it back"
            parts.jobs.change(job.id, code="CFG-020", reason=reason)
            parts.alerts.begin(STRANDED, job.id, reason)
            stranded.add(job.id)
        if job.stage is not Stage.DELIVER and job.account in parts.site.accounts:
            _hand_over(parts, job, known)
    _end_alerts(parts, stranded)
    if engine.interrupted((Stage.PREPARE, Stage.ENCODE)):
        # One of them may be what killed the process, and not the study that was just being looked at.
        parts.studies.forgive()


def _end_alerts(parts: Parts, stranded: set[str]) -> None:
    """Nobody can mend what is about a job that has ended, or a name that site.toml no longer has."""
    still: dict[str, Collection[str]] = {
        STRANDED: stranded,
        AWAY: parts.site.destinations,
        SOURCE_AWAY: parts.site.sources,
        UNAUTHORIZED: parts.site.accounts,
    }
    for alert in parts.alerts.all():
        if alert.subject not in still.get(alert.kind, (alert.subject,)):
            parts.alerts.end(alert.kind, alert.subject)


def _hand_over(parts: Parts, job: Job, known: frozenset[str]) -> None:
    """Give the engine the stage of a job that it has lost; turns of deliveries come from the relay."""
    stage = stage_id(job.id, job.stage, job.run)
    if stage in known:
        return
    if job.stage is Stage.CLOUD and not parts.shelf(job.id).path(PARCEL_FILE).exists():
        # Its files were lost with the disk: they are made again, of what was received.
        parts.jobs.change(job.id, state=JobState.READY, stage=Stage.PREPARE, run=job.run + 1)
    else:
        queue = platform_queue(job.account) if job.stage is Stage.CLOUD else CPU
        parts.enqueue(job.stage, queue, stage, job.id, str(job.run), due_at=job.due_at)
    event(log, "job.taken-up", job=job.id, stage=job.stage)
