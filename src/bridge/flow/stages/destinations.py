"""A destination as a peer: its address, and its line, which is down while nobody can reach it.

While a line is down one job at a time tries it, with growing pauses, and all others wait for what becomes of that.
What one job or one instance suffers at a peer that was reached never touches the line.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from bridge.config.destinations import DicomDestination
from bridge.config.site import Site
from bridge.deliver.association import Address
from bridge.dicom.statuses import Outcome
from bridge.flow.parts import Parts
from bridge.flow.verdicts import pause
from bridge.log import event
from bridge.store.rows import Job

log = logging.getLogger("bridge.deliver")

AWAY = "destination-away"
REFUSES_US, UNREACHED = "DLV-004", "DLV-005"


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """Nobody was reached, and why."""

    code: str
    reason: str


def address_of(site: Site, destination: str) -> Address:
    """A DICOM destination of site.toml as a peer to associate with."""
    there = site.destinations[destination]
    assert isinstance(there, DicomDestination)
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
        keepalive_s=there.keepalive_s,
    )


def may_try(parts: Parts, job: Job, destination: str) -> Away | None:
    """None, or why this job waits for another that tries the line."""
    line = parts.turns.lines().get(destination)
    return None if line is None or line.trial == job.id else Away(code=line.code, reason=line.reason)


def line_down(parts: Parts, job: Job, destination: str, outcome: Outcome, reason: str) -> Away:
    """A try of this job reached nobody. Only the first such try and those of the trial count."""
    line = parts.turns.lines().get(destination)
    if line is not None and line.trial != job.id:
        return Away(code=line.code, reason=line.reason)
    tries = line.tries if line is not None else 0
    wait_s = pause(parts.site.destinations[destination].retry_s, tries)
    code = REFUSES_US if outcome is Outcome.CONFIGURATION else UNREACHED
    parts.turns.line_down(destination, parts.clock() + wait_s, code, reason)
    parts.alerts.begin(AWAY, destination, reason)
    event(
        log,
        "deliver.away",
        level=logging.WARNING,
        destination=destination,
        code=code,
        tries=tries + 1,
        pause_s=wait_s,
        reason=reason,
    )
    return Away(code=code, reason=reason)


def line_up(parts: Parts, destination: str) -> None:
    """The destination was reached: whoever waits for it may go."""
    if destination in parts.turns.lines():
        parts.turns.line_up(destination)
        event(log, "deliver.back", destination=destination)


def tell(parts: Parts, destination: str, refuses: str) -> None:
    """After a try that reached the destination: it is no longer away, unless it refuses us whatever we send."""
    if refuses:
        parts.alerts.begin(AWAY, destination, refuses)
    else:
        parts.alerts.end(AWAY, destination)
