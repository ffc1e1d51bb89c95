"""The sandbox over the wire: the whole story, who may see what, and what is never sent where."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from tests.unit.sandbox.transcript import differences, exchanges, route, shape

from bridge.itk import ItkImage, read_image
from bridge.sandbox.grand_challenge.algorithm import lungs_and_airways

ALL_STATUSES = ("Validating inputs", "Queued", "Provisioned", "Executing", "Executed", "Succeeded")


def test_whole_story_from_upload_to_mask_and_value(
    cloud: Any, chest: ItkImage, chest_mha: bytes, tmp_path: Path
) -> None:
    session = cloud.session(cloud.upload(chest_mha, "0001.mha"))
    assert (session["status"], session["image_set"]) == ("Queued", [])
    posted = cloud.submit("lungs-and-airways", upload_session=session["api_url"])
    assert posted.status_code == 201
    assert posted.json()["inputs"] == []
    assert posted.json()["status"] == "Validating inputs"

    job = cloud.finished(posted.json()["pk"])
    assert job["status"] == "Succeeded"
    assert cloud.sandbox.platform.jobs[job["pk"]].history == ALL_STATUSES
    assert re.fullmatch(r"P0DT00H00M\d\d(\.\d{6})?S", job["exec_duration"])
    assert [(v["socket"]["slug"], v["socket"] == v["interface"]) for v in job["inputs"] + job["outputs"]] == [
        ("ct-image", True),
        ("low-attenuation-percent", True),
        ("lung-segmentation", True),
    ]

    expected = lungs_and_airways(chest)
    assert job["outputs"][0]["value"] == expected.low_attenuation_percent
    mask_url = job["outputs"][1]["image"]
    assert cloud.api.get(mask_url).json()["segments"] == [0, 1, 2, 3]
    file = cloud.download(mask_url, tmp_path / "mask.mha")
    mask = read_image(file)
    assert mask.array.dtype == np.uint8
    assert np.array_equal(mask.array, expected.labels)
    assert b"CompressedData = True" in file.read_bytes()

    image = cloud.api.get(job["inputs"][0]["image"]).json()
    assert (image["width"], image["height"], image["depth"], image["name"]) == (64, 64, 24, "0001.mha")
    assert image["files"][0]["file"].endswith(f"/{image['pk']}.mha")
    served = read_image(cloud.download(job["inputs"][0]["image"], tmp_path / "ct.mha"))
    assert np.array_equal(served.array, chest.array)
    assert (served.spacing_mm, served.origin_lps) == (chest.spacing_mm, chest.origin_lps)

    session = cloud.api.get(session["api_url"]).json()
    assert (session["status"], session["user_uploads"]) == ("Succeeded", [])
    assert session["image_set"] == [job["inputs"][0]["image"]]
    ledger = cloud.lines(cloud.sandbox.ledger_file)
    assert [(line["job"], line["algorithm"]) for line in ledger] == [(job["pk"], "lungs-and-airways")]


def test_answers_have_the_recorded_keys(cloud: Any, chest_mha: bytes, tmp_path: Path) -> None:
    job = cloud.run(chest_mha, "lungs-and-airways")
    for output in job["outputs"]:
        if output["image"]:
            cloud.download(output["image"], tmp_path / "x.mha")
    made = cloud.api.post("uploads/", json={"filename": "x"}).json()
    actions = f"uploads/{made['pk']}/{made['s3_upload_id']}"
    urls = cloud.api.patch(f"{actions}/generate-presigned-urls/", json={"part_numbers": [1, 2]}).json()
    cloud.plain.put(urls["presigned_urls"]["1"], content=b"x")
    cloud.api.get(f"{actions}/list-parts/")
    for path in ("gcapi/", "uploads/", "cases/images/", "cases/upload-sessions/", "algorithms/jobs/"):
        cloud.api.get(path)
    cloud.api.get("components/interfaces/", params={"slug": "lung-segmentation"})
    cloud.submit(image=job["inputs"][0]["image"])
    cloud.api.get(made["api_url"])

    recorded: dict[tuple[str, str, int], list[Any]] = {}
    for exchange in exchanges():
        body, request = exchange["response"].get("body"), exchange["request"]
        if exchange["section"] != "old-shapes" and isinstance(body, dict) and "..." not in body:
            key = (request["method"], route(request["url"]), exchange["response"]["status"])
            recorded.setdefault(key, []).append(shape(body))
    compared = set()
    for method, path, status, body in cloud.answers:
        key = (method, route(path), status)
        for other in recorded.get(key, ()):
            assert differences(shape(body), other) == [], key
            compared.add(key)
    assert len(compared) >= 15, sorted(compared)


def test_token_never_reaches_the_store_and_the_store_refuses_it(
    cloud: Any, chest_mha: bytes, tmp_path: Path
) -> None:
    job = cloud.run(chest_mha)
    file = cloud.api.get(job["outputs"][0]["image"]).json()["files"][0]["file"]
    cloud.download(job["outputs"][0]["image"], tmp_path / "x.mha")
    lines = cloud.lines(cloud.sandbox.requests_file)
    assert {line["authorization"] for line in lines if line["origin"] == "store"} == {False}
    assert {line["method"] for line in lines if line["origin"] == "store"} == {"PUT", "GET"}
    assert {line["authorization"] for line in lines if line["origin"] == "api"} == {True}
    assert not any("?" in line["path"] for line in lines)
    assert cloud.sandbox.token not in cloud.sandbox.requests_file.read_text()

    redirect = cloud.api.get(file)
    assert redirect.status_code == 302
    assert urlsplit(redirect.headers["location"]).port != urlsplit(cloud.sandbox.base_url).port
    refused = cloud.api.get(redirect.headers["location"])
    assert refused.status_code == 400
    assert b"<Code>InvalidArgument</Code>" in refused.content
    assert cloud.lines(cloud.sandbox.requests_file)[-1]["authorization"] is True


def test_signed_urls_run_out_and_hold_for_one_method_and_object(
    start_cloud: Callable[..., Any], chest_mha: bytes
) -> None:
    now = [1_800_000_000.0]
    cloud = start_cloud(clock=lambda: now[0])
    job = cloud.run(chest_mha)
    file = cloud.api.get(job["outputs"][0]["image"]).json()["files"][0]["file"]
    url = cloud.api.get(file).headers["location"]
    assert "X-Amz-Expires=3600" in url
    assert cloud.plain.get(url).status_code == 200
    for wrong in (cloud.plain.put(url, content=b"x"), cloud.plain.get(url.replace("/images/", "/other/"))):
        assert wrong.status_code == 403
        assert wrong.headers["content-type"] == "application/xml"
        assert b"SignatureDoesNotMatch" in wrong.content
    now[0] += 3599
    assert cloud.plain.get(url).status_code == 200
    now[0] += 2
    late = cloud.plain.get(url)
    assert (late.status_code, b"Request has expired" in late.content) == (403, True)
    assert cloud.plain.get(cloud.api.get(file).headers["location"]).status_code == 200


NO_CREDENTIALS = "Authentication credentials were not provided."
FORBIDDEN = "You do not have permission to perform this action."
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("authorization", "method", "path", "status", "answer"),
    [
        ("Bearer {token}", "GET", "algorithms/?slug=identity-mask", 200, 1),
        ("BEARER {token}", "GET", "algorithms/?slug=identity-mask", 200, 1),
        (None, "GET", "algorithms/?slug=identity-mask", 200, 0),
        ("Token {token}", "GET", "algorithms/?slug=identity-mask", 200, 0),
        (None, "GET", "algorithms/jobs/", 200, 0),
        (f"Bearer {'ab' * 32}", "GET", "algorithms/", 401, "Invalid token."),
        ("Bearer hello", "GET", "algorithms/", 401, "Invalid token."),
        ("Bearer a b", "GET", "algorithms/", 401, "Invalid token header. Token string should not contain spaces."),
        ("Bearer", "GET", "algorithms/", 401, "Invalid token header. No credentials provided."),
        (None, "GET", f"algorithms/{NOBODY}/", 404, "No Algorithm matches the given query."),
        (None, "GET", "components/interfaces/?slug=ct-image", 401, NO_CREDENTIALS),
        (None, "POST", "uploads/", 401, NO_CREDENTIALS),
        (None, "POST", "algorithms/jobs/", 401, NO_CREDENTIALS),
        ("Bearer {token}", "GET", "components/interfaces/?limit=1", 200, 33),
        ("Bearer {token}", "GET", "algorithms/images/", 200, 0),
        ("Bearer {token}", "DELETE", f"algorithms/jobs/{NOBODY}/", 403, FORBIDDEN),
        ("Bearer {token}", "PATCH", f"algorithms/jobs/{NOBODY}/", 403, FORBIDDEN),
        ("Bearer {token}", "DELETE", f"uploads/{NOBODY}/", 403, FORBIDDEN),
        ("Bearer {token}", "POST", f"uploads/{NOBODY}/x/list-parts/", 405, 'Method "POST" not allowed.'),
        ("Bearer {stranger}", "GET", "algorithms/?slug=identity-mask", 200, 0),
        ("Bearer {stranger}", "GET", "components/interfaces/", 200, 33),
    ],
)  # fmt: skip
def test_who_may_do_what(
    cloud: Any, authorization: str | None, method: str, path: str, status: int, answer: int | str
) -> None:
    stranger = cloud.sandbox.add_user(may_run=False)
    given = (authorization or "").format(token=cloud.sandbox.token, stranger=stranger)
    headers = {"Authorization": given} if authorization else {}
    response = cloud.plain.request(method, path, headers=headers)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert response.json()["detail" if isinstance(answer, str) else "count"] == answer
    assert (response.headers.get("www-authenticate") == "Bearer") is (status == 401)


def test_other_users_objects_are_not_there(cloud: Any, chest_mha: bytes) -> None:
    upload = cloud.upload(chest_mha)
    job = cloud.run(chest_mha)
    image = cloud.api.get(job["inputs"][0]["image"]).json()
    other = cloud.client(cloud.sandbox.add_user())
    for url, model in ((upload, "UserUpload"), (job["api_url"], "Job"), (image["api_url"], "Image")):
        answer = other.get(url)
        assert (answer.status_code, answer.json()) == (
            404,
            {"detail": f"No {model} matches the given query."},
        )
    for path in ("uploads/", "cases/upload-sessions/", "cases/images/", "algorithms/jobs/"):
        assert other.get(path).json()["count"] == 0
    for client in (other, cloud.plain):
        media = client.get(image["files"][0]["file"])
        assert (media.status_code, media.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert other.get(f"{cloud.sandbox.base_url[:-7]}media/components/x/y.json").status_code == 404
    inputs = [{"interface": "ct-image", "user_uploads": [upload]}]
    refused = other.post("algorithms/jobs/", json={"algorithm": cloud.algorithm(), "inputs": inputs})
    assert refused.json() == {"inputs": [{"user_uploads": ["Invalid hyperlink - Object does not exist."]}]}
    other.close()


def test_paths_end_with_a_slash(cloud: Any) -> None:
    for method in ("GET", "POST"):
        moved = cloud.api.request(method, "algorithms/jobs")
        assert (moved.status_code, moved.headers["location"]) == (301, "/api/v1/algorithms/jobs/")
    missing = cloud.api.get("nothere/")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("query", "count_here", "following", "preceding"),
    [
        ("", 33, None, None),
        ("limit=2", 2, "limit=2&offset=2", None),
        ("limit=20&offset=20", 13, None, "limit=20"),
        ("limit=1&offset=2&x=7", 1, "limit=1&offset=3&x=7", "limit=1&offset=1&x=7"),
        ("limit=0", 33, None, None),
        ("limit=99999&nonsense=1", 33, None, None),
        ("limit=2&offset=9999", 0, None, "limit=2&offset=9997"),
    ],
)
def test_lists_come_in_pages(
    cloud: Any, query: str, count_here: int, following: str | None, preceding: str | None
) -> None:
    page = cloud.api.get(f"components/interfaces/?{query}").json()
    url = f"{cloud.sandbox.base_url}components/interfaces/?"
    assert (page["count"], len(page["results"])) == (33, count_here)
    assert page["next"] == (following and url + following)
    assert page["previous"] == (preceding and url + preceding)


def test_jobs_come_oldest_first_and_by_filter(cloud: Any, chest_mha: bytes) -> None:
    jobs = [cloud.run(chest_mha, slug) for slug in ("identity-mask", "lungs-and-airways", "identity-mask")]
    image = jobs[1]["inputs"][0]["image"]
    listed = cloud.api.get("algorithms/jobs/").json()
    assert [job["pk"] for job in listed["results"]] == [job["pk"] for job in jobs]

    def found(**query: str) -> list[str]:
        return [job["pk"] for job in cloud.api.get("algorithms/jobs/", params=query).json()["results"]]

    algorithm = cloud.algorithm("lungs-and-airways").split("/")[-2]
    assert found(algorithm_image__algorithm=algorithm) == [jobs[1]["pk"]]
    assert found(input_image=image.split("/")[-2]) == [jobs[1]["pk"]]
    assert found(output_image=jobs[2]["outputs"][0]["image"].split("/")[-2]) == [jobs[2]["pk"]]
    assert found(algorithm=algorithm) == [job["pk"] for job in jobs]  # ignored, as there
    for value, sentence in (
        (NOBODY, "Select a valid choice. That choice is not one of the available choices."),
        ("xyz", "“xyz” is not a valid UUID."),
    ):
        refused = cloud.api.get("algorithms/jobs/", params={"input_image": value})
        assert (refused.status_code, refused.json()) == (400, {"input_image": [sentence]})
    assert cloud.api.get("cases/images/", params={"job_output": NOBODY}).status_code == 500


def test_outputs_are_absent_while_a_job_executes(start_cloud: Callable[..., Any], chest_mha: bytes) -> None:
    cloud = start_cloud(compute_seconds=0.4)
    session = cloud.session(cloud.upload(chest_mha))
    pk = cloud.submit(upload_session=session["api_url"]).json()["pk"]
    seen = {}
    while (job := cloud.api.get(f"algorithms/jobs/{pk}/").json())["status"] != "Succeeded":
        seen[job["status"]] = job
    assert seen["Executing"]["outputs"] == []
    assert [v["socket"]["slug"] for v in seen["Executing"]["inputs"]] == ["ct-image"]
    assert seen["Executing"]["exec_duration"] is None
    assert cloud.sandbox.platform.jobs[pk].exec_s >= 0.4


def test_input_without_lungs_ends_as_failed(
    cloud: Any, chest: ItkImage, mha: Callable[[ItkImage], bytes]
) -> None:
    water = mha(replace(chest, array=np.zeros((4, 8, 8), dtype=np.int16)))
    job = cloud.run(water, "lungs-and-airways")
    assert (job["status"], job["outputs"], len(job["inputs"])) == ("Failed", [], 1)


def test_connection_is_kept_and_a_silent_client_holds_up_nobody(cloud: Any) -> None:
    where = urlsplit(cloud.sandbox.base_url)
    with socket.create_connection((where.hostname, where.port)):
        connection = http.client.HTTPSConnection(where.hostname, where.port, context=cloud.tls, timeout=5)
        for _ in range(2):
            connection.request("POST", "/api/v1/uploads/", body=b"not read by the answer")
            response = connection.getresponse()
            assert (response.status, response.version) == (401, 11)
            response.read()
        used = connection.sock
        connection.request("GET", "/api/v1/gcapi/")
        assert connection.getresponse().status == 200
        assert connection.sock is used
        connection.close()


def test_certificate_holds_for_localhost_and_token_is_private(cloud: Any) -> None:
    url = cloud.sandbox.base_url.replace("127.0.0.1", "localhost")
    assert cloud.plain.get(f"{url}gcapi/").status_code == 200
    assert stat.S_IMODE(cloud.sandbox.token_file.stat().st_mode) == 0o600
    assert re.fullmatch(r"[0-9a-f]{64}", cloud.sandbox.token)


def test_command_line_says_when_it_is_ready_and_ends_on_sigterm(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge.sandbox.grand_challenge", str(tmp_path / "gc")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        assert ready["ready"] is True
        assert ready["algorithm"] == "lungs-and-airways"
        assert re.fullmatch(r"https://127\.0\.0\.1:\d+/api/v1/", ready["base_url"])
        assert Path(ready["ca"]).read_text().startswith("-----BEGIN CERTIFICATE-----")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
        assert (process.returncode, errors) == (0, "")
    finally:
        process.kill()
