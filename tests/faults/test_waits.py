"""A rule that waits for another is killed while it waits and when the other has ended: one cloud job for each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from campaign import at_points
from harness import RULES, World

from bridge.store.jobs import FINAL

WAITING = f"{RULES}\n" + RULES.replace("rules.lungs", "rules.second").replace(
    'mode = "live"', 'mode = "live"\nwaits_for = { rule = "lungs", at_most_h = 1 }'
)
POINTS = (
    "decide:mid",
    "decide:after",
    "relay:mid",
    "submit-create:mid",
    "deliver:after",
    "wake:before",
    "wake:after",
    "decide:mid",
    "relay:mid",
    "submit-create:mid",
)
"""In the order of one study that lives so often: while the second rule waits, and after the first has ended."""
SOME = ("decide:mid", "wake:after", "submit-create:mid")


class Two(World):
    def is_over(self) -> bool:
        jobs = self.jobs()
        return len(jobs) == 2 * self.studies and all(job.state in FINAL for job in jobs)


@pytest.mark.slow
@pytest.mark.parametrize(
    "points", [pytest.param(SOME, id="some"), pytest.param(POINTS, id="all", marks=pytest.mark.long)]
)
def test_rule_that_waits_survives_kills_and_starts_once(tmp_path: Path, points: tuple[str, ...]) -> None:
    with Two(tmp_path, rules=WAITING) as world:
        missed = at_points(world, points, one_study=True)
        world.start()
        world.wait_for(world.is_over, within_s=120)
        world.wait_until_started()
        done = [(job.rule, str(job.state)) for job in world.jobs()]
        made = sorted((job.created_at, job.rule) for job in world.jobs())
        world.stop()
    assert missed == []
    assert world.kills >= len(points)
    assert Counter(done) == {("lungs", "done"): 1, ("second", "done"): 1}
    assert [rule for _, rule in made] == ["lungs", "second"]
    assert world.cloud_jobs == 2
