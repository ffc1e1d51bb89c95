"""Destinations that are away, dead, moody or forgetful; one bridge, the engine as it is, and real peers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import SEG, SR, World

from bridge.sandbox.pacs import Orders, SmallPacs, order
from bridge.store.alerts import Alerts
from bridge.store.deliveries import Deliveries
from bridge.store.jobs import Jobs, JobState
from bridge.store.tables import Index
from owed import job_ids, owe
from raw_acceptor import RawAcceptor

pytestmark = pytest.mark.slow

MORE = """
[destinations.{name}]
ae_title = "PACS"
host = "127.0.0.1"
port = {port}
retry_s = [0.3, 0.5, 1.0]
ask_back_s = [0.2, 0.4]
{options}
"""
NIGHT_S = 4.0
PAUSES = NIGHT_S / 1.0 + 2
PARALLEL = 4


class Town:
    """A world with four more destinations, and jobs that owe them something."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.night = RawAcceptor(b"")
        self.moody, self.forgetful = (
            SmallPacs(world.folder / name, ae_title="PACS") for name in ("moody", "forgetful")
        )
        self.moody.start()
        self.forgetful.start()
        with (world.folder / "site.toml").open("a") as site:
            for name, port, options in (
                ("night", self.night.port, f"parallel = {PARALLEL}"),
                ("dead", 1, ""),
                ("moody", self.moody.port, ""),
                ("forgetful", self.forgetful.port, "ask_back = true"),
            ):
                site.write(MORE.format(name=name, port=port, options=options))
        rules = world.folder / "rules.toml"
        rules.write_text(rules.read_text().replace('["pacs"]', '["pacs", "dead"]'))
        world.start()
        self.index = Index(world.folder / "data" / "index.sqlite")
        self.jobs, self.deliveries = Jobs(self.index), Deliveries(self.index)
        self._ids = iter(job_ids(99))

    def owe(self, destination: str, results: int = 1) -> str:
        job = next(self._ids)
        owe(self.index, self.world.folder / "data" / "jobs", job, [destination], results)
        return job

    def outcomes(self, job: str) -> Counter[tuple[str, str]]:
        return Counter((row.destination, row.outcome) for row in self.deliveries.of(job))

    def ids(self) -> list[str]:
        return [job.id for job in self.jobs.all()]

    def done(self, *jobs: str) -> bool:
        return all(self.jobs.get(job).state is JobState.DONE for job in jobs)

    def close(self) -> None:
        self.index.close()
        for pacs in (self.moody, self.forgetful):
            pacs.stop()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with World(tmp_path_factory.mktemp("town"), compute_seconds=0.1) as world:
        town = Town(world)
        yield town
        town.close()


def wait(until: Callable[[], bool], within_s: float, what: str) -> float:
    begun = time.monotonic()
    while not until():
        assert time.monotonic() - begun < within_s, what
        time.sleep(0.05)
    return time.monotonic() - begun


def test_pacs_that_is_down_for_a_night_is_asked_seldom_and_gets_everything_once(
    town: Town, tmp_path: Path
) -> None:
    jobs = [town.owe("night") for _ in range(30)]
    time.sleep(NIGHT_S)
    # As many tries as there are pauses, whatever the number of jobs; and those that had begun when it went away.
    assert 3 <= town.night.calls <= PAUSES + PARALLEL
    assert {town.jobs.get(job).code for job in jobs} == {"DLV-005"}
    assert [(a.kind, a.subject) for a in Alerts(town.index).all()] == [("destination-away", "night")]
    town.night.close()
    with SmallPacs(tmp_path / "morning", ae_title="PACS", port=town.night.port) as pacs:
        wait(lambda: town.done(*jobs), 60.0, "not everything delivered after the night")
        assert len(pacs.attempts) == len(pacs.held) == 30
    assert Alerts(town.index).all() == []


def test_dead_destination_holds_up_neither_the_other_nor_the_platform_nor_intake(town: Town) -> None:
    waiting = town.owe("dead")
    wait(lambda: town.jobs.get(waiting).code == "DLV-005", 60.0, "the line is down")
    town.world.send_all(town.world.new_study())
    half = {("pacs", "delivered"): 2, ("dead", "owed"): 2}
    wait(lambda: half in map(town.outcomes, town.ids()), 60.0, "results at the living destination")
    assert Counter(attempt.sop_class_uid for attempt in town.world.pacs.attempts) == {SEG: 1, SR: 1}
    (job,) = (job for job in town.ids() if town.outcomes(job) == half)
    wait(lambda: town.jobs.get(job).reason.startswith("dead: no connection"), 60.0, "the reason")
    assert town.jobs.get(job).state is JobState.RUNNING


def test_job_that_is_refused_again_and_again_delays_no_other(town: Town) -> None:
    order(town.moody.folder, Orders(refuse=1, status=0xA700))
    refused = town.owe("moody")
    wait(lambda: town.jobs.get(refused).code == "DLV-001", 60.0, "the first refusal")
    order(town.moody.folder, Orders())
    others = [town.owe("moody") for _ in range(3)]
    wait(lambda: town.done(*others), 60.0, "the others")
    wait(lambda: town.done(refused), 60.0, "the one that was refused")
    assert len(town.moody.held) == 4
    assert len(town.moody.attempts) == 5


def test_association_aborted_in_the_middle_of_a_series_of_results(town: Town) -> None:
    before = len(town.moody.attempts)
    order(town.moody.folder, Orders(abort=2))
    job = town.owe("moody", results=4)
    wait(lambda: town.done(job), 60.0, "all four")
    attempts = Counter(attempt.sop_instance_uid for attempt in town.moody.attempts[before:])
    assert sorted(attempts.values()) == [1, 1, 2, 2]
    assert attempts.keys() <= town.moody.held.keys()


def test_object_that_a_pacs_forgets_is_sent_again(town: Town) -> None:
    order(town.forgetful.folder, Orders(lose=1))
    job = town.owe("forgetful", results=2)
    wait(lambda: town.done(job), 60.0, "both confirmed")
    assert [row.outcome for row in town.deliveries.of(job)] == ["confirmed", "confirmed"]
    assert sorted(row.resent for row in town.deliveries.of(job)) == [0, 1]
    assert len(town.forgetful.attempts) == 3
    assert len(town.forgetful.held) == 2
