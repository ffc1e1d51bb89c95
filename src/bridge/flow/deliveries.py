"""Stage `deliver`: store what is still owed at one destination, until nothing is."""

from __future__ import annotations

import logging

from bridge.config.site import Site
from bridge.deliver.receipt import Receipt
from bridge.deliver.store_scu import Address, Outgoing
from bridge.deliver.store_scu import store as c_store
from bridge.dicom.statuses import STORED, Outcome
from bridge.flow.parts import Parts
from bridge.flow.shelf import RESULTS
from bridge.flow.verdicts import Answer, again, pause
from bridge.log import event
from bridge.store.jobs import Delivery, Job, JobState

log = logging.getLogger("bridge.deliver")

HELD = "held"
FINAL = frozenset({*STORED, Outcome.REFUSED, HELD})
FEW = 3
"""Tries for statuses that some peers use for passing trouble and others for good."""


def store(parts: Parts, job: Job, destination: str) -> Answer | None:
    """Offer what is owed, write what the peer said of each instance, say how long to pause if some is left."""
    owed = [d for d in parts.jobs.deliveries(job.id, destination) if d.outcome not in FINAL]
    if owed:
        _offer(parts, job, destination, owed)
    left = [d for d in parts.jobs.deliveries(job.id, destination) if d.outcome not in FINAL]
    if left:
        tries = max(d.attempts for d in left)
        wait_s = pause(parts.site.destinations[destination].retry_s, tries - 1)
        parts.jobs.change(job.id, code="DLV-001", reason=f"{destination}: {left[0].reason}")
        return again(wait_s)
    _close(parts, job)
    return None


def _offer(parts: Parts, job: Job, destination: str, owed: list[Delivery]) -> None:
    results = {result.sop_instance_uid: result for result in parts.jobs.results(job.id)}
    shelf = parts.shelf(job.id)
    outgoing = [
        Outgoing(
            sop_class_uid=results[d.sop_instance_uid].sop_class_uid,
            sop_instance_uid=d.sop_instance_uid,
            file=shelf.path(f"{RESULTS}/{results[d.sop_instance_uid].file}"),
        )
        # In the order in which they were made: a report refers to a segmentation that PACS then has.
        for d in sorted(owed, key=lambda d: results[d.sop_instance_uid].file)
    ]
    parts.passing("deliver:before")
    receipts = c_store(address_of(parts.site, destination), outgoing)
    parts.passing("deliver:mid")
    before = {d.sop_instance_uid: d for d in owed}
    answers = {}
    for receipt in receipts:
        outcome = _outcome(parts, destination, receipt, before[receipt.sop_instance_uid])
        answers[receipt.sop_instance_uid] = (outcome, receipt.status, receipt.reason)
        kind = results[receipt.sop_instance_uid].kind
        parts.jobs.note(
            job.id,
            "deliver.answered",
            destination=destination,
            kind=kind,
            outcome=outcome,
            reason=receipt.reason,
        )
        event(
            log,
            "deliver.answered",
            level=logging.INFO if receipt.stored else logging.WARNING,
            job=job.id,
            destination=destination,
            kind=kind,
            outcome=outcome,
            reason=receipt.reason,
        )
    parts.jobs.answered(job.id, destination, answers)
    parts.passing("deliver:after")


def _outcome(parts: Parts, destination: str, receipt: Receipt, before: Delivery) -> str:
    """What the answer means beside what was tried before."""
    tries = before.attempts + 1
    first_at = before.first_at or parts.clock()
    limit_s = parts.site.destinations[destination].give_up_after_days * 86400
    match receipt.outcome:
        case Outcome.DUPLICATE:
            # An earlier try whose answer was lost got through: equal UID, equal bytes. Otherwise a person looks.
            return Outcome.DELIVERED if before.attempts else HELD
        case Outcome.RETRY_FEW if tries >= FEW:
            return HELD
        case Outcome.RETRY | Outcome.RETRY_FEW | Outcome.CONFIGURATION if parts.clock() - first_at > limit_s:
            return HELD
        case outcome:
            return outcome


def _close(parts: Parts, job: Job) -> None:
    """End the job when no destination is owed anything any more."""
    all_of_it = parts.jobs.deliveries(job.id)
    if any(d.outcome not in FINAL for d in all_of_it):
        return
    missing = [d for d in all_of_it if d.outcome not in STORED]
    if missing:
        worst = missing[0]
        reason = f"{len(missing)} of {len(all_of_it)} results not stored; {worst.destination}: {worst.reason}"
        parts.jobs.change(job.id, state=JobState.FAILED, code="DLV-002", reason=reason)
        parts.jobs.note(job.id, "job.failed", code="DLV-002", reason=reason)
        event(log, "job.failed", level=logging.ERROR, job=job.id, code="DLV-002", reason=reason)
        return
    parts.jobs.change(job.id, state=JobState.DONE, code="", reason="")
    parts.jobs.note(job.id, "job.done", results=len(all_of_it))
    event(log, "job.done", job=job.id, rule=job.rule, results=len(all_of_it))


def address_of(site: Site, destination: str) -> Address:
    """A destination of site.toml as the C-STORE SCU wants it."""
    there = site.destinations[destination]
    return Address(
        name=destination,
        ae_title=there.ae_title,
        host=there.host,
        port=there.port,
        calling_ae_title=there.calling_ae_title or site.ae_title,
        connect_timeout_s=there.connect_timeout_s,
        acse_timeout_s=there.acse_timeout_s,
        dimse_timeout_s=there.dimse_timeout_s,
        network_timeout_s=there.network_timeout_s,
    )
