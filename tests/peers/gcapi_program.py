"""Runs in the oracle's own environment: one job through the platform's official client, told as JSON on stdout.

Arguments: base URL, CA file, token, folder with the inputs, folder for the outputs.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from gcapi import Client, SocketValueSpec

ENDED = ("Succeeded", "Failed", "Cancelled")


def main() -> None:
    base_url, ca, token, inputs, outputs = sys.argv[1:]
    seen: list[dict[str, Any]] = []

    def keep(response: httpx.Response) -> None:
        response.read()
        request = response.request
        is_json = response.headers.get("content-type") == "application/json"
        sent = request.headers.get("content-type") == "application/json"
        seen.append(
            {
                "method": request.method,
                "url": str(request.url),
                "status": response.status_code,
                "sent": json.loads(request.content) if sent else None,
                "body": response.json() if is_json and request.url.path.startswith("/api/") else None,
            }
        )

    client = Client(token=token, base_url=base_url, verify=ca)
    client.event_hooks = {"response": [keep]}
    posted = client.start_algorithm_job(
        algorithm_slug="all-kinds",
        inputs=[
            SocketValueSpec(socket_slug="ct-image", file=Path(inputs) / "ct.mha"),
            SocketValueSpec(socket_slug="threshold", value=-300),
            SocketValueSpec(socket_slug="options-file", file=Path(inputs) / "options.json"),
        ],
    )
    statuses = [posted.status]
    until = time.monotonic() + 60
    while (job := client.algorithm_jobs.detail(pk=posted.pk)).status not in ENDED:
        statuses.append(job.status)
        if time.monotonic() > until:
            break
        time.sleep(0.02)
    told = []
    for value in job.outputs:
        client.download_socket_value(value, output_directory=Path(outputs))
        told.append([value.socket.slug, value.socket.kind, value.socket.super_kind])
    again = client.start_algorithm_job(
        algorithm_slug="identity-mask",
        inputs=[SocketValueSpec(socket_slug="ct-image", existing_image_api_url=job.inputs[-1].image)],
    )
    item = client.add_case_to_archive(
        archive_slug="chest-cts",
        values=[
            SocketValueSpec(socket_slug="ct-image", file=Path(inputs) / "ct.mha"),
            SocketValueSpec(socket_slug="threshold", value=7),
        ],
    )
    held = client.archive_items.detail(pk=item.pk)
    print(
        json.dumps(
            {
                "statuses": [*statuses, job.status],
                "outputs": told,
                "exec_duration": job.exec_duration,
                "again": again.status,
                "archived": [value.socket.slug for value in held.values],
                "seen": seen,
            }
        )
    )


if __name__ == "__main__":
    main()
