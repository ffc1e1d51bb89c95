"""The truths of `make volumes`, without the two other readers and the largest series."""

from __future__ import annotations

from pathlib import Path

import pytest
from volume_truths import TRUTHS, Truth
from volumes import repairs, row_of

SHORT = [truth for truth in TRUTHS if truth.where != "ct-chest-philips"]


@pytest.mark.parametrize("truth", SHORT, ids=[truth.where for truth in SHORT])
def test_every_truth_of_the_series_holds(shared_data: Path, truth: Truth) -> None:
    row = row_of(truth, shared_data, peers=False)
    assert not row.failures
    assert row.held >= 1


def test_every_declared_repair_gives_the_true_distance_and_returns_masks(shared_data: Path) -> None:
    told = list(repairs(shared_data, peers=False))
    assert len(told) == 5
    assert [line for line, ok in told if not ok] == []


def test_a_truth_that_does_not_hold_is_told(shared_data: Path) -> None:
    wrong = Truth(where="mr-feet-first-ge", found=("volume",), slices=50, step_mm=0.551)
    row = row_of(wrong, shared_data, peers=False)
    assert len(row.failures) >= 3
