"""What a rule asks for becomes a job body; what cannot be asked is refused before anything is sent."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.platforms.vpe_kit import LOGIN, Script, account, request, scripted

from bridge.errors import ConfigError
from bridge.export.parcel import Order
from bridge.platforms import RequestedFile, RequestedMesh, There
from bridge.platforms.virtual_patient_engine import VirtualPatientEngine
from bridge.platforms.virtual_patient_engine.options import options_of


def order_of(given: Any, version: str = "") -> Order:
    platform = scripted(Script())
    return platform.plan(asyncio.run(platform.describe("virtual-patient", version)), given)


def body_of(given: Any) -> Any:
    return json.loads(order_of(given).details["body"])


@pytest.mark.parametrize(
    ("meshes", "entries", "names"),
    [
        (
            [{"structures": ["mandible", "tooth36"]}],
            [
                {"extension": ".stl", "structures": ["mandible"]},
                {"extension": ".stl", "structures": ["tooth36"]},
            ],
            ["mandible", "tooth36"],
        ),
        (
            [{"extension": ".ply", "structures": ["tooth11", "tooth21"], "files": "combined"}],
            [{"extension": ".ply", "structures": ["tooth11", "tooth21"]}],
            ["tooth11+tooth21"],
        ),
        (
            [{"structures": ["tooth11", "tooth21"], "files": "combined", "name": "incisors"}],
            [{"extension": ".stl", "structures": ["tooth11", "tooth21"]}],
            ["incisors"],
        ),
        (
            [{"structures": ["mandible"], "extra": {"minus": ["all_nerves"]}}],
            [{"extension": ".stl", "structures": ["mandible"], "minus": ["all_nerves"]}],
            ["mandible"],
        ),
        (
            [{"structures": ["mandible"]}, {"extension": ".obj", "structures": ["mandible"]}],
            [
                {"extension": ".stl", "structures": ["mandible"]},
                {"extension": ".obj", "structures": ["mandible"]},
            ],
            ["mandible.stl", "mandible.obj"],
        ),
        (
            [{"structures": ["a_word_of_next_year"]}],
            [{"extension": ".stl", "structures": ["a_word_of_next_year"]}],
            ["a_word_of_next_year"],
        ),
    ],
)
def test_meshes_are_asked_for_one_by_one_or_combined(meshes: Any, entries: Any, names: list[str]) -> None:
    order = order_of(request(outputs={"meshes": meshes}))
    assert json.loads(order.details["body"])["outputFiles"] == {"meshes": entries}
    assert [one["name"] for one in json.loads(order.details["wanted"])] == names


def test_what_nobody_has_documented_goes_through_as_it_is_written() -> None:
    outputs = {"labelVolume": {"extension": ".nrrd", "x": [1]}, "reports": [{"extension": ".pdf"}, {}]}
    options = {"mandible": {"makeManifold": True, "smoothingIterations": 0}, "next-year": {"a": None}}
    given = request(outputs=outputs, options=options, cloudPackage="gold", endUserId="site-7")
    assert body_of(given) == {
        "inputFiles": {"cbct": {"extension": ".nrrd"}},
        "outputFiles": outputs,
        "options": options,
        "cloudPackage": "gold",
        "endUserId": "site-7",
    }
    wanted = json.loads(order_of(given).details["wanted"])
    assert [(one["family"], one["name"], one["extension"]) for one in wanted] == [
        ("labelVolume", "labelVolume", ".nrrd"),
        ("reports", "reports-1", ".pdf"),
        ("reports", "reports-2", ""),
    ]


@pytest.mark.parametrize(
    ("extension", "format"),
    [
        (".dcm", "dicom-multi-frame"),
        (".zip", "dicom-zip"),
        (".nii", "nii"),
        (".nii.gz", "nii.gz"),
        (".nrrd", "nrrd"),
        (".mha", "mha"),
    ],
)
def test_volume_is_ordered_in_the_format_of_its_extension(extension: str, format: str) -> None:
    order = order_of(request(inputs={"cbct": {"extension": extension}}))
    (file,) = order.files
    assert (file.format, file.file_name) == (format, f"cbct{extension}")


@pytest.mark.parametrize(
    ("objects", "format"), [(0, "dicom-multi-frame"), (1, "dicom-multi-frame"), (20, "dicom-zip")]
)
def test_volume_is_dicom_in_the_form_of_its_objects_where_the_rule_says_nothing(
    objects: int, format: str
) -> None:
    asked = request(inputs={})
    (file,) = order_of(replace(asked, volumes=(replace(asked.volumes[0], objects=objects),))).files
    assert (file.format, file.uncompressed) == (format, True)


def test_one_object_of_many_frames_is_no_archive_of_slices() -> None:
    asked = request(inputs={"cbct": {"extension": ".zip"}})
    with pytest.raises(ConfigError) as told:
        order_of(replace(asked, volumes=(replace(asked.volumes[0], objects=1),)))
    assert (told.value.code, "20 frames" in told.value.found) == ("VPE-026", True)


def test_account_may_let_compressed_objects_stay_so() -> None:
    platform = scripted(Script(), options={"dicom_syntax": "as-it-is"})
    spec = asyncio.run(platform.describe("virtual-patient", ""))
    (file,) = platform.plan(spec, request(inputs={})).files
    assert not file.uncompressed


def test_last_notify_is_the_only_step_that_commits() -> None:
    given = replace(
        request(inputs={"cbct": {"extension": ".nii"}, "ios_upper": {"extension": ".stl"}}),
        files=(RequestedFile(input="ios_upper", media_type="", size_bytes=7),),
    )
    order = order_of(given)
    assert [(step.name, step.commits) for step in order.steps] == [
        ("create", False),
        ("upload:cbct", False),
        ("upload:ios_upper", False),
        ("notify:cbct", False),
        ("notify:ios_upper", True),
    ]
    assert [copy.file_name for copy in order.copies] == ["ios_upper.stl"]


def test_mesh_of_the_study_leaves_as_what_it_is_and_is_a_file_of_the_parcel() -> None:
    meshes = (RequestedMesh(input="facial", format="obj"), RequestedMesh(input="ios_upper", format="stl"))
    order = order_of(replace(request(), meshes=meshes))
    assert [(one.input, one.format, one.file_name, one.as_labels) for one in order.files] == [
        ("cbct", "nrrd", "cbct.nrrd", False),
        ("facial", "obj", "facial.obj", False),
        ("ios_upper", "stl", "ios_upper.stl", False),
    ]
    assert json.loads(order.details["body"])["inputFiles"] == {
        "cbct": {"extension": ".nrrd"},
        "facial": {"extension": ".obj"},
        "ios_upper": {"extension": ".stl"},
    }
    assert [step.sends for step in order.steps if step.sends] == [("cbct",), ("facial",), ("ios_upper",)]
    assert [step.name for step in order.steps if step.commits] == ["notify:ios_upper"]


def test_mesh_is_not_made_into_another_format() -> None:
    given = request(inputs={"cbct": {"extension": ".nrrd"}, "facial": {"extension": ".stl"}})
    with pytest.raises(ConfigError) as caught:
        order_of(replace(given, meshes=(RequestedMesh(input="facial", format="obj"),)))
    assert caught.value.code == "VPE-025"


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        ({"outputs": {}}, "VPE-020", "outputs"),
        ({"outputs": {"meshes": [{"structures": []}]}}, "VPE-020", "structures"),
        ({"outputs": {"meshes": [{"structures": ["a"], "file": "each"}]}}, "VPE-020", "file"),
        ({"outputs": {"meshes": [{"structures": ["a"], "extension": "stl"}]}}, "VPE-020", "extension"),
        ({"threshold": 4}, "VPE-020", "threshold"),
        ({"inputs": {"cbct": {"extension": ".vti"}}}, "VPE-021", ".vti"),
        ({"inputs": {"facial": {"extension": ".stl"}}}, "VPE-022", "facial"),
        ({"outputs": {"meshes": [{"structures": ["a", "a"]}]}}, "VPE-024", "a more than once"),
    ],
)
def test_rule_that_asks_for_what_cannot_be_is_told_where(change: Any, code: str, word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        order_of(request(**change))
    assert caught.value.code == code
    assert word in caught.value.found


def test_rule_without_outputs_file_kinds_or_anything_to_send_is_told_so() -> None:
    no_values = replace(request(), values={})
    no_kind = replace(request(), files=(RequestedFile(input="facial", media_type="", size_bytes=7),))
    nothing = replace(request(inputs={}), volumes=())
    elsewhere = replace(request(), there=(There(input="cbct", image="x"),))
    codes = []
    for given in (no_values, no_kind, nothing, elsewhere):
        with pytest.raises(ConfigError) as caught:
            order_of(given)
        codes.append(caught.value.code)
    assert codes == ["VPE-020", "VPE-022", "VPE-023", "VPE-023"]


@pytest.mark.parametrize(
    ("version", "option", "route"),
    [
        ("24.06", "auto", "job"),
        ("v2", "auto", "generic-job"),
        ("v1", "auto", "generic-job"),
        ("v3", "auto", "job"),
        ("25.01", "generic-job", "generic-job"),
        ("v2", "job", "job"),
    ],
)
def test_route_follows_the_version_or_the_account(version: str, option: str, route: str) -> None:
    assert options_of(account(options={"create_route": option})).route(version) == route


def test_version_of_the_rule_goes_before_that_of_the_account_and_one_must_be_given() -> None:
    platform = scripted(Script())
    assert asyncio.run(platform.describe("virtual-patient", "v2")).pin == "v2"
    assert asyncio.run(platform.describe("virtual-patient")).pin == "24.06"
    assert order_of(request(), "25.01").details["version"] == "25.01"
    for version in ("", "24.06/../x", "a b"):
        with pytest.raises(ConfigError) as caught:
            asyncio.run(scripted(Script(), options={"version": ""}).describe("virtual-patient", version))
        assert caught.value.code == "VPE-011"


def test_description_asks_for_a_token_and_nothing_else() -> None:
    script = Script()
    asyncio.run(scripted(script).describe("virtual-patient"))
    assert script.lines == [f"POST {LOGIN}"]


@pytest.mark.parametrize(
    "options", [{"client_id": ""}, {"poll_s": 0}, {"notify": "get"}, {"regin": "eu"}, {"create_route": "x"}]
)
def test_options_out_of_range_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        VirtualPatientEngine(account(options=options))
    assert (caught.value.code, caught.value.key) == ("VPE-001", "accounts.vpe.options")
    assert next(iter(options)) in caught.value.found
