"""Why a job was cancelled: the job itself says nothing, the upload session of its input does."""

from __future__ import annotations

from contextlib import aclosing

from bridge.errors import Never
from bridge.export.parcel import Json
from bridge.platforms.grand_challenge.api import Api
from bridge.platforms.grand_challenge.notes import BROKEN, BY_UPLOADS
from bridge.platforms.grand_challenge.planning import session_step, upload_step
from bridge.platforms.grand_challenge.shapes import UploadSession
from bridge.platforms.protocol import RemoteJob
from bridge.platforms.scrub import scrub


async def why_cancelled(api: Api, job: RemoteJob) -> str:
    """The platform's words, scrubbed; empty where no session of the job is broken: somebody stopped it."""
    reasons = []
    for step, note in job.notes.items():
        kind, _, socket = step.partition(":")
        if kind != session_step("").rstrip(":"):
            continue
        session = await _session(api, job, socket, note)
        if session is not None and (session.status.casefold() in BROKEN or session.error_message):
            reasons.append(scrub(session.error_message) or "the image was not imported")
    return "; ".join(reasons)


def stopped(job: RemoteJob) -> str:
    """What is left to say where no session is broken; a file that was refused leaves no trace."""
    files = [
        socket
        for kind, _, socket in (step.partition(":") for step in job.notes)
        if kind == upload_step("").rstrip(":") and session_step(socket) not in job.notes
    ]
    if not files:
        return "stopped at the platform"
    return f"stopped at the platform, or the file for {', '.join(files)} was refused: the API does not tell which"


async def _session(api: Api, job: RemoteJob, socket: str, note: dict[str, Json]) -> UploadSession | None:
    if "pk" in note:
        try:
            return await api.session(str(note["pk"]))
        except Never:
            return None
    upload = job.notes.get(upload_step(socket), {}).get("pk")
    if not note.get(BY_UPLOADS) or upload is None:
        return None
    # The platform never tells the session that it makes itself; a broken one keeps its upload for a day.
    async with aclosing(api.sessions()) as sessions:
        async for session in sessions:
            if upload in session.user_uploads:
                return session
    return None
