"""The kill campaign: SIGKILL at exact points and at random, one study for each kill.

    python tests/faults/campaign.py [--points all|stages|none] [--random N] [--seed S] [--folder D]

Prints its figures last and exits non-zero when a job was billed twice, a result is missing or doubled, or something
acknowledged is gone.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from harness import Seen, World

STAGES = (
    "receive:mid",
    "decide:mid",
    "relay:mid",
    "prepare:mid",
    "submit-create:mid",
    "await:mid",
    "fetch:mid",
    "encode:mid",
    "deliver:mid",
)
"""One exact point in each stage: where the effect has happened and nothing says so yet."""

POINTS = (
    *STAGES,
    "receive:after",
    "decide:before",
    "decide:after",
    "prepare:before",
    "prepare:after",
    "cloud:next",
    *(f"submit-{step}:{at}" for step in ("upload", "session", "count") for at in ("before", "mid", "after")),
    "submit-create:before",
    "submit-create:after",
    "await:before",
    "fetch:before",
    "fetch:after",
    "encode:next",
    "encode:before",
    "encode:after",
    "deliver:next",
    "deliver:before",
    "deliver:after",
)

DIES_WITHIN_S = 30.0
LONGEST_LIFE_S = 4.0
"""Random kills fall within this time of the start; a whole study takes about as long."""


def campaign(
    folder: Path, points: tuple[str, ...], random_kills: int, seed: int
) -> tuple[Seen, int, list[str]]:
    """Run it; returns what the world saw, the number of kills, and the points that were never passed."""
    chance = random.Random(seed)
    missed = []
    with World(folder) as world:
        for point in points:
            files = world.new_study()
            world.start(point)
            left = world.send(files)
            if not world.wait_for_death(DIES_WITHIN_S):
                missed.append(point)
            if left:
                world.start()
                world.send_all(left)
                world.kill()
        for _ in range(random_kills):
            files = world.new_study()
            world.start()
            begun = time.monotonic()
            life_s = chance.uniform(0.0, LONGEST_LIFE_S)
            left = files
            while left and time.monotonic() - begun < life_s:
                left = world.send(left)
            time.sleep(max(life_s - (time.monotonic() - begun), 0))
            world.kill()
            if left:
                world.start()
                world.send_all(left)
                world.kill()
        world.start()
        seen = world.finish(within_s=120 + 5 * world.studies)
        return seen, world.kills, missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", choices=("all", "stages", "none"), default="all")
    parser.add_argument("--random", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="bridge-kill-"))
    points = {"all": POINTS, "stages": STAGES, "none": ()}[asked.points]
    begun = time.monotonic()
    seen, kills, missed = campaign(folder, points, asked.random, asked.seed)
    print(f"{time.monotonic() - begun:.0f} s, logs and data in {folder}")
    if missed:
        print(f"never passed: {', '.join(missed)}")
    print(
        f"kills {kills}, studies {seen.studies}: cloud jobs {seen.cloud_jobs}, SEG {seen.segs}, SR {seen.srs}, "
        f"lost {seen.lost}, jobs {seen.states}"
    )
    return 0 if seen.as_expected and not missed else 1


if __name__ == "__main__":
    sys.exit(main())
