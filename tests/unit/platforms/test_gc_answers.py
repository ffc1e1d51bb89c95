"""The table of answers, row by row, and the recorded refusals of the real server against it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.platforms.gc_kit import recorded

from bridge.errors import BridgeError, Never, Refused, TryLater, Unauthorized, Unsure
from bridge.platforms.grand_challenge.answers import API, TABLE, Call, Row, error_for
from bridge.platforms.http import Answer
from bridge.platforms.scrub import scrub

HTML = "<!doctype html><html>https://store.example/?X-Amz-Signature=5ecre7</html>"
GONE = ["Invalid hyperlink - Object does not exist."]

BODIES: dict[str, Any] = {
    "GC-101": {
        "non_field_errors": ["You have too many active jobs, please try again after they have completed"]
    },
    "GC-102": {"non_field_errors": ["You have run out of algorithm credits"]},
    "GC-103": {"non_field_errors": ["You have created too many uploads, please try again later"]},
    "GC-104": ["You have active image post processing tasks, please try again later"],
    "GC-105": {"detail": "Upload limit reached"},
    "GC-106": {"non_field_errors": ["Algorithm image is not ready to be used"]},
    "GC-107": {
        "non_field_errors": ["A result for these inputs with the current image and model already exists."]
    },
    "GC-108": {"inputs": [{}, {"upload_session": GONE}]},
    "GC-109": {"uploads": GONE},
    "GC-110": {"algorithm": GONE},
    "GC-111": {
        "non_field_errors": ["The set of inputs provided does not match any of the algorithm's interfaces."]
    },
    "GC-112": {"filename": ["a/b.mha is not a valid filename"]},
    "GC-113": {"inputs": [{"image": ["Invalid hyperlink - No URL match."]}]},
    "GC-114": {"detail": "Invalid token."},
    "GC-115": {"detail": "No UserUpload matches the given query."},
    "GC-116": {"detail": "No Job matches the given query."},
    "GC-128": {"inputs": [{"user_uploads": GONE}, {"user_upload": GONE}]},
    "GC-129": {"inputs": [{"image": GONE}]},
    "GC-125": {"detail": "You do not have permission to perform this action."},
}
"""What the platform says with a row; rows that are missing here come with a page."""


def answer(status: int, body: Any = HTML, **headers: str) -> Answer:
    text = body if isinstance(body, str) else json.dumps(body)
    return Answer(status=status, headers=headers, body=text.encode())


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.code)
def test_each_row_is_reached_and_gives_its_error(row: Row) -> None:
    for call in row.calls:
        for status in row.statuses:
            error = error_for(call, answer(status, BODIES.get(row.code, HTML)))
            assert error is not None
            if row.code == "GC-124" and (call, status) == (Call.STORAGE, 403):
                assert error.code == "GC-123", "a signature that died comes before a file that is gone"
                continue
            assert (error.code, type(error)) == (row.code, row.error)
            assert error.numbers == {"status": status}
            assert "5ecre7" not in error.sentence()
            if isinstance(error, TryLater):
                assert error.after_s == row.after_s


def test_codes_of_the_table_are_unique_and_each_row_has_a_source() -> None:
    assert len({row.code for row in TABLE}) == len(TABLE)
    assert all(row.source for row in TABLE)


@pytest.mark.parametrize(
    ("label", "call", "expected"),
    [
        ("refused-too-many-active", Call.CREATE, TryLater),
        ("refused-no-credits", Call.CREATE, TryLater),
        ("job-noactive", Call.CREATE, TryLater),
        ("job-by-image-dup", Call.CREATE, Unsure),
        ("job-by-session-again", Call.CREATE, Unsure),
        ("job-by-session-late", Call.CREATE, Unsure),
        ("job-badalg", Call.CREATE, Never),
        ("job-subset", Call.CREATE, Never),
        ("job-noinputs", Call.CREATE, Never),
        ("job-consumed-upload", Call.CREATE, Unsure),
        ("job-upload-missing", Call.CREATE, Unsure),
        ("job-image-missing", Call.CREATE, Never),
        ("dup-of-failed", Call.CREATE, Unsure),
        ("job-badslug", Call.CREATE, Never),
        ("job-image-pkonly", Call.CREATE, Never),
        ("job-value-type", Call.CREATE, Refused),
        ("job-value-null", Call.CREATE, Refused),
        ("dupnames", Call.CREATE, Refused),
        ("job-empty", Call.CREATE, Refused),
        ("job-noslash-post", Call.CREATE, Never),
        ("session-incomplete", Call.SESSION, TryLater),
        ("session-empty", Call.SESSION, TryLater),
        ("up-slash", Call.UPLOAD, Refused),
        ("up-long", Call.UPLOAD, Never),
        ("pre-after", Call.UPLOAD, TryLater),
        ("comp-again", Call.UPLOAD, TryLater),
        ("lp-aborted", Call.UPLOAD, TryLater),
        ("up-consumed", Call.UPLOAD, TryLater),
        ("auth-unknown-hex", Call.LOOK, Unauthorized),
        ("auth-only", Call.LOOK, Unauthorized),
        ("job-stranger-get", Call.LOOK, Never),
        ("no-such", Call.LOOK, Never),
        ("images-job_output", Call.LOOK, TryLater),
        ("file-stranger", Call.MEDIA, Never),
        ("civ-stranger", Call.MEDIA, Never),
    ],
)
def test_recorded_refusal(label: str, call: Call, expected: type[BridgeError]) -> None:
    response = recorded(label)["response"]
    error = error_for(call, answer(response["status"], response["body"]))
    assert type(error) is expected


def test_used_session_is_seen_although_the_algorithm_is_gone_as_well() -> None:
    both = {"algorithm": GONE, "inputs": [{"upload_session": GONE}]}
    assert isinstance(error_for(Call.CREATE, answer(400, both)), Unsure)


@pytest.mark.parametrize("call", sorted(API))
@pytest.mark.parametrize("status", [200, 201, 204])
def test_success_is_no_error(call: Call, status: int) -> None:
    assert error_for(call, answer(status, {})) is None


@given(call=st.sampled_from(sorted(Call)), status=st.integers(300, 599), body=st.binary(max_size=40))
def test_every_other_answer_is_an_error_and_a_commit_that_broke_off_never_a_plain_retry(
    call: Call, status: int, body: bytes
) -> None:
    error = error_for(call, Answer(status=status, headers={}, body=body))
    assert error is not None
    if call is Call.CREATE and status >= 500:
        assert isinstance(error, Unsure)


def test_page_of_nothing_but_brackets_is_an_answer_like_any_other() -> None:
    error = error_for(Call.CREATE, answer(502, "[" * 100_000))
    assert isinstance(error, Unsure)


def test_wish_of_the_platform_goes_before_the_pause_of_the_table() -> None:
    later = error_for(Call.CREATE, answer(400, BODIES["GC-101"], **{"retry-after": "7"}))
    assert isinstance(later, TryLater)
    assert later.after_s == 7.0


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("see https://store.example/a?X-Amz-Signature=abc for", "see [address] for"),
        ("Bearer 0123456789abcdef0123", "[token]"),
        ("key " + "5ec3e7" * 10, "key [token]"),
        ("series 1.2.826.0.1.3680043.8.498.97 is bad", "series [uid] is bad"),
        ("born 1950-02-03, id 12345678", "born [number], id [number]"),
        ("mail a.b@hospital.example", "mail [address]"),
        ("1 file could not be imported.", "1 file could not be imported."),
        ("x" * 400, "x" * 299 + "…"),
    ],
)
def test_text_of_a_platform_is_scrubbed(said: str, kept: str) -> None:
    assert scrub(said) == kept
