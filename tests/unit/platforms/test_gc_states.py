"""Words of a job, its reason, and the pace of looking."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.platforms.gc_kit import NOW_S, Script, recorded, run, scripted

from bridge.errors import ConfigError, Never
from bridge.platforms import Phase, RemoteJob, State, Verdict
from bridge.platforms.grand_challenge.options import Options
from bridge.platforms.grand_challenge.states import STATES, look_again_s, phase_of

WAITING = ("Validating inputs", "Queued", "Re-Queued")
RUNNING = (
    "Started",
    "Provisioning",
    "Provisioned",
    "Executing",
    "Executing Algorithm",
    "External Execution In Progress",
    "Executed",
    "Parsing Outputs",
)


@pytest.mark.parametrize(
    ("label", "expected"),
    [(label, (Phase.WAITING, None)) for label in WAITING]
    + [(label, (Phase.RUNNING, None)) for label in (*RUNNING, "Pondering", "")]
    + [
        ("Succeeded", (Phase.ENDED, Verdict.DONE)),
        ("Failed", (Phase.ENDED, Verdict.FAILED)),
        ("Cancelled", (Phase.ENDED, Verdict.CANCELLED)),
        ("SUCCEEDED", (Phase.ENDED, Verdict.DONE)),
    ],
)
def test_label(label: str, expected: tuple[Phase, Verdict | None]) -> None:
    assert phase_of(label) == expected


def test_table_has_the_fourteen_labels_of_the_server() -> None:
    assert len(STATES) == 14


@pytest.mark.parametrize(
    ("age_s", "typical_s", "expected"),
    [
        (0.0, 3600.0, 5.0),
        (29.0, 3600.0, 5.0),
        (31.0, None, 15.0),
        (31.0, 60.0, 15.0),
        (31.0, 400.0, 40.0),
        (31.0, 36000.0, 120.0),
        (None, 400.0, 40.0),
        (-5.0, 400.0, 40.0),
    ],
)
def test_pause(age_s: float | None, typical_s: float | None, expected: float) -> None:
    assert look_again_s(Options(), age_s=age_s, typical_s=typical_s) == expected


def seen(label: str, session: Any = None, **create: Any) -> State:
    body = recorded(label)["response"]["body"]
    pk = body["pk"]
    script = Script({f"GET algorithms/jobs/{pk}/": body, "GET cases/upload-sessions/s1/": session})
    notes: dict[str, Any] = {"create": {"pk": pk, **create}}
    if session is not None:
        notes["session:chest-ct"] = {"pk": "s1"}
    return run(scripted(script).state(RemoteJob(key="k", remote_id=pk, notes=notes)))


def test_succeeded_job_tells_the_version_that_ran() -> None:
    state = seen("job-detail", made_s=NOW_S - 100, typical_s=500.0)
    assert (state.phase, state.verdict, state.raw) == (Phase.ENDED, Verdict.DONE, "Succeeded")
    assert state.pin == "f00142cb-2d47-4d3c-82c4-3eea3015c54a"
    assert state.look_again_s == 50.0


def test_refused_image_is_a_failure_with_the_words_of_the_session() -> None:
    session = recorded("session-failed")["response"]["body"]
    state = seen("cancelled-detail", session)
    assert (state.verdict, state.raw) == (Verdict.FAILED, "Cancelled")
    assert state.reason == (
        "Image validation for socket Chest CT failed with error: 1 file could not be imported."
    )


def test_reason_that_quotes_an_address_is_scrubbed() -> None:
    session = recorded("session-failed")["response"]["body"]
    session["error_message"] = "GET https://store.example/?X-Amz-Signature=5ecre7 failed"
    assert seen("cancelled-detail", session).reason == "GET [address] failed"


def test_job_cancelled_with_a_good_image_was_stopped_by_somebody() -> None:
    session = recorded("session-after")["response"]["body"]
    state = seen("cancelled-detail", session)
    assert (state.verdict, state.reason) == (Verdict.CANCELLED, "stopped at the platform")


def test_cancelled_job_of_files_may_have_been_refused_one_of_them() -> None:
    """Only an upload session tells a reason, and a file has none."""
    notes = {"upload:atlas": {"pk": "u1"}, "create": {"pk": "j1"}}
    state = looked_at("Cancelled", notes)
    assert state.verdict is Verdict.CANCELLED
    assert "the file for atlas was refused" in state.reason


def test_failed_job_says_that_the_platform_tells_no_reason() -> None:
    state = seen("failed-detail")
    assert state.verdict is Verdict.FAILED
    assert "tells no more" in state.reason


def test_job_that_is_not_visible_is_never() -> None:
    script = Script({"GET algorithms/jobs/j1/": (404, {"detail": "No Job matches the given query."})})
    with pytest.raises(Never):
        run(scripted(script).state(RemoteJob(key="k", remote_id="j1")))


@pytest.mark.parametrize(
    "options", [{"poll_firsts": 1}, {"poll_s": 0}, {"part_mib": 4}, {"parallel_parts": "many"}]
)
def test_wrong_option_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        scripted(Script({}), options=options)
    assert next(iter(options)) in caught.value.found
    assert caught.value.key == "accounts.gc.options"


HOUR = 3600.0


def looked_at(status: str, notes: dict[str, Any], **more: Any) -> State:
    answers = {"GET algorithms/jobs/j1/": {"pk": "j1", "status": status}, **more}
    job = RemoteJob(key="k", remote_id="j1", notes=notes)
    return run(scripted(Script(answers)).state(job))


@pytest.mark.parametrize(
    ("age_s", "note", "phase", "verdict", "says", "look_again_s"),
    [
        (60.0, "made_s", Phase.WAITING, None, "", 15.0),
        (1700.0, "made_s", Phase.WAITING, None, "", 15.0),
        (1900.0, "made_s", Phase.WAITING, None, "for 32 min", 120.0),
        (49 * HOUR, "made_s", Phase.WAITING, None, "tries for two days", 120.0),
        (51 * HOUR, "made_s", Phase.ENDED, Verdict.FAILED, "within 51 h", 15.0),
        (51 * HOUR, "found_s", Phase.ENDED, Verdict.FAILED, "within 51 h", 15.0),
        (51 * HOUR, "", Phase.WAITING, None, "", 15.0),
    ],
)
def test_validation_that_lasts_is_said_and_given_up_after_two_days(
    age_s: float, note: str, phase: Phase, verdict: Verdict | None, says: str, look_again_s: float
) -> None:
    state = looked_at(
        "Validating inputs", {"create": {"pk": "j1", **({note: NOW_S - age_s} if note else {})}}
    )
    assert (state.phase, state.verdict, state.look_again_s) == (phase, verdict, look_again_s)
    assert says in state.reason
    assert bool(says) == bool(state.reason)


@pytest.mark.parametrize("label", [*WAITING[1:], *RUNNING, "Pondering"])
def test_other_words_are_never_given_up_here(label: str) -> None:
    """A run may take a day, and wait for a machine before: the account's deadline ends the patience."""
    state = looked_at(label, {"create": {"pk": "j1", "made_s": NOW_S - 51 * HOUR}})
    assert state.phase is not Phase.ENDED


def test_status_that_goes_back_is_followed() -> None:
    words = [
        "Queued",
        "Provisioned",
        "Executing",
        "Provisioned",
        "Queued",
        "Executing",
        "Executed",
        "Succeeded",
    ]
    phases = [looked_at(word, {"create": {"pk": "j1", "made_s": NOW_S - 99}}).phase for word in words]
    assert phases == [
        Phase.WAITING,
        Phase.RUNNING,
        Phase.RUNNING,
        Phase.RUNNING,
        Phase.WAITING,
        Phase.RUNNING,
        Phase.RUNNING,
        Phase.ENDED,
    ]


def test_job_that_was_cancelled_and_requeued_waits_again() -> None:
    assert looked_at("Cancelled", {}).phase is Phase.ENDED
    assert looked_at("Re-Queued", {}).phase is Phase.WAITING


def test_reason_is_read_from_the_session_that_the_platform_made_itself() -> None:
    said = "Image validation for socket CT failed with error: 1 file could not be imported."
    sessions = [
        {"pk": "s0", "api_url": "x", "status": "Failed", "error_message": "other", "user_uploads": ["u0"]},
        {"pk": "s1", "api_url": "x", "status": "Failed", "error_message": said, "user_uploads": ["u1"]},
    ]
    listed = {"count": 2, "next": None, "results": sessions}
    notes = {"upload:ct": {"pk": "u1"}, "session:ct": {"by_uploads": True}, "create": {"pk": "j1"}}
    state = looked_at("Cancelled", notes, **{"GET cases/upload-sessions/?limit=1000&offset=0": listed})
    assert (state.verdict, state.reason) == (Verdict.FAILED, said)


def test_job_that_was_found_without_its_sessions_has_no_reason() -> None:
    notes = {"session:ct": {"found": True}, "create": {"pk": "j1"}}
    assert looked_at("Cancelled", notes).verdict is Verdict.CANCELLED


def test_json_of_an_old_server_and_of_a_later_one_is_read() -> None:
    """Only `interface` before 2025-12-19; a key more and a null where a list was tomorrow."""
    old = {"pk": "j1", "status": "Succeeded", "algorithm_image": "https://x.example/v1/", "outputs": None}
    old["inputs"] = [
        {"pk": 7, "interface": {"slug": "ct", "overlay_segments": None}, "x_new": 1, "image": None}
    ]
    state = run(scripted(Script({"GET algorithms/jobs/j1/": old})).state(RemoteJob(key="k", remote_id="j1")))
    assert (state.verdict, state.pin) == (Verdict.DONE, "v1")
