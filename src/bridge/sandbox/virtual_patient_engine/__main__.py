from __future__ import annotations

import argparse
from pathlib import Path

from .sandbox import run


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bridge.sandbox.virtual_patient_engine",
        description="A Virtual Patient Engine on loopback.",
    )
    parser.add_argument(
        "folder", type=Path, help="working folder: ca.pem, token, requests.jsonl, ledger.jsonl"
    )
    parser.add_argument("--port", type=int, default=0, help="engine; 0 takes a free one")
    parser.add_argument("--compute-seconds", type=float, default=0.0, help="least time that a job computes")
    parser.add_argument(
        "--anatomy", choices=["planes", "levels"], default="planes", help="levels is for the jaw phantom"
    )
    given = parser.parse_args()
    run(given.folder, port=given.port, compute_seconds=given.compute_seconds, anatomy=given.anatomy)


if __name__ == "__main__":
    main()
