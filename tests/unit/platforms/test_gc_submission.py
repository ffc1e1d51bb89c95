"""Notes that no longer hold, sessions that are used: what the steps say before money is spent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.platforms.gc_kit import NOW_S, Files, Script, run, scripted

from bridge.errors import Held, Never, TryLater, Unsure
from bridge.export.parcel import Order, OrderedFile, OrderedValue, Parcel, ParcelFile, Step
from bridge.platforms import RESTART, RemoteJob

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
    import json

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
    import httpx

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
        "count", job(1.0, "count"), {"GET algorithms/jobs/?algorithm_image__algorithm=a1&limit=1": page}
    )
    assert done.notes["count"] == {"count": 53}


def test_step_that_plan_never_gives_is_never() -> None:
    with pytest.raises(Never):
        perform("dance", job(), {})
