"""The record of what leaves: written before the first byte of a step, and again when the platform has it.

A step that is done twice, after a crash or because the platform forgot it, is written down once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from functools import partial

from bridge.export.parcel import Parcel, Step
from bridge.flow.parts import Parts
from bridge.platforms.protocol import RemoteJob
from bridge.store.disclosures import Sent
from bridge.store.jobs import Job

VALUE, COPY = "value", "file"


def begins(parts: Parts, job: Job, step: Step, remote: RemoteJob, parcel: Parcel) -> None:
    """Durable when it returns: what this step sends is about to leave. What earlier ones sent has left."""
    parts.disclosures.begin(_of_steps(parts, job, remote, parcel, [step.name]))
    left(parts, job, remote, parcel)


def left(parts: Parts, job: Job, remote: RemoteJob, parcel: Parcel) -> None:
    """The platform has what the steps with a note have sent."""
    parts.disclosures.left(_of_steps(parts, job, remote, parcel, remote.notes))


def _of_steps(
    parts: Parts, job: Job, remote: RemoteJob, parcel: Parcel, names: Collection[str]
) -> list[Sent]:
    steps = parcel.order.steps
    inputs = {name for step in steps if step.name in names for name in step.sends}
    told = {name for step in steps for name in step.sends}
    if steps and steps[0].name in names:
        # A platform that does not say with which step something leaves may send it with the first.
        inputs |= ({one.input for one in parcel.files} | {one.input for one in parcel.values}) - told
    sent = partial(
        Sent,
        job_id=job.id,
        attempt=remote.attempt,
        rule=job.rule,
        account=job.account,
        platform=parts.site.accounts[job.account].platform,
        algorithm=job.algorithm,
        pseudonym=parcel.pseudonym,
        profile=parcel.profile,
    )
    files = [
        sent(
            name=one.file_name,
            sha256=one.sha256,
            size_bytes=one.size_bytes,
            input=one.input,
            format=one.format or COPY,
        )
        for one in parcel.files
        if one.input in inputs
    ]
    values = []
    for one in parcel.values:
        data = json.dumps(one.value, sort_keys=True).encode()
        digest = hashlib.sha256(data).hexdigest()
        if one.input in inputs:
            values.append(
                sent(name=one.input, sha256=digest, size_bytes=len(data), input=one.input, format=VALUE)
            )
    return files + values
