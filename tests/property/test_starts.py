"""When rules start: whatever arrives in which order and with which pauses, the same work is done once."""

from __future__ import annotations

import random
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.config.starts import is_open, opens
from bridge.rules.waits import in_order
from intake_bench import Bench
from made_objects import ct_slice

SLICES = 6
RULE = """
[rules.lungs]
mode = "live"
platform = "gc"
algorithm = "lungs"
destinations = ["pacs"]
{words}
[rules.lungs.inputs.ct-image]
volume = {{ Modality = "CT", SeriesNumber = 1, instances = {{ min = 6 }} }}
"""
MINUTES = st.integers(0, 24 * 60 - 1)


def bench_with(folder: Path, words: str) -> Bench:
    bench = Bench(folder)
    (folder / "rules.toml").write_text(RULE.format(words=words))
    bench.load_rules()
    return bench


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    order=st.randoms(use_true_random=False),
    pauses=st.lists(st.sampled_from([0.0, 0.4, 1.1, 4.0]), min_size=12, max_size=12),
)
@pytest.mark.parametrize("words", ['start = "inputs-complete"', 'start = "inputs-complete"\nurgent = true'])
def test_early_rule_makes_the_job_that_the_complete_study_makes_and_no_other(
    tmp_path_factory: Any, words: str, order: random.Random, pauses: list[float]
) -> None:
    objects = [(series, number) for series in (1, 2) for number in range(SLICES)]
    order.shuffle(objects)
    made = []
    for which, steps in ((words, pauses), ("", [0.0] * len(pauses))):
        bench = bench_with(tmp_path_factory.mktemp("early"), which)
        for (series, number), pause in zip(objects, steps, strict=True):
            one = ct_slice(number=number, study="1.2", series=f"1.2.{series}")
            one.SeriesNumber = series
            one.PixelData = bytes([number + 1, series]) * 64
            bench.keep(one)
            bench.pass_time(pause)
        bench.pass_time(30.0)
        made.append([job.id for job in bench.jobs.all()])
    early, complete = made
    assert early == complete
    assert len(early) == 1


@given(begin=MINUTES, end=MINUTES, now=MINUTES)
def test_window_is_open_as_the_minutes_between_its_times_say(begin: int, end: int, now: int) -> None:
    if begin == end:
        return
    window = f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"
    minutes = {minute % 1440 for minute in range(begin, end if end > begin else end + 1440)}
    here = datetime.combine(datetime(2026, 5, 1, tzinfo=UTC), time(now // 60, now % 60), tzinfo=UTC)
    assert is_open(window, here) is (now in minutes)
    if not is_open(window, here):
        assert is_open(window, opens(window, here))
        assert not is_open(window, opens(window, here) - timedelta(minutes=1))
        assert timedelta(0) < opens(window, here) - here <= timedelta(days=1)


@given(st.randoms(use_true_random=False), st.lists(st.sets(st.integers(0, 7)), min_size=8, max_size=8))
def test_each_rule_stands_behind_those_that_it_waits_for(order: random.Random, edges: list[set[int]]) -> None:
    # Each waits for those of a smaller number only: no circles.
    rules = [
        SimpleNamespace(
            name=f"r{number}",
            waits_for=[SimpleNamespace(rule=f"r{other}") for other in behind if other < number],
        )
        for number, behind in enumerate(edges)
    ]
    order.shuffle(rules)
    names = [rule.name for rule in in_order(cast(Any, rules))]
    assert sorted(names) == sorted(rule.name for rule in rules)
    for rule in rules:
        assert all(names.index(wait.rule) < names.index(rule.name) for wait in rule.waits_for)
