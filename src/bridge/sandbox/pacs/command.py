"""The small PACS as a process of its own."""

from __future__ import annotations

import argparse
import json
import signal
import threading
from pathlib import Path

from bridge.log import start_logging

from .orders import OUT_OF_RESOURCES
from .server import SmallPacs


def run(
    folder: Path, *, ae_title: str = "PACS", port: int = 0, refuse: int = 0, status: int = OUT_OF_RESOURCES
) -> None:
    """Serve until SIGTERM or SIGINT; one JSON line on standard output says the port as soon as it listens."""
    start_logging()
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    pacs = SmallPacs(folder, ae_title=ae_title, port=port)
    if refuse:
        pacs.refuse(refuse, status)
    with pacs:
        print(json.dumps({"ready": True, "ae_title": pacs.ae_title, "port": pacs.port}), flush=True)
        done.wait()


def main() -> None:
    """`python -m bridge.sandbox.pacs --folder D [--port 0] [--refuse 2 --status 0xA700]`."""
    parser = argparse.ArgumentParser(
        prog="python -m bridge.sandbox.pacs", description="A small PACS on 127.0.0.1."
    )
    parser.add_argument("--folder", type=Path, required=True, help="where instances and pacs.jsonl go")
    parser.add_argument("--ae-title", default="PACS")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument(
        "--refuse", type=int, default=0, metavar="N", help="refuse the first N C-STORE requests"
    )
    parser.add_argument(
        "--status", type=lambda text: int(text, 0), default=OUT_OF_RESOURCES, help="such as 0xA700"
    )
    asked = parser.parse_args()
    run(asked.folder, ae_title=asked.ae_title, port=asked.port, refuse=asked.refuse, status=asked.status)
