"""Stage `cloud`: the steps of the order, the wait, the outputs. The same lines for every platform.

The intention is written before a step is performed. A step that was begun and left no note may have happened: one
whose repetition is safe is done again, any other is looked for first. "Found" never means "skip the rest": it fills
in notes, and the loop goes on until every step has one.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging

from pydantic import TypeAdapter

from bridge.config.rules import RuleModel
from bridge.errors import BridgeError, Damaged, Held, Never, TryLater, Unauthorized, Unsure
from bridge.export.parcel import Order, Parcel, Repeat, Step
from bridge.flow.engine import in_thread
from bridge.flow.parts import Parts
from bridge.flow.stages import disclosing
from bridge.flow.stages.prepare import PARCEL_FILE, SPEC_FILE
from bridge.flow.stages.shelf import OUTPUTS
from bridge.flow.verdicts import GOING, STOP, UNAUTHORIZED, Answer, pause
from bridge.log import event
from bridge.platforms.optional import Compares
from bridge.platforms.protocol import (
    RESTART,
    AskAgain,
    Found,
    Phase,
    Platform,
    RemoteJob,
    Spec,
    State,
    Verdict,
)
from bridge.results.output import Output, Presence
from bridge.store.jobs import Job

log = logging.getLogger("bridge.cloud")

SUFFIXES = {
    "image/x-metaimage": ".mha",
    "image/tiff": ".tif",
    "application/json": ".json",
    "text/csv": ".csv",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "model/obj": ".obj",
    "model/stl": ".stl",
    "model/x-ply": ".ply",
    "model/x-draco": ".drc",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "video/mp4": ".mp4",
}
"""By media type; readers of images go by the ending."""

LOOK_S = 5.0
"""How often a job that rests between two looks at its platform is looked at here."""

REMOTE = TypeAdapter(RemoteJob)
PARCEL = TypeAdapter(Parcel)
SPEC = TypeAdapter(Spec)
OUTPUT_LIST = TypeAdapter(tuple[Output, ...])


def step_names(parts: Parts, job_id: str) -> list[str]:
    """The steps of the job's order; the engine keeps the answer, so a restart walks the same list."""
    return [step.name for step in parcel_of(parts, job_id).order.steps]


async def describe(parts: Parts, account: str, algorithm: str, declared_version: str) -> None:
    """Ask the platform what an algorithm takes and gives, and keep the answer for the jobs that wait for it."""
    words = (account, algorithm, declared_version)
    try:
        spec = await parts.platform(account).describe(algorithm, declared_version)
    except BridgeError as error:
        event(log, "platform.not-described", level=logging.WARNING, account=account, code=error.code)
        await in_thread(_keep_spec, parts, words, None, error.code, error.sentence())
        if isinstance(error, Unauthorized):
            await in_thread(parts.alerts.begin, UNAUTHORIZED, account, error.sentence())
        return
    await in_thread(parts.alerts.end, UNAUTHORIZED, account)
    await in_thread(_keep_spec, parts, words, SPEC.dump_json(spec).decode(), "", "")


def _keep_spec(parts: Parts, words: tuple[str, str, str], spec: str | None, code: str, reason: str) -> None:
    parts.specs.keep(*words, spec=spec, code=code, reason=reason)


async def submit(parts: Parts, job: Job, name: str) -> Answer | None:
    """Perform one step of the order, once, and before it every earlier one whose note was dropped."""
    parcel: Parcel = await in_thread(parcel_of, parts, job.id)
    await in_thread(_check_deadline, parts, job, f"step {name} is still not done")
    steps = parcel.order.steps
    remote = _remote(job)
    for step in steps[: [step.name for step in steps].index(name) + 1]:
        if step.name not in remote.notes:
            remote = await _perform(parts, job, step, remote, parcel)
    return None


async def _perform(parts: Parts, job: Job, step: Step, remote: RemoteJob, parcel: Parcel) -> RemoteJob:
    platform = parts.platform(job.account)
    parts.passing(f"{_point(step)}:before")
    if step.name in remote.begun and step.repeat is Repeat.FIND_FIRST:
        remote = await look(parts, job, platform, remote, parcel.order)
        if step.name in remote.notes:
            return remote
    remote = dataclasses.replace(remote, begun=tuple(dict.fromkeys([*remote.begun, step.name])))
    await _keep(parts, job, remote)
    await in_thread(disclosing.begins, parts, job, step, remote, parcel)
    try:
        remote = await platform.perform(step, remote, parcel, parts.shelf(job.id))
    except Unsure:
        remote = await look(parts, job, platform, remote, parcel.order)
        if step.name not in remote.notes:
            raise
    except TryLater as stale:
        if RESTART in stale.numbers:
            await _keep(parts, job, _without(remote, str(stale.numbers[RESTART]), parcel.order))
        raise
    parts.passing(f"{_point(step)}:mid")
    await in_thread(disclosing.left, parts, job, remote, parcel)
    await _keep(parts, job, remote)
    await in_thread(lambda: parts.jobs.note(job.id, "cloud.step", step=step.name, account=job.account))
    parts.passing(f"{_point(step)}:after")
    return remote


def _without(remote: RemoteJob, restart: str, order: Order) -> RemoteJob:
    """The job without what it noted from a step on, whose effect died; never once something was committed."""
    names = [step.name for step in order.steps]
    if restart not in names or any(step.commits and step.name in remote.notes for step in order.steps):
        return remote
    gone = set(names[names.index(restart) :])
    return dataclasses.replace(
        remote,
        begun=tuple(name for name in remote.begun if name not in gone),
        notes={name: note for name, note in remote.notes.items() if name not in gone},
    )


async def wait(parts: Parts, job: Job) -> Answer | None:
    """Look until the job has ended. One step for hours: a crash looks again, which costs nothing."""
    account = parts.site.accounts[job.account]
    platform = parts.platform(job.account)
    remote = _remote(job)
    raw, misses, away_s = "", 0, 0.0
    parts.passing("await:before")
    # A job that was found there has notes of steps that nobody saw the end of here.
    await in_thread(disclosing.left, parts, job, remote, await in_thread(parcel_of, parts, job.id))
    while True:
        # Patience is with the platform at work, not with its outage.
        await in_thread(_check_deadline, parts, job, f"the platform says {raw or 'nothing'}", away_s)
        try:
            state = await platform.state(remote)
            misses = 0
            await in_thread(parts.pace.look, job.account)
        except TryLater as trouble:
            # The platform is away: that is no news about the job, so the step goes on.
            event(log, "platform.away", level=logging.WARNING, account=job.account, code=trouble.code)
            await in_thread(parts.pace.look, job.account)
            pause_s = max(trouble.after_s or 0.0, pause(account.retry_s, misses))
            if not await rest(parts, job, pause_s):
                return STOP
            misses += 1
            away_s += pause_s
            continue
        if state.raw != raw:
            raw = state.raw
            await in_thread(lambda word=raw: parts.jobs.note(job.id, "cloud.state", state=word))
        if state.pin and state.pin != remote.pin:
            remote = dataclasses.replace(remote, pin=state.pin)
            await _keep(parts, job, remote)
        parts.passing("await:mid")
        if state.phase is Phase.ENDED:
            _judge(job, state)
            return None
        if not await rest(parts, job, state.look_again_s):
            return STOP


async def rest(parts: Parts, job: Job, pause_s: float) -> bool:
    """Wait, and say whether the job is still wanted: a person may cancel it, and its place is for another then."""
    while True:
        row = await in_thread(parts.jobs.get, job.id)
        if row.state not in GOING or row.run != job.run:
            return False
        if pause_s <= 0:
            return True
        await asyncio.sleep(min(pause_s, LOOK_S))
        pause_s -= LOOK_S


async def fetch(parts: Parts, job: Job) -> None:
    """Fetch every output that is here and keep the list with the job."""
    parts.passing("fetch:before")
    platform = parts.platform(job.account)
    remote = _remote(job)
    shelf = parts.shelf(job.id)
    if isinstance(platform, Compares):
        equal = await platform.compare(remote, await in_thread(parcel_of, parts, job.id), shelf)
        if equal:
            names = ", ".join(equal)
            await in_thread(lambda: parts.jobs.note(job.id, "cloud.same-grid", inputs=names))
    kept = []
    for number, output in enumerate(await platform.outputs(remote)):
        if output.presence is Presence.HERE:
            # Numbered by us: an output's name is the platform's word and no name of a file.
            ref = f"{OUTPUTS}/{number:03d}{SUFFIXES.get(output.media_type, '')}"
            with shelf.sink(ref) as sink:
                fetched = await platform.fetch(remote, output, sink)
                if fetched.sha256 != sink.sha256:
                    raise Damaged("CLD-002", f"output {number} changed on its way", "equal digests")
            output = dataclasses.replace(
                output, ref=ref, size_bytes=fetched.size_bytes, sha256=fetched.sha256
            )
        parts.passing("fetch:mid")
        kept.append(output)
    text = OUTPUT_LIST.dump_json(tuple(kept)).decode()
    await in_thread(lambda: parts.jobs.change(job.id, outputs=text))
    total = sum(output.size_bytes or 0 for output in kept)
    await in_thread(lambda: parts.jobs.note(job.id, "cloud.fetched", outputs=len(kept), bytes=total))
    parts.passing("fetch:after")


def _check_deadline(parts: Parts, job: Job, where: str, away_s: float = 0.0) -> None:
    """Raise Held (CLD-001) when the account's patience is over and the platform is there to lose it with."""
    if parts.pace.is_away(job.account):
        return
    # An outage that ended while the step waited has moved the deadline of the row.
    moved = parts.jobs.get(job.id).deadline_at
    if job.deadline_at is not None and parts.clock() > max(job.deadline_at + away_s, moved or 0.0):
        hours = parts.site.accounts[job.account].deadline_hours
        raise Held("CLD-001", f"no end after {hours:g} hours; {where}", "a result", "Look at the platform")


def _judge(job: Job, state: State) -> None:
    """Raise Never (CLD-003) for a job that did not succeed, Held (CLD-004) for one that another version computed."""
    if state.verdict not in (Verdict.DONE, Verdict.PARTLY):
        raise Never(
            "CLD-003",
            f"the platform ended the job: {state.raw}" + (f" ({state.reason})" if state.reason else ""),
            "a job that succeeds",
            "Look at the job on the platform; `bridge jobs show` has its number",
        )
    declared = RuleModel.model_validate_json(job.frozen).version
    if declared and state.pin and declared != state.pin:
        raise Held(
            "CLD-004",
            f"the platform computed with version {state.pin}",
            f"version {declared}, which the rule declares",
            "Compare the two versions, then change `version` in the rule or discard the job",
        )


async def look(parts: Parts, job: Job, platform: Platform, remote: RemoteJob, order: Order) -> RemoteJob:
    """Find before create. Comes back with the notes of a job that was found, or unchanged when there is none."""
    spec: Spec = await in_thread(spec_of, parts, job.id)
    found = await platform.find(remote, spec, order)
    match found:
        case Found():
            await _keep(parts, job, found.job)
            await in_thread(lambda: parts.jobs.note(job.id, "cloud.found", account=job.account))
            return found.job
        case AskAgain():
            raise TryLater(
                "CLD-005",
                "the platform cannot say yet whether it has the job",
                after_s=found.after_s,
            )
        case _:
            return remote


async def _keep(parts: Parts, job: Job, remote: RemoteJob) -> None:
    text = REMOTE.dump_json(remote).decode()
    await in_thread(lambda: parts.jobs.change(job.id, remote=text))


def _remote(job: Job) -> RemoteJob:
    return REMOTE.validate_json(job.remote)


def parcel_of(parts: Parts, job_id: str) -> Parcel:
    with parts.shelf(job_id).open(PARCEL_FILE) as stream:
        return PARCEL.validate_json(stream.read())


def spec_of(parts: Parts, job_id: str) -> Spec:
    """The description of the algorithm for which the parcel of a job was made."""
    with parts.shelf(job_id).open(SPEC_FILE) as stream:
        return SPEC.validate_json(stream.read())


def _point(step: Step) -> str:
    return f"submit-{step.name.split(':')[0]}"
