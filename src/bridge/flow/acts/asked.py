"""The job that a person means, and the sentences of a refusal."""

from __future__ import annotations

from bridge.errors import ConfigError
from bridge.flow.parts import Parts
from bridge.store.rows import Job, JobState

INSTEAD = {
    JobState.READY: "It is under way: `bridge jobs cancel` ends it",
    JobState.RUNNING: "It is under way: `bridge jobs cancel` ends it",
    JobState.HELD: "`bridge jobs retry` goes on with it, `bridge jobs cancel` ends it",
    JobState.DONE: "`bridge jobs rerun` does the same work again, which is billed again",
    JobState.REFUSED: "`bridge jobs retry` tries it again, `bridge jobs rerun` makes a new job of it",
    JobState.FAILED: "`bridge jobs retry` goes on with it, `bridge jobs cancel` ends it",
    JobState.CANCELLED: "`bridge jobs retry` goes on with it, `bridge jobs rerun` makes a new job of it",
}
"""What else can be asked of a job in that state."""


def find(parts: Parts, job_id: str) -> Job | None:
    """The job of exactly that id."""
    return next((job for job in parts.jobs.find(job_id) if job.id == job_id), None) if job_id else None


def the_job(parts: Parts, job_id: str) -> Job:
    """Raises ConfigError (ACT-004) when there is none."""
    job = find(parts, job_id)
    if job is None:
        raise ConfigError(
            "ACT-004", f"no job {job_id[:40]}", "the id of a job", "`bridge jobs list` shows them"
        )
    return job


def waits_for_release(job: Job) -> bool:
    """Whether a person holds it up, and nothing of it was done: its rule says so, or its study is in doubt."""
    return job.state is JobState.HELD and not job.has_begun


def not_so(job: Job, expected: str, remedy: str = "") -> ConfigError:
    """ACT-001: the job is in a state in which that cannot be asked."""
    found = f"job {job.id[:8]} is {job.state} in {job.stage}" + (f" ({job.reason})" if job.reason else "")
    return ConfigError("ACT-001", found, expected, remedy or INSTEAD[job.state])


def moved_on(job: Job) -> ConfigError:
    return ConfigError(
        "ACT-005", f"job {job.id[:8]} has just moved on", "a job that stands still", "Ask again"
    )
