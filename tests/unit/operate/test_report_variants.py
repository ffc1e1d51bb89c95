"""The report of a job whose destinations got the same in several variants, or as a label map alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from pydicom import dcmread
from tests.unit.operate.report_example import JOB, NAMES, SLICES, Example, make_example

from bridge.errors import Damaged
from bridge.operate.report import ResultFile, write_report
from bridge.operate.report.collected import in_one_variant
from bridge.operate.report.segmentation import read_overlay
from bridge.store.jobs import StoredResult

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    return make_example(tmp_path_factory.mktemp("job"))


@pytest.fixture(scope="module")
def label_map(example: Example, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mask of the example as another library writes it."""
    binary = dcmread(example.seg.path)
    descriptions = [hd.seg.SegmentDescription.from_dataset(one) for one in binary.SegmentSequence]
    sources = [dcmread(plane.instance.file) for plane in example.volume.planes]
    made = hd.seg.Segmentation(
        sources,
        example.mask,
        "LABELMAP",
        descriptions,
        hd.UID(),
        9001,
        hd.UID(),
        1,
        "maker",
        "model",
        "1",
        "1",
    )
    path = tmp_path_factory.mktemp("map") / "labelmap"
    made.save_as(path)
    return path


def stored(kind: str, output: str, variant: str) -> ResultFile:
    row = StoredResult(
        sop_instance_uid=f"{kind}-{output}-{variant}",
        job_id=JOB,
        kind=kind,
        output_name=output,
        sop_class_uid="",
        series_instance_uid="",
        file="f",
        sha256="",
        size_bytes=1,
        variant=variant,
    )
    return ResultFile(stored=row, path=Path(f"{kind}/{output}/{variant}"))


def test_a_label_map_is_drawn_as_the_mask(example: Example, label_map: Path) -> None:
    overlay = read_overlay([label_map], example.volume)
    assert [(one.number, one.label) for one in overlay.segments] == [(1, NAMES[0]), (2, NAMES[1])]
    for plane in range(SLICES):
        assert np.array_equal(overlay.labels(plane), example.mask[plane])


def test_a_label_map_cut_short_is_damaged(example: Example, label_map: Path, tmp_path: Path) -> None:
    short = dcmread(label_map)
    short.PixelData = short.PixelData[: len(short.PixelData) // 2]
    short.save_as(tmp_path / "short")
    with pytest.raises(Damaged) as damaged:
        read_overlay([tmp_path / "short"], example.volume)
    assert damaged.value.code == "REP-001"


def test_a_label_without_description_is_damaged(example: Example, label_map: Path, tmp_path: Path) -> None:
    odd = dcmread(label_map)
    odd.SegmentSequence = odd.SegmentSequence[:-1]
    odd.save_as(tmp_path / "odd")
    with pytest.raises(Damaged) as damaged:
        read_overlay([tmp_path / "odd"], example.volume)
    assert damaged.value.code == "REP-001"


@pytest.mark.parametrize(
    ("results", "segs", "reports"),
    [
        ([("SEG", "a", ""), ("SR", "a", "")], ["SEG/a/"], ["SR/a/"]),
        (
            [("SEG", "a", ""), ("SR", "a", ""), ("SEG", "a", "labelmap"), ("SR", "a", "labelmap")],
            ["SEG/a/"],
            ["SR/a/"],
        ),
        (
            [("SEG", "a", "labelmap"), ("SR", "a", "labelmap"), ("SR", "value", "")],
            ["SEG/a/labelmap"],
            ["SR/a/labelmap", "SR/value/"],
        ),
        (
            [("SEG", "a", "labelmap"), ("SEG", "b", "labelmap"), ("SEG", "a", "500"), ("SEG", "b", "500")],
            ["SEG/a/500", "SEG/b/500"],
            [],
        ),
    ],
)
def test_each_output_is_shown_once(results: Any, segs: list[str], reports: list[str]) -> None:
    given = [stored(*one) for one in results]
    assert [str(one) for one in in_one_variant(given, "SEG")] == [str(Path(one)) for one in segs]
    assert [str(one) for one in in_one_variant(given, "SR")] == [str(Path(one)) for one in reports]


def test_the_page_lists_every_variant_and_draws_one(
    example: Example, label_map: Path, tmp_path: Path
) -> None:
    other = ResultFile(
        stored=replace(example.seg.stored, sop_instance_uid="1.2.9", variant="labelmap"), path=label_map
    )
    write_report(tmp_path / "r.html", example.facts(results=(example.seg, other, example.sr)))
    text = (tmp_path / "r.html").read_text()
    assert "SEG labelmap" in text
    assert text.count('class="swatch"') == 2 * len(NAMES)  # the legend and the table of numbers
    assert "REP-00" not in text
