"""The canary campaign: every study full of marks, on every way out, and what of it is found outside.

    python -m tests.canaries.campaign [--short] [--json FILE]

Prints a line for each study, format and way; the last line is the figure. Exits non-zero when a mark was found, when
something was refused that should leave, or left that should be refused, when a format of a platform carried nothing, or
when the search does not find the marks in the studies themselves.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from io import StringIO
from pathlib import Path

from pydicom import dcmread
from tests.canaries import sources, ways
from tests.canaries.platforms import MASKED, PLATFORMS
from tests.canaries.sources import Planted
from tests.canaries.tap import tap
from tests.canaries.ways import Row
from tests.conftest import SHARED

from bridge.export import FORMATS
from bridge.export.pixel_bytes import Region
from bridge.export.risks import Risk
from bridge.log import start_logging

DATA = SHARED / "data"
BARE = tuple(name for name, one in FORMATS.items() if not name.startswith("dicom"))
VOLUMES = ("CT", "MR", "Enhanced MR", *sources.REAL)
AT_A_PLATFORM = ("CT", "MR", "Enhanced MR", "CT, Philips", "MR, GE")
STAYS = ("SEG", "WSI", "US")
"""What no rule for a volume takes; a segmentation leaves by a rule for masks."""
ALLOWED = Risk.BURNED_IN
SHORT = ("Enhanced MR", "US")
COMPUTED = "then CLD-003"
"""The case was sent whole; what the sandbox computes of a mark in the place of a number may fail."""
MOST_FILES = 12
"""Of a real series: the others hold the same attributes."""
HEAD = f"{'study':34} {'format':18} {'way':23} {'planted':>8} {'objects':>8} {'searched':>12} {'found':>6}"


def studies(*, short: bool) -> Iterator[Planted]:
    """Made ones, then real ones where they lie beside the checkout."""
    for name, make in sources.MADE.items():
        if not short or name in SHORT:
            yield make()
    if not DATA.exists() or short:
        return
    for name, folder in sources.REAL.items():
        files = sorted(one for one in (DATA / folder).iterdir() if one.is_file())
        yield sources.real(name, files[:MOST_FILES])
    for name in sources.JPEGS:
        yield sources.commented(DATA / "compressed" / name)
    for folder in ("multiframe", "non-image", "pet-single-slices"):
        for file in sorted(one for one in (DATA / folder).iterdir() if one.is_file()):
            if not dcmread(file, stop_before_pixels=True, force=True).get("NumberOfFrames", 0) > 200:
                yield sources.real(file.name[:34], [file])
    for file in sorted((DATA / "charsets").glob("*.dcm")):
        yield sources.named(file)


REFUSED = {
    ("US", "dicom"): "DEI-009",
    ("US, burned in", "dicom"): "DEI-009",
    ("CT, burned in", "dicom"): "DEI-009",
    ("CT, burned in", "at a platform"): "RUN-004",
    ("CT, head", "mha"): "GEO-023",
    **{(name, "at a platform"): "RUN-004" for name in STAYS},
    # Single slices are no multi-frame object, and none is made of them.
    ("Enhanced MR", "dicom-zip"): "then VPE-026",
    **{(name, "dicom-multi-frame"): "then EXP-009" for name in AT_A_PLATFORM if name != "Enhanced MR"},
    # What shows a screen, a page or values of a device, and classes that no IOD is known of.
    **{
        (name, "dicom"): code
        for code, names in {
            "DEI-009": """encapsulated-pdf.dcm encapsulated-stl.dcm parametric-map-double.dcm
                parametric-map-float.dcm sc-rgb-2frames-in-single-frame-cla us-multiframe-jpeg.dcm
                wsi-140-tiles-jpeg.dcm""",
            "DEI-003": "chrSQEncoding.dcm chrSQEncoding1.dcm",
        }.items()
        for name in names.split()
    },
}
"""What is refused by the way it takes, and with which code; everything else has to leave."""


def by_files(study: Planted, *, short: bool) -> Iterator[Row]:
    yield ways.as_dicom(study)
    if study.name in VOLUMES:
        for format in BARE[:1] if short else BARE:
            yield ways.as_file(study, format)


def with_words() -> Iterator[Row]:
    """Pixels with text in their first row: refused, and without that row where a rule allows it by its word."""
    regions = (Region(row=0, column=0, end_row=1, end_column=8),)
    for study, risk in ((sources.us_burned_in(), Risk.ULTRASOUND), (sources.ct_burned_in(), ALLOWED)):
        _check(study)
        yield ways.as_dicom(study)
        yield ways.as_dicom(study, allowed=frozenset({risk, Risk.BURNED_IN}), regions=regions)


def by_platforms(every: list[Planted], *, short: bool) -> Iterator[Row]:
    """Whole cases; of the short form one for each platform."""
    words = MASKED.replace("{risk}", ALLOWED)
    for start in PLATFORMS.values():
        with tempfile.TemporaryDirectory() as name, tap() as wire, start(Path(name) / "sandbox") as way:
            first, last = min(way.formats), max(way.formats)
            for study in every:
                for format in way.formats:
                    if not (study.name in STAYS or short) or format == first:
                        yield ways.to_platform(study, way, format, wire, _folder(name))
            if way.of_meshes:
                scans = sources.with_meshes()
                yield ways.to_platform(scans, way, "nrrd, meshes", wire, _folder(name), rule=way.of_meshes)
            if short:
                continue
            screen = sources.ct_burned_in()
            yield ways.to_platform(screen, way, last, wire, _folder(name))
            for format in {last, *(["dicom-zip"] if "dicom-zip" in way.formats else [])}:
                rule = way.formats[format] + words
                yield ways.to_platform(screen, way, f"{format}, masked", wire, _folder(name), rule=rule)
            if way.of_masks:
                masks = sources.with_masks()
                yield ways.to_platform(masks, way, f"{last}, masks", wire, _folder(name), rule=way.of_masks)


def _folder(below: str) -> Path:
    return Path(tempfile.mkdtemp(dir=below))


def run(*, short: bool) -> Iterator[Row]:
    """Raises AssertionError where a study does not hold what it should: its rows would prove nothing."""
    every: list[Planted] = []
    for study in studies(short=short):
        _check(study)
        if study.name in (*AT_A_PLATFORM, *STAYS):
            every.append(study)
        yield from by_files(study, short=short)
    if not short:
        yield from with_words()
    yield from by_platforms(every, short=short)


def _check(study: Planted) -> None:
    seen = ways.in_sources(study)
    missing = study.marks.planted.keys() - seen
    assert not missing and (seen or not study.wanted), f"{study.name}: {len(missing)} marks not planted"


def wrong(rows: list[Row]) -> list[str]:
    """Where something else was refused than should be, and formats of a platform in which nothing has left."""
    told = []
    for row in rows:
        expected = REFUSED.get((row.source, row.format))
        if row.way != "file":
            expected = expected or REFUSED.get((row.source, "at a platform"))
            expected = None if row.format.endswith("masked") else expected
        elif row.format in BARE:
            expected = REFUSED.get((row.source, "mha"))
        if row.refused != (expected or "") and not (expected is None and row.refused == COMPUTED):
            told.append(
                f"{row.source}, {row.format}, {row.way}: {row.refused or 'left'}, not {expected or 'left'}"
            )
        elif not row.refused and not row.objects:
            told.append(f"{row.source}, {row.format}, {row.way}: nothing was sent")
    carried = {(row.way, row.format) for row in rows if row.objects and row.refused in ("", COMPUTED)}
    told += [f"nothing left as {format} to {way}" for way, format in sorted(_ways(rows) - carried)]
    return told


def _ways(rows: list[Row]) -> set[tuple[str, str]]:
    return {(row.way, row.format) for row in rows}


def line(row: Row) -> str:
    more = (
        "" if row.objects and not row.refused else f"  {'refused' if not row.objects else ''} {row.refused}"
    )
    return (
        f"{row.source:34} {row.format:18} {row.way:23} {row.planted:8,} {row.objects:8,} {row.searched:12,} "
        f"{row.found:6}{more}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="made studies only, each platform once")
    parser.add_argument("--json", type=Path, help="write the rows there as well")
    asked = parser.parse_args()
    start_logging(StringIO())
    print(HEAD)
    rows = []
    for row in run(short=asked.short):
        rows.append(row)
        print(line(row), flush=True)
        for hit in row.hits[:10]:
            print(f"    {hit.mark} by {' > '.join(hit.ways) or 'itself'}")
    if asked.json:
        asked.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    planted, objects = sum(row.planted for row in rows), sum(row.objects for row in rows)
    found, searched = sum(row.found for row in rows), sum(row.searched for row in rows)
    amiss = wrong(rows)
    print(*amiss, sep="\n", end="\n" if amiss else "")
    print(f"planted {planted:,}, objects sent {objects:,}, bytes searched {searched:,}, found {found}")
    return 1 if found or amiss else 0


if __name__ == "__main__":
    sys.exit(main())
