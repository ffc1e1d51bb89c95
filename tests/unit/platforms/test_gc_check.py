"""What `bridge check` is told: identity, clock, the hosts that a firewall must let through."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import httpx
import pytest
from tests.unit.platforms.gc_kit import NOW_S, Script, Token, run, scripted

UPLOAD = {"pk": "u1", "api_url": "x", "s3_upload_id": "m1", "created": "2026-11-21T00:00:00Z"}
SIGNED = "https://store.example/bucket/u1?X-Amz-Signature=5ecre7"


def script(clock_s: float = NOW_S, **changes: Any) -> Script:
    answers: dict[str, Any] = {
        "GET components/interfaces/?limit=1": httpx.Response(
            200, json={"count": 0, "results": []}, headers={"Date": formatdate(clock_s, usegmt=True)}
        ),
        "POST uploads/": (201, UPLOAD),
        "PATCH uploads/u1/m1/generate-presigned-urls/": {**UPLOAD, "presigned_urls": {"1": SIGNED}},
        "PATCH uploads/u1/m1/abort-multipart-upload/": UPLOAD,
        "HEAD https://store.example/": httpx.Response(403),
    }
    return Script({**answers, **changes})


def findings(asked: Any, **changes: Any) -> list[tuple[bool, str]]:
    found = run(scripted(asked, **changes).check())
    assert "5ecre7" not in "".join(finding.what + finding.remedy for finding in found)
    return [(finding.ok, finding.what) for finding in found]


def test_good_account_names_both_hosts_and_leaves_no_upload_behind() -> None:
    asked = script()
    assert findings(asked) == [
        (True, "api.example answers and knows the token"),
        (True, "clocks agree within 60 s"),
        (True, "uploads go to store.example, which answers"),
    ]
    assert "PATCH uploads/u1/m1/abort-multipart-upload/" in asked.lines


@pytest.mark.parametrize(
    ("theirs_s", "expected"),
    [
        (NOW_S - 61, (False, "this machine's clock is 61 s ahead of the platform's")),
        (NOW_S + 300, (False, "this machine's clock is 300 s behind the platform's")),
        (NOW_S + 59, (True, "clocks agree within 60 s")),
    ],
)
def test_clock_that_is_off_is_found(theirs_s: float, expected: tuple[bool, str]) -> None:
    assert findings(script(theirs_s))[1] == expected


def test_bad_token_ends_the_check_with_its_remedy() -> None:
    asked = script(**{"GET components/interfaces/?limit=1": (401, {"detail": "Invalid token."})})
    ((ok, what),) = findings(asked)
    assert not ok
    assert what.startswith("the platform does not know the token")


def test_token_that_cannot_be_sent_is_a_finding() -> None:
    assert [ok for ok, _ in findings(script(), token=Token(""))] == [False]


def test_store_that_a_firewall_hides_is_named() -> None:
    asked = script()

    def wire(request: httpx.Request) -> httpx.Response:
        if request.url.host == "store.example":
            raise httpx.ConnectTimeout("x", request=request)
        return asked(request)

    *_, last = findings(wire)
    assert last == (False, "HEAD to storage at store.example: not reached (ConnectTimeout)")


def test_full_quota_is_a_finding() -> None:
    limit = (403, {"detail": "Upload limit reached"})
    *_, (ok, what) = findings(script(**{"PATCH uploads/u1/m1/generate-presigned-urls/": limit}))
    assert not ok
    assert "as many bytes in uploads as it may" in what
