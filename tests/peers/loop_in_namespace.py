"""An archive that forwards whatever it stores to the bridge, results of the bridge too.

    unshare -rn python -m tests.peers.loop_in_namespace ORDER_JSON

Writes what the world saw into `facts.json` of the order's folder, for `test_loop.py` to judge.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from tests.peers.house import BRIDGE, QUIET_S, Order, Sending, follow, house, job_states, store
from tests.peers.orthanc import Filed, Orthanc

FORWARDED_AGAIN = 3
SOURCE = f"""
[sources.pacs]
ae_title = "{Orthanc.AE_TITLE}"
ask = "pacs"
"""
DESTINATION = """
ask_back = true
ask_back_s = [0.5, 1.0, 2.0]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    sent: Sending
    filed: tuple[Filed, ...]
    """Everything that the archive holds at the end."""
    jobs_before: int
    """Jobs when the first one had ended, before anything was forwarded again."""
    log: tuple[dict[str, Any], ...]
    """The bridge's log."""


def run(order: Order) -> Facts:
    (study,) = order.studies
    with house(order, source=SOURCE, destination=DESTINATION, forward_to=BRIDGE) as there:
        archive = there.archive
        sent = store(order.storescu, study, archive.AE_TITLE, archive.PORT)
        there.wait_for_jobs(1)
        jobs_before = len(job_states(there.data))
        # What the archive forwards by itself is on its way; now all of it comes again, and again.
        for _ in range(FORWARDED_AGAIN):
            resources = archive.ask("/studies")
            archive.ask("/modalities/bridge/store", {"Resources": resources, "Synchronous": True})
        idle_for_two_quiet_periods(archive)
        there.wait_for_jobs(1)
        there.end_bridge()
        log = (order.folder / "bridge.log").read_text().splitlines()
        return Facts(
            sent=sent,
            filed=tuple(archive.everything()),
            jobs_before=jobs_before,
            log=tuple(json.loads(line) for line in log),
        )


def idle_for_two_quiet_periods(archive: Orthanc) -> None:
    """Until the archive's own list of jobs has had nothing to do for two quiet periods of the bridge."""
    idle_since = time.monotonic()
    until = idle_since + 120
    while time.monotonic() - idle_since < 2 * QUIET_S + 1:
        states = {one["State"] for one in archive.ask("/jobs?expand")}
        if states & {"Pending", "Running", "Retry"}:
            idle_since = time.monotonic()
        if time.monotonic() > until:
            raise SystemExit(f"the archive is still busy: {states}")
        time.sleep(0.2)


if __name__ == "__main__":
    follow(run, Facts)
