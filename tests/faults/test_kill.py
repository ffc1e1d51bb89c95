"""SIGKILL in every stage and at random: one cloud job, one SEG, one SR for each study, nothing acknowledged lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaign import STAGES, campaign


@pytest.mark.slow
def test_killed_in_each_stage_and_at_random_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    seen, kills, missed = campaign(tmp_path, STAGES, random_kills=10, seed=7)
    assert missed == []
    assert kills >= len(STAGES) + 10
    assert seen.as_expected, seen
