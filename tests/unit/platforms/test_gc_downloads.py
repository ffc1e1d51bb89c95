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

from bridge.errors import Damaged, Never, TryLater, Unauthorized
from bridge.platforms import RemoteJob
from bridge.results.output import Label, Output, OutputKind, Presence

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
        Output(
            name="findings",
            kind=OutputKind.FILE,
            media_type="application/json",
            ref="file/235",
            word="Anything",
            title="Findings",
            path="findings.json",
        ),
        Output(
            name="lung-volume",
            kind=OutputKind.VALUE,
            media_type="application/json",
            ref="value/234",
            word="Float",
            title="Lung volume",
            path="lung-volume-ml.json",
        ),
        Output(
            name="report-table",
            kind=OutputKind.TABLE,
            media_type="text/csv",
            ref="file/236",
            word="CSV file",
            title="Report table",
            path="report.csv",
        ),
        Output(
            name="lung-mask",
            kind=OutputKind.MASK,
            media_type="image/x-metaimage",
            ref="image/e3aeeebc-50d9-4dde-9f42-232f712d513a",
            labels=(Label(value=1, name="lung"),),
            word="Segmentation",
            title="Lung mask",
            path="images/lung-mask",
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


KINDS = [
    ("Image", "Image", "image", OutputKind.IMAGE),
    ("Image", "Segmentation", "image", OutputKind.MASK),
    ("Image", "Heat Map", "image", OutputKind.IMAGE),
    ("Image", "Displacement field", "image", OutputKind.IMAGE),
    ("File", "CSV file", "report.csv", OutputKind.TABLE),
    ("File", "PDF file", "report.pdf", OutputKind.FILE),
    ("File", "OBJ file", "lungs.obj", OutputKind.MESH),
    ("File", "Thumbnail jpg", "small.jpg", OutputKind.FILE),
    ("File", "Thumbnail png", "small.png", OutputKind.FILE),
    ("File", "ZIP file", "all.zip", OutputKind.FILE),
    ("File", "MP4 file", "film.mp4", OutputKind.FILE),
    ("File", "Newick tree-format file", "tree.newick", OutputKind.FILE),
    ("File", "Anything", "findings.json", OutputKind.FILE),
    ("Value", "Integer", None, OutputKind.VALUE),
    ("Value", "Multiple polygons", None, OutputKind.VALUE),
    ("Value", "Chart", None, OutputKind.VALUE),
    ("Hologram", "Ghost", "ghost.bin", OutputKind.FILE),
]


def test_every_kind_is_handed_on_with_its_socket() -> None:
    values = []
    for number, (super_kind, kind, name, _) in enumerate(KINDS):
        socket = {"slug": f"s{number}", "title": f"S {number}", "super_kind": super_kind, "kind": kind}
        socket["relative_path"] = f"out/{number}"
        one: dict[str, Any] = {"pk": number, "socket": socket, "value": None, "file": None, "image": None}
        if name == "image":
            one["image"] = "https://api.example/api/v1/cases/images/i1/"
        elif name:
            one["file"] = f"https://api.example/media/components/componentinterfacevalue/00/{number}/{name}"
        else:
            one["value"] = [1]
        values.append(one)
    asked = Script(
        {
            "GET algorithms/jobs/j1/": {"pk": "j1", "status": "Succeeded", "outputs": values},
            "GET cases/images/i1/": image(("MHD", MEDIA)),
        }
    )
    outputs = run(scripted(asked).outputs(JOB))
    assert [output.kind for output in outputs] == [kind for *_, kind in KINDS]
    assert [(output.name, output.word, output.title, output.path) for output in outputs] == [
        (f"s{number}", kind, f"S {number}", f"out/{number}") for number, (_, kind, _, _) in enumerate(KINDS)
    ]
    assert {output.presence for output in outputs} == {Presence.HERE}
    assert {output.media_type for output in outputs} >= {"application/pdf", "image/png", "model/obj"}


@pytest.mark.parametrize(
    "answer",
    [(404, {"detail": "No Image matches the given query."}), image(), image(("DZI", MEDIA))],
    ids=["dangling-link", "dicom-image-set", "pyramid-only"],
)
def test_output_that_is_not_to_be_had_does_not_take_the_others_with_it(answer: Any) -> None:
    socket = {"slug": "mask", "super_kind": "Image", "kind": "Segmentation"}
    number = {"slug": "volume", "super_kind": "Value", "kind": "Float"}
    outputs = [
        {"pk": 1, "socket": socket, "image": "https://api.example/api/v1/cases/images/i1/"},
        {"pk": 2, "socket": number, "value": 3.5},
    ]
    asked = Script(
        {
            "GET algorithms/jobs/j1/": {"pk": "j1", "status": "Succeeded", "outputs": outputs},
            "GET cases/images/i1/": answer,
        }
    )
    mask, volume = run(scripted(asked).outputs(JOB))
    assert (mask.presence, bool(mask.reason)) == (Presence.FAILED, True)
    assert (volume.presence, volume.reason) == (Presence.HERE, "")


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (httpx.Response(403, html="<html>no right</html>"), Never, "GC-124"),
        (httpx.Response(404, html="<html>no right</html>"), Never, "GC-124"),
        (httpx.Response(502, html="<html>gateway</html>"), TryLater, "GC-119"),
        (httpx.Response(500, html="<html>sorry</html>"), TryLater, "GC-126"),
        (httpx.Response(401, html="<html>who</html>"), Unauthorized, "GC-114"),
        (httpx.Response(204), Damaged, "GC-132"),
    ],
)
def test_page_of_the_media_server_is_never_taken_for_a_file(
    answer: httpx.Response, error: type[Exception], code: str
) -> None:
    sink = Sink()
    with pytest.raises(error) as caught:
        run(scripted(script(**{f"GET {MEDIA}": answer})).fetch(JOB, MASK, sink))
    assert getattr(caught.value, "code", "") == code
    assert sink.data == b""


def test_half_a_file_is_damaged_and_not_a_result() -> None:
    class Torn(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            yield DATA[:100]
            raise httpx.RemoteProtocolError("peer closed " + SIGNED)

    with pytest.raises(TryLater) as caught:
        fetch(script(httpx.Response(200, headers={"Content-Length": str(len(DATA))}, stream=Torn())))
    assert caught.value.code == "NET-002"
    assert "5ecre7" not in caught.value.sentence()
