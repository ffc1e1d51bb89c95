"""What must be true of every platform of the registry, tried against its sandbox."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.contract.platform_benches import BENCHES, Bench
from tests.contract.platform_engine import Engine, Killed, Shelf, Sink, Wire, again

from bridge.errors import BridgeError, ConfigError, Unauthorized, Unsure
from bridge.platforms import Platform, Stopped, Verdict, make, names
from bridge.results.output import Output

keys = (f"{n:032x}" for n in itertools.count(0xA11CE))

POINTS = ("before", "begun", "done", "noted")


@pytest.fixture(scope="module", params=names())
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    with BENCHES[request.param](folder) as bench:
        yield bench
        assert not (folder / "sandbox" / "errors.log").exists()


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return Wire(monkeypatch)


def live(
    bench: Bench, act: Callable[[Engine, Platform], Awaitable[Any]], engine: Engine | None = None
) -> Engine:
    """One process: a platform made anew on a loop of its own. `Killed` ends it like any end."""
    engine = engine or Engine(bench, next(keys))

    async def life() -> None:
        platform = engine.platform()
        try:
            await act(engine, platform)
        except Killed:
            return
        await platform.close()

    asyncio.run(life())
    return engine


async def _prepare(engine: Engine, platform: Platform) -> None:
    await engine.prepare(platform, engine.bench.quick)


async def _finish(engine: Engine, platform: Platform) -> None:
    await engine.submit(platform)
    state = await engine.wait(platform)
    assert state.verdict is Verdict.DONE
    assert await engine.fetch(platform)


def test_every_platform_has_a_sandbox_to_be_tried_against() -> None:
    assert set(names()) == set(BENCHES)


def test_one_case_from_description_to_outputs(bench: Bench) -> None:
    before = bench.billed()

    async def story(engine: Engine, platform: Platform) -> None:
        await engine.prepare(platform, bench.algorithm)
        await engine.submit(platform)
        state = await engine.wait(platform)
        assert (state.verdict, state.reason) == (Verdict.DONE, "")
        assert state.pin
        got = await engine.fetch(platform)
        assert {name: output.media_type for name, (output, _) in got.items()} == bench.outputs
        promised = {output.name: output.kind for output in engine.spec.interfaces[0].outputs}
        assert {name: output.kind for name, (output, _) in got.items()} == promised
        assert all(data for _, data in got.values())

    live(bench, story)
    assert bench.billed() == before + 1


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_step_the_job_is_billed_once_and_ends(bench: Bench, point: str) -> None:
    before = bench.billed()
    steps = [step.name for step in live(bench, _prepare).parcel.order.steps]
    for name in steps:
        engine = live(bench, _prepare)
        engine.die_at = (name, point)
        live(bench, _finish, engine)
        assert engine.die_at is None, "was not killed"
        assert not engine.states, "went on after it was killed"
        live(bench, _finish, engine)
        assert set(engine.job.notes) == set(steps)
    assert bench.billed() == before + len(steps)


@pytest.mark.parametrize(
    ("fault", "is_done"),
    [
        ("stall-after", True),
        ("502-after", True),
        ("cut-after", True),
        ("reset-before", False),
        ("503-before", False),
        ("500-before", False),
    ],
)
def test_lost_answer_of_the_commit_is_unsure_and_billed_once(
    bench: Bench, wire: Wire, fault: str, is_done: bool
) -> None:
    before = bench.billed()
    engine = live(bench, _prepare)
    commits: list[httpx.Request] = []

    def rule(request: httpx.Request) -> str:
        if bench.is_commit(request):
            commits.append(request)
            return fault if len(commits) == 1 else ""
        return ""

    wire.rule = rule

    async def commit(engine: Engine, platform: Platform) -> None:
        *earlier, last = engine.parcel.order.steps
        assert last.commits and not any(step.commits for step in earlier)
        await engine.submit(platform)

    live(bench, commit, engine)
    assert len(commits) == (1 if is_done else 2)
    live(bench, _finish, engine)
    assert bench.billed() == before + 1


@pytest.mark.parametrize("fault", ["stall-after", "502-after", "reset-before"])
def test_commit_without_an_answer_raises_unsure(bench: Bench, wire: Wire, fault: str) -> None:
    async def commit(engine: Engine, platform: Platform) -> None:
        with pytest.raises(Unsure) as caught:
            wire.rule = lambda request: fault if bench.is_commit(request) else ""
            job = engine.job
            for step in engine.parcel.order.steps:
                job = await platform.perform(step, job, engine.parcel, _shelf(bench))
        assert bench.account.base_url not in caught.value.sentence()

    live(bench, commit, live(bench, _prepare))


def test_snapshot_from_before_the_commit_finds_the_job(bench: Bench) -> None:
    before = bench.billed()
    engine = live(bench, _prepare)
    commit = engine.parcel.order.steps[-1].name
    engine.die_at = (commit, "before")
    live(bench, _finish, engine)
    snapshot = engine.row
    live(bench, _finish, engine)
    first = engine.job.remote_id

    engine.row = snapshot
    live(bench, lambda engine, platform: engine.submit(platform, fence=True), engine)
    assert engine.job.remote_id == first
    assert bench.billed() == before + 1


@pytest.mark.parametrize("fault", ["not-reached", "503-before", "stall-after", "cut-after"])
def test_each_request_failing_once_changes_nothing_in_the_end(bench: Bench, wire: Wire, fault: str) -> None:
    before = bench.billed()
    seen: set[tuple[str, str]] = set()

    def rule(request: httpx.Request) -> str:
        first = (request.method, request.url.path) not in seen
        seen.add((request.method, request.url.path))
        return fault if first else ""

    wire.rule = rule

    async def story(engine: Engine, platform: Platform) -> None:
        await engine.prepare(platform, bench.quick)
        await engine.submit(platform)
        assert (await engine.wait(platform)).verdict is Verdict.DONE
        got = await engine.fetch(platform)
        wire.rule = lambda request: ""
        assert {name: data for name, (_, data) in (await engine.fetch(platform)).items()} == {
            name: data for name, (_, data) in got.items()
        }

    live(bench, story)
    assert wire.faults >= 8
    assert bench.billed() == before + 1


def test_wrong_token_is_unauthorized_in_each_operation_and_a_renewed_one_counts_at_once(bench: Bench) -> None:
    right = bench.token_file.read_text()

    async def refused(act: Callable[[], Awaitable[Any]]) -> None:
        bench.token_file.write_text("0" * 64)
        try:
            with pytest.raises(Unauthorized) as caught:
                await act()
        finally:
            bench.token_file.write_text(right)
        assert "0" * 16 not in caught.value.sentence()

    async def story(engine: Engine, platform: Platform) -> None:
        await refused(lambda: platform.describe(bench.quick))
        await engine.prepare(platform, bench.quick)
        for step in engine.parcel.order.steps:
            await refused(lambda step=step: platform.perform(step, engine.job, engine.parcel, _shelf(bench)))
            if step.commits:
                await refused(lambda: platform.find(engine.job, engine.spec, engine.parcel.order))
            engine.keep(await platform.perform(step, engine.job, engine.parcel, _shelf(bench)))
        await refused(lambda: platform.state(engine.job))
        await engine.wait(platform)
        await refused(lambda: platform.outputs(engine.job))
        output, *_ = await platform.outputs(engine.job)
        await refused(lambda: platform.fetch(engine.job, output, Sink()))
        assert await engine.fetch(platform)

    live(bench, story)


def test_check_says_what_is_wrong_and_raises_nothing(bench: Bench) -> None:
    async def look(platform: Platform) -> list[bool]:
        findings = await platform.check()
        await platform.close()
        assert all(finding.ok or finding.what for finding in findings)
        return [finding.ok for finding in findings]

    nobody = replace(bench.account, base_url="https://127.0.0.1:9/api/v1/")
    untrusting = replace(bench.account, ca=None)
    assert all(asyncio.run(look(make(bench.platform, bench.account))))
    assert not all(asyncio.run(look(make(bench.platform, nobody))))
    assert not all(asyncio.run(look(make(bench.platform, untrusting))))


def test_unknown_algorithm_is_a_config_error_and_names_a_near_one(bench: Bench) -> None:
    async def ask(engine: Engine, platform: Platform) -> None:
        with pytest.raises(ConfigError) as caught:
            await platform.describe(bench.algorithm + "x")
        assert bench.algorithm in caught.value.expected

    live(bench, ask)


def test_keys_and_words_that_nobody_knows_do_no_harm(bench: Bench, wire: Wire) -> None:
    wire.alter = bench.make_strange

    async def story(engine: Engine, platform: Platform) -> None:
        await _prepare(engine, platform)
        await _finish(engine, platform)

    engine = live(bench, story)
    assert bench.strange_words <= {state.raw for state in engine.states}
    assert bench.strange_words


def test_stop_and_forget_promise_no_more_than_the_capabilities(bench: Bench) -> None:
    async def story(engine: Engine, platform: Platform) -> None:
        await _prepare(engine, platform)
        assert await platform.forget(engine.job) == ()
        await _finish(engine, platform)
        stopped = await platform.stop(engine.job)
        assert (stopped is Stopped.NOT_POSSIBLE) == (not platform.capabilities.can_stop)
        forgotten = await platform.forget(engine.job)
        assert forgotten
        assert all(thing.reason for thing in forgotten if not thing.erased)
        assert any(thing.erased for thing in forgotten) == platform.capabilities.can_forget

    live(bench, story)


def test_output_that_is_not_there_any_more_is_never(bench: Bench) -> None:
    async def story(engine: Engine, platform: Platform) -> None:
        await _prepare(engine, platform)
        await _finish(engine, platform)
        output: Output = (await platform.outputs(engine.job))[0]
        kind = output.ref.partition("/")[0]
        gone = replace(output, ref=f"{kind}/00000000-0000-4000-8000-000000000000")
        with pytest.raises(BridgeError) as caught:
            await again(lambda: platform.fetch(engine.job, gone, Sink()))
        assert caught.value.kind == "never"

    live(bench, story)


def test_storage_never_saw_a_token_and_the_api_always_did(bench: Bench) -> None:
    """Last, so that it speaks of every request above."""
    live(bench, lambda engine, platform: _whole(engine, platform))
    storage, api = bench.storage_requests(), bench.api_requests()
    assert {line["method"] for line in storage} >= {"GET", "PUT"}
    assert not [line for line in storage if line["authorization"]]
    assert api
    assert all(line["authorization"] for line in api)


async def _whole(engine: Engine, platform: Platform) -> None:
    await _prepare(engine, platform)
    await _finish(engine, platform)


def _shelf(bench: Bench) -> Shelf:
    return Shelf(bench.volumes)
