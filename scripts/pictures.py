"""Make the pictures of the docs anew: the demo is run, its report photographed, and its answer drawn as a picture.

    scripts/pictures.py [--demo FOLDER]

Needs Chromium for the report. Everything shown is of the demo's phantom, which is nobody. `--demo`: a folder that
`bridge demo` has filled, instead of running it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import dcmread

from bridge.config import load_site
from bridge.dicom.pixels import FileReader
from bridge.flow.stages.cloud import OUTPUT_LIST
from bridge.flow.stages.inputs import tolerance_of, volumes_of
from bridge.flow.stages.outputs import part_of
from bridge.results.encoders import encode
from bridge.results.output import OutputKind
from bridge.results.result import Answer, Source, Wrapping
from bridge.store.instances import Instances
from bridge.store.jobs import Jobs
from bridge.store.tables import Index
from bridge.volumes import read_values

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
SCREEN = (1180, 2110)
"""Pixels of the window that shows the report."""
WIDTH = 890
"""Pixels of a picture in the docs."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", type=Path)
    given = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print(
            "needs chromium, which photographs the report (on Debian: apt-get install chromium)",
            file=sys.stderr,
        )
        return 1
    with tempfile.TemporaryDirectory(prefix="pictures-") as name:
        demo = given.demo or Path(name) / "demo"
        if given.demo is None:
            subprocess.run([sys.executable, "-m", "bridge", "demo", "--out", str(demo)], check=True)
        _keep(photograph(chromium, demo / "report.html", Path(name)), IMAGES / "report.png")
        _keep(picture(demo), IMAGES / "picture.png")
    return 0


def photograph(chromium: str, page: Path, folder: Path) -> Image.Image:
    """The beginning of a page as a light screen shows it."""
    shot = folder / "shot.png"
    words = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={folder}/profile",
    ]
    size = "--window-size={},{}".format(*SCREEN)
    subprocess.run(
        [
            chromium,
            *words,
            size,
            "--virtual-time-budget=2000",
            f"--screenshot={shot}",
            page.resolve().as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return Image.open(shot).convert("RGB")


def picture(demo: Path) -> Image.Image:
    """The Secondary Capture of the demo's mask, as a rule with `picture = true` gets it."""
    index = Index(demo / "data" / "index.sqlite")
    try:
        (job,) = Jobs(index).all()
        instances = Instances(index, demo / "data" / "instances", key=b"")
        (volume,) = volumes_of(instances, job, tolerance_of(load_site(demo / "site.toml"))).values()
    finally:
        index.close()
    wrapping = Wrapping(
        job="picture",
        key=bytes(32),
        at=datetime(2026, 1, 1, tzinfo=UTC),
        algorithm=job.algorithm,
        algorithm_version="",
        rule=job.rule,
        bridge_version="",
        device_uid="2.25.1",
        segmentation=False,
        measurement_report=False,
        picture=True,
    )
    shelf = demo / "data" / "jobs" / job.id
    parts = tuple(
        part_of(one, shelf / one.ref, wrapping)
        for one in OUTPUT_LIST.validate_json(job.outputs)
        if one.kind is OutputKind.MASK
    )
    source = Source(volume=volume, values=read_values(volume, FileReader()))
    (result,) = encode(Answer(parts=parts), source, wrapping)
    made = dcmread(BytesIO(result.data))
    pixels = np.frombuffer(made.PixelData, np.uint8)[: made.Rows * made.Columns * 3]
    return Image.fromarray(pixels.reshape(made.Rows, made.Columns, 3))


def _keep(image: Image.Image, file: Path) -> None:
    """Small: half of the palette for greys, half for the colours that are there, rare ones too."""
    size = (WIDTH, round(image.height * WIDTH / image.width))
    small = image.resize(size, Image.Resampling.LANCZOS)
    colours = small.quantize(128, Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*(level for grey in range(1, 256, 2) for level in (grey,) * 3), *colours])
    few = small.quantize(palette=palette, dither=Image.Dither.NONE)
    few.save(file, optimize=True)
    print(f"{file.relative_to(IMAGES.parents[1])}: {few.width} x {few.height}, {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.exit(main())
