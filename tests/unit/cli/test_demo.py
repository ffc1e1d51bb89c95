"""`bridge demo`, shortened: a smaller phantom and a cloud that computes for a second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge.cli.app import app
from bridge.cli.demo.figures import Figures, Wanted
from bridge.cli.demo.plays import PLAYS
from bridge.cli.demo.story import show


@pytest.mark.slow
def test_jaws_go_the_whole_way_with_a_crash_and_keep_their_volumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    play = replace(PLAYS["virtual-patient-engine"], drawn={"voxel_mm": 0.5}, compute_s=3.0)
    show(None, tmp_path / "demo", play)
    *_, figures, report = capsys.readouterr().out.strip().splitlines()
    assert figures.startswith("cloud jobs 1, SEG 1, SR 2, meshes 32, lost 0; volumes within 0.")
    assert report == str(tmp_path / "demo" / "report.html")
    assert (tmp_path / "demo" / "report.html").stat().st_size > 100_000


RIGHT = Figures(
    cloud_jobs=1, segs=1, srs=2, meshes=3, lost=0, off=0.004, wanted=Wanted(srs=2, meshes=3, volumes_ml={})
)


@pytest.mark.parametrize(
    "changes",
    [{"cloud_jobs": 2}, {"segs": 0}, {"srs": 1}, {"meshes": 2}, {"lost": 1}, {"off": 0.011}],
    ids=lambda changes: next(iter(changes)),
)
def test_one_wrong_figure_is_enough(changes: dict[str, float]) -> None:
    assert RIGHT.as_expected
    assert not replace(RIGHT, **changes).as_expected


def test_a_platform_without_a_demonstration_is_named_with_those_that_have_one(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "demo"), "--platform", "cirrus"])
    assert told.exit_code != 0
    assert "grand-challenge, virtual-patient-engine" in str(told.exception) + told.output
