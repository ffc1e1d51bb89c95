"""What a person asked for is done here, in the service: acts are requests, written by whoever asks.

One function for each act; it raises a BridgeError whose sentence is the answer, or returns the sentence of success.
A crash may let an act be performed twice: each looks whether the job's timeline has it already.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

import sqlalchemy.exc

from bridge.dicom.statuses import STORED
from bridge.errors import BridgeError, ConfigError
from bridge.flow.acts import abort
from bridge.flow.acts.asked import find, moved_on, not_so, the_job, waits_for_release
from bridge.flow.acts.erase import ERASE, erase
from bridge.flow.acts.resume_rule import RESUME, resume_rule
from bridge.flow.acts.retry import retry
from bridge.flow.acts.rotate import ROTATE, rotate
from bridge.flow.job import platform_queue, stage_id
from bridge.flow.keeping.fencing import LIFT, fence_lift
from bridge.flow.keeping.resume import STRANDED
from bridge.flow.parts import Parts
from bridge.flow.study.rulebook import RELOAD
from bridge.log import event
from bridge.store.acts import DONE, REFUSED, Turning
from bridge.store.rows import FINAL, Act, Job, JobState
from bridge.store.studies import GONE, Study

log = logging.getLogger("bridge.acts")

DISMISSED = frozenset({JobState.READY, JobState.RUNNING, JobState.HELD, JobState.FAILED})
"""States of a job that can be cancelled: nobody has to look at a failed one for ever."""


def release(parts: Parts, act: Act) -> str:
    """Let a job go on that its rule holds, or decide about a study that is held for a doubt."""
    job = find(parts, act.target)
    if job is None:
        return _release_study(parts, parts.studies.named(act.target), act.target)
    answer, noted = f"job {job.id[:8]} is released", parts.acts.noted(act, job.id)
    if not waits_for_release(job):
        if noted:
            return answer
        raise not_so(job, "a job that its rule holds, or that waits because its study is in doubt")
    if job.code:
        study = parts.studies.study(job.study_instance_uid)
        _refuse_gone(study)
        if not noted and not parts.acts.fulfil(act, job):
            raise moved_on(job)
        # A crash may have left the study as it was, or kept the answer back.
        if study is None or not (parts.studies.accept(study.name) or noted):
            raise moved_on(job)
        return f"study {study.name} is released, and job {job.id[:8]} with it"
    if not parts.acts.fulfil(act, job, state=JobState.READY, reason=""):
        raise moved_on(job)
    return answer


def _release_study(parts: Parts, study: Study | None, name: str) -> str:
    _refuse_gone(study)
    if study is None or not parts.studies.accept(study.name):
        raise ConfigError(
            "ACT-003",
            f"no job and no held study has the name {name[:40]}",
            "a job that its rule holds, or a study that is held for a doubt",
            "`bridge jobs list` shows both",
        )
    return f"study {study.name} is released: the rules look at it now"


def _refuse_gone(study: Study | None) -> None:
    """Raises ConfigError (ACT-007): there is nothing that a person could accept."""
    if study is not None and GONE in study.doubts:
        raise ConfigError(
            "ACT-007",
            f"study {study.name}, whose pixels are gone",
            "the study, sent again",
            "It is decided when all of it is here",
        )


def cancel(parts: Parts, act: Act) -> str:
    """End a job at once; what is under way stops at its next look, and the platform is told."""
    job = the_job(parts, act.target)
    tells = job.account in parts.site.accounts and abort.wanted(job)
    if not parts.acts.noted(act, job.id):
        if job.state not in DISMISSED:
            raise not_so(job, "a job that has not ended well already")
        reason = f"cancelled by {act.who}" + (f": {act.reason}" if act.reason else "")
        changes = {"state": JobState.CANCELLED, "code": "", "reason": reason}
        if not parts.acts.fulfil(act, job, turning=Turning.OVER, **changes):
            raise moved_on(job)
    parts.alerts.end(STRANDED, job.id)
    answer = f"job {job.id[:8]} is cancelled"
    if tells:
        queue = platform_queue(job.account)
        # Urgent: a place at the platform that becomes free is not for the next job first.
        parts.enqueue("abort", queue, stage_id(job.id, "abort", job.run), job.id, str(job.run), due_at=0.0)
        answer += f"; {job.account} is asked to stop it, and its answer will stand in the timeline"
    results = parts.deliveries.of(job.id)
    stored = sum(one.outcome in STORED for one in results)
    if stored:
        answer += f"; {stored} of {len(results)} results had been stored already and stay there"
    return answer


def rerun(parts: Parts, act: Act) -> str:
    """Begin the same work again as a new job, which the platform bills again."""
    from bridge.flow.acts.rerun import rerun as begin

    job = the_job(parts, act.target)
    if job.state not in FINAL:
        raise not_so(job, "a job that has ended", "Wait for its end, or cancel it first")
    if parts.acts.noted(act, job.id):
        began = _began_since(parts, job, act)
        if began:
            return _billed(job, began)
    elif not parts.acts.fulfil(act, job):
        raise moved_on(job)
    return _billed(job, begin(parts, job.id))


def _began_since(parts: Parts, job: Job, act: Act) -> str:
    for other in parts.jobs.of_study(job.study_instance_uid):
        alike = other.rule == job.rule and (other.contents == job.contents or job.contents == "{}")
        if alike and other.rerun > job.rerun and other.created_at >= act.asked_at:
            return other.id
    return ""


def _billed(job: Job, began: str) -> str:
    return f"job {job.id[:8]} is done again as job {began[:8]}; {job.account} computes and bills it again"


ACTS: dict[str, Callable[[Parts, Act], str]] = {
    "release": release,
    "retry": retry,
    "cancel": cancel,
    "rerun": rerun,
    LIFT: fence_lift,
    RESUME: resume_rule,
    ERASE: erase,
    ROTATE: rotate,
}


def perform(parts: Parts, *, reload: Callable[[], str], only: Collection[str] = ()) -> None:
    """Fulfil or refuse every wish that waits. One that fails for no reason of its own stays for the next look.

    Args:
        reload: reads the rules again.
        only: the acts that are performed now, where others wait.
    """
    for act in parts.acts.waiting():
        if only and act.act not in only:
            continue
        try:
            outcome, answer = DONE, _perform(parts, act, reload)
        except BridgeError as error:
            outcome, answer = REFUSED, error.sentence()
        except (OSError, sqlalchemy.exc.OperationalError):
            event(log, "act.waits", level=logging.ERROR, failed=True, act=act.act, target=act.target)
            continue
        except Exception as error:  # noqa: BLE001 - one wish must never keep all others from their turn
            event(log, "act.unexpected", level=logging.ERROR, failed=True, act=act.act, target=act.target)
            outcome, answer = REFUSED, f"an unexpected {type(error).__name__}; the log names its place"
        parts.acts.done(act.id, outcome, answer)
        event(
            log,
            f"act.{act.act}",
            target=act.target,
            who=act.who,
            reason=act.reason,
            outcome=outcome,
            answer=answer,
        )


def _perform(parts: Parts, act: Act, reload: Callable[[], str]) -> str:
    if act.act == RELOAD:
        return reload()
    if act.act not in ACTS:
        raise ConfigError("ACT-002", f"the act {act.act[:20]!r}", f"one of {', '.join((*ACTS, RELOAD))}")
    return ACTS[act.act](parts, act)
