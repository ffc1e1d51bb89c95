"""An archive that forwards whatever it stores to the bridge, results of the bridge too.

    unshare -rn python -m tests.peers.loop_in_namespace ORDER_JSON

Writes what the world saw into `facts.json` of the order's folder, for `test_loop.py` to judge.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from tests.peers.orthanc import Filed, Orthanc, Peer
from tests.peers.thread_in_namespace import (
    BRIDGE,
    BRIDGE_PORT,
    SCANNER,
    Order,
    Sending,
    all_jobs_ended,
    bring_loopback_up,
    first_line,
    listens,
    program,
    store,
    wait_for,
)

QUIET_S = 2.0
FORWARDED_AGAIN = 3

SITE = """\
[bridge]
ae_title = "{bridge}"
data = "data"
rules = "rules.toml"

[receive]
port = {port}
quiet_s = {quiet_s}
reserve_bytes = 0

[sources.pacs]
ae_title = "{pacs}"
host = "127.0.0.1"
ask = "pacs"

[destinations.pacs]
ae_title = "{pacs}"
host = "127.0.0.1"
port = {pacs_port}
retry_s = [1.0, 2.0, 5.0]
ask_back = true
ask_back_s = [0.5, 1.0, 2.0]

[accounts.gc]
platform = "grand-challenge"
base_url = {base_url}
token_file = {token_file}
ca = {ca}
retry_s = [1.0, 2.0, 5.0]
options = {{ poll_first_s = 0.5, poll_s = 0.5 }}
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


def main() -> None:
    order = TypeAdapter(Order).validate_json(Path(sys.argv[1]).read_bytes())
    bring_loopback_up()
    facts = run(order)
    (order.folder / "facts.json").write_bytes(TypeAdapter(Facts).dump_json(facts, indent=1))


def run(order: Order) -> Facts:
    folder, (study,) = order.folder, order.studies
    archive = Orthanc(
        order.orthanc,
        folder / "orthanc",
        [Peer(ae_title=BRIDGE, port=BRIDGE_PORT), Peer(ae_title=SCANNER, port=104)],
        forward_to=BRIDGE,
    )
    with ExitStack() as stack:
        cloud = stack.enter_context(
            program(folder, "cloud", "sandbox", "grand-challenge", str(folder / "cloud"))
        )
        archive.start()
        stack.callback(archive.stop)
        write_site(folder, first_line(cloud))
        bridge = stack.enter_context(
            program(folder, "bridge", "serve", "--config", str(folder / "site.toml"))
        )
        wait_for(lambda: listens(BRIDGE_PORT), bridge)
        sent = store(order.storescu, study, archive.AE_TITLE, archive.PORT)
        wait_for(lambda: all_jobs_ended(folder / "data", 1), bridge)
        jobs_before = count_jobs(folder / "data")
        # What the archive forwards by itself is on its way; now all of it comes again, and again.
        for _ in range(FORWARDED_AGAIN):
            resources = archive.ask("/studies")
            archive.ask("/modalities/bridge/store", {"Resources": resources, "Synchronous": True})
        idle_for_two_quiet_periods(archive)
        wait_for(lambda: all_jobs_ended(folder / "data", 1), bridge)
        bridge.terminate()
        bridge.wait(30)
        return Facts(
            sent=sent,
            filed=tuple(archive.everything()),
            jobs_before=jobs_before,
            log=tuple(json.loads(line) for line in (folder / "bridge.log").read_text().splitlines()),
        )


def write_site(folder: Path, cloud: dict[str, Any]) -> None:
    site = SITE.format(
        bridge=BRIDGE,
        port=BRIDGE_PORT,
        quiet_s=QUIET_S,
        pacs=Orthanc.AE_TITLE,
        pacs_port=Orthanc.PORT,
        base_url=json.dumps(cloud["base_url"]),
        token_file=json.dumps(cloud["token_file"]),
        ca=json.dumps(cloud["ca"]),
    )
    (folder / "site.toml").write_text(site)


def count_jobs(data: Path) -> int:
    from bridge.store.jobs import Jobs
    from bridge.store.tables import Index

    index = Index(data / "index.sqlite")
    try:
        return len(Jobs(index).all())
    finally:
        index.close()


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
    main()
