"""What the sandbox refuses, with the platform's own statuses and sentences."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from bridge.sandbox.grand_challenge import Limits

GONE = "Invalid hyperlink - Object does not exist."
NOBODY = "00000000-0000-4000-8000-000000000000"
MIB = 1 << 20


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "This field is required."),
        ({"filename": "a/b.mha"}, "a/b.mha is not a valid filename"),
        ({"filename": "a" * 129}, "Ensure this field has no more than 128 characters."),
    ],
)
def test_upload_name_is_checked(cloud: Any, body: dict[str, str], sentence: str) -> None:
    refused = cloud.api.post("uploads/", json=body)
    assert (refused.status_code, refused.json()) == (400, {"filename": [sentence]})


class Parts:
    """An upload whose parts are sent one by one."""

    def __init__(self, cloud: Any) -> None:
        self.cloud = cloud
        self.made = cloud.api.post("uploads/", json={"filename": "big.mha"}).json()
        self.path = f"uploads/{self.made['pk']}/{self.made['s3_upload_id']}"

    def act(self, action: str, **body: Any) -> Any:
        return self.cloud.api.patch(f"{self.path}/{action}/", json=body)

    def url(self, number: int) -> str:
        return self.act("generate-presigned-urls", part_numbers=[number]).json()["presigned_urls"][
            str(number)
        ]

    def put(self, number: int, content: bytes) -> dict[str, Any]:
        etag = self.cloud.plain.put(self.url(number), content=content).headers["ETag"]
        assert etag == f'"{hashlib.md5(content).hexdigest()}"'
        return {"ETag": etag, "PartNumber": number}

    def listed(self) -> Any:
        return self.cloud.api.get(f"{self.path}/list-parts/")


def test_parts_in_any_order_become_one_object(cloud: Any) -> None:
    upload = Parts(cloud)
    pieces = {1: b"a" * (5 * MIB), 2: b"b" * (6 * MIB), 3: b"c"}
    parts = [upload.put(number, pieces[number]) for number in (3, 1, 2)]
    assert [(p["PartNumber"], p["Size"]) for p in upload.listed().json()["parts"]] == [
        (1, 5 * MIB),
        (2, 6 * MIB),
        (3, 1),
    ]
    assert upload.act("complete-multipart-upload", parts=parts).json()["status"] == "Completed"
    key = cloud.sandbox.platform.uploads[upload.made["pk"]].key
    stored = cloud.sandbox.store.path("grand-challenge-uploads", key).read_bytes()
    assert stored == pieces[1] + pieces[2] + pieces[3]


def test_complete_refuses_with_a_crash_page(cloud: Any) -> None:
    upload = Parts(cloud)
    small, last = upload.put(1, b"a" * (5 * MIB - 1)), upload.put(2, b"b")
    for parts in ([], [small, last], [{**last, "ETag": '"0"'}], [{"ETag": "x", "PartNumber": 9}]):
        crashed = upload.act("complete-multipart-upload", parts=parts)
        assert (crashed.status_code, crashed.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert upload.act("complete-multipart-upload").status_code == 400
    assert upload.listed().json()["status"] == "Initialized"
    assert upload.act("complete-multipart-upload", parts=[small]).status_code == 200


def test_finished_upload_refuses_every_action(cloud: Any) -> None:
    upload = Parts(cloud)
    url = upload.url(1)
    parts = [upload.put(1, b"x")]
    assert upload.act("complete-multipart-upload", parts=parts).status_code == 200
    assert upload.act("complete-multipart-upload", parts=parts).status_code == 500
    assert upload.act("abort-multipart-upload").status_code == 500
    assert upload.listed().status_code == 500
    again = upload.act("generate-presigned-urls", part_numbers=[1])
    assert (again.status_code, again.json()) == (403, {"detail": "Upload limit reached"})
    late = cloud.plain.put(url, content=b"x")
    assert (late.status_code, b"NoSuchUpload" in late.content) == (404, True)
    assert cloud.api.get(upload.made["api_url"]).json()["status"] == "Completed"


def test_aborted_upload_has_no_store_id(cloud: Any) -> None:
    upload = Parts(cloud)
    upload.put(1, b"x")
    aborted = upload.act("abort-multipart-upload").json()
    assert (aborted["status"], aborted["s3_upload_id"]) == ("Aborted", "")
    assert (upload.listed().status_code, upload.listed().json()) == (404, {"detail": "Not found."})


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({}, {"non_field_errors": ["The `part_numbers` field is required"]}),
        (
            {"part_numbers": [0]},
            {"part_numbers": {"0": ["Ensure this value is greater than or equal to 1."]}},
        ),
        (
            {"part_numbers": [1, 10001]},
            {"part_numbers": {"1": ["Ensure this value is less than or equal to 10000."]}},
        ),
    ],
)
def test_part_numbers_are_checked(cloud: Any, body: dict[str, Any], answer: dict[str, Any]) -> None:
    refused = Parts(cloud).act("generate-presigned-urls", **body)
    assert (refused.status_code, refused.json()) == (400, answer)


def test_part_that_breaks_off_is_no_part(cloud: Any) -> None:
    upload = Parts(cloud)

    def half() -> Any:
        yield b"x" * 1000
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cloud.plain.put(upload.url(1), content=half(), headers={"Content-Length": "2000"})
    assert upload.listed().json()["parts"] == []


def test_session_takes_completed_uploads_only(cloud: Any) -> None:
    open_upload = Parts(cloud).made["api_url"]
    refused = cloud.api.post("cases/upload-sessions/", json={"uploads": [open_upload]})
    assert (refused.status_code, refused.json()) == (400, {"uploads": [GONE]})
    assert cloud.api.post("cases/upload-sessions/", json={"uploads": []}).status_code == 500


def test_session_makes_one_job_and_its_upload_is_consumed(cloud: Any, chest_mha: bytes) -> None:
    upload = cloud.upload(chest_mha)
    session = cloud.session(upload)["api_url"]
    first = cloud.submit(upload_session=session)
    assert first.status_code == 201
    assert cloud.api.get(session).json()["status"] in ("Re-Queued", "Succeeded")
    for _ in range(2):
        second = cloud.submit(upload_session=session)
        assert (second.status_code, second.json()) == (400, {"inputs": [{"upload_session": [GONE]}]})
        cloud.finished(first.json()["pk"])
    assert cloud.api.get(upload).json() == {"detail": "No UserUpload matches the given query."}
    assert cloud.submit(user_uploads=[upload]).json() == {"inputs": [{"user_uploads": [GONE]}]}
    assert len(cloud.lines(cloud.sandbox.ledger_file)) == 1


def test_unreadable_input_cancels_the_job_and_the_session_says_why(cloud: Any) -> None:
    upload = cloud.upload(b"no image at all")
    session = cloud.session(upload)["api_url"]
    job = cloud.finished(cloud.submit(upload_session=session).json()["pk"])
    assert (job["status"], job["inputs"], job["outputs"]) == ("Cancelled", [], [])
    told = cloud.api.get(session).json()
    sentence = "Image validation for socket CT image failed with error: 1 file could not be imported."
    assert (told["status"], told["error_message"]) == ("Failed", sentence)
    assert told["uploads"] == [upload]


def test_two_images_in_one_session_cancel_the_job(cloud: Any, chest_mha: bytes) -> None:
    uploads = [cloud.upload(chest_mha, name) for name in ("a.mha", "b.mha")]
    session = cloud.session(*uploads)["api_url"]
    job = cloud.finished(cloud.submit(upload_session=session).json()["pk"])
    told = cloud.api.get(session).json()
    assert job["status"] == "Cancelled"
    assert told["error_message"].endswith("failed with error: Image imports should result in a single image.")
    assert (len(told["image_set"]), told["uploads"]) == (2, [])


def test_incomplete_upload_is_accepted_and_the_job_cancelled(cloud: Any) -> None:
    posted = cloud.submit(user_uploads=[Parts(cloud).made["api_url"]])
    assert posted.status_code == 201
    assert cloud.finished(posted.json()["pk"])["status"] == "Cancelled"


def test_uploads_without_a_session_of_ours_make_one_inside(cloud: Any, chest_mha: bytes) -> None:
    unused = dict.fromkeys(("value", "file", "image", "upload_session", "user_upload", "image_name"))
    posted = cloud.submit(user_uploads=[cloud.upload(chest_mha)], **unused)
    assert cloud.finished(posted.json()["pk"])["status"] == "Succeeded"
    assert cloud.api.get("cases/upload-sessions/").json()["count"] == 1


PERCENT = "low-attenuation-percent"
NO_MATCH = (
    "The set of inputs provided does not match any of the algorithm's interfaces. This algorithm supports the "
    "following input combinations: Interface 1: CT image (Image)"
)
NEEDED = "upload_session, user_uploads or image are required for interface kind IMG"
NO_KEY = (
    "You must provide at least one of ['image', 'value', 'file', 'user_upload', 'upload_session', "
    "('image_name', 'user_uploads')]."
)

ONE_KEY = NO_KEY.replace("must provide at least", "can only provide").removesuffix(".") + " for each socket."


@pytest.mark.parametrize(
    ("inputs", "answer"),
    [
        ([], {"non_field_errors": [NO_MATCH]}),
        ([{"interface": "nope", "value": 1}], {"inputs": [{"interface": ["Object with slug=nope does not exist."]}]}),
        ([{"value": 1}], {"inputs": [{"interface": ["This field is required."]}]}),
        ([{"interface": "ct-image"}], {"inputs": [{"non_field_errors": [NO_KEY]}]}),
        ([{"interface": "ct-image", "user_uploads": None}], {"inputs": [{"non_field_errors": [NEEDED]}]}),
        ([{"interface": "ct-image", "user_uploads": []}], {"inputs": [{"non_field_errors": [NEEDED]}]}),
        (
            [{"interface": "ct-image", "value": 3, "image_name": "x"}],
            {"inputs": [{"non_field_errors": [ONE_KEY]}]},
        ),
        ([{"interface": "ct-image", "value": 3}], {"inputs": [{"non_field_errors": [NEEDED]}]}),
        (
            [{"interface": "ct-image", "image": f"https://x.example/api/v1/cases/images/{NOBODY}/"}],
            {"inputs": [{"image": [GONE]}]},
        ),
        (
            [{"interface": "ct-image", "image": NOBODY}],
            {"inputs": [{"image": ["Invalid hyperlink - No URL match."]}]},
        ),
        (
            [{"interface": PERCENT, "value": "x"}, {"interface": PERCENT, "value": None}],
            {
                "inputs": [
                    {"__all__": ["JSON does not fulfill schema: instance 'x' is not of type 'number'"]},
                    {"non_field_errors": ["value is required for interface kind FLT"]},
                ]
            },
        ),
        ([{"interface": PERCENT, "value": 3.5}], {"non_field_errors": [NO_MATCH]}),
    ],
)  # fmt: skip
def test_inputs_are_checked_one_by_one(cloud: Any, inputs: list[Any], answer: dict[str, Any]) -> None:
    refused = cloud.api.post("algorithms/jobs/", json={"algorithm": cloud.algorithm(), "inputs": inputs})
    assert (refused.status_code, refused.json()) == (400, answer)
    assert cloud.sandbox.ledger_file.read_text() == ""


@pytest.mark.parametrize(
    ("algorithm", "sentence"),
    [
        ("lungs-and-airways", "Invalid hyperlink - No URL match."),
        (f"https://x.example/api/v1/algorithms/{NOBODY}/", GONE),
        (f"https://x.example/api/v1/uploads/{NOBODY}/", "Invalid hyperlink - Incorrect URL match."),
    ],
)
def test_algorithm_is_named_by_its_address(
    cloud: Any, chest_mha: bytes, algorithm: str, sentence: str
) -> None:
    inputs = [{"interface": "ct-image", "user_uploads": [cloud.upload(chest_mha)]}]
    refused = cloud.api.post("algorithms/jobs/", json={"algorithm": algorithm, "inputs": inputs})
    assert (refused.status_code, refused.json()) == (400, {"algorithm": [sentence]})


def test_empty_body_names_both_fields(cloud: Any) -> None:
    refused = cloud.api.post("algorithms/jobs/", json={})
    required = ["This field is required."]
    assert (refused.status_code, refused.json()) == (400, {"algorithm": required, "inputs": required})


def test_same_image_twice_is_a_duplicate_until_the_version_changes(cloud: Any, chest_mha: bytes) -> None:
    image = cloud.run(chest_mha)["inputs"][0]["image"]
    refused = cloud.submit(image=image)
    sentence = "A result for these inputs with the current image and model already exists."
    assert (refused.status_code, refused.json()) == (400, {"non_field_errors": [sentence]})
    assert (
        cloud.submit(image=image.replace("https://127.0.0.1", "http://other.example")).json()
        == refused.json()
    )
    other = cloud.submit("lungs-and-airways", image=image)
    assert [v["image"] for v in other.json()["inputs"]] == [image]
    cloud.sandbox.platform.new_algorithm_image("identity-mask")
    assert cloud.submit(image=image).status_code == 201


def test_full_queue_hides_a_wrong_set_of_inputs(start_cloud: Callable[..., Any], chest_mha: bytes) -> None:
    cloud = start_cloud(limits=Limits(active_jobs=1), compute_seconds=20)
    first = cloud.submit(upload_session=cloud.session(cloud.upload(chest_mha))["api_url"])
    assert first.status_code == 201
    refused = cloud.api.post("algorithms/jobs/", json={"algorithm": cloud.algorithm(), "inputs": []})
    sentence = "You have too many active jobs, please try again after they have completed"
    assert refused.json() == {"non_field_errors": [sentence]}


def test_credits_run_out(start_cloud: Callable[..., Any], chest_mha: bytes) -> None:
    cloud = start_cloud(limits=Limits(credits=20))
    cloud.run(chest_mha)
    refused = cloud.submit(user_uploads=[cloud.upload(chest_mha)])
    assert refused.json() == {"non_field_errors": ["You have run out of algorithm credits"]}
