from __future__ import annotations

import argparse
from pathlib import Path

from .sandbox import run


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bridge.sandbox.grand_challenge", description="Grand Challenge on loopback."
    )
    parser.add_argument(
        "folder", type=Path, help="working folder: ca.pem, token, requests.jsonl, ledger.jsonl"
    )
    parser.add_argument("--port", type=int, default=0, help="API and media; 0 takes a free one")
    parser.add_argument("--store-port", type=int, default=0, help="object store; 0 takes a free one")
    parser.add_argument("--compute-seconds", type=float, default=0.0, help="least time in Executing")
    parser.add_argument("--url-expiry-seconds", type=int, default=3600, help="life of a signed URL")
    given = parser.parse_args()
    run(
        given.folder,
        port=given.port,
        store_port=given.store_port,
        compute_seconds=given.compute_seconds,
        url_expiry_s=given.url_expiry_seconds,
    )


if __name__ == "__main__":
    main()
