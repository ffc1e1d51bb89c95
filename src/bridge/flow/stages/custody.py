"""Asking a destination by C-FIND whether it has what it said it stored.

Many archives index only after seconds or minutes: absence is no failure at first. What is not named after the last
pause is sent again once; after that a person must look.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import groupby

from bridge.deliver.query import Silent, named
from bridge.dicom.statuses import Outcome
from bridge.flow.parts import Parts
from bridge.flow.stages.destinations import Away, address_of, line_down, line_up, tell
from bridge.log import event
from bridge.store.deliveries import UNNAMED
from bridge.store.rows import Delivery, Job

log = logging.getLogger("bridge.deliver")

RESENDS = 1


def ask(parts: Parts, job: Job, destination: str, stored: Sequence[Delivery]) -> Away | Silent | None:
    """Ask once for all of them. Returns why there was no answer, if so: then nothing is known and nothing changes."""
    series = {result.sop_instance_uid: result.series_instance_uid for result in parts.jobs.results(job.id)}
    address = address_of(parts.site, destination)
    uids = sorted((d.sop_instance_uid for d in stored), key=lambda uid: (series[uid], uid))
    found: set[str] = set()
    for series_instance_uid, members in groupby(uids, key=series.__getitem__):
        answer = named(address, job.study_instance_uid, series_instance_uid, tuple(members))
        if isinstance(answer, Silent) and not answer.reached:
            return line_down(parts, job, destination, Outcome.RETRY, answer.reason)
        line_up(parts, destination)
        if isinstance(answer, Silent):
            return answer
        found |= answer
    tell(parts, destination, "")
    missing = {d.sop_instance_uid: d for d in stored if d.sop_instance_uid not in found}
    parts.deliveries.named(job.id, destination, found, missing, Outcome.CONFIRMED)
    _send_again_or_hold(parts, job, destination, list(missing.values()))
    parts.jobs.note(job.id, "deliver.asked", destination=destination, named=len(found), missing=len(missing))
    event(
        log,
        "deliver.asked",
        level=logging.WARNING if missing else logging.INFO,
        job=job.id,
        destination=destination,
        named=len(found),
        missing=len(missing),
    )
    return None


def _send_again_or_hold(parts: Parts, job: Job, destination: str, missing: Sequence[Delivery]) -> None:
    """`missing`: rows from before this question."""
    questions = len(parts.site.destinations[destination].ask_back_s)
    gone = [d for d in missing if d.asked + 1 >= questions]
    again = [d.sop_instance_uid for d in gone if d.resent < RESENDS]
    held = [d.sop_instance_uid for d in gone if d.resent >= RESENDS]
    if again:
        parts.deliveries.send_again(job.id, destination, again)
    if held:
        reason = (
            f"said to be stored, sent again, and not named by C-FIND when asked {questions} times after each"
        )
        parts.deliveries.hold(job.id, destination, held, UNNAMED, reason)
