"""Outputs of a job and their bytes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.platforms.gc_kit import TOKEN, Script, recorded, run, scripted

from bridge.errors import Damaged, Never, TryLater
from bridge.platforms import RemoteJob
from bridge.results.output import Label, Output, OutputKind

JOB = RemoteJob(key="k", remote_id="j1")
MEDIA = "https://api.example/media/images/i1/i1.mha"
SIGNED = "https://store.example/i1.mha?X-Amz-Signature=5ecre7"
DATA = bytes(range(256)) * 40
MASK = Output(name="mask", kind=OutputKind.MASK, media_type="image/x-metaimage", ref="image/i1")
EXPIRED = httpx.Response(403, content=b"<Error><Code>AccessDenied</Code></Error>")


class Sink:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes, /) -> int:
        self.data += data
        return len(data)


def image(*files: tuple[str, str]) -> dict[str, Any]:
    return {"pk": "i1", "files": [{"image_type": kind, "file": file} for kind, file in files]}


def script(*storage: Any, **more: Any) -> Script:
    answers: dict[str, Any] = {
        "GET cases/images/i1/": image(("MHD", MEDIA)),
        f"GET {MEDIA}": httpx.Response(302, headers={"Location": SIGNED}),
        f"GET {SIGNED}": list(storage),
    }
    return Script({**answers, **more})


def fetch(asked: Script, output: Output = MASK) -> tuple[Any, bytes]:
    sink = Sink()
    return run(scripted(asked).fetch(JOB, output, sink)), sink.data


def test_outputs_of_the_recorded_job() -> None:
    body = recorded("job-detail")["response"]["body"]
    asked = Script(
        {
            "GET algorithms/jobs/j1/": body,
            "GET cases/images/e3aeeebc-50d9-4dde-9f42-232f712d513a/": image(("MHD", MEDIA)),
        }
    )
    assert run(scripted(asked).outputs(JOB)) == (
        Output(name="findings", kind=OutputKind.FILE, media_type="application/json", ref="file/235"),
        Output(name="lung-volume", kind=OutputKind.VALUE, media_type="application/json", ref="value/234"),
        Output(name="report-table", kind=OutputKind.TABLE, media_type="text/csv", ref="file/236"),
        Output(
            name="lung-mask",
            kind=OutputKind.MASK,
            media_type="image/x-metaimage",
            ref="image/e3aeeebc-50d9-4dde-9f42-232f712d513a",
            labels=(Label(value=1, name="lung"),),
        ),
    )


def test_image_is_fetched_through_the_redirect_without_the_token() -> None:
    asked = script(httpx.Response(200, content=DATA))
    fetched, data = fetch(asked)
    assert data == DATA
    assert (fetched.size_bytes, fetched.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    assert [request.headers.get("authorization") for request in asked.asked] == [f"Bearer {TOKEN}"] * 2 + [
        None
    ]


def test_dead_link_is_replaced_by_a_fresh_one() -> None:
    asked = script(EXPIRED, httpx.Response(200, content=DATA))
    assert fetch(asked)[1] == DATA
    assert asked.lines.count(f"GET {MEDIA}") == 2


def test_links_that_always_die_are_tried_later() -> None:
    with pytest.raises(TryLater) as caught:
        fetch(script(EXPIRED))
    assert caught.value.code == "GC-123"
    assert "5ecre7" not in caught.value.sentence()


def test_file_without_right_is_never() -> None:
    asked = script(**{f"GET {MEDIA}": httpx.Response(403, html="<html>")})
    with pytest.raises(Never):
        fetch(asked)


def test_fewer_bytes_than_told_are_damaged() -> None:
    short = httpx.Response(200, headers={"Content-Length": str(len(DATA) + 1)}, content=DATA)
    with pytest.raises(Damaged) as caught:
        fetch(script(short))
    assert caught.value.code == "GC-241"


@pytest.mark.parametrize("known", [{"size_bytes": len(DATA) - 1}, {"sha256": "0" * 64}])
def test_bytes_other_than_before_are_damaged(known: dict[str, Any]) -> None:
    with pytest.raises(Damaged):
        fetch(script(httpx.Response(200, content=DATA)), replace(MASK, **known))


def test_pyramid_for_viewers_is_not_the_image() -> None:
    files = (("DZI", "https://api.example/media/i1.dzi"), ("TIFF", "https://api.example/media/i1.tif"))
    body = recorded("find-by-image")["response"]["body"]["results"][0]
    mask = [value for value in body["outputs"] if value["image"]]
    body["outputs"] = mask
    pk = mask[0]["image"].rstrip("/").rpartition("/")[2]
    asked = Script({"GET algorithms/jobs/j1/": body, f"GET cases/images/{pk}/": image(*files)})
    assert [output.media_type for output in run(scripted(asked).outputs(JOB))] == ["image/tiff"]


def test_image_without_a_file_is_never() -> None:
    with pytest.raises(Never) as caught:
        fetch(Script({"GET cases/images/i1/": image(("DZI", MEDIA))}))
    assert caught.value.code == "GC-240"


def with_value(value: Any) -> Script:
    socket = {"slug": "x", "kind": "Anything", "super_kind": "Value"}
    return Script(
        {
            "GET algorithms/jobs/j1/": {
                "pk": "j1",
                "status": "Succeeded",
                "outputs": [{"pk": 234, "interface": socket, "value": value, "file": None, "image": None}],
            }
        }
    )


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)


def test_value_comes_back_as_the_same_json() -> None:
    output = Output(name="x", kind=OutputKind.VALUE, media_type="application/json", ref="value/234")
    asked = Script({})
    platform = scripted(asked)

    @given(value=json_values)
    def holds(value: Any) -> None:
        asked.answers = with_value(value).answers
        sink = Sink()
        run(platform.fetch(JOB, output, sink))
        back = json.loads(sink.data)
        assert (back, type(back)) == (value, type(value))

    holds()


def test_value_that_the_job_no_longer_has_is_never() -> None:
    output = Output(name="x", kind=OutputKind.VALUE, media_type="application/json", ref="value/999")
    with pytest.raises(Never) as caught:
        fetch(with_value(1), output)
    assert caught.value.code == "GC-242"
