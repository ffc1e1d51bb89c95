"""All real files, by DCMTK's dcmsend, to the bridge's receiver and to DCMTK's storescp.

    unshare -rn python -m tests.peers.receive_in_namespace ORDER_JSON

In a network namespace of its own, because storescp cannot be told to listen on loopback only. Asserts nothing: what
both receivers hold at the end lies in the order's folder, for `test_receive_all.py` to judge.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter
from tests.peers.house import bring_loopback_up, listens

CALLING, BRIDGE, STORESCP = "SCANNER", "BRIDGE", "STORESCP"
STORESCP_PORT = 11113
PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    folder: Path
    data: Path
    dcmsend: str
    storescp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    echo: int
    """What the bridge's receiver answered to C-ECHO after everything."""
    dcmsend_status: dict[str, int]


def main() -> None:
    order = TypeAdapter(Order).validate_json(Path(sys.argv[1]).read_bytes())
    bring_loopback_up()
    facts = run(order)
    (order.folder / "facts.json").write_bytes(TypeAdapter(Facts).dump_json(facts, indent=1))


def run(order: Order) -> Facts:
    from tests.peers.raw_sender import RawSender
    from tests.peers.receiving import receiving

    theirs = order.folder / STORESCP
    theirs.mkdir()
    storescp = subprocess.Popen(
        [order.storescp, "+B", "+xa", "+uf", "-aet", STORESCP, "-od", str(theirs), str(STORESCP_PORT)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with receiving(order.folder / BRIDGE, calling=CALLING) as port:
            until = time.monotonic() + 20
            while not listens(STORESCP_PORT) and time.monotonic() < until:
                time.sleep(0.1)
            statuses = {
                called: _dcmsend(order, called, number)
                for called, number in ((STORESCP, STORESCP_PORT), (BRIDGE, port))
            }
            echo = RawSender(port, CALLING, BRIDGE).echo()
    finally:
        storescp.terminate()
        storescp.wait(20)
    return Facts(echo=echo, dcmsend_status=statuses)


def _dcmsend(order: Order, called: str, port: int) -> int:
    """The report says of each instance in which transfer syntax it was sent, and what the answer was."""
    report = order.folder / f"{called}.report"
    options = ["-nh", "-nuc", "+sd", "+r", "+crf", str(report), "-aet", CALLING, "-aec", called]
    done = subprocess.run(
        [order.dcmsend, *options, "127.0.0.1", str(port), str(order.data)],
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode


if __name__ == "__main__":
    main()
