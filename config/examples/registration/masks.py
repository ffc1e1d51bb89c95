"""Lung masks of what `bridge jobs adopt` fetched, as one item of the sandbox's archive, named in rules.toml.

    python masks.py earlier https://127.0.0.1:8443/sandbox/ cloud/ca.pem rules.toml

Each label of a lobe becomes 1, as unsigned 8-bit integers on the grid of the image that the lobes were computed from.
At the platform itself an item is made in the browser, or with its client; only the last step here is the sandbox's.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np

from bridge.itk import read_image, write_image

NO_ITEM = "00000000-0000-0000-0000-000000000000"


def mask(lobes: Path, file: Path) -> Path:
    image = read_image(lobes)
    write_image(file, replace(image, array=(image.array >= 1).astype(np.uint8)), compress=True)
    return file.resolve()


def main(folder: Path, control_url: str, ca: str, rules: Path) -> None:
    # The oldest first: the fixed image was computed before the moving one.
    fixed, moving = (
        folder / job["folder"] / job["outputs"][0]["file"]
        for job in json.loads((folder / "found.json").read_text())["jobs"]
    )
    contents = {
        "fixed-mask": str(mask(fixed, folder / "fixed-mask.mha")),
        "moving-mask": str(mask(moving, folder / "moving-mask.mha")),
    }
    with httpx.Client(verify=ca) as client:
        answer = client.post(f"{control_url}archives/chest-cts/", json={"contents": contents})
    item = answer.raise_for_status().json()["item"]
    rules.write_text(rules.read_text().replace(NO_ITEM, item))
    print(f"both masks are in item {item}, which {rules} names now")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
