"""The kill campaign: SIGKILL at exact points and at random.

    python tests/faults/campaign.py [--points all|stages|none] [--random N] [--one-study] [--seed S] [--folder D]

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

POINTS = (
    "fence:begun",
    "fence:mid",
    "fence:asked",
    "receive:mid",
    "receive:after",
    "decide:before",
    "decide:mid",
    "decide:after",
    "relay:mid",
    "prepare:before",
    "prepare:mid",
    "prepare:after",
    "cloud:next",
    *(f"submit-{step}:{at}" for step in ("upload", "session", "count") for at in ("before", "mid", "after")),
    "submit-create:before",
    "submit-create:mid",
    "submit-create:after",
    "await:before",
    "await:mid",
    "fetch:before",
    "fetch:mid",
    "fetch:after",
    "encode:next",
    "encode:before",
    "encode:mid",
    "encode:after",
    "deliver:next",
    "deliver:before",
    "deliver:mid",
    "deliver:after",
)
"""In the order in which a study passes them, so that one study can be killed at all of them, life after life."""

STAGES = (
    "fence:mid",
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

DIES_WITHIN_S = 30.0
LONGEST_LIFE_S = 2.0
"""Random kills fall within this time of the start; a whole study takes a little longer, so it sees several lives.

On a busy machine it is as long as two starts: lives in which nothing can end are a crash loop, and stages that are
interrupted too often are rightly set aside.
"""
LIVES = 3
"""Random lives for each new study: two or three studies are under way at once."""


def campaign(
    folder: Path, points: tuple[str, ...], random_kills: int, seed: int, *, one_study: bool = True
) -> tuple[Seen, int, list[str]]:
    """Run it; returns what the world saw, the number of kills, and the points that were never passed.

    `one_study`: the same study is killed at all points; otherwise each point has a study of its own.
    """
    chance = random.Random(seed)
    with World(folder) as world:
        missed = at_points(world, points, one_study)
        at_random(world, random_kills, chance)
        world.start()
        seen = world.finish(within_s=120 + 5 * world.studies)
        return seen, world.kills, missed


def at_points(world: World, points: tuple[str, ...], one_study: bool) -> list[str]:
    missed = []
    left: list[Path] = []
    for number, point in enumerate(points):
        is_new = not one_study or not number
        if is_new:
            left = world.new_study()
        died, left = die_at(world, point, left)
        if not died and not is_new:
            # The study went past it another way: what was done before a kill was found, not repeated.
            died, left = die_at(world, point, left + world.new_study())
        if not died:
            missed.append(point)
        if left and not one_study:
            world.start()
            world.send_all(left)
            world.kill()
    if left and one_study:
        world.start()
        world.send_all(left)
        world.kill()
    return missed


def die_at(world: World, point: str, left: list[Path]) -> tuple[bool, list[Path]]:
    """One life; returns whether it ended at the point, and what is still to be sent."""
    world.start(point)
    if left:
        left = world.send(left)
    until = time.monotonic() + DIES_WITHIN_S
    while not world.is_dead() and time.monotonic() < until and not (not left and world.is_over()):
        time.sleep(0.1)
    return world.wait_for_death(0.5), left


def at_random(world: World, kills: int, chance: random.Random) -> None:
    left: list[Path] = []
    for number in range(kills):
        if number % LIVES == 0:
            left += world.new_study()
        before = time.monotonic()
        world.start()
        begun = time.monotonic()
        life_s = chance.uniform(0.0, max(LONGEST_LIFE_S, 2 * (begun - before)))
        while left and time.monotonic() - begun < life_s:
            left = world.send(left)
        time.sleep(max(life_s - (time.monotonic() - begun), 0))
        world.kill()
    if left:
        world.start()
        world.send_all(left)
        world.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", choices=("all", "stages", "none"), default="all")
    parser.add_argument("--random", type=int, default=50)
    parser.add_argument("--one-study", action="store_true", help="kill the same study at all points")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="bridge-kill-"))
    points = {"all": POINTS, "stages": STAGES, "none": ()}[asked.points]
    begun = time.monotonic()
    seen, kills, missed = campaign(folder, points, asked.random, asked.seed, one_study=asked.one_study)
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
