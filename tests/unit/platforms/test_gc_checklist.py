"""Which test speaks of which line of the platform's description, and that every recorded answer can be read.

The rows of its retry table are tests themselves, in `test_gc_retry_table`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.unit.platforms.test_gc_whole import House
from tests.unit.sandbox.transcript import exchanges, route

from bridge.errors import BridgeError
from bridge.platforms import Verdict
from bridge.platforms.grand_challenge.shapes import (
    Algorithm,
    Image,
    Job,
    Listing,
    MadeJob,
    Upload,
    UploadSession,
    Wire,
)
from bridge.sandbox.grand_challenge import Fault, Sandbox

TESTS = Path(__file__).resolve().parents[2]

TRAPS = {
    "1 bad input ends as Cancelled without a reason": ["test_reason_of_a_refused_image_is_told"],
    "2 duplicates, in any status": [
        "test_row_400_already_exists_finds_the_job",
        "test_duplicate_of_a_job_that_failed_is_that_job",
        "test_duplicate_of_somebody_else_is_a_matter_for_a_person",
    ],
    "3 pinning is not possible in the request": [
        "test_version_that_is_being_changed_is_waited_for_and_the_new_one_is_told",
        "test_result_of_another_version_than_the_rule_declares_is_held",
    ],
    "4 one upload, one use": [
        "test_row_400_user_upload_gone_finds_the_job_or_sends_again",
        "test_used_session_is_unsure_and_nothing_is_sent",
    ],
    "5 incomplete uploads are accepted": [
        "test_upload_that_the_platform_would_cancel_the_job_for_is_sent_again"
    ],
    "6 complete, list, abort on a finished upload: 500": [
        "test_completion_that_answered_500_is_looked_at_and_believed",
        "test_upload_that_the_store_forgot_is_begun_anew",
    ],
    "7 403 means quota or not in Initialized": [
        "test_full_quota_that_was_a_finished_upload_is_seen_by_its_status"
    ],
    "8 unknown filters give everything": [
        "test_filters_are_those_that_the_server_knows",
        "test_images_of_a_server_that_ignores_the_filter_stop_nothing",
        "test_filter_that_the_server_ignores_does_not_give_another_algorithm",
    ],
    "9 lists without an order": ["test_order_of_a_list_decides_nothing"],
    "10 an invalid JSON file hangs for ever": [
        "test_file_of_the_site_is_sent_where_it_is_what_the_socket_takes",
        "test_kind_of_a_file_is_told_by_what_it_holds",
    ],
    "11 image_name leads down the DICOM path": ["test_no_request_names_an_image"],
    "12 a job is visible to its creator only": [
        "test_job_that_another_user_s_token_does_not_see_is_never",
        "test_session_that_another_user_s_token_does_not_see_is_a_matter_for_a_person",
    ],
    "13 an account that never logged in is deleted": ["test_what_no_code_can_mend_is_on_the_page"],
    "14 5xx and media errors are HTML": ["test_page_of_the_media_server_is_never_taken_for_a_file"],
    "15 nulls and empty lists are normal": [
        "test_recorded_answer_is_read",
        "test_keys_and_words_that_nobody_knows_do_no_harm",
    ],
    "16 nothing can be deleted": ["test_stop_and_forget_promise_no_more_than_the_capabilities"],
    "17 links may dangle": [
        "test_input_that_was_withdrawn_does_not_hide_the_outputs",
        "test_output_that_is_not_to_be_had_does_not_take_the_others_with_it",
    ],
}

SANDBOX = {
    "1 TLS, second origin, signed URLs": [
        "test_signed_urls_run_out_and_hold_for_one_method_and_object",
        "test_token_never_reaches_the_store_and_the_store_refuses_it",
    ],
    "2 content type, lists, unknown parameters": ["test_lists_come_in_pages"],
    "3 who may do what": ["test_who_may_do_what", "test_other_users_objects_are_not_there"],
    "4 versions, algorithms, sockets, archives": ["test_answers_have_the_recorded_keys"],
    "5 both shapes, several interfaces": [
        "test_old_shape_has_inputs_and_outputs_and_leaves_out_defaults",
        "test_set_of_inputs_must_be_exactly_one_of_the_interfaces",
    ],
    "6 uploads with real rules": [
        "test_complete_refuses_with_a_crash_page",
        "test_limits_refuse_in_the_platforms_words",
        "test_uploads_die_after_a_day_and_their_session_imports_nothing",
    ],
    "7 sessions are one-shot": ["test_session_makes_one_job_and_its_upload_is_consumed"],
    "8 checks in their order": [
        "test_full_queue_hides_a_wrong_set_of_inputs",
        "test_credits_run_out",
        "test_same_image_twice_is_a_duplicate_until_the_version_changes",
    ],
    "9 all labels": ["test_every_label_can_be_shown_and_let_go"],
    "10 socket and interface": ["test_versions_of_the_platform_by_switch"],
    "11 images encoded again": ["test_whole_story_from_upload_to_mask_and_value"],
    "12 oldest first": ["test_jobs_come_oldest_first_and_by_filter"],
    "13 another version": ["test_version_changes_between_two_jobs_and_may_be_none"],
    "14 outputs of all kinds": ["test_mask_leaves_the_algorithm_as_asked", "test_nan_becomes_null"],
    "15 faults": [
        "test_answer_is_lost_before_or_after_the_job_exists",
        "test_part_is_lost_after_it_was_acknowledged",
        "test_retry_after_in_seconds_and_as_a_date_of_the_sandbox",
        "test_status_goes_back_and_on_again",
    ],
    "16 the log of requests": ["test_token_is_seen_wherever_it_stands_also_when_it_is_good_no_more"],
    "17 the official client": ["test_official_client_runs_a_job_with_image_value_and_file"],
}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with Sandbox(tmp_path / "sandbox") as sandbox:
        yield House(sandbox, tmp_path)


@cache
def names_of_tests() -> frozenset[str]:
    return frozenset(
        name for file in TESTS.rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())
    )


@pytest.mark.parametrize(
    ("line", "tests"),
    [*TRAPS.items(), *SANDBOX.items()],
    ids=[*(f"trap {line}" for line in TRAPS), *(f"sandbox {line}" for line in SANDBOX)],
)
def test_line_of_the_description_has_its_tests(line: str, tests: list[str]) -> None:
    assert tests
    assert set(tests) - names_of_tests() == set(), line


MODELS: dict[tuple[str, str], type[Wire]] = {
    ("GET", "algorithms/"): Listing[Algorithm],
    ("GET", "algorithms/jobs/"): Listing[Job],
    ("POST", "algorithms/jobs/"): MadeJob,
    ("GET", "algorithms/jobs/{pk}/"): Job,
    ("GET", "cases/images/"): Listing[Image],
    ("GET", "cases/images/{pk}/"): Image,
    ("GET", "cases/upload-sessions/"): Listing[UploadSession],
    ("POST", "cases/upload-sessions/"): UploadSession,
    ("GET", "cases/upload-sessions/{pk}/"): UploadSession,
    ("GET", "uploads/"): Listing[Upload],
    ("POST", "uploads/"): Upload,
    ("GET", "uploads/{pk}/"): Upload,
    ("GET", "uploads/{pk}/{s3}/list-parts/"): Upload,
    ("PATCH", "uploads/{pk}/{s3}/generate-presigned-urls/"): Upload,
    ("PATCH", "uploads/{pk}/{s3}/complete-multipart-upload/"): Upload,
    ("PATCH", "uploads/{pk}/{s3}/abort-multipart-upload/"): Upload,
}


@pytest.mark.parametrize(("call", "model"), MODELS.items(), ids=[" ".join(call) for call in MODELS])
def test_recorded_answer_is_read(call: tuple[str, str], model: type[Wire]) -> None:
    """Every answer that the server's own code gave to a call of ours, nulls and empty lists among them."""
    read = 0
    for exchange in exchanges():
        request, response = exchange["request"], exchange["response"]
        path = route(request["url"]).removeprefix("/api/v1/")
        body = response.get("body")
        if (request["method"], path) != call or response["status"] >= 300 or not isinstance(body, dict):
            continue
        # Some long ones were cut by hand.
        if "..." not in str(body) and "<int>" not in str(body):
            model.model_validate(body)
            read += 1
    assert read


@pytest.mark.slow
def test_requests_of_ours_have_keys_that_the_server_was_given(house: House) -> None:
    """Paths and keys of a whole job against those of the record."""
    recorded: dict[tuple[str, str], set[str]] = {}
    for exchange in exchanges():
        request = exchange["request"]
        key = (request["method"], route(request["url"]))
        recorded.setdefault(key, set()).update(_keys(request.get("json")))
    bodies = sent_by_one_job(house)
    assert {key[0] for key in bodies} >= {"POST", "PATCH"}
    for key, body in bodies.items():
        assert _keys(body) - recorded[key] == set(), key


@pytest.mark.slow
def test_no_request_names_an_image(house: House) -> None:
    bodies = sent_by_one_job(house)
    assert any("upload_session" in _keys(body) for body in bodies.values())
    assert not any("image_name" in _keys(body) for body in bodies.values())


@pytest.mark.slow
def test_filters_are_those_that_the_server_knows(house: House) -> None:
    asked = []
    house.sandbox.behave(sessions_view_only=True)
    seen = house.sandbox._api_origin._server.answer

    def answer(request: Any) -> Any:
        asked.append((request.path.removeprefix("/api/v1/"), set(request.parameters)))
        return seen(request)

    house.sandbox._api_origin._server.answer = answer
    house.sandbox.arm(Fault(method="POST", path="*/algorithms/jobs/", status=504, after=True))
    house.finish(house.prepare("identity-mask", ct_image=house.chest))
    known = {
        "algorithms/": {"slug", "limit", "offset"},
        "algorithms/jobs/": {"algorithm_image__algorithm", "input_image", "limit", "offset"},
        "cases/images/": {"name", "limit", "offset"},
        "cases/upload-sessions/": {"limit", "offset"},
        "uploads/": {"limit", "offset"},
    }
    with_query = [(path, names) for path, names in asked if names and path in known]
    assert {path for path, _ in with_query} >= {"algorithms/jobs/", "cases/images/", "uploads/"}
    for path, names in with_query:
        assert names <= known[path], path


@pytest.mark.slow
def test_order_of_a_list_decides_nothing(house: House) -> None:
    """Uploads and sessions of other jobs stand before and behind ours, and in no order."""
    platform = house.sandbox.platform
    real_uploads, real_sessions = platform.uploads_of, platform.sessions_of
    platform.uploads_of = lambda user: real_uploads(user)[::-1]  # type: ignore[method-assign]
    platform.sessions_of = lambda user: real_sessions(user)[::-1]  # type: ignore[method-assign]
    house.sandbox.set_limits(active_jobs=0)
    engines = [house.prepare("identity-mask", ct_image=house.chest) for _ in range(3)]
    for engine in engines:
        assert house.try_to(engine, "create").code == "GC-101"
    house.sandbox.set_limits(active_jobs=16)
    for engine in engines[1::-1] + engines[2:]:
        engine.keep(type(engine.job)(key=engine.job.key))
        assert house.finish(engine).verdict is Verdict.DONE
    assert len({engine.job.remote_id for engine in engines}) == house.billed() == 3


@pytest.mark.slow
def test_duplicate_of_a_job_that_failed_is_that_job(house: House, tmp_path: Path) -> None:
    """Inputs by image and value alone: a failed job stands in the way of every later one."""
    image = house.sandbox.add_image(tmp_path / "chest.mha")
    house.sandbox.hold("Executing")
    first, second = (house.prepare("identity-mask", {"ct-image": {"image": image.pk}}) for _ in range(2))
    house.run(first.submit, first)
    house.sandbox.set_status(first.job.remote_id, "Failed")
    assert house.finish(second).verdict is Verdict.FAILED
    assert second.job.remote_id == first.job.remote_id
    fresh = [house.prepare("identity-mask", ct_image=house.chest) for _ in range(2)]
    house.sandbox.release()
    for engine in fresh:
        assert house.finish(engine).verdict is Verdict.DONE
    assert house.billed() == 3, "uploads are never duplicates"


def test_what_no_code_can_mend_is_on_the_page() -> None:
    page = (TESTS.parent / "docs" / "platforms" / "grand-challenge.md").read_text(encoding="utf-8")
    for words in ("one that never did is deleted after 14 days", "2 GiB in uploads", "for ever"):
        assert words in " ".join(page.split())


def sent_by_one_job(house: House) -> dict[tuple[str, str], Any]:
    """Bodies of one job's requests by method and path, with a fault on the way so that it is looked for too."""
    bodies: dict[tuple[str, str], Any] = {}
    seen = house.sandbox._api_origin._server.answer

    def answer(request: Any) -> Any:
        real = request.body.whole

        def whole() -> bytes:
            data: bytes = real()
            bodies[request.method, route(request.path)] = json.loads(data or b"null")
            return data

        request.body.whole = whole
        return seen(request)

    house.sandbox._api_origin._server.answer = answer
    engine = house.prepare("all-kinds", {"threshold": -400, "options-file": {}}, ct_image=house.chest)
    house.sandbox.arm(Fault(path="*/generate-presigned-urls/", status=503, retry_after_s=0))
    try:
        house.finish(engine)
    except BridgeError as error:
        raise AssertionError(error.sentence()) from None
    return bodies


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in _keys(inner)}
    return {key for inner in value for key in _keys(inner)} if isinstance(value, list) else set()
