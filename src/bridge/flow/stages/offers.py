"""Offering what is owed at a destination, and what the answers mean beside what was tried before."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

from bridge.deliver.outgoing import Outgoing
from bridge.deliver.receipt import Receipt
from bridge.dicom.statuses import STORED, Outcome
from bridge.flow.parts import Parts
from bridge.flow.stages.destinations import Away, line_down, line_up, tell
from bridge.flow.stages.senders import outgoing_of, sender_of
from bridge.log import event
from bridge.store.deliveries import HELD, SPOILT, Answered
from bridge.store.rows import Delivery, Job, StoredResult

log = logging.getLogger("bridge.deliver")

TRIES = {Outcome.RETRY_FEW: 3, Outcome.RETRY_ONCE: 2}
"""Statuses that some peers use for passing trouble and others for good: after so many answers a person decides."""
SLOW = frozenset({Outcome.RETRY_FEW, Outcome.CONFIGURATION})
"""Answers after which only the longest pause makes sense: a person or hours must change something at the peer."""


def offer(parts: Parts, job: Job, destination: str, owed: Sequence[Delivery]) -> Away | None:
    """Send, and write what the peer said of each instance. Returns why there was no peer, if so.

    A file that is no longer what was issued is not sent: one UID would stand for two objects.
    """
    results = {result.sop_instance_uid: result for result in parts.jobs.results(job.id)}
    outgoing: list[Outgoing] = []
    unfit: dict[str, Answered] = {}
    # In the order in which they were made: a report refers to a segmentation that PACS then has.
    for result in sorted((results[d.sop_instance_uid] for d in owed), key=lambda result: result.file):
        one = outgoing_of(parts, result)
        if why_not := _why_not(one.file, result):
            unfit[one.sop_instance_uid] = why_not
            _tell(parts, job, destination, result.kind, why_not)
        else:
            outgoing.append(one)
    parts.deliveries.answered(job.id, destination, unfit)
    if not outgoing:
        return None

    def reached() -> None:
        line_up(parts, destination)
        parts.deliveries.offered(job.id, destination, [one.sop_instance_uid for one in outgoing])

    parts.passing("deliver:before")
    receipts = sender_of(parts, job, destination)(outgoing, reached=reached)
    parts.passing("deliver:mid")
    answered = [receipt for receipt in receipts if receipt.reached]
    before = {d.sop_instance_uid: d for d in owed}
    asked_back = parts.site.destinations[destination].ask_back
    answers = {one.sop_instance_uid: weigh(one, before[one.sop_instance_uid], asked_back) for one in answered}
    for uid, answer in answers.items():
        _tell(parts, job, destination, results[uid].kind, answer)
    parts.deliveries.answered(job.id, destination, answers)
    parts.passing("deliver:after")
    if answered:
        refuses = (r.reason for r in answered if r.outcome is Outcome.CONFIGURATION)
        tell(parts, destination, next(refuses, ""))
    for receipt in receipts:
        if not receipt.reached:
            return line_down(parts, job, destination, receipt.outcome, receipt.reason)
    return None


def _why_not(file: Path, result: StoredResult) -> Answered | None:
    """None for the bytes that were issued; else what stands in the way of sending the file."""
    try:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        found = "is gone"
    except OSError as problem:
        reason = f"not sent: {result.file} cannot be read here ({problem.strerror})"
        return Answered(outcome=Outcome.RETRY, status=None, reason=reason)
    else:
        if digest == result.sha256:
            return None
        found = f"has {file.stat().st_size} bytes with another SHA-256"
    expected = f"expected the {result.size_bytes} bytes that were encoded"
    return Answered(outcome=SPOILT, status=None, reason=f"not sent: {result.file} {found} here; {expected}")


def weigh(receipt: Receipt, before: Delivery, asked_back: bool) -> Answered:
    """What a receipt means for an instance. `before` is its row from before this try."""
    outcome: str = receipt.outcome
    match receipt.outcome:
        case Outcome.DUPLICATE if before.attempts and not asked_back:
            # An earlier try whose answer was lost got through: equal UID, equal bytes.
            outcome = Outcome.DELIVERED
        case Outcome.DUPLICATE if not asked_back:
            outcome = HELD
        case Outcome.RETRY_FEW | Outcome.RETRY_ONCE if before.few + 1 >= TRIES[receipt.outcome]:
            outcome = HELD
    return Answered(
        outcome=outcome, status=receipt.status, reason=receipt.reason, few=receipt.outcome in TRIES
    )


def _tell(parts: Parts, job: Job, destination: str, kind: str, answer: Answered) -> None:
    parts.jobs.note(
        job.id,
        "deliver.answered",
        destination=destination,
        kind=kind,
        outcome=answer.outcome,
        reason=answer.reason,
    )
    event(
        log,
        "deliver.answered",
        level=logging.INFO if answer.outcome in STORED else logging.WARNING,
        job=job.id,
        destination=destination,
        kind=kind,
        outcome=answer.outcome,
        reason=answer.reason,
    )
