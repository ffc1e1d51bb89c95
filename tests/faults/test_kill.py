"""SIGKILL in every stage and at random: one cloud job, one SEG, one SR for each study, nothing acknowledged lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaign import POINTS, STAGES, campaign

RANDOM = 6


def test_points_of_the_stages_are_points() -> None:
    assert [point for point in POINTS if point in STAGES] == list(STAGES)


@pytest.mark.slow
def test_killed_in_each_stage_and_at_random_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    seen, kills, missed = campaign(tmp_path, STAGES, RANDOM, seed=7, one_study=True)
    assert missed == []
    assert kills >= len(STAGES) + RANDOM
    assert seen.as_expected, seen
    assert seen.disclosed == (seen.studies, seen.studies), "one file of each left, and is written down once"
