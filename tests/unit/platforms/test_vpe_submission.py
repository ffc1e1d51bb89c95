"""Steps against written-down answers: what is sent where, what is repeated, and what ends or holds the job."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import httpx
import pytest
from tests.unit.platforms.vpe_kit import (
    CBCT,
    ENGINE,
    KEY,
    LOGIN,
    STORAGE,
    Clock,
    Files,
    Script,
    made,
    parcel_of,
    request,
    scripted,
    submitted,
    told,
)

from bridge.errors import (
    BridgeError,
    Damaged,
    Held,
    Never,
    Refused,
    TryLater,
    Unauthorized,
    Unsure,
)
from bridge.platforms import RESTART, Found, Phase, RemoteJob, Unkept, Verdict
from bridge.platforms.virtual_patient_engine import VirtualPatientEngine
from bridge.platforms.virtual_patient_engine.submission import _pieces

JOB, POLL = f"POST {ENGINE}/24.06/job", f"GET {ENGINE}/24.06/pollJobResults"
UPLOAD, TELL = f"PUT {STORAGE}/cbct", f"PUT {ENGINE}/24.06/notify/one"
DONE = {
    "success": True,
    "outputFiles": {
        "meshes": [{"status": "Available", "extension": ".stl", "structures": ["mandible"], "url": "u"}]
    },
}


class Row:
    """A job row beside its secrets; a crash is a call that does not come back into `job`."""

    def __init__(self, script: Script, **options: Any) -> None:
        self.script, self.options = script, options
        self.secrets, self.clock = Unkept(), Clock()
        self.job = RemoteJob(key=KEY)
        platform = self.platform()
        self.spec = asyncio.run(platform.describe("virtual-patient"))
        self.order = platform.plan(self.spec, request())

    def platform(self) -> VirtualPatientEngine:
        return scripted(self.script, self.clock, secrets=self.secrets, options=self.options)

    def step(self, name: str, *, keep: bool = True, data: bytes = CBCT) -> RemoteJob:
        (step,) = [one for one in self.order.steps if one.name == name]
        work = self.platform().perform(step, self.job, parcel_of(self.order), Files(cbct=data))
        done = asyncio.run(work)
        if keep:
            self.job = done
        return done

    def until(self, last: str) -> Row:
        for step in self.order.steps:
            self.step(step.name)
            if step.name == last:
                break
        return self

    def state(self) -> Any:
        return asyncio.run(self.platform().state(self.job))


def caught(act: Callable[[], Any]) -> BridgeError:
    with pytest.raises(BridgeError) as raised:
        act()
    return raised.value


def test_what_goes_where_and_with_which_headers() -> None:
    script = Script()
    asyncio.run(submitted(scripted(script)))
    login, job, upload, tell = script.asked
    assert script.lines == [f"POST {LOGIN}", JOB, UPLOAD, TELL]
    assert "authorization" not in login.headers
    assert told(job) == {
        "inputFiles": {"cbct": {"extension": ".nrrd"}},
        "outputFiles": {"meshes": [{"extension": ".stl", "structures": ["mandible"]}]},
    }
    assert job.headers["authorization"] == tell.headers["authorization"] == "Bearer t0ken"
    assert "authorization" not in upload.headers
    assert (upload.headers["content-length"], upload.content) == (str(len(CBCT)), CBCT)
    assert "transfer-encoding" not in upload.headers
    assert upload.headers["content-type"] == "application/octet-stream"
    assert (tell.headers["content-length"], tell.content) == ("0", b"")


def test_notify_address_on_another_origin_never_sees_the_token() -> None:
    other = made("one")
    other["presignedUploadUrl"]["cbct"]["notifyFinishUploadUrl"] = "https://hooks.example/one"
    script = Script({JOB: other, "PUT https://hooks.example/one": httpx.Response(204)})
    asyncio.run(submitted(scripted(script)))
    assert script.lines[-1] == "PUT https://hooks.example/one"
    assert "authorization" not in script.asked[-1].headers


@pytest.mark.parametrize("refusal", [404, 405, 501])
def test_notify_is_posted_where_put_is_refused_and_the_account_remembers(refusal: int) -> None:
    script = Script({TELL: (refusal, {}), f"POST {ENGINE}/24.06/notify/one": httpx.Response(200)})

    async def story() -> None:
        platform = scripted(script)
        await submitted(platform)
        await submitted(platform)

    asyncio.run(story())
    assert script.count(TELL) == 1


@pytest.mark.parametrize(("notify", "line"), [("put", TELL), ("post", f"POST {ENGINE}/24.06/notify/one")])
def test_notify_by_the_method_that_the_account_names(notify: str, line: str) -> None:
    script = Script({line: httpx.Response(200)})
    asyncio.run(submitted(scripted(script, options={"notify": notify})))
    assert script.lines[-1] == line


def test_engines_401_is_answered_with_one_new_token() -> None:
    script = Script({JOB: [(401, {}), made("one")]})
    asyncio.run(submitted(scripted(script)))
    assert script.count(f"POST {LOGIN}") == 2
    assert script.count(JOB) == 2


def test_second_401_ends_the_asking_for_all_jobs() -> None:
    script = Script({JOB: (401, {})})
    row = Row(script)
    platform = row.platform()
    (create, *_) = row.order.steps
    for _ in range(4):
        with pytest.raises(Unauthorized):
            asyncio.run(platform.perform(create, row.job, parcel_of(row.order), Files(cbct=CBCT)))
    assert script.count(JOB) == 2
    assert script.count(f"POST {LOGIN}") == 2


ANSWERS: tuple[tuple[str, Any, type[BridgeError], str, str], ...] = (
    ("create", (400, {"message": "unknown structure"}), Never, "VPE-105", "unknown structure"),
    ("create", (422, {}), Never, "VPE-105", "422"),
    ("create", (402, {}), Unauthorized, "VPE-102", "may not"),
    ("create", (403, {}), Unauthorized, "VPE-102", "may not"),
    ("create", (404, {}), Never, "VPE-103", "version"),
    ("create", (413, {}), Never, "VPE-104", "large"),
    ("create", (409, {}), Never, "VPE-108", "409"),
    ("create", (429, {}), TryLater, "VPE-106", "busy"),
    ("create", (500, {}), TryLater, "VPE-106", "500"),
    ("create", (503, {}), TryLater, "VPE-106", "503"),
    ("create", (307, {}), Never, "VPE-107", "redirect"),
    ("create", httpx.Response(200, html="<html>"), TryLater, "VPE-133", "JSON"),
    ("create", {"id": 1}, Damaged, "VPE-131", "id"),
    ("create", {"jobId": "1", "presignedUploadUrl": {"cbct": {"href": "h"}}}, Damaged, "VPE-131", "href"),
    ("upload:cbct", (403, {}), TryLater, "VPE-110", "expired"),
    ("upload:cbct", (404, {}), TryLater, "VPE-110", "expired"),
    ("upload:cbct", (410, {}), TryLater, "VPE-110", "expired"),
    ("upload:cbct", (400, {}), Never, "VPE-112", "storage"),
    ("upload:cbct", (411, {}), Never, "VPE-111", "storage"),
    ("upload:cbct", (501, {}), Never, "VPE-111", "storage"),
    ("upload:cbct", (503, {}), TryLater, "VPE-106", "503"),
    (
        "upload:cbct",
        httpx.Response(200, headers={"ETag": '"' + "0" * 32 + '"'}),
        TryLater,
        "VPE-032",
        "bytes",
    ),
    ("notify:cbct", (500, {}), Unsure, "VPE-120", "broke off"),
    ("notify:cbct", (503, {}), Unsure, "VPE-120", "broke off"),
    ("notify:cbct", (429, {}), TryLater, "VPE-106", "busy"),
    ("notify:cbct", httpx.ReadTimeout("x"), Unsure, "NET-003", "lost"),
    ("notify:cbct", httpx.ConnectError("x"), TryLater, "NET-001", "not reached"),
)
LINES = {"create": JOB, "upload:cbct": UPLOAD, "notify:cbct": TELL}


@pytest.mark.parametrize(("step", "answer", "error", "code", "word"), ANSWERS)
def test_answers_and_what_they_mean(
    step: str, answer: Any, error: type[BridgeError], code: str, word: str
) -> None:
    row = Row(Script({LINES[step]: answer}))
    for earlier in ("create", "upload:cbct"):
        if earlier == step:
            break
        row.step(earlier)
    raised = caught(lambda: row.step(step))
    assert (type(raised), raised.code) == (error, code)
    assert word in raised.sentence()
    assert (raised.numbers.get(RESTART) == "create") is (code == "VPE-110")
    assert "Signature" not in raised.sentence()


def test_etag_of_our_bytes_and_one_that_is_no_md5_are_both_right() -> None:
    ours = hashlib.md5(CBCT, usedforsecurity=False).hexdigest()
    for headers in (
        {"ETag": f'"{ours}"'},
        {"ETag": '"x-7"'},
        {"ETag": '"' + "0" * 32 + '"', "x-amz-server-side-encryption": "aws:kms"},
    ):
        Row(Script({UPLOAD: httpx.Response(200, headers=headers)})).until("upload:cbct")


def test_dead_address_makes_the_job_anew_and_the_old_one_is_counted() -> None:
    row = Row(Script({JOB: [made("one"), made("two")], UPLOAD: [(403, {}), httpx.Response(200)]}))
    row.step("create")
    assert caught(lambda: row.step("upload:cbct")).numbers[RESTART] == "create"
    row.job = RemoteJob(key=KEY)
    row.step("create")
    assert row.job.remote_id == "two"
    assert row.job.notes["create"]["orphans"] == 1
    row.step("upload:cbct")


def test_address_that_is_too_old_is_not_tried() -> None:
    row = Row(Script({JOB: [made("one"), made("two")]}), upload_url_lifetime_s=100.0)
    row.step("create")
    row.clock.now_s += 101
    assert caught(lambda: row.step("upload:cbct")).numbers[RESTART] == "create"
    assert row.script.count(UPLOAD) == 0


def test_answer_to_create_that_was_lost_is_an_orphan_and_no_error() -> None:
    row = Row(Script({JOB: [httpx.ReadTimeout("x"), made("two")]}))
    assert isinstance(caught(lambda: row.step("create")), TryLater)
    assert row.step("create").notes["create"]["orphans"] == 1


def test_create_that_was_done_and_not_noted_is_not_done_again() -> None:
    row = Row(Script())
    row.step("create", keep=False)
    assert row.step("create").remote_id == "one"
    assert row.script.count(JOB) == 1


def test_row_that_knows_nothing_of_a_job_that_was_begun_finds_it_whole() -> None:
    row = Row(Script({POLL: [httpx.Response(202), httpx.Response(202), DONE]}))
    row.until("notify:cbct")
    row.job = RemoteJob(key=KEY)
    asked = len(row.script.asked)
    row.until("notify:cbct")
    assert row.job.remote_id == "one"
    # Neither made nor sent again; asked how it is, and told once more, which is harmless.
    assert row.script.lines[asked:] == [POLL, TELL]


def test_job_that_has_ended_is_found_without_telling_it_again() -> None:
    row = Row(Script({POLL: DONE}))
    row.until("notify:cbct")
    assert row.state().verdict is Verdict.DONE
    row.job = RemoteJob(key=KEY)
    found = asyncio.run(row.platform().find(row.job, row.spec, row.order))
    assert isinstance(found, Found)
    assert set(found.job.notes) == {"create", "upload:cbct", "notify:cbct"}
    row.until("notify:cbct")
    assert (row.script.count(JOB), row.script.count(UPLOAD), row.script.count(TELL)) == (1, 1, 1)


def test_addresses_are_dropped_when_the_job_has_ended() -> None:
    row = Row(Script({POLL: DONE}))
    row.until("notify:cbct")
    assert "Signature" in json.dumps(row.secrets._values)
    row.state()
    assert "Signature" not in json.dumps(row.secrets._values)
    assert "Signature" not in repr(row.job)


def test_secrets_that_are_gone_before_the_commit_make_the_job_anew_and_after_it_hold() -> None:
    row = Row(Script())
    row.step("create")
    row.secrets = Unkept()
    assert caught(lambda: row.step("upload:cbct")).numbers[RESTART] == "create"

    row = Row(Script())
    row.until("upload:cbct")
    row.secrets = Unkept()
    raised = caught(lambda: row.step("notify:cbct"))
    assert isinstance(raised, Held)
    assert raised.code == "VPE-035"

    row = Row(Script({POLL: DONE}))
    row.until("upload:cbct")
    row.secrets = Unkept()
    assert row.step("notify:cbct").notes["notify:cbct"] == {"found": True}


def test_refused_notify_counts_while_the_platform_has_the_job() -> None:
    row = Row(Script({TELL: (400, {}), POLL: httpx.Response(202)}))
    row.until("notify:cbct")
    row = Row(Script({TELL: (400, {}), POLL: (404, {})}))
    row.until("upload:cbct")
    raised = caught(lambda: row.step("notify:cbct"))
    assert (type(raised), raised.code) == (Held, "VPE-034")


def test_notify_that_is_repeated_asks_first() -> None:
    row = Row(Script({POLL: DONE}))
    row.until("upload:cbct")
    row.step("notify:cbct", keep=False)
    assert row.step("notify:cbct").notes["notify:cbct"] == {"found": True}
    assert row.script.count(TELL) == 1


def test_file_that_is_too_large_or_another_than_the_parcels_never_leaves() -> None:
    row = Row(Script(), max_input_bytes=len(CBCT) - 1)
    raised = caught(lambda: row.step("create"))
    assert (type(raised), raised.code) == (Refused, "VPE-030")
    assert row.script.count(JOB) == 0

    row = Row(Script())
    row.step("create")
    for data in (CBCT[:-1], CBCT[:-1] + b"?"):
        raised = caught(lambda data=data: row.step("upload:cbct", data=data))
        assert (type(raised), raised.code) == (Damaged, "VPE-033")


def test_storage_never_has_the_whole_of_a_file_that_is_another_than_the_parcels() -> None:
    row = Row(Script())
    sent = b""

    async def send() -> None:
        nonlocal sent
        async for piece in _pieces(
            Files(cbct=CBCT[:-1] + b"?"), parcel_of(row.order).files[0], hashlib.md5()
        ):
            sent += piece

    assert isinstance(caught(lambda: asyncio.run(send())), Damaged)
    assert len(sent) < len(CBCT)


def test_nothing_is_uploaded_while_the_login_is_refused() -> None:
    row = Row(Script())
    row.step("create")
    row.script.answers[f"POST {LOGIN}"] = (401, {})
    row.clock.now_s += 86_400
    assert isinstance(caught(lambda: row.step("upload:cbct")), Unauthorized)
    assert row.script.count(UPLOAD) == 0


@pytest.mark.parametrize(
    ("answer", "phase", "verdict", "raw", "reason"),
    [
        (httpx.Response(202), Phase.RUNNING, None, "processing", ""),
        (httpx.Response(202, text="PROCESSING"), Phase.RUNNING, None, "processing", ""),
        ((202, {"status": "x"}), Phase.RUNNING, None, "processing", ""),
        (DONE, Phase.ENDED, Verdict.DONE, "success", ""),
        (
            {"success": False, "message": "see https://x.example/log"},
            Phase.ENDED,
            Verdict.FAILED,
            "failed",
            "message: see [address]",
        ),
        ({"success": False}, Phase.ENDED, Verdict.FAILED, "failed", "the platform tells no more"),
        ({"success": "soon"}, Phase.RUNNING, None, "soon", ""),
        ({}, Phase.RUNNING, None, "None", ""),
    ],
)
def test_states(answer: Any, phase: Phase, verdict: Verdict | None, raw: str, reason: str) -> None:
    row = Row(Script({POLL: answer})).until("notify:cbct")
    state = row.state()
    assert (state.phase, state.verdict, state.raw, state.reason) == (phase, verdict, raw, reason)
    assert state.pin == "24.06"


@pytest.mark.parametrize(
    ("status", "age_s", "error", "code"),
    [
        (404, 59, TryLater, "VPE-123"),
        (404, 61, Never, "VPE-122"),
        (410, 61, Never, "VPE-122"),
        (401, 0, Unauthorized, "VPE-101"),
        (403, 0, Unauthorized, "VPE-121"),
        (429, 0, TryLater, "VPE-106"),
        (502, 0, TryLater, "VPE-106"),
    ],
)
def test_refused_looks(status: int, age_s: int, error: type[BridgeError], code: str) -> None:
    row = Row(Script({POLL: (status, {})})).until("notify:cbct")
    row.clock.now_s += age_s
    raised = caught(row.state)
    assert (type(raised), raised.code) == (error, code)


def test_job_that_never_says_how_it_ended_is_put_aside_at_the_third_look() -> None:
    row = Row(Script({POLL: {"success": None}})).until("notify:cbct")
    platform = row.platform()

    async def looks() -> None:
        for _ in range(2):
            assert (await platform.state(row.job)).phase is Phase.RUNNING
        with pytest.raises(Damaged) as raised:
            await platform.state(row.job)
        assert raised.value.code == "VPE-124"

    asyncio.run(looks())


def test_pauses_grow_by_half_within_the_accounts_bounds() -> None:
    row = Row(Script()).until("notify:cbct")
    pauses = []
    for _ in range(14):
        pause_s = row.state().look_again_s
        pauses.append(pause_s)
        row.clock.now_s += pause_s
    assert 4.5 <= pauses[0] <= 5.5
    assert pauses == sorted(pauses)
    assert all(later <= 1.7 * earlier for earlier, later in pairwise(pauses))
    assert 108.0 <= pauses[-1] <= 132.0


class _Sink:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes, /) -> int:
        self.data += data
        return len(data)


FILE = f"{STORAGE}/mandible"


def fetched(
    link: Any, told_size: int | None, options: dict[str, Any] | None = None
) -> Callable[[], Awaitable[bytes]]:
    entry = {**DONE["outputFiles"]["meshes"][0], "url": f"{FILE}?X-Amz-Signature=s"}  # type: ignore[index]
    if told_size is not None:
        entry["size"] = told_size
    script = Script({POLL: {"success": True, "outputFiles": {"meshes": [entry]}}, f"GET {FILE}": link})

    async def act() -> bytes:
        platform = scripted(script, options=options or {})
        job = await submitted(platform)
        (output,) = await platform.outputs(job)
        sink = _Sink()
        told = await platform.fetch(job, output, sink)
        assert (told.size_bytes, told.sha256) == (len(sink.data), hashlib.sha256(sink.data).hexdigest())
        assert "authorization" not in script.asked[-1].headers
        assert script.asked[-1].headers["accept-encoding"] == "identity"
        return sink.data

    return act


DEAD = httpx.Response(403, text="<Error/>")
MESH = httpx.Response(200, content=b"a mesh")


@pytest.mark.parametrize(
    ("link", "size", "options"),
    [
        (MESH, 6, {}),
        (MESH, None, {}),
        ([DEAD, DEAD, DEAD, DEAD, MESH], 6, {}),
        (MESH, 7, {"size_check": "warn"}),
    ],
)
def test_file_comes_whole(link: Any, size: int | None, options: dict[str, Any]) -> None:
    assert asyncio.run(fetched(link, size, options)()) == b"a mesh"


@pytest.mark.parametrize(
    ("link", "size", "error", "code"),
    [
        (DEAD, 6, TryLater, "VPE-130"),
        (MESH, 7, TryLater, "VPE-143"),
        (httpx.Response(500), 6, TryLater, "VPE-106"),
        (httpx.Response(400), 6, Never, "VPE-108"),
        (httpx.Response(204), 6, Damaged, "VPE-132"),
    ],
)
def test_file_that_does_not_come(link: Any, size: int, error: type[BridgeError], code: str) -> None:
    raised = caught(lambda: asyncio.run(fetched(link, size)()))
    assert (type(raised), raised.code) == (error, code)
    if code == "VPE-143":
        assert isinstance(raised, TryLater)
        assert raised.tries == 3


@pytest.mark.parametrize("frame", ["lps-mm", "ras-m"])
def test_mesh_says_the_frame_of_its_account_and_a_mere_file_none(frame: str) -> None:
    labels = {"status": "Available", "url": "u"}
    both = {"success": True, "outputFiles": {**DONE["outputFiles"], "labels": labels}}  # type: ignore[dict-item]

    async def story() -> list[Any]:
        platform = scripted(Script({POLL: both}), options={} if frame == "lps-mm" else {"mesh_frame": frame})
        meshes = [{"structures": ["mandible"]}]
        job = await submitted(platform, request(outputs={"meshes": meshes, "labels": {"extension": ".nrrd"}}))
        return [one.frame for one in await platform.outputs(job)]

    assert asyncio.run(story()) == [frame, None]


def test_what_stays_at_the_platform_is_told() -> None:
    row = Row(Script({JOB: [httpx.ReadTimeout("x"), made("two")], f"PUT {ENGINE}/24.06/notify/two": {}}))
    assert asyncio.run(row.platform().forget(row.job)) == ()
    assert isinstance(caught(lambda: row.step("create")), TryLater)
    row.until("notify:cbct")
    job, orphans = asyncio.run(row.platform().forget(row.job))
    assert "two" in job.what
    assert orphans.what.startswith("1 jobs")
    assert not (job.erased or orphans.erased)
