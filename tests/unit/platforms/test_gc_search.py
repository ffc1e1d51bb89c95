"""Find before create: what the upload session and the list of jobs say, and what is made of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.platforms.gc_kit import NOW_S, Script, recorded, run, scripted

from bridge.errors import Held
from bridge.export.parcel import Order, OrderedFile, OrderedValue, Step
from bridge.platforms import Absent, AskAgain, Found, RemoteJob, Spec

ALGORITHM = "a1"
SPEC = Spec(algorithm="demo", title="", interfaces=(), details={})


def order(*sockets: str, **values: Any) -> Order:
    return Order(
        files=tuple(OrderedFile(input=name, format="mha", file_name=f"{name}.mha") for name in sockets),
        values=tuple(OrderedValue(input=name, value=value) for name, value in values.items()),
        steps=(),
        details={"pk": ALGORITHM, "api_url": f"https://api.example/api/v1/algorithms/{ALGORITHM}/"},
    )


def before_create(*sockets: str, count: int | None = 7) -> RemoteJob:
    notes: dict[str, Any] = {f"session:{name}": {"pk": f"s-{name}"} for name in sockets}
    if count is not None:
        notes["count"] = {"count": count}
    return RemoteJob(key="k", notes=notes, begun=(*notes, "create"))


def session(status: str, *images: str) -> dict[str, Any]:
    return {
        "pk": "s",
        "api_url": "x",
        "status": status,
        "error_message": "",
        "image_set": [f"https://other.example/api/v1/cases/images/{image}/" for image in images],
        "user_uploads": [],
    }


def remote(pk: str, status: str = "Executing", algorithm: str = ALGORITHM, **bound: Any) -> dict[str, Any]:
    """A job with images (texts) and values (anything else) bound to its sockets."""
    inputs = [
        {
            "pk": number,
            "interface": {"slug": slug.replace("_", "-")},
            "value": None if isinstance(given, str) else given,
            "file": None,
            "image": f"https://api.example/api/v1/cases/images/{given}/" if isinstance(given, str) else None,
        }
        for number, (slug, given) in enumerate(bound.items())
    ]
    return {
        "pk": pk,
        "status": status,
        "inputs": inputs,
        "algorithm": f"https://api.example/api/v1/algorithms/{algorithm}/",
    }


def page(*jobs: dict[str, Any], more: bool = False) -> dict[str, Any]:
    return {"count": len(jobs), "next": "https://api.example/next" if more else None, "results": list(jobs)}


def name_of(socket: str, key: str = "k") -> str:
    return f"{socket}-{key}-1.mha"


def image(pk: str, socket: str) -> dict[str, Any]:
    return {"pk": pk, "name": name_of(socket), "files": []}


def upload(pk: str, socket: str, status: str = "Completed") -> dict[str, Any]:
    created = datetime.fromtimestamp(NOW_S - 3600, UTC).isoformat()
    return {"pk": pk, "api_url": "x", "filename": name_of(socket), "status": status, "created": created}


def find(
    job: RemoteJob,
    wanted: Order,
    sessions: dict[str, Any] | None = None,
    by_image: dict[str, Any] | None = None,
    since: dict[str, Any] | None = None,
    *,
    named: dict[str, list[Any]] | None = None,
    uploads: list[Any] | None = None,
    all_sessions: list[Any] | None = None,
    all_jobs: list[Any] | None = None,
) -> Found | Absent | AskAgain:
    answers: dict[str, Any] = {
        f"GET cases/upload-sessions/s-{name}/": answer for name, answer in (sessions or {}).items()
    }
    answers |= {f"GET algorithms/jobs/?input_image={image}": body for image, body in (by_image or {}).items()}
    answers[f"GET algorithms/jobs/?algorithm_image__algorithm={ALGORITHM}&limit=1000&offset=7"] = since
    for file in wanted.files:
        images = (named or {}).get(file.input, [])
        answers[f"GET cases/images/?name={name_of(file.input)}"] = page(*images)
    answers["GET uploads/?limit=1000&offset=0"] = page(*(uploads or []))
    answers["GET cases/upload-sessions/?limit=1000&offset=0"] = page(*(all_sessions or []))
    answers[f"GET algorithms/jobs/?algorithm_image__algorithm={ALGORITHM}&limit=1000&offset=0"] = page(
        *(all_jobs or [])
    )
    return run(scripted(Script(answers)).find(job, SPEC, wanted))


def found(answer: Found | Absent | AskAgain) -> str:
    assert isinstance(answer, Found)
    assert answer.job.notes["create"]["pk"] == answer.job.remote_id
    return answer.job.remote_id


def test_unused_session_means_that_there_is_no_job() -> None:
    assert find(before_create("ct"), order("ct"), {"ct": session("Queued")}) == Absent()


def test_nothing_of_the_job_at_the_platform_means_that_there_is_no_job() -> None:
    assert find(RemoteJob(key="k"), order("ct")) == Absent()
    fixed = {"fixed": session("Queued")}
    assert find(before_create("fixed"), order("fixed", "moving"), fixed) == Absent()


def test_one_unused_session_of_two_is_enough_for_no_job() -> None:
    both = {"fixed": session("Succeeded", "i1"), "moving": session("Queued")}
    none = {"i1": page()}
    assert find(before_create("fixed", "moving"), order("fixed", "moving"), both, none) == Absent()


@pytest.mark.parametrize("status", ["Re-Queued", "Started", "Pondering"])
def test_session_in_use_is_asked_again(status: str) -> None:
    assert find(before_create("ct"), order("ct"), {"ct": session(status)}) == AskAgain(after_s=5.0)


def test_imported_session_leads_to_the_job_with_its_image() -> None:
    jobs = page(remote("j1", ct="i1"))
    assert (
        found(find(before_create("ct"), order("ct"), {"ct": session("Succeeded", "i1")}, {"i1": jobs}))
        == "j1"
    )


def test_recorded_session_leads_to_the_recorded_job() -> None:
    body = recorded("session-after")["response"]["body"]
    jobs = recorded("find-by-image")["response"]["body"]
    wanted = order("chest-ct")
    wanted.details["pk"] = "d51950e6-9542-47a3-b0e1-0c9622e8882c"
    image = "d80c56e4-2f17-45c7-a062-fd3eafdb0ada"
    answer = find(before_create("chest-ct"), wanted, {"chest-ct": body}, {image: jobs})
    assert found(answer) == "6b9bad87-84aa-4453-a596-8eddb155591c"


@pytest.mark.parametrize(
    "other",
    [
        remote("j2", algorithm="a2", ct="i1"),
        remote("j2", mr="i1"),
        remote("j2", ct="i1", threshold=4),
        remote("j2", ct="i1", extra=1),
        remote("j2", ct="i1", mask="i9"),
    ],
    ids=["algorithm", "socket", "value", "more-sockets", "another-image"],
)
def test_job_on_the_same_image_that_is_not_ours_is_passed_over(other: dict[str, Any]) -> None:
    jobs = page(other, remote("j1", ct="i1", threshold=3))
    wanted = order("ct", threshold=3)
    assert found(find(before_create("ct"), wanted, {"ct": session("Succeeded", "i1")}, {"i1": jobs})) == "j1"


def test_value_that_is_not_bound_yet_does_not_hide_the_job() -> None:
    jobs = page(remote("j1", "Validating inputs", ct="i1"))
    wanted = order("ct", threshold=3)
    assert found(find(before_create("ct"), wanted, {"ct": session("Succeeded", "i1")}, {"i1": jobs})) == "j1"


def test_image_that_is_not_bound_yet_is_asked_again() -> None:
    answer = find(before_create("ct"), order("ct"), {"ct": session("Succeeded", "i1")}, {"i1": page()})
    assert answer == AskAgain(after_s=5.0)


def test_two_jobs_on_the_image_are_a_matter_for_a_person() -> None:
    jobs = page(remote("j1", ct="i1"), remote("j2", ct="i1"))
    with pytest.raises(Held) as caught:
        find(before_create("ct"), order("ct"), {"ct": session("Succeeded", "i1")}, {"i1": jobs})
    assert (caught.value.code, caught.value.numbers) == ("GC-230", {"candidates": 2})


def test_refused_image_leads_to_the_cancelled_job_since_the_count() -> None:
    since = page(
        remote("j0", "Succeeded", ct="i5"), remote("j1", "Cancelled"), remote("j2", "Executing", ct="i6")
    )
    assert found(find(before_create("ct"), order("ct"), {"ct": session("Failed")}, since=since)) == "j1"


def test_job_that_still_validates_may_be_ours_so_it_is_asked_again() -> None:
    since = page(remote("j1", "Cancelled"), remote("j2", "Validating inputs"))
    answer = find(before_create("ct"), order("ct"), {"ct": session("Failed")}, since=since)
    assert answer == AskAgain(after_s=5.0)


@pytest.mark.parametrize(
    ("since", "count"),
    [
        (page(), 7),
        (page(remote("j1", "Cancelled"), remote("j2", "Cancelled")), 7),
        (page(remote("j1", "Succeeded")), 7),
        (page(remote("j1", "Cancelled"), more=True), 7),
        (page(remote("j1", "Cancelled")), None),
    ],
    ids=["none", "two", "not-cancelled", "too-many-to-tell", "count-unknown"],
)
def test_refused_image_whose_job_cannot_be_told_is_a_matter_for_a_person(
    since: Any, count: int | None
) -> None:
    with pytest.raises(Held) as caught:
        find(before_create("ct", count=count), order("ct"), {"ct": session("Failed")}, since=since)
    assert caught.value.code == "GC-230"


def test_job_of_another_patient_is_never_taken_for_ours_by_the_count() -> None:
    """Whatever stands in the list: only a cancelled job, which has no result, may be chosen by its place."""
    since = page(*(remote(f"j{n}", status) for n, status in enumerate(("Executing", "Queued", "Succeeded"))))
    answer = find(before_create("ct"), order("ct"), {"ct": session("Failed")}, since=since)
    assert not isinstance(answer, Found)


def test_session_of_another_user_is_a_matter_for_a_person() -> None:
    gone = (404, {"detail": "No RawImageUploadSession matches the given query."})
    with pytest.raises(Held) as caught:
        find(before_create("ct"), order("ct"), {"ct": gone})
    assert caught.value.code == "GC-222"


def test_note_of_create_is_enough() -> None:
    job = RemoteJob(key="k", notes={"create": {"pk": "j1", "made_s": 1.0}})
    answer = find(job, order("ct"))
    assert found(answer) == "j1"
    assert isinstance(answer, Found)
    assert answer.job.notes["create"] == {"pk": "j1", "made_s": 1.0}


def test_restored_row_without_any_note_finds_the_job_by_the_name_of_its_image() -> None:
    steps = (Step(name="upload:ct"), Step(name="session:ct"), Step(name="count"), Step(name="create"))
    wanted = replace(order("ct", threshold=3), steps=steps)
    jobs = page(remote("j1", "Succeeded", ct="i1", threshold=3))
    answer = find(RemoteJob(key="k"), wanted, named={"ct": [image("i1", "ct")]}, by_image={"i1": jobs})
    assert found(answer) == "j1"
    assert isinstance(answer, Found)
    assert set(answer.job.notes) == {step.name for step in steps}, "no step is left to be done"
    assert answer.job.notes["create"]["found_s"] == NOW_S


def test_session_made_after_a_restore_does_not_hide_the_job_of_before() -> None:
    """The row was restored, its volume sent again, and the new session is unused: the old job counts."""
    answer = find(
        before_create("ct"),
        order("ct"),
        {"ct": session("Queued")},
        named={"ct": [image("i1", "ct")]},
        by_image={"i1": page(remote("j1", "Executing", ct="i1"))},
    )
    assert found(answer) == "j1"


def test_image_of_our_name_without_a_job_yet_is_asked_again() -> None:
    answer = find(RemoteJob(key="k"), order("ct"), named={"ct": [image("i1", "ct")]}, by_image={"i1": page()})
    assert answer == AskAgain(after_s=5.0)


def test_image_of_another_name_counts_for_nothing() -> None:
    """A server that does not know the filter gives every image."""
    other = {"pk": "i9", "name": "chest.mha", "files": []}
    assert find(RemoteJob(key="k"), order("ct"), named={"ct": [other]}) == Absent()


@pytest.mark.parametrize(
    ("status", "expected"),
    [("Re-Queued", AskAgain(after_s=5.0)), ("Started", AskAgain(after_s=5.0)), ("Queued", Absent())],
)
def test_unnoted_session_of_our_upload_says_whether_it_was_used(status: str, expected: Any) -> None:
    answer = find(
        RemoteJob(key="k"),
        order("ct"),
        uploads=[upload("u0", "other"), upload("u1", "ct")],
        all_sessions=[
            {**session("Re-Queued"), "user_uploads": ["u0"]},
            {**session(status), "user_uploads": ["u1"]},
        ],
    )
    assert answer == expected


def test_unnoted_session_that_failed_leads_to_a_person_where_no_count_was_noted() -> None:
    """A refused image costs credits as well: it is not paid for a second time without a person."""
    with pytest.raises(Held) as caught:
        find(
            RemoteJob(key="k"),
            order("ct"),
            uploads=[upload("u1", "ct")],
            all_sessions=[{**session("Failed"), "user_uploads": ["u1"]}],
        )
    assert caught.value.code == "GC-230"


def test_session_of_a_found_job_is_noted_so_that_its_reason_can_be_read() -> None:
    since = page(remote("j1", "Cancelled"))
    answer = find(
        before_create(),
        order("ct"),
        since=since,
        uploads=[upload("u1", "ct")],
        all_sessions=[{**session("Failed"), "pk": "s9", "user_uploads": ["u1"]}],
    )
    assert isinstance(answer, Found)
    assert answer.job.notes["session:ct"]["pk"] == "s9"


def with_file() -> Order:
    wanted = order(threshold=3, options={"a": 1})
    wanted.details["upload:options"] = "options.json"
    return wanted


def filed(pk: str, file: str, status: str = "Succeeded") -> dict[str, Any]:
    body = remote(pk, status, threshold=3)
    media = f"https://api.example/media/components/componentinterfacevalue/00/01/1/{file}"
    body["inputs"].append(
        {"pk": 9, "interface": {"slug": "options"}, "value": None, "file": media, "image": None}
    )
    return body


@pytest.mark.parametrize("file", ["k-1-options.json", "k-1-options_fH91xh3.json", "options-k-1.json"])
def test_job_of_files_alone_is_found_by_their_names_even_after_a_restore(file: str) -> None:
    others = [filed("j0", "options-q-1.json"), filed("j1", file), filed("j2", "options-k-2.json")]
    assert found(find(RemoteJob(key="k"), with_file(), all_jobs=others)) == "j1"


def test_job_of_files_that_are_not_bound_yet_is_asked_again() -> None:
    jobs = [
        *(filed(f"j{n}", "options-q-1.json") for n in range(7)),
        remote("j7", "Validating inputs", threshold=3),
    ]
    assert find(before_create(), with_file(), all_jobs=jobs) == AskAgain(after_s=5.0)


def by_values() -> Order:
    wanted = order(threshold=3)
    wanted.details["there:mask"] = "image/i1"
    return wanted


def there() -> RemoteJob:
    return before_create().with_note("there:mask", {"pk": "i1", "api_url": "x"})


def test_job_of_images_there_and_values_is_found_among_those_since_the_count() -> None:
    older = [remote(f"j{n}", "Succeeded", mask="i1", threshold=3) for n in range(7)]
    younger = [
        remote("j7", "Queued", mask="i1", threshold=4),
        remote("j8", "Queued", mask="i2", threshold=3),
        remote("j9", "Queued", mask="i1", threshold=3),
    ]
    assert found(find(there(), by_values(), all_jobs=[*older, *younger])) == "j9"
    assert find(there(), by_values(), all_jobs=older) == Absent()


def test_two_equal_jobs_since_the_count_are_a_matter_for_a_person() -> None:
    jobs = [remote(f"j{n}", "Succeeded", mask="i1", threshold=3) for n in range(9)]
    with pytest.raises(Held):
        find(there(), by_values(), all_jobs=jobs)


def test_default_that_an_old_server_put_in_does_not_hide_the_job() -> None:
    wanted = order("ct")
    wanted.details["omitted"] = "threshold other"
    jobs = page(remote("j1", "Succeeded", ct="i1", threshold=3))
    sessions = {"ct": session("Succeeded", "i1")}
    assert found(find(before_create("ct"), wanted, sessions, {"i1": jobs})) == "j1"
