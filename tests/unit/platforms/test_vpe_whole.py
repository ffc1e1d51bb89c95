"""Whole jobs against the sandbox, in each way in which the vendor's documents leave something open."""

from __future__ import annotations

import asyncio
import dataclasses
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.platforms.vpe_kit import Files, at_sandbox, jaws, parcel_of, request

from bridge.errors import BridgeError, Never, TryLater, Unauthorized
from bridge.platforms import RESTART, Phase, RemoteJob, Request, State, Verdict
from bridge.platforms.virtual_patient_engine import VirtualPatientEngine
from bridge.results.output import Presence
from bridge.sandbox.virtual_patient_engine import Fault, Sandbox

WANTED = ("mandible", "tooth11", "tooth18")
TRIES = 40


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "sandbox") as sandbox:
        yield sandbox
        assert not (sandbox.folder / "errors.log").exists()


@pytest.fixture(scope="module")
def cbct(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return jaws(tmp_path_factory.mktemp("cbct"))


class Sink:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes, /) -> int:
        self.data += data
        return len(data)


@dataclasses.dataclass(kw_only=True)
class Ended:
    state: State
    presences: dict[str, Presence]
    files: dict[str, bytes]
    troubles: list[str]


async def whole(
    platform: VirtualPatientEngine, cbct: bytes, given: Request | None = None, key: str = "a" * 32
) -> Ended:
    """A job as the engine drives it: what is for later is repeated, a dead step begun anew."""
    troubles: list[str] = []

    async def again(act: Any) -> Any:
        for _ in range(TRIES):
            try:
                return await act()
            except TryLater as error:
                troubles.append(error.code)
                if RESTART in error.numbers:
                    raise
                await asyncio.sleep(0.01)
        raise AssertionError(f"never gets better: {troubles}")

    spec = await again(lambda: platform.describe("virtual-patient"))
    order = platform.plan(spec, given or request(*WANTED))
    parcel, job = parcel_of(order, cbct), RemoteJob(key=key)
    while any(step.name not in job.notes for step in order.steps):
        step = next(step for step in order.steps if step.name not in job.notes)
        try:
            job = await again(
                lambda job=job, step=step: platform.perform(step, job, parcel, Files(cbct=cbct))
            )
        except TryLater:
            job = RemoteJob(key=key)
    state = await again(lambda: platform.state(job))
    while state.phase is not Phase.ENDED:
        await asyncio.sleep(0.02)
        state = await again(lambda: platform.state(job))
    if state.verdict is Verdict.FAILED:
        return Ended(state=state, presences={}, files={}, troubles=troubles)
    outputs = await again(lambda: platform.outputs(job))
    files = {}
    for output in outputs:
        if output.presence is Presence.HERE:

            async def fetch(output: Any = output) -> bytes:
                sink = Sink()
                await platform.fetch(job, output, sink)
                return sink.data

            files[output.name] = await again(fetch)
    return Ended(
        state=state,
        presences={output.name: output.presence for output in outputs},
        files=files,
        troubles=troubles,
    )


def run(sandbox: Sandbox, cbct: bytes, given: Request | None = None, **options: Any) -> Ended:
    async def story() -> Ended:
        platform = VirtualPatientEngine(at_sandbox(sandbox, **options))
        try:
            return await whole(platform, cbct, given)
        finally:
            await platform.close()

    return asyncio.run(story())


HERE = {"mandible": Presence.HERE, "tooth11": Presence.HERE, "tooth18": Presence.MISSING}


@pytest.mark.parametrize(
    ("behaviour", "options"),
    [
        ({}, {}),
        ({"spelling": "pages", "notify": "post", "waiting": "text"}, {}),
        ({"spelling": "flat", "notify": "both", "waiting": "json"}, {}),
        ({"spelling": "flat", "notify": "post"}, {"notify": "post"}),
        ({"status_word": "Success", "status_case": "lower"}, {}),
        ({"status_case": "upper", "extra_keys": True}, {}),
        ({"gzip": True}, {}),
        ({"size_off": 3}, {"size_check": "warn"}),
        ({}, {"version": "v2"}),
        ({"versions": ("v9",)}, {"version": "v9"}),
    ],
)
def test_every_spelling_gives_the_same_files_and_a_missing_tooth_is_a_finding(
    sandbox: Sandbox, cbct: bytes, behaviour: dict[str, Any], options: dict[str, Any]
) -> None:
    sandbox.behave(**behaviour)
    ended = run(sandbox, cbct, **options)
    assert ended.state.verdict is Verdict.DONE
    assert ended.presences == HERE
    # 84 bytes and 50 for each triangle.
    for data in ended.files.values():
        assert len(data) == 84 + 50 * struct.unpack_from("<I", data, 80)[0]
    ledger = sandbox.ledger()
    assert (ledger["created"], ledger["started"], ledger["tokens"]) == (1, 1, 1)


def test_failed_structure_is_partly_and_the_others_come(sandbox: Sandbox, cbct: bytes) -> None:
    sandbox.behave(failed=("tooth11",))
    ended = run(sandbox, cbct)
    assert ended.state.verdict is Verdict.PARTLY
    assert ended.presences == {**HERE, "tooth11": Presence.FAILED}
    assert "tooth11" in ended.state.reason
    assert set(ended.files) == {"mandible"}


def test_input_that_cannot_be_read_fails_the_job(sandbox: Sandbox) -> None:
    ended = run(sandbox, b"no volume")
    assert ended.state.verdict is Verdict.FAILED
    assert "could not be read" in ended.state.reason


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        (Fault(origin="token", status=503), "NET-015"),
        (Fault(origin="token", reset=True), "NET-002"),
        (Fault(path="*/job", reset=True), "NET-002"),
        (Fault(path="*/job", reset=True, after=True), "NET-002"),
        (Fault(path="*/job", status=502, after=True), "VPE-106"),
        (Fault(origin="storage", method="PUT", reset=True, after=True), "NET-002"),
        (Fault(origin="storage", method="PUT", status=503), "VPE-106"),
        (Fault(path="*/notify/*", reset=True), "NET-003"),
        (Fault(path="*/notify/*", reset=True, after=True), "NET-003"),
        (Fault(path="*/notify/*", status=500, after=True), "VPE-120"),
        (Fault(path="*/pollJobResults", status=500), "VPE-106"),
        (Fault(path="*/pollJobResults", status=200, body="<html>"), "VPE-133"),
        (Fault(origin="storage", method="GET", cut_at=40), "NET-002"),
        (Fault(origin="storage", method="GET", status=503), "VPE-106"),
        (Fault(path="*/job", expired_links=True), "VPE-110"),
        (Fault(path="*/pollJobResults", status=429, retry_after_s=0.0), "VPE-106"),
    ],
    ids=lambda one: f"{one.origin}{one.path}{one.status or ''}" if isinstance(one, Fault) else one,
)
def test_fault_costs_a_repetition_and_no_second_bill(
    sandbox: Sandbox, cbct: bytes, fault: Fault, trouble: str
) -> None:
    sandbox.arm(fault)
    ended = run(sandbox, cbct)
    assert ended.presences == HERE
    assert trouble in ended.troubles
    ledger = sandbox.ledger()
    assert ledger["started"] == 1
    assert ledger["created"] - len(ledger["orphans"]) == 1


def test_result_links_that_have_run_out_are_asked_for_anew(sandbox: Sandbox, cbct: bytes) -> None:
    sandbox.arm(Fault(path="*/pollJobResults", skip=1, times=4, expired_links=True))
    ended = run(sandbox, cbct)
    assert ended.presences == HERE
    assert [line["status"] for line in sandbox.requests() if line["origin"] == "storage"].count(403) >= 1


def test_input_that_storage_lost_is_told_before_work_begins(sandbox: Sandbox, cbct: bytes) -> None:
    """The platform says 400 and still has the job: it waits for ever, and the deadline brings a person."""
    sandbox.arm(Fault(origin="storage", method="PUT", lose_part=True))

    async def story() -> None:
        platform = VirtualPatientEngine(at_sandbox(sandbox))
        order = platform.plan(await platform.describe("virtual-patient"), request("mandible"))
        job = RemoteJob(key="b" * 32)
        for step in order.steps:
            job = await platform.perform(step, job, parcel_of(order, cbct), Files(cbct=cbct))
        assert (await platform.state(job)).phase is Phase.RUNNING
        await platform.close()

    asyncio.run(story())
    assert len(sandbox.ledger()["orphans"]) == 1


def test_token_that_is_revoked_in_the_middle_is_replaced_once_for_all_jobs(
    sandbox: Sandbox, cbct: bytes
) -> None:
    async def story() -> None:
        platform = VirtualPatientEngine(at_sandbox(sandbox))
        await asyncio.gather(*(whole(platform, cbct, key=f"{n:032x}") for n in range(4)))
        assert sandbox.ledger()["tokens"] == 1
        sandbox.revoke_tokens()
        await asyncio.gather(*(whole(platform, cbct, key=f"{n:032x}") for n in range(4, 8)))
        await platform.close()

    asyncio.run(story())
    ledger = sandbox.ledger()
    assert (ledger["started"], ledger["tokens"], ledger["token_requests"]) == (8, 2, 2)


def test_quota_of_tokens_is_waited_out_by_all_jobs(sandbox: Sandbox) -> None:
    sandbox.set_limits(tokens=0)

    async def story() -> None:
        platform = VirtualPatientEngine(at_sandbox(sandbox))
        for _ in range(3):
            with pytest.raises(TryLater) as caught:
                await platform.describe("virtual-patient")
            assert caught.value.after_s is not None
            assert caught.value.after_s > 3000
        await platform.close()

    asyncio.run(story())
    assert sandbox.ledger()["token_requests"] == 1


def test_too_many_in_flight_is_later_in_either_form(sandbox: Sandbox, cbct: bytes) -> None:
    sandbox.set_limits(in_flight=0)

    async def story() -> None:
        platform = VirtualPatientEngine(at_sandbox(sandbox))
        order = platform.plan(await platform.describe("virtual-patient"), request("mandible"))
        for _ in range(2):
            with pytest.raises(TryLater) as caught:
                await platform.perform(
                    order.steps[0], RemoteJob(key="c" * 32), parcel_of(order, cbct), Files(cbct=cbct)
                )
            assert caught.value.after_s is not None
            assert 4.0 <= caught.value.after_s <= 6.0
        await platform.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("options", "error", "code"),
    [
        ({"version": "99.01"}, Never, "VPE-103"),
        ({"version": "24.06", "create_route": "generic-job"}, Never, "VPE-103"),
        ({"audience": "another"}, Unauthorized, "NET-013"),
        ({"client_id": "nobody"}, Unauthorized, "NET-013"),
    ],
)
def test_account_that_is_set_up_wrongly_is_told_so(
    sandbox: Sandbox, cbct: bytes, options: dict[str, Any], error: type[BridgeError], code: str
) -> None:
    with pytest.raises(error) as caught:
        run(sandbox, cbct, **options)
    assert caught.value.code == code


def test_results_that_are_no_longer_kept_are_never(sandbox: Sandbox, cbct: bytes) -> None:
    async def story() -> None:
        platform = VirtualPatientEngine(at_sandbox(sandbox))
        await whole(platform, cbct)
        sandbox.set_limits(results_life_s=100.0, token_life_s=10_000_000.0)
        sandbox.move_clock(200)
        (job,) = {line["path"].split("/")[3] for line in sandbox.requests() if "/notify/" in line["path"]}
        made = {"create": {"version": "24.06", "made_s": 0.0, "wanted": []}}
        with pytest.raises(Never) as caught:
            await platform.state(RemoteJob(key="a" * 32, remote_id=job, notes=made))
        assert caught.value.code == "VPE-122"
        await platform.close()

    asyncio.run(story())


def test_check_tells_login_engine_and_a_clock_that_is_ten_minutes_off(sandbox: Sandbox) -> None:
    async def look() -> list[tuple[bool, str]]:
        platform = VirtualPatientEngine(at_sandbox(sandbox))
        findings = await platform.check()
        await platform.close()
        return [(one.ok, one.what) for one in findings]

    assert all(ok for ok, _ in asyncio.run(look()))
    sandbox.move_clock(600)
    (wrong,) = [what for ok, what in asyncio.run(look()) if not ok]
    assert "behind" in wrong
    assert "600 s" in wrong or "599 s" in wrong
