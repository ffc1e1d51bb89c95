"""What an algorithm takes, and the order that is made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter
from tests.unit.platforms.gc_kit import Script, recorded, run, scripted, volume

from bridge.errors import BridgeError, ConfigError, Refused, Unauthorized
from bridge.export.parcel import Order, OrderedCopy, Repeat
from bridge.platforms import (
    InputSpec,
    Interface,
    OutputSpec,
    RemoteJob,
    Request,
    RequestedFile,
    RequestedMesh,
    RequestedVolume,
    Spec,
    There,
)
from bridge.platforms.grand_challenge.planning import value_bytes
from bridge.platforms.grand_challenge.shapes import Socket
from bridge.platforms.grand_challenge.sockets import kind_of, media_type
from bridge.results.output import Label, Output, OutputKind

EMPTY = {"count": 0, "next": None, "previous": None, "results": []}
PLATFORM = scripted(Script({}))


def described(label: str, slug: str, change: Callable[[Any], None] = lambda body: None) -> Spec:
    body = recorded(label)["response"]["body"]
    change(body["results"][0])
    return run(scripted(Script({f"GET algorithms/?slug={slug}": body})).describe(slug))


def test_both_interfaces_of_a_recorded_algorithm() -> None:
    spec = described("auth-Bearer", "lung-volume-demo")
    outputs = (
        OutputSpec(name="lung-mask", kind=OutputKind.MASK, labels=(Label(value=1, name="lung"),)),
        OutputSpec(name="lung-volume", kind=OutputKind.VALUE),
        OutputSpec(name="findings", kind=OutputKind.FILE),
        OutputSpec(name="report-table", kind=OutputKind.TABLE),
    )
    ct = InputSpec(name="chest-ct", kind=OutputKind.IMAGE, word="Image")
    assert spec.interfaces == (
        Interface(inputs=(ct,), outputs=outputs),
        Interface(
            inputs=(
                ct,
                InputSpec(name="threshold", kind=OutputKind.VALUE, word="Integer"),
                InputSpec(
                    name="options-file",
                    kind=OutputKind.FILE,
                    word="Anything",
                    media_type="application/json",
                    suffix=".json",
                ),
            ),
            outputs=outputs,
        ),
    )
    assert (spec.title, spec.typical_seconds, spec.pin) == ("Lung Volume Demo", 0.465463, "")
    assert spec.details == {
        "pk": "d51950e6-9542-47a3-b0e1-0c9622e8882c",
        "api_url": "https://grand-challenge.org/api/v1/algorithms/d51950e6-9542-47a3-b0e1-0c9622e8882c/",
    }


def test_algorithm_of_a_server_before_interfaces_and_its_default_may_be_left_out() -> None:
    def with_default(algorithm: Any) -> None:
        socket = {"slug": "threshold", "kind": "Integer", "super_kind": "Value", "default_value": 3}
        algorithm["inputs"].append(socket)

    spec = described("algorithm-before-2025-03", "x", with_default)
    (interface,) = spec.interfaces
    assert [(socket.name, socket.kind, socket.optional) for socket in interface.inputs] == [
        ("generic-medical-image", OutputKind.IMAGE, False),
        ("threshold", OutputKind.VALUE, True),
    ]
    order = PLATFORM.plan(spec, Request(volumes=(volume("generic-medical-image"),), values={}))
    assert (order.values, order.details["omitted"]) == ((), "threshold")


@pytest.mark.parametrize(
    ("super_kind", "kind", "expected"),
    [
        ("Image", "Image", OutputKind.IMAGE),
        ("image", "Heat Map", OutputKind.IMAGE),
        ("Image", "Segmentation", OutputKind.MASK),
        ("Image", "DICOM Image Set", OutputKind.FILE),
        ("Value", "Float", OutputKind.VALUE),
        ("File", "Anything", OutputKind.FILE),
        ("File", "CSV file", OutputKind.TABLE),
        ("File", "OBJ file", OutputKind.MESH),
        ("File", "PDF file", OutputKind.FILE),
        ("Hologram", "Ghost", OutputKind.FILE),
    ],
)
def test_kind_follows_super_kind(super_kind: str, kind: str, expected: OutputKind) -> None:
    assert kind_of(Socket(slug="x", super_kind=super_kind, kind=kind)) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/media/a/b.mha", "image/x-metaimage"),
        ("/media/a/report.CSV", "text/csv"),
        ("/media/a/findings.json", "application/json"),
        ("/media/a/strange", "application/octet-stream"),
    ],
)
def test_media_type_by_the_end_of_the_name(name: str, expected: str) -> None:
    assert media_type(name) == expected


def test_empty_list_with_a_bad_token_is_unauthorized_and_not_an_unknown_algorithm() -> None:
    script = Script(
        {
            "GET algorithms/?slug=lungs": EMPTY,
            "GET components/interfaces/?limit=1": (401, {"detail": "Invalid token."}),
        }
    )
    with pytest.raises(Unauthorized):
        run(scripted(script).describe("lungs"))


def test_empty_list_with_a_good_token_names_what_is_near() -> None:
    seen = recorded("auth-Bearer")["response"]["body"]
    script = Script(
        {
            "GET algorithms/?slug=lung-volume": EMPTY,
            "GET components/interfaces/?limit=1": EMPTY,
            "GET algorithms/?limit=1000": seen,
        }
    )
    with pytest.raises(ConfigError) as caught:
        run(scripted(script).describe("lung-volume"))
    assert (caught.value.code, caught.value.expected) == ("GC-010", "for example lung-volume-demo")


def test_filter_that_the_server_ignores_does_not_give_another_algorithm() -> None:
    seen = recorded("auth-Bearer")["response"]["body"]
    script = Script(
        {
            "GET algorithms/?slug=heart": seen,
            "GET components/interfaces/?limit=1": EMPTY,
            "GET algorithms/?limit=1000": seen,
        }
    )
    with pytest.raises(ConfigError):
        run(scripted(script).describe("heart"))


def spec_with(*sets: dict[str, OutputKind]) -> Spec:
    return Spec(
        algorithm="demo",
        title="Demo",
        interfaces=tuple(
            Interface(inputs=tuple(InputSpec(name=name, kind=kind) for name, kind in one.items()), outputs=())
            for one in sets
        ),
        details={"pk": "a1", "api_url": "https://api.example/api/v1/algorithms/a1/"},
        typical_seconds=600.0,
    )


IMAGE, VALUE, FILE, MASK = OutputKind.IMAGE, OutputKind.VALUE, OutputKind.FILE, OutputKind.MASK


def test_order_of_two_images_and_a_value() -> None:
    spec = spec_with({"moving": IMAGE, "fixed": IMAGE, "threshold": VALUE})
    request = Request(volumes=(volume("moving"), volume("fixed")), values={"threshold": 3})
    order = PLATFORM.plan(spec, request)
    assert [(file.input, file.format, file.file_name) for file in order.files] == [
        ("fixed", "mha", "fixed.mha"),
        ("moving", "mha", "moving.mha"),
    ]
    assert [(value.input, value.value) for value in order.values] == [("threshold", 3)]
    assert [(step.name, step.needs) for step in order.steps] == [
        ("upload:fixed", ()),
        ("session:fixed", ("upload:fixed",)),
        ("upload:moving", ()),
        ("session:moving", ("upload:moving",)),
        ("count", ()),
        ("create", ("session:fixed", "session:moving", "count")),
    ]
    assert [step.name for step in order.steps if step.commits] == ["create"]
    assert [step.name for step in order.steps if step.repeat is Repeat.FIND_FIRST] == ["create"]
    adapter = TypeAdapter(Order)
    assert adapter.validate_json(adapter.dump_json(order)) == order


@pytest.mark.parametrize(
    ("spec", "volumes", "values", "error", "code"),
    [
        (spec_with({"ct": IMAGE}), ["mr"], {}, ConfigError, "GC-210"),
        (spec_with({"ct": IMAGE}), ["ct", "pet"], {}, ConfigError, "GC-210"),
        (spec_with({"ct": IMAGE}), ["ct"], {"threshold": 1}, ConfigError, "GC-210"),
        (spec_with({"ct": IMAGE, "pet": IMAGE}), ["ct"], {}, ConfigError, "GC-210"),
        (spec_with({"ct": IMAGE, "t": VALUE}), ["ct"], {"t": None}, ConfigError, "GC-211"),
        (spec_with({"ct": IMAGE, "t": VALUE}), ["ct", "t"], {}, Refused, "GC-212"),
        (spec_with({"ct": IMAGE, "t": VALUE}), [], {"ct": 1, "t": 1}, ConfigError, "GC-214"),
        (spec_with({"ct": IMAGE}), [], {"ct": {}}, ConfigError, "GC-214"),
        (spec_with({"ct": IMAGE}), [], {"ct": {"image": 7}}, ConfigError, "GC-214"),
        (
            spec_with({"ct": IMAGE}),
            [],
            {"ct": {"image": "a", "job": "b", "socket": "m"}},
            ConfigError,
            "GC-214",
        ),
        (spec_with({"ct": IMAGE}), [], {"ct": {"job": "b"}}, ConfigError, "GC-214"),
        (spec_with({"ct": IMAGE}), [], {"ct": {"picture": "b"}}, ConfigError, "GC-214"),
        (spec_with({"ct": IMAGE, "t": VALUE}), ["ct"], {"t": float("nan")}, ConfigError, "GC-211"),
        (spec_with({"ct": IMAGE, "t": VALUE}), ["ct"], {"t": [1, float("inf")]}, ConfigError, "GC-211"),
        (spec_with({"ct": IMAGE, "o": FILE}), ["ct"], {"o": {}}, Refused, "GC-212"),
        (spec_with({"ct": IMAGE, "m": MASK}), ["ct", "m"], {}, Refused, "GC-212"),
    ],
)
def test_request_that_no_interface_takes(
    spec: Spec, volumes: list[str], values: dict[str, Any], error: type[BridgeError], code: str
) -> None:
    request = Request(volumes=tuple(volume(name) for name in volumes), values=values)
    with pytest.raises(error) as caught:
        PLATFORM.plan(spec, request)
    assert caught.value.code == code


def test_refusal_names_what_was_given_and_every_set_that_would_do() -> None:
    spec = spec_with({"ct": IMAGE}, {"ct": IMAGE, "t": VALUE})
    with pytest.raises(ConfigError) as caught:
        PLATFORM.plan(spec, Request(volumes=(volume("ct"), volume("pet")), values={}))
    assert caught.value.found == "the rule gives ct, pet to demo"
    assert caught.value.expected == "exactly (ct) or (ct, t)"


def test_alternative_interfaces_are_told_apart_by_their_sets() -> None:
    spec = spec_with({"ct": IMAGE}, {"ct": IMAGE, "t": VALUE})
    assert PLATFORM.plan(spec, Request(volumes=(volume("ct"),), values={})).values == ()
    assert len(PLATFORM.plan(spec, Request(volumes=(volume("ct"),), values={"t": 1})).values) == 1


def with_inputs(*inputs: InputSpec) -> Spec:
    return Spec(
        algorithm="demo",
        title="Demo",
        interfaces=(Interface(inputs=inputs, outputs=()),),
        details={"pk": "a1", "api_url": "https://api.example/api/v1/algorithms/a1/"},
    )


@pytest.mark.parametrize(
    ("word", "value", "is_taken"),
    [
        ("Integer", 3, True),
        ("Integer", 3.5, False),
        ("Integer", True, False),
        ("Float", 3, True),
        ("Float", 0.5, True),
        ("Float", "0.5", False),
        ("String", "a", True),
        ("String", 1, False),
        ("Bool", False, True),
        ("Bool", 0, False),
        ("Choice", "left", True),
        ("Multiple choice", ["left"], True),
        ("Anything", {"a": [1, None]}, True),
        ("A kind of tomorrow", 3, True),
    ],
)
def test_value_of_a_wrong_type_is_refused_before_anything_is_sent(
    word: str, value: Any, is_taken: bool
) -> None:
    spec = with_inputs(InputSpec(name="t", kind=VALUE, word=word))
    request = Request(volumes=(), values={"t": value})
    if is_taken:
        assert PLATFORM.plan(spec, request).values[0].value == value
        return
    with pytest.raises(ConfigError) as caught:
        PLATFORM.plan(spec, request)
    assert caught.value.code == "GC-211"


@pytest.mark.parametrize(
    ("media_type", "value", "file_name"),
    [
        ("application/json", {"a": 1}, "f.json"),
        ("application/json", "text", "f.json"),
        ("text/csv", "a,b\n1,2\n", "f.csv"),
        ("text/csv", {"a": 1}, None),
        ("application/pdf", "x", None),
    ],
)
def test_value_for_a_file_socket_is_sent_as_a_file_where_it_can_be_one(
    media_type: str, value: Any, file_name: str | None
) -> None:
    spec = with_inputs(
        InputSpec(name="ct", kind=IMAGE), InputSpec(name="f", kind=FILE, word="X", media_type=media_type)
    )
    request = Request(volumes=(volume("ct"),), values={"f": value})
    if file_name is None:
        with pytest.raises(Refused):
            PLATFORM.plan(spec, request)
        return
    order = PLATFORM.plan(spec, request)
    assert order.details["upload:f"] == file_name
    assert [step.name for step in order.steps] == ["upload:f", "upload:ct", "session:ct", "count", "create"]
    assert order.steps[-1].needs == ("session:ct", "upload:f", "count")
    assert [file.input for file in order.files] == ["ct"], "nothing to convert"


@pytest.mark.parametrize(
    ("wanted", "found", "is_taken"),
    [
        ("application/pdf", "application/pdf", True),
        ("application/pdf", "application/zip", False),
        ("application/pdf", "", False),
        ("application/zip", "application/zip", True),
        ("application/json", "application/json", True),
        ("application/json", "text/plain", False),
        ("text/csv", "text/plain", True),
        ("text/csv", "application/json", True),
        ("text/csv", "", False),
        ("model/obj", "text/plain", True),
        ("video/mp4", "video/mp4", True),
        ("image/png", "image/jpeg", False),
        ("application/vnd.sqlite3", "", True),
        ("application/octet-stream", "application/pdf", True),
    ],
)
def test_file_of_the_site_is_sent_where_it_is_what_the_socket_takes(
    wanted: str, found: str, is_taken: bool
) -> None:
    """What cannot be told by its content is left to the platform; what can be is never paid for in vain."""
    spec = with_inputs(InputSpec(name="f", kind=FILE, word="X file", media_type=wanted, suffix=".x"))
    request = Request(
        volumes=(), values={}, files=(RequestedFile(input="f", media_type=found, size_bytes=3),)
    )
    if not is_taken:
        with pytest.raises(Refused) as caught:
            PLATFORM.plan(spec, request)
        assert caught.value.code == "GC-216"
        return
    order = PLATFORM.plan(spec, request)
    assert order.copies == (OrderedCopy(input="f", file_name="f.x"),)
    assert [step.name for step in order.steps] == ["upload:f", "count", "create"]
    assert order.steps[-1].needs == ("upload:f", "count")


def test_value_is_written_as_its_kind_says_whatever_the_socket_s_path_ends_in() -> None:
    spec = with_inputs(InputSpec(name="f", kind=FILE, media_type="application/json", suffix=".config"))
    order = PLATFORM.plan(spec, Request(volumes=(), values={"f": "a text"}))
    assert value_bytes(order.details["upload:f"], "a text") == b'"a text"'


@pytest.mark.parametrize(
    "socket",
    [
        InputSpec(name="f", kind=IMAGE),
        InputSpec(name="f", kind=MASK),
        InputSpec(name="f", kind=VALUE, word="Integer"),
        InputSpec(name="f", kind=FILE, word="DICOM Image Set"),
    ],
    ids=["image", "mask", "value", "dicom-set"],
)
def test_file_of_the_site_goes_into_no_other_socket(socket: InputSpec) -> None:
    file = RequestedFile(input="f", media_type="application/json", size_bytes=3)
    with pytest.raises(Refused) as caught:
        PLATFORM.plan(with_inputs(socket), Request(volumes=(), values={}, files=(file,)))
    assert caught.value.code == "GC-212"


def test_volume_for_a_socket_of_a_document_is_refused_with_what_to_do() -> None:
    spec = with_inputs(InputSpec(name="f", kind=FILE, word="PDF file", media_type="application/pdf"))
    with pytest.raises(Refused) as caught:
        PLATFORM.plan(spec, Request(volumes=(volume("f"),), values={}))
    assert "a file (PDF file)" in caught.value.found
    assert "{ file =" in caught.value.remedy


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ({"image": "i1"}, "image/i1"),
        ({"image": "https://grand-challenge.org/api/v1/cases/images/i1/"}, "image/i1"),
        ({"archive_item": "t1"}, "archive_item/t1/"),
        ({"archive_item": "t1", "socket": "ct"}, "archive_item/t1/ct"),
        ({"job": "j1", "socket": "lungs"}, "job/j1/lungs"),
    ],
)
def test_image_at_the_platform_is_named_and_nothing_is_uploaded(value: Any, address: str) -> None:
    spec = with_inputs(InputSpec(name="mask", kind=MASK), InputSpec(name="t", kind=VALUE))
    order = PLATFORM.plan(spec, Request(volumes=(), values={"mask": value, "t": 1}))
    assert order.details["there:mask"] == address
    assert [step.name for step in order.steps] == ["there:mask", "count", "create"]
    assert [value.input for value in order.values] == ["t"]


def test_dicom_set_that_is_at_the_platform_is_named_as_an_image() -> None:
    spec = with_inputs(InputSpec(name="ct", kind=FILE, word="DICOM Image Set"))
    order = PLATFORM.plan(spec, Request(volumes=(), values={"ct": {"image": "i1"}}))
    assert order.details["there:ct"] == "image/i1"


def test_image_at_the_platform_may_come_from_the_house_as_well_as_from_the_rule() -> None:
    spec = with_inputs(InputSpec(name="ct", kind=IMAGE), InputSpec(name="mask", kind=IMAGE))
    there = There(input="mask", job="j1", socket="lungs")
    order = PLATFORM.plan(spec, Request(volumes=(volume("ct"),), values={}, there=(there,)))
    assert order.details["there:mask"] == "job/j1/lungs"


def labels(name: str, *values: int) -> RequestedVolume:
    return RequestedVolume(
        input=name, modality="SEG", shape=(1, 1, 1), spacing_mm=(1, 1, 1), is_labels=True, labels=values
    )


def test_labels_leave_as_8_bit_with_the_values_that_the_socket_declares() -> None:
    lung = (Label(value=1, name="lung"), Label(value=2, name="airway"))
    spec = with_inputs(
        InputSpec(name="mask", kind=MASK, labels=lung), InputSpec(name="any-image", kind=IMAGE)
    )
    order = PLATFORM.plan(spec, Request(volumes=(labels("mask", 1), labels("any-image", 7)), values={}))
    assert [(file.input, file.as_labels, file.labels) for file in order.files] == [
        ("any-image", True, ()),
        ("mask", True, (1, 2)),
    ]


@pytest.mark.parametrize("found", [(3,), (1, 2, 3), (300,)])
def test_labels_that_the_socket_does_not_declare_are_refused(found: tuple[int, ...]) -> None:
    spec = with_inputs(
        InputSpec(name="mask", kind=MASK, labels=(Label(value=1, name="a"), Label(value=2, name="b")))
    )
    with pytest.raises(Refused) as caught:
        PLATFORM.plan(spec, Request(volumes=(labels("mask", *found),), values={}))
    assert (caught.value.code, caught.value.numbers) == ("GC-215", {"strange": 1})


def test_labels_beyond_8_bit_are_refused_where_nothing_is_declared() -> None:
    spec = with_inputs(InputSpec(name="mask", kind=MASK))
    with pytest.raises(Refused):
        PLATFORM.plan(spec, Request(volumes=(labels("mask", 1, 256),), values={}))


def test_dicom_image_set_is_refused_with_a_reason() -> None:
    spec = with_inputs(InputSpec(name="ct", kind=FILE, word="DICOM Image Set"))
    with pytest.raises(Refused) as caught:
        PLATFORM.plan(spec, Request(volumes=(volume("ct"),), values={}))
    assert "DICOM image set" in caught.value.found


def test_spec_and_order_of_yesterday_still_load() -> None:
    spec = """{"algorithm":"a","title":"A","interfaces":[{"inputs":[{"name":"ct","kind":"image","optional":false}],
        "outputs":[]}],"details":{"pk":"a1","api_url":"u"},"pin":"","typical_seconds":null}"""
    order = """{"files":[{"input":"ct","format":"mha","file_name":"ct.mha"}],"values":[],"steps":[],"details":{}}"""
    output = """{"name":"m","kind":"mask","media_type":"x","ref":"image/1","item":"","size_bytes":1,"sha256":"0",
        "presence":"here","labels":[]}"""
    job = """{"key":"k","attempt":1,"remote_id":"j1","pin":"p","begun":["create"],"notes":{"create":{"pk":"j1"}}}"""
    assert TypeAdapter(Spec).validate_json(spec).interfaces[0].inputs[0].media_type == ""
    assert not TypeAdapter(Order).validate_json(order).files[0].as_labels
    assert TypeAdapter(Output).validate_json(output).word == ""
    assert TypeAdapter(RemoteJob).validate_json(job).notes["create"] == {"pk": "j1"}


def test_mesh_of_a_study_is_refused_before_anything_is_sent() -> None:
    request = Request(volumes=(), values={}, meshes=(RequestedMesh(input="f", format="stl"),))
    with pytest.raises(ConfigError) as caught:
        PLATFORM.plan(with_inputs(InputSpec(name="f", kind=FILE, word="STL file", suffix=".stl")), request)
    assert caught.value.code == "GC-217"
