"""What to do after each answer of Grand Challenge: every row of its retry table, one fault each, against the sandbox.

A row is a fault, what it is at the step that meets it, and how the job ends when the fault has gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.unit.platforms.test_gc_whole import House

from bridge.errors import BridgeError, Never, Refused, TryLater, Unauthorized, Unsure
from bridge.platforms import Verdict
from bridge.sandbox.grand_challenge import Fault, Sandbox

pytestmark = pytest.mark.slow

UPLOAD, SESSION, CREATE = "upload:ct-image", "session:ct-image", "create"
MINUTE, HOUR = 60.0, 3600.0
GONE = ["Invalid hyperlink - Object does not exist."]
JOBS, UPLOADS, SESSIONS = "*/algorithms/jobs/", "*/uploads/", "*/cases/upload-sessions/"


def said(*sentences: str) -> dict[str, Any]:
    return {"non_field_errors": list(sentences)}


def to_job(status: int, body: Any = None, *, after: bool = False, **more: Any) -> Fault:
    return Fault(method="POST", path=JOBS, status=status, body=body, after=after, **more)


def to_upload(status: int, body: Any = None, path: str = UPLOADS) -> Fault:
    return Fault(method="POST" if path == UPLOADS else "PATCH", path=path, status=status, body=body)


def to_part(status: int, body: Any = None) -> Fault:
    return Fault(origin="store", method="PUT", status=status, body=body)


@dataclass(frozen=True, kw_only=True)
class Row:
    """`step`: the one that says `kind`; "" where the job hides it, because it tries again at once.

    wait_s: the least and the longest pause. ends: whether the job is done when the fault has gone.
    """

    fault: Fault
    step: str = ""
    kind: type[BridgeError] = TryLater
    code: str = ""
    wait_s: tuple[float, float] | None = None
    ends: bool = True


XML = '<?xml version="1.0"?><Error><Code>{}</Code><Message>{}</Message></Error>'
EXPIRED = XML.format("AccessDenied", "Request has expired")

ROWS: dict[str, Row] = {
    "400 too many active jobs": Row(
        fault=to_job(400, said("You have too many active jobs, please try again later")),
        step=CREATE,
        code="GC-101",
        wait_s=(1 * MINUTE, 5 * MINUTE),
    ),
    "400 run out of credits": Row(
        fault=to_job(400, said("You have run out of algorithm credits")),
        step=CREATE,
        code="GC-102",
        wait_s=(1 * HOUR, 24 * HOUR),
    ),
    "400 created too many uploads": Row(
        fault=to_upload(400, said("You have created too many uploads. Please try again later.")),
        step=UPLOAD,
        code="GC-103",
        wait_s=(5 * MINUTE, 24 * HOUR),
    ),
    "400 active image post processing tasks": Row(
        fault=Fault(
            method="POST",
            path=SESSIONS,
            status=400,
            body=said("You currently have 16 active image post processing tasks."),
        ),
        step=SESSION,
        code="GC-104",
        wait_s=(1 * MINUTE, 24 * HOUR),
    ),
    "403 upload limit reached": Row(
        fault=to_upload(403, {"detail": "Upload limit reached"}, "*/generate-presigned-urls/"),
        step=UPLOAD,
        code="GC-105",
        wait_s=(5 * MINUTE, 24 * HOUR),
    ),
    "400 algorithm image is not ready": Row(
        fault=to_job(400, said("Algorithm image is not ready to be used")),
        step=CREATE,
        code="GC-106",
        wait_s=(5 * MINUTE, 6 * HOUR),
    ),
    "400 upload_session gone: an earlier request got through": Row(
        fault=to_job(400, {"inputs": [{"upload_session": GONE}]}, after=True),
        step=CREATE,
        kind=Unsure,
        code="GC-108",
    ),
    "400 algorithm gone": Row(
        fault=to_job(400, {"algorithm": GONE}), step=CREATE, kind=Never, code="GC-110", ends=False
    ),
    "400 no such interface": Row(
        fault=to_job(
            400, said("The set of inputs provided does not match any of the algorithm's interfaces.")
        ),
        step=CREATE,
        kind=Never,
        code="GC-111",
        ends=False,
    ),
    "400 filenames must be unique": Row(
        fault=Fault(method="POST", path=SESSIONS, status=400, body=said("Filenames must be unique")),
        step=SESSION,
        kind=Refused,
        code="GC-112",
        ends=False,
    ),
    "400 not a filename": Row(
        fault=to_upload(400, {"filename": ["a/b is not a valid filename"]}),
        step=UPLOAD,
        kind=Refused,
        code="GC-112",
        ends=False,
    ),
    "400 JSON does not fulfill schema": Row(
        fault=to_job(400, {"inputs": [{"__all__": ["JSON does not fulfill schema: no"]}]}),
        step=CREATE,
        kind=Refused,
        code="GC-112",
        ends=False,
    ),
    "400 value is required": Row(
        fault=to_job(400, {"inputs": [said("value is required for interface kind INT")]}),
        step=CREATE,
        kind=Refused,
        code="GC-112",
        ends=False,
    ),
    "400 anything else": Row(
        fault=to_job(400, said("A sentence of tomorrow")), step=CREATE, kind=Never, code="GC-113", ends=False
    ),
    "401": Row(
        fault=to_job(401, {"detail": "Invalid token."}), step=CREATE, kind=Unauthorized, code="GC-114"
    ),
    "404 on an own upload": Row(
        fault=to_upload(404, {"detail": "Not found."}, "*/complete-multipart-upload/"),
    ),
    "301": Row(fault=to_job(301), step=CREATE, kind=Never, code="GC-117", ends=False),
    **{
        f"{status} to a new job, {'made' if after else 'not made'}": Row(
            fault=to_job(status, after=after, retry_after_s=7), step=CREATE, kind=Unsure, wait_s=(7, 7)
        )
        for status in (429, 502, 503, 504, 507)
        for after in (False, True)
    },
    **{
        f"{status} to an upload": Row(
            fault=Fault(method="POST", path=UPLOADS, status=status, retry_after_s=7),
            step=UPLOAD,
            code="GC-119",
            wait_s=(7, 7),
        )
        for status in (429, 502, 503, 504, 507)
    },
    "503 until a date": Row(
        fault=Fault(method="POST", path=UPLOADS, status=503, retry_after_s=90, retry_after_date=True),
        step=UPLOAD,
        code="GC-119",
        wait_s=(85, 95),
    ),
    "500 to a new job, not made": Row(fault=to_job(500), step=CREATE, kind=Unsure, code="GC-118"),
    "500 to a new job, made": Row(fault=to_job(500, after=True), step=CREATE, kind=Unsure, code="GC-118"),
    "500 to a complete upload": Row(
        fault=Fault(path="*/complete-multipart-upload/", status=500, after=True),
    ),
    "500 to an upload that is not complete": Row(
        fault=Fault(path="*/complete-multipart-upload/", status=500), step=UPLOAD, code="GC-126"
    ),
    "500 to the list of parts": Row(fault=Fault(path="*/list-parts/", status=500)),
    "PUT 403 expired": Row(fault=to_part(403, EXPIRED)),
    "PUT 404 no such upload": Row(fault=to_part(404, XML.format("NoSuchUpload", "gone"))),
    **{f"PUT {status}": Row(fault=to_part(status)) for status in (409, 423, 500, 503)},
    "PUT reset": Row(fault=Fault(origin="store", method="PUT", reset=True)),
    "media link expired": Row(fault=Fault(path="/media/*", expired_links=True)),
    "no answer to a new job, not made": Row(
        fault=Fault(method="POST", path=JOBS, reset=True), step=CREATE, kind=Unsure, code="NET-003"
    ),
    "no answer to a new job, made": Row(
        fault=Fault(method="POST", path=JOBS, reset=True, after=True),
        step=CREATE,
        kind=Unsure,
        code="NET-003",
    ),
}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with Sandbox(tmp_path / "sandbox") as sandbox:
        yield House(sandbox, tmp_path)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_row_of_the_retry_table(house: House, row: Row) -> None:
    engine = house.prepare("identity-mask", ct_image=house.chest)
    house.sandbox.arm(row.fault)
    if row.step:
        error = house.try_to(engine, row.step)
        assert type(error) is row.kind, error.sentence()
        assert row.code in ("", error.code)
        if row.wait_s:
            assert isinstance(error, TryLater)
            assert error.after_s is not None
            assert row.wait_s[0] <= error.after_s <= row.wait_s[1]
    if row.ends:
        assert house.finish(engine).verdict is Verdict.DONE
        assert set(house.outputs(engine)) == {"lung-segmentation"}
    assert [one["hits"] for one in house.sandbox.faults()] == [1]
    assert house.billed() == int(row.ends)


def test_row_400_already_exists_finds_the_job(house: House, tmp_path: Path) -> None:
    image = house.sandbox.add_image(tmp_path / "chest.mha")
    first, second = (house.prepare("identity-mask", {"ct-image": {"image": image.pk}}) for _ in range(2))
    assert house.finish(first).verdict is Verdict.DONE
    assert house.finish(second).verdict is Verdict.DONE
    assert second.job.remote_id == first.job.remote_id
    assert house.billed() == 1


@pytest.mark.parametrize("key", ["user_uploads", "user_upload"])
@pytest.mark.parametrize("is_made", [True, False])
def test_row_400_user_upload_gone_finds_the_job_or_sends_again(house: House, key: str, is_made: bool) -> None:
    """Without sessions: the request got through, or its upload was swept."""
    house.sandbox.behave(sessions_view_only=True)
    files = {
        "atlas": ("application/zip", b"PK\x05\x06" + bytes(18)),
        "protocol": ("application/pdf", b"%PDF-1"),
    }
    if key == "user_upload":
        engine = house.prepare("other-inputs", files=files)
    else:
        engine = house.prepare("identity-mask", ct_image=house.chest)
    body = {"inputs": [{key: GONE}]}
    house.sandbox.arm(to_job(400, body, after=is_made))
    assert house.finish(engine).verdict is Verdict.DONE
    assert house.billed() == 1


def test_row_404_on_an_own_job_is_never(house: House) -> None:
    engine = house.prepare("identity-mask", ct_image=house.chest)
    house.finish(engine)
    house.sandbox.arm(Fault(method="GET", path="*/algorithms/jobs/*/", status=404, body={"detail": "No Job"}))
    with pytest.raises(Never) as gone:
        house.run(lambda platform: platform.state(engine.job), engine)
    assert gone.value.code == "GC-116"


@pytest.mark.parametrize(("label", "verdict"), [("Failed", Verdict.FAILED), ("Cancelled", Verdict.CANCELLED)])
def test_rows_of_a_job_that_ended_badly_make_no_other(house: House, label: str, verdict: Verdict) -> None:
    house.sandbox.hold("Executing")
    engine = house.prepare("identity-mask", ct_image=house.chest)
    house.run(engine.submit, engine)
    house.sandbox.set_status(engine.job.remote_id, label)
    assert house.run(engine.wait, engine).verdict is verdict
    house.run(engine.submit, engine)
    assert house.billed() == 1
