"""What a job's notes hold, and the errors for notes that no longer do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from bridge.errors import Held, TryLater
from bridge.export.parcel import Json, Order
from bridge.platforms.grand_challenge.planning import CREATE, upload_step
from bridge.platforms.grand_challenge.shapes import UploadSession
from bridge.platforms.protocol import RESTART, RemoteJob

GOOD_FOR_S = 20 * 3600.0
"""Uploads are swept hourly, a day after they were made; import must have begun well before."""

UNUSED, IMPORTED = "queued", "succeeded"
"""Status of an upload session that no job has used, and of one whose image is there."""
BROKEN = ("failed", "cancelled")

FOUND = "found"
"""In the note of a step that an earlier life of this job performed, nobody knows when."""
BY_UPLOADS = "by_uploads"
"""In the note of a session step where the platform makes the session itself, with the job."""


def is_fresh(made: datetime, now_s: float) -> bool:
    return now_s - made.timestamp() < GOOD_FOR_S


def is_unused(session: UploadSession) -> bool:
    """A session whose uploads were swept still says Queued, and would import nothing."""
    return session.status.casefold() == UNUSED and bool(session.user_uploads)


def created(
    job: RemoteJob,
    pk: str,
    order: Order,
    *,
    made_s: float | None = None,
    found_s: float | None = None,
    sessions: Mapping[str, str] | None = None,
) -> RemoteJob:
    """The job with the note of `create`, and of every step before it: found is found whole.

    `made_s`: when we made it; `found_s`: when we met one that was made earlier. `sessions`: ids by step.
    """
    note: dict[str, Json] = {"pk": pk}
    if made_s is not None:
        note["made_s"] = made_s
    if found_s is not None:
        note["found_s"] = found_s
    if "typical_s" in order.details:
        note["typical_s"] = float(order.details["typical_s"])
    notes = dict(job.notes)
    for step in order.steps:
        notes.setdefault(step.name, {FOUND: True})
    for step_name, session in (sessions or {}).items():
        notes[step_name] = {**notes.get(step_name, {}), "pk": session}
    return replace(job, remote_id=pk, notes={**notes, CREATE: note})


def note_of(job: RemoteJob, step: str, *, restart: str) -> dict[str, Json]:
    """The note of an earlier step. Raises TryLater: GC-220 with RESTART where it is missing."""
    note = job.notes.get(step)
    if note is None:
        raise TryLater(
            "GC-220", f"the note of {step} is missing", "it", numbers={RESTART: restart}, after_s=0.0
        )
    return note


def stale(socket: str, what: str) -> TryLater:
    return TryLater(
        "GC-220",
        f"the upload of {socket} {what}",
        "one of less than 20 hours",
        "It is sent again",
        {RESTART: upload_step(socket)},
        after_s=0.0,
    )


def not_visible(socket: str) -> Held:
    return Held(
        "GC-222",
        f"the upload session of {socket} is not visible with this account's token",
        "the token of the user who made it",
        "Put the earlier token back, or look at the platform whether the job exists, then retry or cancel",
    )
