"""A chain of rules is killed between its rules: one cloud job for each, whatever was under way."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from campaign import at_points
from harness import World

from bridge.store.jobs import FINAL

RULES = Path(__file__).resolve().parents[2] / "config" / "examples" / "chain" / "rules.toml"
POINTS = (
    "encode:mid",
    "encode:after",
    "chain:before",
    "chain:after",
    "decide:before",
    "chain:mid",
    "decide:mid",
    "decide:after",
    "relay:mid",
    "submit-create:mid",
)
"""In the order of one study that is killed at each: after an answer the rules look again, and are killed there too."""
SOME = ("encode:after", "chain:mid", "relay:mid")
JOBS = {"lobes": 2, "register": 1}


class Chain(World):
    """A study of which each of two volumes gets its lobes, and both together are registered."""

    def is_over(self) -> bool:
        jobs = self.jobs()
        return len(jobs) == self.studies * sum(JOBS.values()) and all(job.state in FINAL for job in jobs)


@pytest.mark.slow
@pytest.mark.parametrize(
    "points", [pytest.param(SOME, id="some"), pytest.param(POINTS, id="all", marks=pytest.mark.long)]
)
def test_a_chain_survives_kills_between_its_rules(tmp_path: Path, points: tuple[str, ...]) -> None:
    with Chain(tmp_path, rules=RULES.read_text()) as world:
        missed = at_points(world, points, one_study=True)
        world.start()
        world.wait_for(world.is_over, within_s=120)
        world.wait_until_started()
        done = [(job.rule, str(job.state)) for job in world.jobs()]
        world.stop()
    assert missed == []
    assert world.kills >= len(points)
    assert Counter(done) == {(rule, "done"): count * world.studies for rule, count in JOBS.items()}
    ledger = (tmp_path / "cloud" / "ledger.jsonl").read_text().splitlines()
    assert len([line for line in ledger if json.loads(line)]) == world.studies * sum(JOBS.values())
    masks = {a.sop_instance_uid for a in world.pacs.attempts if a.file and a.sop_class_uid.endswith(".66.4")}
    assert len(masks) == world.studies * JOBS["lobes"]
