"""Status, clock, limits and rights by hand, in the process and over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.errors import ConfigError
from bridge.sandbox.grand_challenge import Limits
from bridge.sandbox.grand_challenge.objects import LABELS, TERMINAL

DAY_S = 86_400.0
NOW_S = 1_800_000_000.0
GONE = "Invalid hyperlink - Object does not exist."


def started(cloud: Any, chest_mha: bytes) -> tuple[str, str]:
    """A fresh job and the address of its session."""
    session = cloud.session(cloud.upload(chest_mha))["api_url"]
    return cloud.submit(upload_session=session).json()["pk"], session


@pytest.mark.parametrize("label", [*LABELS, "Dreaming"])
def test_every_label_can_be_shown_and_let_go(cloud: Any, chest_mha: bytes, label: str) -> None:
    assert len(LABELS) == 14
    cloud.sandbox.hold("Queued")
    pk, _ = started(cloud, chest_mha)
    cloud.wait_for(pk, "Queued")
    cloud.sandbox.set_status(pk, label)
    cloud.sandbox.release()
    job = cloud.job(pk)
    assert (job["status"], job["outputs"], job["inputs"] != []) == (label, [], True)
    is_active = cloud.sandbox.platform.active_jobs_of(next(iter(cloud.sandbox.platform.users.values())))
    assert is_active == (label not in TERMINAL)
    cloud.sandbox.let_go(pk)
    assert cloud.finished(pk) if label in TERMINAL else cloud.wait_for(pk, "Succeeded")


def test_status_goes_back_and_on_again(cloud: Any, chest_mha: bytes) -> None:
    cloud.sandbox.hold("Executing")
    pk, _ = started(cloud, chest_mha)
    cloud.wait_for(pk, "Executing")
    for label in ("Provisioned", "Queued"):
        cloud.sandbox.set_status(pk, label)
        assert (cloud.job(pk)["status"], cloud.job(pk)["exec_duration"]) == (label, None)
    cloud.sandbox.release()
    cloud.sandbox.let_go(pk)
    assert cloud.finished(pk)["status"] == "Succeeded"
    assert cloud.sandbox.platform.jobs[pk].history == (
        *("Validating inputs", "Queued", "Provisioned", "Executing"),
        *("Provisioned", "Queued", "Executed", "Succeeded"),
    )


def test_cancelled_with_its_reason_on_the_session_and_queued_again(cloud: Any, chest_mha: bytes) -> None:
    cloud.sandbox.hold("Queued")
    pk, session = started(cloud, chest_mha)
    cloud.wait_for(pk, "Queued")
    cloud.sandbox.set_status(pk, "Cancelled", reason="an operator said so")
    told = cloud.api.get(session).json()
    assert (told["status"], told["error_message"]) == ("Failed", "an operator said so")
    assert "an operator" not in str(cloud.job(pk))
    cloud.sandbox.release()
    cloud.sandbox.set_status(pk, "Re-Queued")
    cloud.sandbox.let_go(pk)
    assert cloud.finished(pk)["status"] == "Succeeded"


def test_job_that_had_ended_runs_again_when_it_is_requeued(cloud: Any, chest_mha: bytes) -> None:
    cloud.sandbox.behave(mask_as="undeclared")
    job = cloud.run(chest_mha)
    assert job["status"] == "Failed"
    cloud.sandbox.behave(mask_as="computed")
    cloud.sandbox.set_status(job["pk"], "Re-Queued")
    cloud.sandbox.let_go(job["pk"])
    assert cloud.finished(job["pk"])["status"] == "Succeeded"
    assert len(cloud.sandbox.ledger()) == 1


def test_full_platform_keeps_jobs_in_validation_for_two_days(cloud: Any, chest_mha: bytes) -> None:
    cloud.sandbox.behave(platform_full=True)
    waits, _ = started(cloud, chest_mha)
    cloud.sandbox.move_clock(2 * DAY_S - 60)
    goes, _ = started(cloud, chest_mha)
    assert (cloud.job(waits)["status"], cloud.job(goes)["status"]) == ("Validating inputs",) * 2
    cloud.sandbox.move_clock(120)
    assert cloud.finished(waits)["status"] == "Cancelled"
    assert cloud.job(goes)["status"] == "Validating inputs"
    cloud.sandbox.behave(platform_full=False)
    assert cloud.finished(goes)["status"] == "Succeeded"


def test_duration_and_due_time_follow_the_clock(start_cloud: Callable[..., Any], chest_mha: bytes) -> None:
    cloud = start_cloud(clock=lambda: NOW_S, compute_seconds=3000)
    pk, _ = started(cloud, chest_mha)
    cloud.wait_for(pk, "Executing")
    cloud.sandbox.move_clock(3661)
    job = cloud.finished(pk)
    assert (job["status"], job["exec_duration"]) == ("Succeeded", "P0DT01H01M01S")
    assert cloud.api.get(job["algorithm"]).json()["average_duration"] == 3661.0


def test_uploads_die_after_a_day_and_their_session_imports_nothing(cloud: Any, chest_mha: bytes) -> None:
    upload = cloud.upload(chest_mha)
    session = cloud.session(upload)["api_url"]
    half = cloud.api.post("uploads/", json={"filename": "half"}).json()
    cloud.sandbox.move_clock(DAY_S - 60)
    assert cloud.api.get(upload).status_code == 200
    cloud.sandbox.move_clock(120)
    assert [cloud.api.get(url).status_code for url in (upload, half["api_url"])] == [404, 404]
    told = cloud.api.get(session).json()
    assert (told["status"], told["user_uploads"], told["uploads"]) == ("Queued", [], [])
    refused = cloud.api.post("cases/upload-sessions/", json={"uploads": [upload]})
    assert refused.json() == {"uploads": [GONE]}
    pk = cloud.submit(upload_session=session).json()["pk"]
    assert cloud.finished(pk)["status"] == "Cancelled"
    assert cloud.api.get(session).json()["error_message"].endswith("should result in a single image.")


def test_credits_come_back_after_the_month(cloud: Any, chest_mha: bytes) -> None:
    cloud.sandbox.set_limits(credits=50)
    cloud.sandbox.behave(mask_as="int16")
    assert [cloud.run(chest_mha)["status"] for _ in range(2)] == ["Failed", "Failed"]
    assert sum(line["credits"] for line in cloud.sandbox.ledger()) == 40
    refused = cloud.submit(user_uploads=[cloud.upload(chest_mha)])
    assert refused.json() == {"non_field_errors": ["You have run out of algorithm credits"]}
    cloud.sandbox.move_clock(31 * DAY_S)
    assert started(cloud, chest_mha)[0]


TASKS = (
    "You currently have 16 active image post processing tasks. "
    "Please wait for them to complete before trying again."
)
SMALL = Limits(uploads=1, upload_bytes=10, image_tasks_active=16)


@pytest.mark.parametrize(
    ("limit", "status", "answer"),
    [
        (
            "uploads",
            400,
            {"non_field_errors": ["You have created too many uploads. Please try again later."]},
        ),
        ("upload_bytes", 403, {"detail": "Upload limit reached"}),
        (
            "image_tasks_active",
            400,
            {"non_field_errors": [TASKS]},
        ),
    ],
)
def test_limits_refuse_in_the_platforms_words(cloud: Any, limit: str, status: int, answer: Any) -> None:
    upload = cloud.upload(b"eleven byte")
    made = cloud.api.post("uploads/", json={"filename": "x"}).json()
    cloud.sandbox.set_limits(**{limit: getattr(SMALL, limit)})
    refused = {
        "uploads": lambda: cloud.api.post("uploads/", json={"filename": "x"}),
        "upload_bytes": lambda: cloud.api.patch(
            f"uploads/{made['pk']}/{made['s3_upload_id']}/generate-presigned-urls/",
            json={"part_numbers": [1]},
        ),
        "image_tasks_active": lambda: cloud.api.post("cases/upload-sessions/", json={"uploads": [upload]}),
    }[limit]()
    assert (refused.status_code, refused.json()) == (status, answer)


def test_parts_out_of_order_where_the_platform_passes_them_on(cloud: Any) -> None:
    made = cloud.api.post("uploads/", json={"filename": "x"}).json()
    action = f"uploads/{made['pk']}/{made['s3_upload_id']}"
    urls = cloud.api.patch(f"{action}/generate-presigned-urls/", json={"part_numbers": [1, 2]}).json()
    bodies = {1: b"a" * (5 << 20), 2: b"b"}
    parts = [
        {
            "ETag": cloud.plain.put(urls["presigned_urls"][str(n)], content=bodies[n]).headers["ETag"],
            "PartNumber": n,
        }
        for n in (2, 1)
    ]
    cloud.sandbox.behave(parts_as_sent=True)
    statuses = [
        cloud.api.patch(f"{action}/complete-multipart-upload/", json={"parts": given}).status_code
        for given in (parts, parts[::-1])
    ]
    assert statuses == [500, 200]


def test_link_dangles_when_the_right_is_withdrawn(cloud: Any, chest_mha: bytes) -> None:
    job = cloud.run(chest_mha)
    image = job["inputs"][0]["image"]
    file = cloud.api.get(image).json()["files"][0]["file"]
    cloud.sandbox.withdraw(image.split("/")[-2])
    assert cloud.job(job["pk"])["inputs"][0]["image"] == image
    assert cloud.api.get(image).json() == {"detail": "No Image matches the given query."}
    assert cloud.api.get(file).status_code == 403
    assert cloud.submit("lungs-and-airways", image=image).json() == {"inputs": [{"image": [GONE]}]}


def test_revoked_token_is_unknown(cloud: Any) -> None:
    cloud.sandbox.revoke(cloud.sandbox.token)
    refused = cloud.api.get("algorithms/")
    assert (refused.status_code, refused.json()) == (401, {"detail": "Invalid token."})


def test_token_is_seen_wherever_it_stands_also_when_it_is_good_no_more(cloud: Any) -> None:
    token = cloud.sandbox.token
    cloud.sandbox.revoke(token)
    store = cloud.sandbox.store.url
    cloud.plain.get(f"{store}/x", headers={"X-Key": f"v {token}"})
    cloud.plain.get(f"{store}/x", params={"token": token})
    cloud.plain.get(f"{store}/x")
    assert [(line["token"], line["authorization"]) for line in cloud.sandbox.requests("store")] == [
        (True, False),
        (True, False),
        (False, False),
    ]
    assert token not in cloud.sandbox.requests_file.read_text()


def test_name_that_can_not_be_set_is_refused(cloud: Any) -> None:
    for change in ({"creditz": 1}, {"mask_as": "upside-down"}):
        with pytest.raises(ConfigError) as caught:
            (cloud.sandbox.set_limits if "creditz" in change else cloud.sandbox.behave)(**change)
        assert caught.value.code == "SBX-002"


@pytest.fixture
def control(cloud: Any) -> httpx.Client:
    return httpx.Client(verify=cloud.tls, base_url=cloud.sandbox.control_url)


def test_control_api_arms_and_tells(cloud: Any, control: httpx.Client) -> None:
    fault = {"path": "*/uploads/", "status": 503, "times": 2, "drop_headers": []}
    number = control.post("faults", json=fault).json()["fault"]
    assert cloud.api.get("uploads/").status_code == 503
    (armed,) = control.get("faults").json()["faults"]
    assert (armed["fault"], armed["hits"], armed["left"]) == (number, 1, 1)
    assert control.delete(f"faults/{number}/").json() == {}
    assert cloud.api.get("uploads/").status_code == 200
    control.post("faults", json={"times": None, "status": 500})
    assert control.get("").status_code == 200  # no fault strikes here
    lines = control.get("requests").json()["lines"]
    assert [(line["method"], line["status"]) for line in lines] == [("GET", 503), ("GET", 200)]


def test_control_api_decides_over_jobs(
    cloud: Any, control: httpx.Client, chest_mha: bytes, tmp_path: Path
) -> None:
    control.post("holds", json={"status": "Queued"})
    pk, _ = started(cloud, chest_mha)
    cloud.wait_for(pk, "Queued")
    shown = control.patch(f"jobs/{pk}/", json={"status": "Executing"})
    assert shown.json() == {"job": pk, "status": "Executing"}
    assert cloud.job(pk)["status"] == "Executing"
    control.delete("holds/")
    control.patch(f"jobs/{pk}/", json={"let_go": True})
    assert cloud.finished(pk)["status"] == "Succeeded"
    (told,) = control.get("jobs").json()["jobs"]
    assert (told["job"], told["status"]) == (pk, "Succeeded")
    ledger = control.get("ledger").json()
    assert (ledger["jobs"], ledger["credits"], ledger["lines"][0]["job"]) == (1, 20, pk)

    assert control.patch("limits", json={"active_jobs": 0}).json()["active_jobs"] == 0
    refused = cloud.submit(user_uploads=[cloud.upload(chest_mha)]).json()["non_field_errors"][0]
    assert refused.startswith("You have too many active jobs")
    control.patch("limits", json={"active_jobs": 16})
    assert control.patch("behaviour", json={"mask_as": "empty"}).json()["mask_as"] == "empty"
    version = control.post("algorithms/identity-mask/", json={}).json()["image"]
    job = cloud.run(chest_mha)
    assert job["algorithm_image"].split("/")[-2] == version
    assert cloud.api.get(job["outputs"][0]["image"]).json()["segments"] == [0]

    before_s = control.get("clock").json()["now_s"]
    assert control.post("clock", json={"move_s": 7200}).json()["now_s"] >= before_s + 7200
    (tmp_path / "ct.mha").write_bytes(chest_mha)
    image = control.post("images", json={"file": str(tmp_path / "ct.mha")}).json()["image"]
    assert cloud.api.get(f"cases/images/{image}/").json()["name"] == "ct.mha"
    control.delete(f"images/{image}/")
    assert cloud.api.get(f"cases/images/{image}/").status_code == 404
    contents = {"ct-image": str(tmp_path / "ct.mha"), "threshold": 7}
    item = control.post("archives/chest-cts/", json={"contents": contents}).json()["item"]
    assert len(cloud.api.get(f"archives/items/{item}/").json()["values"]) == 2
    token = control.post("users", json={}).json()["token"]
    assert cloud.client(token).get("algorithms/").status_code == 200
    control.delete(f"users/{token}/")
    assert cloud.client(token).get("algorithms/").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "nothing", None, 404),
        ("PATCH", "jobs/nobody/", {"status": "Queued"}, 404),
        ("POST", "algorithms/nobody/", {}, 404),
        ("POST", "faults", {"staus": 500}, 400),
        ("PATCH", "limits", {"creditz": 1}, 400),
        ("POST", "images", {"file": "/nowhere/x.mha"}, 400),
        ("POST", "clock", {}, 404),
    ],
)
def test_control_api_says_what_is_wrong(
    control: httpx.Client, method: str, path: str, body: Any, status: int
) -> None:
    refused = control.request(method, path, json=body)
    assert (refused.status_code, list(refused.json())) == (status, ["detail"])
