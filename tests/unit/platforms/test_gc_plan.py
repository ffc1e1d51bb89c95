"""What an algorithm takes, and the order that is made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter
from tests.unit.platforms.gc_kit import Script, recorded, run, scripted, volume

from bridge.errors import BridgeError, ConfigError, Refused, Unauthorized
from bridge.export.parcel import Order, Repeat
from bridge.platforms import InputSpec, Interface, OutputSpec, Request, Spec
from bridge.platforms.grand_challenge.api import Socket
from bridge.platforms.grand_challenge.sockets import kind_of, media_type
from bridge.results.output import Label, OutputKind

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
    ct = InputSpec(name="chest-ct", kind=OutputKind.IMAGE)
    assert spec.interfaces == (
        Interface(inputs=(ct,), outputs=outputs),
        Interface(
            inputs=(
                ct,
                InputSpec(name="threshold", kind=OutputKind.VALUE),
                InputSpec(name="options-file", kind=OutputKind.FILE),
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
    assert PLATFORM.plan(spec, Request(volumes=(volume("generic-medical-image"),), values={})).values == ()


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
        (spec_with({"t": VALUE}), [], {"t": 1}, ConfigError, "GC-213"),
        (spec_with({"ct": IMAGE, "t": VALUE}), ["ct", "t"], {}, Refused, "GC-212"),
        (spec_with({"ct": IMAGE, "t": VALUE}), [], {"ct": 1, "t": 1}, Refused, "GC-212"),
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
