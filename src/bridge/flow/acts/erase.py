"""A person wants a study gone: its objects, what was made of it, what its tables say, and what platforms have of it.

What must stay to answer for it stays: that there were jobs, what of them left the house, and what could not be erased.
"""

from __future__ import annotations

import shutil

from pydantic import TypeAdapter

from bridge.dicom.uids import keyed_name
from bridge.errors import ConfigError
from bridge.flow.acts.forget import forget_id, keep
from bridge.flow.job import platform_queue
from bridge.flow.parts import Parts
from bridge.flow.stages.cloud import REMOTE
from bridge.flow.stages.shelf import PARCEL
from bridge.rules import Explanation, Outcome
from bridge.store.erasing import Held
from bridge.store.jobs import Job
from bridge.store.rows import Act
from bridge.store.studies import Study

ERASE = "erase"
HERE = "here"
SAID = "erased on request; the record of what left stays"


def erase(parts: Parts, act: Act) -> str:
    """`act.target` is the name of a study. Raises ConfigError: ACT-003, ACT-009."""
    study = parts.studies.named(act.target)
    if study is None:
        if not parts.disclosures.was_erased(act.id):
            raise ConfigError("ACT-003", f"no study has the name {act.target[:40]}", "a study that is here")
        # A crash kept its answer back.
        jobs = [
            one for one in parts.disclosures.erased_jobs(act.id) if _is_of(parts, act, parts.jobs.get(one))
        ]
    else:
        held = parts.erasing.held(study)
        _refuse_going(study, held)
        parts.passing("erase:before")
        _remove_files(parts, held)
        parts.passing("erase:mid")
        parts.erasing.erase(study, act.id, _explanation(), _notes(parts, held))
        jobs = list(held.jobs)
        parts.passing("erase:after")
    asked = [job for job in jobs if _ask_platform(parts, act, parts.jobs.get(job))]
    answer = f"study {act.target} is erased here"
    if asked:
        answer += (
            f"; the platforms of {len(asked)} jobs are asked, and `bridge disclosures` has what they say"
        )
    return answer


def _is_of(parts: Parts, act: Act, job: Job) -> bool:
    return keyed_name(parts.key, "study", job.study_instance_uid) == act.target


def _refuse_going(study: Study, held: Held) -> None:
    if held.going:
        names = ", ".join(one[:8] for one in held.going[:4])
        raise ConfigError(
            "ACT-009",
            f"{len(held.going)} jobs with objects of study {study.name} that are not over: {names}",
            "none",
            "Wait for them, or end them with `bridge jobs cancel`",
        )


def _remove_files(parts: Parts, held: Held) -> None:
    for name in held.files:
        (parts.retention.folder / name).unlink(missing_ok=True)
    for job in held.jobs:
        folder = parts.shelf(job).folder
        if folder.is_dir():
            shutil.rmtree(folder)
    for job in held.borrowers:
        parcel = parts.shelf(job).path(PARCEL)
        if parcel.is_dir():
            shutil.rmtree(parcel)


def _notes(parts: Parts, held: Held) -> list[dict[str, object]]:
    """What became of what, in the words of the record."""
    here = (f"{len(held.files)} objects with their headers", f"{held.names} rows of the crosswalk")
    notes = [_note("", HERE, what, True, "") for what in here]
    for job in held.jobs:
        notes.append(_note(job, HERE, "files, answers and explanation of the job", True, ""))
    for job in held.borrowers:
        notes.append(_note(job, HERE, "what was sent of this study for a job of another", True, ""))
        reason = "it belongs to another study, which must be erased for it"
        notes.append(
            _note(job, parts.jobs.get(job).account, "what left for a job of another study", False, reason)
        )
    for job, there, count in held.stored:
        reason = "results in an archive are erased there"
        notes.append(_note(job, f"destination {there}", f"{count} results", False, reason))
    return notes


def _note(job: str, place: str, what: str, erased: bool, reason: str) -> dict[str, object]:
    return {"job_id": job, "place": place, "what": what, "erased": erased, "reason": reason}


def _explanation() -> str:
    gone = Explanation(rule="", outcome=Outcome.NO_MATCH, reason=SAID, study=(), inputs=())
    return TypeAdapter(Explanation).dump_json(gone).decode()


def _ask_platform(parts: Parts, act: Act, job: Job) -> bool:
    """Whether the platform may have something of a job; then it is asked, on the queue of its account."""
    if not job.remote or not REMOTE.validate_json(job.remote).begun:
        return False
    if job.account not in parts.site.accounts:
        reason = "the account is no longer in site.toml: ask the platform"
        if not parts.disclosures.has_asked(act.id, job.id):
            keep(parts, act.id, job.id, job.account, [("what was sent", False, reason)])
        return True
    parts.enqueue(
        "forget", platform_queue(job.account), forget_id(job.id, act.id), job.id, str(act.id), due_at=0.0
    )
    return True
