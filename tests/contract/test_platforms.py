"""What must be true of every platform of the registry, tried against its sandbox."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.contract.platform_benches import BENCHES, Bench
from tests.contract.platform_engine import (
    Engine,
    JobBench,
    Killed,
    Shelf,
    Sink,
    Wire,
    again,
    through_json,
)
from tests.contract.platform_kill import MOMENTS, Life
from tests.contract.platform_kill import live as kill_and_live_on

from bridge.errors import BridgeError, ConfigError, TryLater, Unauthorized, Unsure
from bridge.platforms import (
    Adoption,
    Adopts,
    Compares,
    Newer,
    Platform,
    Stopped,
    Verdict,
    make,
    names,
)
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
        if platform.capabilities.describes:
            assert {name: output.kind for name, (output, _) in got.items()} == promised
        else:
            assert not promised
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


@pytest.mark.parametrize("is_ended", [False, True], ids=["at-once", "after-its-end"])
@pytest.mark.parametrize("fence", [False, True], ids=["unfenced", "fenced"])
def test_row_from_before_anything_was_noted_finds_the_job(bench: Bench, is_ended: bool, fence: bool) -> None:
    """An old state of the index was put back: the row knows no more than the job's key."""
    before = bench.billed()
    engine = live(bench, _prepare)
    blank = engine.row

    async def first(engine: Engine, platform: Platform) -> None:
        await engine.submit(platform)
        if is_ended:
            await engine.wait(platform)

    live(bench, first, engine)
    first_id = engine.job.remote_id
    engine.row = blank
    live(bench, lambda engine, platform: engine.submit(platform, fence=fence), engine)
    assert engine.job.remote_id == first_id
    live(bench, _finish, engine)
    assert bench.billed() == before + 1


def test_jobs_made_since_a_time_are_told_with_their_keys(bench: Bench) -> None:
    if not make(bench.platform, bench.account).capabilities.lists_jobs:
        pytest.skip(f"{bench.platform}: lists no jobs (lists_jobs = False)")
    began = time.time() - 1.0
    engines = [live(bench, _whole) for _ in range(2)]

    async def ask(engine: Engine, platform: Platform) -> None:
        newer = through_json(await platform.newer(began), tuple[Newer, ...])
        known = {one.remote_id: one for one in newer}
        assert [known[engine.job.remote_id].key for engine in engines] == [
            engine.job.key for engine in engines
        ]
        order = [one.remote_id for one in newer]
        assert order.index(engines[1].job.remote_id) < order.index(engines[0].job.remote_id), "newest first"
        assert all(one.made_at >= began for one in newer)

    live(bench, ask)


def _submission_life(bench: Bench, folder: Path) -> Life:
    engine = live(bench, _prepare)
    return Life(
        bench=JobBench(
            platform=bench.platform,
            account=bench.account,
            volumes=bench.volumes,
            files=bench.files,
            values=bench.values,
        ),
        key=next(keys),
        spec=engine.spec,
        parcel=engine.parcel,
        folder=folder,
    )


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_before_in_and_after_each_request_the_job_is_billed_once(
    bench: Bench, tmp_path: Path, moment: str
) -> None:
    life = _submission_life(bench, tmp_path)
    assert kill_and_live_on(life) == 0
    tokens = bench.hidden()
    requests, submitted = json.loads(life.requests_file.read_text())
    for number in range(len(requests)):
        before = bench.billed()
        folder = tmp_path / str(number)
        folder.mkdir()
        one = replace(life, key=next(keys), folder=folder, kill=(number, moment))
        if kill_and_live_on(one) == 0:
            # Looks at the job that was made are as many as it takes; each request before them was killed.
            assert number >= submitted
            break
        assert kill_and_live_on(replace(one, kill=None)) == 0
        assert bench.billed() == before + 1, f"killed {moment} request {number}: {requests[number]}"
    assert bench.hidden() == tokens, "the token of a process that died is that of the next"


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
    wrong = (f"{number:x}".rjust(64, "0") for number in itertools.count(1))

    async def refused(act: Callable[[], Awaitable[Any]]) -> None:
        # Another one each time: one that was refused is not sent again for a minute.
        bench.token_file.write_text(next(wrong))
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


def test_refused_token_is_not_tried_again_and_again(bench: Bench) -> None:
    right = bench.token_file.read_text()
    before = bench.refusals()

    async def story(engine: Engine, platform: Platform) -> None:
        await _prepare(engine, platform)
        bench.token_file.write_text("f" * 64)
        try:
            for _ in range(5):
                with pytest.raises(Unauthorized):
                    await platform.describe(bench.quick)
        finally:
            bench.token_file.write_text(right)
        await _finish(engine, platform)

    live(bench, story)
    assert bench.refusals() == before + 1


def test_wish_of_the_platform_to_be_left_alone_is_handed_on(bench: Bench, wire: Wire) -> None:
    async def story(engine: Engine, platform: Platform) -> None:
        if platform.capabilities.describes:
            wire.rule = lambda request: "429-before"
            with pytest.raises(TryLater) as caught:
                await platform.describe(bench.quick)
            assert caught.value.after_s == 7.0
            wire.rule = lambda request: ""
        await _prepare(engine, platform)
        wire.rule = lambda request: "429-before" if bench.is_commit(request) else ""
        job = engine.job
        with pytest.raises(TryLater) as caught:
            for step in engine.parcel.order.steps:
                job = await platform.perform(step, job, engine.parcel, _shelf(bench))
        assert caught.value.after_s == 7.0

    live(bench, story)


def test_links_that_expired_are_replaced(bench: Bench, wire: Wire) -> None:
    before = bench.billed()
    seen: set[str] = set()

    def rule(request: httpx.Request) -> str:
        is_first = bench.is_storage(request) and request.method not in seen
        if is_first:
            seen.add(request.method)
        return "link-expired" if is_first else ""

    wire.rule = rule
    live(bench, _whole)
    assert seen >= {"PUT", "GET"}
    assert bench.billed() == before + 1


def test_nothing_that_is_kept_or_said_holds_a_secret(
    bench: Bench, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """Token and signatures: in the row, the description, the order, the errors and every log of the process."""
    caplog.set_level(logging.DEBUG, logger="bridge")
    texts: list[str] = []

    async def story(engine: Engine, platform: Platform) -> None:
        await _whole(engine, platform)
        for fault in ("stall-after", "link-expired", "cut-after", "500-before"):
            wire.rule = lambda request, fault=fault: fault if bench.is_storage(request) else ""
            with pytest.raises(BridgeError) as caught:
                for output in await platform.outputs(engine.job):
                    await platform.fetch(engine.job, output, Sink())
            texts.append(json.dumps(caught.value.as_json()))
            texts.extend(traceback.format_exception(caught.value))
        texts.append(engine.row.decode())
        texts.append(repr((engine.spec, engine.parcel, engine.states, platform)))

    live(bench, story)
    said = "\n".join([*texts, caplog.text])
    assert bench.token_file.read_text().strip() not in said
    assert "X-Amz-Signature" not in said
    assert not [secret for secret in bench.hidden() if secret in said]


def test_several_items_are_one_order(bench: Bench) -> None:
    capabilities = make(bench.platform, bench.account).capabilities
    if capabilities.max_items == 1:
        pytest.skip(f"{bench.platform}: one job is one case (max_items = 1)")
    raise AssertionError("the suite has no story of several items yet")


def test_hint_is_no_more_than_an_earlier_look(bench: Bench) -> None:
    if not make(bench.platform, bench.account).capabilities.hints:
        pytest.skip(f"{bench.platform}: nothing is pushed (hints = False)")
    raise AssertionError("the suite has no story of hints yet")


def test_platform_that_gives_its_input_back_keeps_our_grid(bench: Bench) -> None:
    if not isinstance(make(bench.platform, bench.account), Compares):
        pytest.skip(f"{bench.platform}: does not give an input back")

    async def story(engine: Engine, platform: Platform) -> None:
        await _whole(engine, platform)
        assert isinstance(platform, Compares)
        same = await platform.compare(engine.job, engine.parcel, _shelf(bench))
        assert set(same) == set(bench.volumes)

    live(bench, story)


def test_job_of_an_earlier_day_is_found_without_any_note(bench: Bench) -> None:
    if not isinstance(make(bench.platform, bench.account), Adopts):
        pytest.skip(f"{bench.platform}: does not list earlier jobs")

    async def story(engine: Engine, platform: Platform) -> None:
        await _whole(engine, platform)
        assert isinstance(platform, Adopts)
        adoption = through_json(await platform.earlier(bench.quick, pin=engine.job.pin), Adoption)
        (found,) = [one for one in adoption.jobs if one.job.remote_id == engine.job.remote_id]
        assert found.job.key == engine.job.key
        assert found.state.verdict is Verdict.DONE
        assert {one.name for one in found.inputs} == set(bench.volumes)
        assert await platform.outputs(found.job) == await platform.outputs(engine.job)

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
