"""Notes that no longer hold, sessions that are used: what the steps say before money is spent."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.platforms.gc_kit import NOW_S, Files, Script, account, run, scripted

from bridge.errors import BridgeError, Held, Never, Refused, TryLater, Unsure
from bridge.export.parcel import Order, OrderedFile, OrderedValue, Parcel, ParcelFile, Step
from bridge.platforms import RESTART, RemoteJob
from bridge.platforms.grand_challenge import GrandChallenge

ORDER = Order(
    files=(OrderedFile(input="ct", format="mha", file_name="ct.mha"),),
    values=(OrderedValue(input="threshold", value=3),),
    steps=(),
    details={"pk": "a1", "api_url": "https://api.example/api/v1/algorithms/a1/", "typical_s": "600"},
)
PARCEL = Parcel(
    order=ORDER,
    files=(ParcelFile(input="ct", ref="ct", file_name="ct.mha", size_bytes=3, sha256="0" * 64),),
    values=ORDER.values,
)
SESSION_URL = "https://api.example/api/v1/cases/upload-sessions/s1/"
UPLOAD_URL = "https://api.example/api/v1/uploads/u1/"
GONE = ["Invalid hyperlink - Object does not exist."]


def at(age_hours: float) -> str:
    return datetime.fromtimestamp(NOW_S - age_hours * 3600, UTC).isoformat()


def session(status: str = "Queued", uploads: tuple[str, ...] = ("u1",)) -> dict[str, Any]:
    return {"pk": "s1", "api_url": SESSION_URL, "status": status, "user_uploads": list(uploads)}


def job(age_hours: float = 1.0, *without: str) -> RemoteJob:
    notes: dict[str, Any] = {
        "upload:ct": {"pk": "u1", "api_url": UPLOAD_URL, "made": at(age_hours)},
        "session:ct": {"pk": "s1", "api_url": SESSION_URL, "made": at(age_hours)},
        "count": {"count": 7},
    }
    return RemoteJob(key="k", notes={name: note for name, note in notes.items() if name not in without})


def perform(step: str, of: RemoteJob, answers: dict[str, Any]) -> tuple[RemoteJob, Script]:
    script = Script(answers)
    return run(scripted(script).perform(Step(name=step), of, PARCEL, Files(ct=b"abc"))), script


def test_create_names_every_input_once_and_leaves_ids_and_times() -> None:
    answers = {
        "GET cases/upload-sessions/s1/": session(),
        "POST algorithms/jobs/": (201, {"pk": "j1", "inputs": [], "status": "Validating inputs"}),
    }
    done, script = perform("create", job(), answers)
    assert done.remote_id == "j1"
    assert done.notes["create"] == {"pk": "j1", "made_s": NOW_S, "typical_s": 600.0}
    assert json.loads(script.asked[-1].content) == {
        "algorithm": "https://api.example/api/v1/algorithms/a1/",
        "inputs": [
            {"interface": "ct", "upload_session": SESSION_URL},
            {"interface": "threshold", "value": 3},
        ],
    }


@pytest.mark.parametrize(
    ("age_hours", "answer"),
    [(1.0, session(uploads=())), (21.0, session()), (30.0, session(uploads=()))],
    ids=["swept", "about-to-be-swept", "old"],
)
def test_stale_session_is_said_before_a_job_is_paid(age_hours: float, answer: dict[str, Any]) -> None:
    script = Script({"GET cases/upload-sessions/s1/": answer})
    with pytest.raises(TryLater) as caught:
        run(scripted(script).perform(Step(name="create"), job(age_hours), PARCEL, Files()))
    assert (caught.value.code, caught.value.numbers) == ("GC-220", {RESTART: "upload:ct"})
    assert not isinstance(caught.value, Unsure)
    assert script.lines == ["GET cases/upload-sessions/s1/"]


@pytest.mark.parametrize("status", ["Re-Queued", "Succeeded", "Failed", "Started"])
def test_used_session_is_unsure_and_nothing_is_sent(status: str) -> None:
    script = Script({"GET cases/upload-sessions/s1/": session(status)})
    with pytest.raises(Unsure) as caught:
        run(scripted(script).perform(Step(name="create"), job(), PARCEL, Files()))
    assert caught.value.code == "GC-221"
    assert script.lines == ["GET cases/upload-sessions/s1/"]


def test_session_used_between_look_and_post_is_unsure() -> None:
    answers = {
        "GET cases/upload-sessions/s1/": session(),
        "POST algorithms/jobs/": (400, {"inputs": [{"upload_session": GONE}, {}]}),
    }
    with pytest.raises(Unsure) as caught:
        perform("create", job(), answers)
    assert caught.value.code == "GC-108"


@pytest.mark.parametrize("body", [b"<html>", b'{"id": 3}', b""])
def test_yes_that_cannot_be_read_is_unsure(body: bytes) -> None:
    answers = {
        "GET cases/upload-sessions/s1/": session(),
        "POST algorithms/jobs/": httpx.Response(201, content=body),
    }
    with pytest.raises(Unsure) as caught:
        perform("create", job(), answers)
    assert caught.value.code == "GC-131"


def test_session_of_another_user_is_held() -> None:
    with pytest.raises(Held):
        perform("create", job(), {"GET cases/upload-sessions/s1/": (404, {"detail": "Not found."})})


@pytest.mark.parametrize(
    ("step", "missing", "restart"),
    [("create", "session:ct", "session:ct"), ("session:ct", "upload:ct", "upload:ct")],
)
def test_missing_note_names_the_step_to_do_again(step: str, missing: str, restart: str) -> None:
    without = (missing, "session:ct") if step == "session:ct" else (missing,)
    with pytest.raises(TryLater) as caught:
        perform(step, job(1.0, *without), {})
    assert caught.value.numbers == {RESTART: restart}


def test_session_that_is_still_unused_is_kept() -> None:
    done, script = perform("session:ct", job(), {"GET cases/upload-sessions/s1/": session()})
    assert done == job()
    assert script.lines == ["GET cases/upload-sessions/s1/"]


def test_session_whose_upload_was_swept_is_made_anew_from_the_new_upload() -> None:
    before = job().with_note("upload:ct", {"pk": "u2", "api_url": "https://x.example/u2/", "made": at(0)})
    answers = {
        "GET cases/upload-sessions/s1/": session(uploads=()),
        "POST cases/upload-sessions/": (201, {**session(), "pk": "s2"}),
    }
    done, _ = perform("session:ct", before, answers)
    assert done.notes["session:ct"] == {"pk": "s2", "api_url": SESSION_URL, "made": at(0)}


@pytest.mark.parametrize(
    ("age_hours", "answers"),
    [(21.0, {}), (1.0, {"POST cases/upload-sessions/": (400, {"uploads": GONE})})],
    ids=["old", "swept"],
)
def test_session_from_an_upload_that_is_gone_restarts_at_the_upload(
    age_hours: float, answers: dict[str, Any]
) -> None:
    with pytest.raises(TryLater) as caught:
        perform("session:ct", job(age_hours, "session:ct"), answers)
    assert (caught.value.code, caught.value.numbers) == ("GC-220", {RESTART: "upload:ct"})


def test_count_is_that_of_the_algorithm() -> None:
    page = {"count": 53, "next": None, "previous": None, "results": []}
    done, _ = perform(
        "count",
        job(1.0, "count"),
        {"GET algorithms/jobs/?algorithm_image__algorithm=a1&limit=1&offset=0": page},
    )
    assert done.notes["count"] == {"count": 53}


def test_step_that_plan_never_gives_is_never() -> None:
    with pytest.raises(Never):
        perform("dance", job(), {})


FALLBACK_JOB = job().with_note("session:ct", {"by_uploads": True, "made": at(1.0)})
COMPLETE = {"pk": "u1", "api_url": UPLOAD_URL, "status": "Completed", "created": at(1.0)}
NOT_THERE = (404, {"detail": "No UserUpload matches the given query."})
MADE = (201, {"pk": "j1", "inputs": [], "status": "Validating inputs"})


@pytest.mark.parametrize("status", [403, 405])
def test_where_nobody_may_make_sessions_the_job_takes_the_upload(status: int) -> None:
    refused = (status, {"detail": "You do not have permission to perform this action."})
    done, _ = perform("session:ct", job(1.0, "session:ct"), {"POST cases/upload-sessions/": refused})
    assert done.notes["session:ct"] == {"by_uploads": True, "made": at(1.0)}
    done, script = perform("create", done, {"GET uploads/u1/": COMPLETE, "POST algorithms/jobs/": MADE})
    assert done.remote_id == "j1"
    assert json.loads(script.asked[-1].content)["inputs"][0] == {
        "interface": "ct",
        "user_uploads": [UPLOAD_URL],
    }


@pytest.mark.parametrize(
    "answer", [{**COMPLETE, "status": "Initialized"}, NOT_THERE], ids=["incomplete", "swept"]
)
def test_upload_that_the_platform_would_cancel_the_job_for_is_sent_again(answer: Any) -> None:
    """The platform takes an incomplete one: 201, paid, then Cancelled."""
    answers = {
        "GET uploads/u1/": answer,
        "POST algorithms/jobs/": (400, {"inputs": [{"user_uploads": GONE}]}),
    }
    answers |= {
        "GET cases/images/?name=ct-k-1.mha": page(),
        "GET uploads/?limit=1000&offset=0": page(),
    }
    with pytest.raises(TryLater) as caught:
        perform("create", FALLBACK_JOB, answers)
    assert (caught.value.code, caught.value.numbers) == ("GC-220", {RESTART: "upload:ct"})


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_repetition_without_a_session_waits_until_a_lost_request_has_settled(status: int) -> None:
    answers = {"GET uploads/u1/": COMPLETE, "POST algorithms/jobs/": (status, {})}
    with pytest.raises(Unsure) as caught:
        perform("create", FALLBACK_JOB, answers)
    assert caught.value.after_s == 60.0


def page(*results: Any) -> dict[str, Any]:
    return {"count": len(results), "next": None, "results": list(results)}


def with_file() -> Parcel:
    order = replace(
        ORDER,
        values=(OrderedValue(input="options", value={"a": "ß"}), *ORDER.values),
        steps=(
            Step(name="upload:options"),
            Step(name="upload:ct"),
            Step(name="session:ct"),
            Step(name="create"),
        ),
        details={**ORDER.details, "upload:options": "options.json"},
    )
    return replace(PARCEL, order=order, values=order.values)


def test_value_for_a_file_socket_travels_as_json_under_a_name_of_the_job() -> None:
    from tests.unit.platforms.test_gc_upload import Cloud

    from bridge.sandbox.grand_challenge import Sandbox

    with tempfile.TemporaryDirectory() as folder, Sandbox(Path(folder)) as sandbox:
        cloud = Cloud(sandbox)
        platform = GrandChallenge(account(), cloud.http)
        cloud._real = httpx.AsyncHTTPTransport(verify=cloud.http._factory.trust)
        step = Step(name="upload:options")
        done = run(platform.perform(step, RemoteJob(key="k"), with_file(), Files()))
        (upload,) = sandbox.platform.uploads.values()
        stored = [path for path in (Path(folder) / "store").rglob("*") if path.is_file()]
        assert [json.loads(path.read_bytes()) for path in stored] == [{"a": "ß"}]
    assert upload.filename == "k-1-options.json"
    assert done.notes["upload:options"]["pk"] == upload.pk


def test_create_names_the_upload_of_a_file() -> None:
    noted = job().with_note(
        "upload:options", {"pk": "u2", "api_url": "https://x.example/u2/", "made": at(1.0)}
    )
    script = Script(
        {
            "GET cases/upload-sessions/s1/": session(),
            "GET uploads/u2/": {**COMPLETE, "pk": "u2"},
            "POST algorithms/jobs/": MADE,
        }
    )
    run(scripted(script).perform(Step(name="create"), noted, with_file(), Files()))
    assert json.loads(script.asked[-1].content)["inputs"][1] == {
        "interface": "options",
        "user_upload": "https://x.example/u2/",
    }


def test_file_that_was_swept_is_sent_again_while_the_session_says_that_no_job_took_it() -> None:
    noted = job().with_note(
        "upload:options", {"pk": "u2", "api_url": "https://x.example/u2/", "made": at(1.0)}
    )
    script = Script({"GET cases/upload-sessions/s1/": session(), "GET uploads/u2/": NOT_THERE})
    with pytest.raises(TryLater) as caught:
        run(scripted(script).perform(Step(name="create"), noted, with_file(), Files()))
    assert caught.value.numbers == {RESTART: "upload:options"}


def test_earlier_upload_leads_to_the_session_that_was_made_of_it() -> None:
    noted = job(1.0, "session:ct").with_note("upload:ct", {**job().notes["upload:ct"], "earlier": True})
    listed = page({**session(), "pk": "s0", "user_uploads": ["u0"]}, {**session(), "pk": "s9"})
    done, script = perform("session:ct", noted, {"GET cases/upload-sessions/?limit=1000&offset=0": listed})
    assert done.notes["session:ct"]["pk"] == "s9"
    assert len(script.lines) == 1, "no second session"


def test_earlier_upload_that_a_job_has_taken_already_is_unsure() -> None:
    noted = job(1.0, "session:ct").with_note("upload:ct", {**job().notes["upload:ct"], "earlier": True})
    listed = page(session("Re-Queued"))
    with pytest.raises(Unsure) as caught:
        perform("session:ct", noted, {"GET cases/upload-sessions/?limit=1000&offset=0": listed})
    assert caught.value.code == "GC-221"


IMAGE_URL = "https://api.example/api/v1/cases/images/i1/"
IMAGE = {"pk": "i1", "name": "out.mha", "api_url": IMAGE_URL, "files": []}


def valued(socket: str, image: str) -> dict[str, Any]:
    return {
        "pk": 1,
        "interface": {"slug": socket},
        "image": f"https://x.example/api/v1/cases/images/{image}/",
    }


def resolve(address: str, answers: dict[str, Any]) -> dict[str, Any]:
    order = replace(ORDER, details={**ORDER.details, "there:mask": address})
    script = Script({"GET cases/images/i1/": IMAGE, **answers})
    step = Step(name="there:mask")
    done = run(scripted(script).perform(step, RemoteJob(key="k"), replace(PARCEL, order=order), Files()))
    return done.notes["there:mask"]


@pytest.mark.parametrize(
    ("address", "answers"),
    [
        ("image/i1", {}),
        ("archive_item/t1/", {"GET archives/items/t1/": {"pk": "t1", "values": [valued("other", "i1")]}}),
        (
            "archive_item/t1/",
            {"GET archives/items/t1/": {"pk": "t1", "values": [valued("ct", "i2"), valued("mask", "i1")]}},
        ),
        (
            "archive_item/t1/lungs",
            {"GET archives/items/t1/": {"pk": "t1", "values": [valued("mask", "i2"), valued("lungs", "i1")]}},
        ),
        (
            "job/j9/lungs",
            {
                "GET algorithms/jobs/j9/": {
                    "pk": "j9",
                    "status": "Succeeded",
                    "outputs": [valued("lungs", "i1")],
                }
            },
        ),
    ],
)
def test_image_at_the_platform_is_looked_up_before_the_job_costs(
    address: str, answers: dict[str, Any]
) -> None:
    assert resolve(address, answers) == {"pk": "i1", "api_url": IMAGE_URL}


@pytest.mark.parametrize(
    ("address", "answers", "error", "code"),
    [
        ("image/i9", {"GET cases/images/i9/": (404, {"detail": "No Image matches."})}, Never, "GC-225"),
        ("archive_item/t1/", {"GET archives/items/t1/": (404, {"detail": "No."})}, Never, "GC-225"),
        ("archive_item/t1/", {"GET archives/items/t1/": {"pk": "t1", "values": []}}, Never, "GC-225"),
        (
            "archive_item/t1/lungs",
            {"GET archives/items/t1/": {"pk": "t1", "values": [valued("mask", "i1")]}},
            Never,
            "GC-225",
        ),
        (
            "archive_item/t1/",
            {"GET archives/items/t1/": {"pk": "t1", "values": [valued("a", "i1"), valued("b", "i2")]}},
            Held,
            "GC-226",
        ),
        (
            "job/j9/lungs",
            {"GET algorithms/jobs/j9/": {"pk": "j9", "status": "Executing"}},
            TryLater,
            "GC-227",
        ),
        (
            "job/j9/lungs",
            {"GET algorithms/jobs/j9/": {"pk": "j9", "status": "Failed", "outputs": [valued("lungs", "i1")]}},
            Never,
            "GC-225",
        ),
    ],
)
def test_image_at_the_platform_that_is_not_to_be_had(
    address: str, answers: dict[str, Any], error: type[BridgeError], code: str
) -> None:
    with pytest.raises(error) as caught:
        resolve(address, answers)
    assert caught.value.code == code


def there_parcel() -> tuple[RemoteJob, Parcel]:
    steps = (Step(name="there:mask"), Step(name="count"), Step(name="create"))
    order = replace(ORDER, files=(), steps=steps, details={**ORDER.details, "there:mask": "image/i1"})
    noted = RemoteJob(
        key="k", notes={"there:mask": {"pk": "i1", "api_url": IMAGE_URL}, "count": {"count": 2}}
    )
    return noted, Parcel(order=order, files=(), values=order.values)


def test_image_at_the_platform_is_named_by_its_address() -> None:
    noted, parcel = there_parcel()
    script = Script({"POST algorithms/jobs/": MADE})
    run(scripted(script).perform(Step(name="create"), noted, parcel, Files()))
    assert json.loads(script.asked[-1].content)["inputs"] == [
        {"interface": "threshold", "value": 3},
        {"interface": "mask", "image": IMAGE_URL},
    ]


DUPLICATE = "A result for these inputs with the current image and model already exists."


def other_job(pk: str, threshold: int, image: str = "i1") -> dict[str, Any]:
    return {
        "pk": pk,
        "status": "Failed",
        "algorithm": "https://x.example/api/v1/algorithms/a1/",
        "inputs": [valued("mask", image), {"pk": 2, "interface": {"slug": "threshold"}, "value": threshold}],
    }


def test_duplicate_is_found_and_not_made_again() -> None:
    noted, parcel = there_parcel()
    answers = {
        "POST algorithms/jobs/": (400, {"non_field_errors": [DUPLICATE]}),
        "GET algorithms/jobs/?input_image=i1": page(
            other_job("j1", 3), other_job("j2", 4), other_job("j3", 3), {**other_job("j4", 3), "inputs": []}
        ),
    }
    done = run(scripted(Script(answers)).perform(Step(name="create"), noted, parcel, Files()))
    assert done.remote_id == "j3", "the newest: the platform speaks of the version that is active now"


def test_duplicate_of_somebody_else_is_a_matter_for_a_person() -> None:
    noted, parcel = there_parcel()
    answers = {
        "POST algorithms/jobs/": (400, {"non_field_errors": [DUPLICATE]}),
        "GET algorithms/jobs/?input_image=i1": (400, {"input_image": ["Select a valid choice."]}),
    }
    with pytest.raises(Held) as caught:
        run(scripted(Script(answers)).perform(Step(name="create"), noted, parcel, Files()))
    assert caught.value.code == "GC-231"


@pytest.mark.parametrize(("element", "is_fit"), [("MET_UCHAR", True), ("MET_SHORT", False), ("", False)])
def test_labels_that_are_not_8_bit_are_refused_before_they_are_sent(element: str, is_fit: bool) -> None:
    header = f"ElementType = {element}\nElementDataFile = LOCAL\n".encode()
    order = replace(ORDER, files=(replace(ORDER.files[0], as_labels=True),))
    file = replace(PARCEL.files[0], size_bytes=len(header))
    script = Script({})
    wanted = AssertionError if is_fit else Refused
    with pytest.raises(wanted) as caught:
        parcel = replace(PARCEL, order=order, files=(file,))
        run(scripted(script).perform(Step(name="upload:ct"), RemoteJob(key="k"), parcel, Files(ct=header)))
    assert bool(script.asked) == is_fit
    if not is_fit:
        assert getattr(caught.value, "code", "") == "GC-228"


def file_only() -> tuple[RemoteJob, Parcel]:
    steps = (Step(name="upload:options"), Step(name="count"), Step(name="create"))
    order = replace(
        ORDER,
        files=(),
        values=(OrderedValue(input="options", value={"a": 1}),),
        steps=steps,
        details={**ORDER.details, "upload:options": "options.json"},
    )
    made = {"pk": "u2", "api_url": "https://x.example/u2/", "made": at(1.0)}
    noted = RemoteJob(key="k", notes={"upload:options": made, "count": {"count": 0}})
    return noted, Parcel(order=order, files=(), values=order.values)


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        ([("j1", "options-k-1_x.json", "Queued")], "j1"),
        ([("j1", "options-q-1.json", "Queued")], "again"),
        ([("j1", "", "Validating inputs")], "unsure"),
    ],
    ids=["an-earlier-request-made-it", "swept", "may-become-ours"],
)
def test_file_that_is_gone_is_looked_for_in_jobs_and_sent_again_where_none_has_it(
    jobs: list[tuple[str, str, str]], expected: str
) -> None:
    noted, parcel = file_only()
    listed = [
        {
            "pk": pk,
            "status": word,
            "algorithm": "https://x.example/api/v1/algorithms/a1/",
            "inputs": [
                {"pk": 1, "interface": {"slug": "options"}, "file": f"https://x.example/media/1/{file}"}
            ]
            if file
            else [],
        }
        for pk, file, word in jobs
    ]
    answers = {
        "GET uploads/u2/": NOT_THERE,
        "POST algorithms/jobs/": (400, {"inputs": [{"user_upload": GONE}]}),
        "GET algorithms/jobs/?algorithm_image__algorithm=a1&limit=1000&offset=0": page(*listed),
    }
    act = scripted(Script(answers)).perform(Step(name="create"), noted, parcel, Files())
    if expected == "j1":
        assert run(act).remote_id == "j1"
        return
    with pytest.raises(TryLater) as caught:
        run(act)
    assert isinstance(caught.value, Unsure) == (expected == "unsure")
    assert caught.value.numbers.get(RESTART) == (None if expected == "unsure" else "upload:options")
