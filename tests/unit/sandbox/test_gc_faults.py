"""Faults on demand: each does what it says, to the requests that match, as often as asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from bridge.sandbox.grand_challenge import Fault

JOBS = "*/algorithms/jobs/"
NOW_S = 1_800_000_000.0


def hits(cloud: Any) -> list[int]:
    return [fault["hits"] for fault in cloud.sandbox.faults()]


def post_job(cloud: Any, chest_mha: bytes) -> httpx.Response:
    return cloud.submit(upload_session=cloud.session(cloud.upload(chest_mha))["api_url"])


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        (Fault(path="*/uploads/", status=503), [503, 200, 200]),
        (Fault(path="*/uploads/", status=503, times=2), [503, 503, 200]),
        (Fault(path="*/uploads/", status=503, skip=1), [200, 503, 200]),
        (
            Fault(path="*/uploads/", status=401, times=None, body={"detail": "Invalid token."}),
            [401, 401, 401],
        ),
        (Fault(path="*/uploads/", method="P*", status=503), [200, 200, 200]),
        (Fault(path="*/uploads/*/", status=503), [200, 200, 200]),
        (Fault(path="*/uploads/", origin="store", status=503), [200, 200, 200]),
        (Fault(status=301, headers={"Location": "/elsewhere/"}), [301, 200, 200]),
    ],
)
def test_fault_strikes_what_matches_and_as_often_as_asked(
    cloud: Any, fault: Fault, statuses: list[int]
) -> None:
    cloud.sandbox.arm(fault)
    assert [cloud.api.get("uploads/").status_code for _ in statuses] == statuses
    assert hits(cloud) == [sum(status != 200 for status in statuses)]
    cloud.sandbox.disarm()
    assert (cloud.api.get("uploads/").status_code, hits(cloud)) == (200, [])


@pytest.mark.parametrize(
    ("body", "kind", "content"),
    [
        (None, "text/html; charset=utf-8", b"<!doctype html>"),
        ({"detail": "no"}, "application/json", b'{"detail":"no"}'),
        (["no"], "application/json", b'["no"]'),
        ("<html>proxy</html>", "text/html; charset=utf-8", b"<html>proxy</html>"),
        ("<?xml version='1.0'?><Error/>", "application/xml", b"<?xml"),
    ],
)
def test_body_has_its_content_type(cloud: Any, body: Any, kind: str, content: bytes) -> None:
    cloud.sandbox.arm(Fault(status=502, body=body))
    answer = cloud.api.get("uploads/")
    assert (answer.status_code, answer.headers["content-type"]) == (502, kind)
    assert answer.content.startswith(content)


def test_retry_after_in_seconds_and_as_a_date_of_the_sandbox(start_cloud: Callable[..., Any]) -> None:
    cloud = start_cloud(clock=lambda: NOW_S)
    cloud.sandbox.arm(Fault(status=429, retry_after_s=90))
    cloud.sandbox.arm(Fault(status=503, retry_after_s=90, retry_after_date=True))
    cloud.sandbox.move_clock(10)
    assert cloud.api.get("uploads/").headers["retry-after"] == "90"
    date = cloud.api.get("uploads/").headers["retry-after"]
    assert parsedate_to_datetime(date).timestamp() == NOW_S + 100


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("what", [{"reset": True}, {"status": 504}])
def test_answer_is_lost_before_or_after_the_job_exists(
    cloud: Any, chest_mha: bytes, what: dict[str, Any], after: bool
) -> None:
    session = cloud.session(cloud.upload(chest_mha))["api_url"]
    cloud.sandbox.arm(Fault(method="POST", path=JOBS, after=after, **what))
    if "reset" in what:
        with pytest.raises(httpx.TransportError):
            cloud.submit(upload_session=session)
    else:
        assert cloud.submit(upload_session=session).status_code == 504
    assert len(cloud.sandbox.ledger()) == after
    assert cloud.api.get("algorithms/jobs/").json()["count"] == after
    again = cloud.submit(upload_session=session)
    assert again.status_code == (400 if after else 201)
    assert len(cloud.sandbox.ledger()) == 1
    posts = [line["status"] for line in cloud.sandbox.requests("api") if line["path"].endswith("/jobs/")]
    assert posts[0] == what.get("status", 0)  # an answer that never left is logged as 0


def test_delay_is_on_the_wire_and_ends_when_disarmed(cloud: Any) -> None:
    number = cloud.sandbox.arm(Fault(delay_s=30, times=None))
    with pytest.raises(httpx.ReadTimeout):
        cloud.api.get("gcapi/", timeout=0.2)
    cloud.sandbox.disarm(number)
    began = time.monotonic()
    assert cloud.api.get("gcapi/").status_code == 200
    assert time.monotonic() - began < 5


def test_body_breaks_off_and_body_trickles(cloud: Any) -> None:
    whole = cloud.api.get("components/interfaces/").content
    cloud.sandbox.arm(Fault(cut_at=1000))
    with (
        pytest.raises(httpx.RemoteProtocolError),
        cloud.plain.stream("GET", "components/interfaces/", headers=cloud.api.headers) as answer,
    ):
        got = b""
        for piece in answer.iter_raw():
            got += piece
            assert got == whole[: len(got)]
            assert len(got) <= 1000
    cloud.sandbox.arm(Fault(chunk_pause_s=0.02))
    began = time.monotonic()
    assert cloud.api.get("components/interfaces/").content == whole
    assert time.monotonic() - began >= 0.2


def test_answer_is_changed_and_headers_are_left_out(cloud: Any, chest_mha: bytes) -> None:
    job = cloud.run(chest_mha)
    cloud.sandbox.arm(Fault(path="*/algorithms/jobs/*/", merge={"status": "Dreaming", "x": 1}))
    changed = cloud.job(job["pk"])
    assert (changed["status"], changed["x"]) == ("Dreaming", 1)
    assert cloud.job(job["pk"]) == job
    cloud.sandbox.arm(Fault(origin="store", method="PUT", drop_headers=("etag",)))
    made = cloud.api.post("uploads/", json={"filename": "x"}).json()
    action = f"uploads/{made['pk']}/{made['s3_upload_id']}"
    urls = cloud.api.patch(f"{action}/generate-presigned-urls/", json={"part_numbers": [1, 2]}).json()
    sent = [cloud.plain.put(urls["presigned_urls"][n], content=b"x") for n in "12"]
    assert ["etag" in answer.headers for answer in sent] == [False, True]


def test_part_is_lost_after_it_was_acknowledged(cloud: Any) -> None:
    made = cloud.api.post("uploads/", json={"filename": "x"}).json()
    action = f"uploads/{made['pk']}/{made['s3_upload_id']}"
    urls = cloud.api.patch(f"{action}/generate-presigned-urls/", json={"part_numbers": [1]}).json()
    cloud.sandbox.arm(Fault(origin="store", method="PUT", lose_part=True))
    sent = cloud.plain.put(urls["presigned_urls"]["1"], content=b"x")
    assert sent.status_code == 200
    part = {"ETag": sent.headers["ETag"], "PartNumber": 1}
    assert cloud.api.get(f"{action}/list-parts/").json()["parts"] == []
    done = cloud.api.patch(f"{action}/complete-multipart-upload/", json={"parts": [part]})
    assert done.status_code == 500
    assert cloud.plain.put(urls["presigned_urls"]["1"], content=b"x").status_code == 200
    assert cloud.api.patch(f"{action}/complete-multipart-upload/", json={"parts": [part]}).status_code == 200


def test_links_can_be_born_expired(cloud: Any, chest_mha: bytes) -> None:
    job = cloud.run(chest_mha)
    file = cloud.api.get(job["outputs"][0]["image"]).json()["files"][0]["file"]
    made = cloud.api.post("uploads/", json={"filename": "x"}).json()
    presign = f"uploads/{made['pk']}/{made['s3_upload_id']}/generate-presigned-urls/"
    cloud.sandbox.arm(Fault(path="/media/*", expired_links=True))
    cloud.sandbox.arm(Fault(path="*/generate-presigned-urls/", expired_links=True))
    for status in (403, 200):
        got = cloud.plain.get(cloud.api.get(file).headers["location"])
        url = cloud.api.patch(presign, json={"part_numbers": [1]}).json()["presigned_urls"]["1"]
        put = cloud.plain.put(url, content=b"x")
        assert (got.status_code, put.status_code) == (status, status)
        assert (b"Request has expired" in got.content) is (status == 403)


def test_fault_of_the_store_leaves_the_connection_usable(cloud: Any, chest_mha: bytes) -> None:
    job = cloud.run(chest_mha)
    file = cloud.api.get(job["outputs"][0]["image"]).json()["files"][0]["file"]
    cloud.sandbox.arm(Fault(origin="store", status=503, body="<?xml version='1.0'?><Error/>"))
    statuses = [cloud.plain.get(cloud.api.get(file).headers["location"]).status_code for _ in range(2)]
    assert statuses == [503, 200]


def test_name_that_is_no_field_is_told(cloud: Any) -> None:
    with pytest.raises(ValueError, match="no such key: staus"):
        Fault.of_json({"staus": 500})
