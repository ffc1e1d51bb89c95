"""The catalogue: exact sets of inputs, every kind of input and output, both shapes, archives."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.sandbox.transcript import exchanges

from bridge.itk import ItkImage, read_image, write_image
from bridge.sandbox.grand_challenge import MaskAs
from bridge.sandbox.grand_challenge.kinds import without_nan

COMBINATIONS = (
    "The set of inputs provided does not match any of the algorithm's interfaces. This algorithm supports the "
    "following input combinations: Interface 1: CT image (Image) and Interface 2: CT image (Image), Threshold "
    "(Integer), and Options file (Anything)"
)
REGISTRATION = "deep-learning-based-ct-lung-registration"


@pytest.fixture
def ct(cloud: Any, chest_mha: bytes, tmp_path: Path) -> dict[str, str]:
    """The chest, already at the platform."""
    (tmp_path / "chest.mha").write_bytes(chest_mha)
    pk = cloud.sandbox.add_image(tmp_path / "chest.mha").pk
    return {"image": f"{cloud.sandbox.base_url}cases/images/{pk}/"}


def options(cloud: Any, content: bytes = b'{"threshold": -870}') -> dict[str, str]:
    return {"user_upload": cloud.upload(content, "options.json")}


def outputs(job: dict[str, Any]) -> dict[str, Any]:
    assert job["status"] == "Succeeded"
    return {v["socket"]["slug"]: v for v in job["outputs"]}


@pytest.mark.parametrize(
    ("sockets", "status"),
    [
        ("image", 201),
        ("image threshold options", 201),
        ("image threshold", 400),
        ("image options", 400),
        ("image threshold options percent", 400),
        ("threshold options", 400),
        ("image image", 400),
    ],
)
def test_set_of_inputs_must_be_exactly_one_of_the_interfaces(
    cloud: Any, ct: dict[str, str], sockets: str, status: int
) -> None:
    given = {
        "image": {"interface": "ct-image", **ct},
        "threshold": {"interface": "threshold", "value": -500},
        "options": {"interface": "options-file", **options(cloud)},
        "percent": {"interface": "low-attenuation-percent", "value": 1.5},
    }
    inputs = [given[name] for name in sockets.split()]
    body = {"algorithm": cloud.algorithm("air-by-threshold"), "inputs": inputs}
    posted = cloud.api.post("algorithms/jobs/", json=body)
    assert posted.status_code == status
    if status == 400:
        assert posted.json() == {"non_field_errors": [COMBINATIONS]}


def test_value_and_file_reach_the_algorithm(cloud: Any, ct: dict[str, str], chest: ItkImage) -> None:
    posted = cloud.post(
        "air-by-threshold", ct_image=ct, threshold={"value": -500}, options_file=options(cloud)
    )
    assert [v["interface"] for v in posted.json()["inputs"]] == [
        "ct-image",
        "threshold",
    ]  # the file is not yet
    job = cloud.finished(posted.json()["pk"])
    assert [v["socket"]["slug"] for v in job["inputs"]] == ["options-file", "threshold", "ct-image"]
    assert [v["socket"]["slug"] for v in job["outputs"]] == [
        "air-volume-ml",  # JSON first, wherever it is kept
        "findings",
        "report-table",
        "air-mask",
    ]
    found = outputs(job)
    assert [found["findings"][key] is None for key in ("value", "file", "image")] == [True, False, True]
    file = cloud.api.get(found["findings"]["file"], follow_redirects=True)
    assert file.headers["content-type"] == "application/json"
    ml = np.count_nonzero(chest.array <= -870) * 0.125
    assert file.json() == {"threshold": -870, "air_volume_ml": ml, "options": {"threshold": -870}}
    assert found["air-volume-ml"]["value"] == ml
    table = cloud.api.get(found["report-table"]["file"], follow_redirects=True)
    assert (table.headers["content-type"], len(table.text.splitlines())) == ("text/csv", 25)


def test_file_of_a_socket_is_its_owners(cloud: Any, ct: dict[str, str]) -> None:
    found = outputs(cloud.finished(cloud.post("air-by-threshold", ct_image=ct).json()["pk"]))
    url = found["findings"]["file"]
    assert url.endswith("/findings.json")
    assert cloud.api.get(url).status_code == 302
    other = cloud.client(cloud.sandbox.add_user())
    for client in (other, cloud.plain):
        refused = client.get(url)
        assert (refused.status_code, refused.headers["content-type"]) == (404, "text/html; charset=utf-8")
    other.close()


def test_uploaded_file_is_consumed_by_its_job(cloud: Any, ct: dict[str, str]) -> None:
    file = options(cloud)
    first = cloud.post("air-by-threshold", ct_image=ct, threshold={"value": 1}, options_file=file)
    assert cloud.finished(first.json()["pk"])["status"] == "Succeeded"
    assert cloud.api.get(file["user_upload"]).status_code == 404
    again = cloud.post("air-by-threshold", ct_image=ct, threshold={"value": 1}, options_file=file)
    gone = "Invalid hyperlink - Object does not exist."
    assert again.json() == {"inputs": [{}, {}, {"user_upload": [gone]}]}


@pytest.mark.parametrize(
    ("name", "end"),
    [("my-options.json", "/my-options.json"), ("k" * 90 + ".json", "k_fH91xh3.json")],
    ids=["kept", "cut"],
)
def test_file_keeps_the_name_of_its_upload_as_far_as_a_path_of_100_characters_goes(
    cloud: Any, ct: dict[str, str], name: str, end: str
) -> None:
    file = {"user_upload": cloud.upload(b"{}", name)}
    posted = cloud.post("air-by-threshold", ct_image=ct, threshold={"value": 1}, options_file=file)
    job = cloud.finished(posted.json()["pk"])
    url = next(given["file"] for given in job["inputs"] if given["file"])
    assert url.endswith(end)
    assert len(url.partition("/media/")[2]) <= 100
    assert cloud.api.get(url).status_code == 302


@pytest.mark.parametrize(
    ("hangs", "content", "status"),
    [
        (False, b"{not json", "Cancelled"),
        (True, b"{not json", "Validating inputs"),
        (True, b"{}", "Succeeded"),
    ],
)
def test_json_file_that_is_none_cancels_or_hangs(
    cloud: Any, ct: dict[str, str], hangs: bool, content: bytes, status: str
) -> None:
    cloud.sandbox.behave(json_hangs=hangs)
    file = options(cloud, content)
    pk = cloud.post("air-by-threshold", ct_image=ct, threshold={"value": 1}, options_file=file).json()["pk"]
    job = cloud.wait_for(pk, status)
    bound = ["options-file"] if status == "Succeeded" else []
    assert [v["socket"]["slug"] for v in job["inputs"]] == [*bound, "threshold", "ct-image"]
    if status == "Validating inputs":
        cloud.sandbox.move_clock(60 * 86400)
        cloud.sandbox.behave(json_hangs=False)
        assert cloud.job(pk)["status"] == status
        cloud.sandbox.let_go(pk)
        assert cloud.finished(pk)["status"] == "Cancelled"


def test_name_of_a_dicom_image_set_sends_other_images_down_its_path(cloud: Any, chest_mha: bytes) -> None:
    upload = cloud.upload(chest_mha)
    posted = cloud.submit(user_uploads=[upload], image_name="a name")
    assert posted.status_code == 201
    assert cloud.finished(posted.json()["pk"])["status"] == "Cancelled"
    needed = "either user_uploads with image_name, or image are required for interface kind DCMIS"
    refused = cloud.post("identity-mask", dicom_ct={"user_uploads": [upload]})
    assert refused.json() == {"inputs": [{"non_field_errors": [needed]}]}


def mask_of(chest: ItkImage, shift: int = 0) -> ItkImage:
    lungs = (chest.array == -850).astype(np.uint8)
    return replace(chest, array=np.roll(lungs, shift, axis=1))


@pytest.fixture
def put(cloud: Any, tmp_path: Path) -> Callable[[ItkImage], dict[str, str]]:
    """Lay an image down at the platform; gives the input that names it."""

    def lay(image: ItkImage) -> dict[str, str]:
        write_image(tmp_path / "put.mha", image)
        return {
            "image": f"{cloud.sandbox.base_url}cases/images/{cloud.sandbox.add_image(tmp_path / 'put.mha').pk}/"
        }

    return lay


def test_registration_takes_images_that_are_already_there(
    cloud: Any, chest: ItkImage, put: Callable[[ItkImage], dict[str, str]], tmp_path: Path
) -> None:
    moving = replace(chest, array=np.roll(chest.array, 3, axis=1))
    posted = cloud.post(
        REGISTRATION,
        fixed_image=put(chest),
        moving_image=put(moving),
        fixed_mask=put(mask_of(chest)),
        moving_mask=put(mask_of(chest, 3)),
    )
    assert [v["image"] is None for v in posted.json()["inputs"]] == [False] * 4
    found = outputs(cloud.finished(posted.json()["pk"]))
    moved = read_image(cloud.download(found["moved-image"]["image"], tmp_path / "moved.mha"))
    assert np.array_equal(moved.array[:, :-3], chest.array[:, :-3])
    assert found["registration-difference"]["socket"]["kind"] == "Image"


VALUES = "The valid voxel values for this segmentation are: {0, 1}. This segmentation is invalid as it contains the "


@pytest.mark.parametrize(
    ("value", "dtype", "reason"),
    [
        (1, np.int16, "Image segments could not be determined, "),
        (1, np.float32, "Image segments could not be determined, "),
        (3, np.uint8, f"{VALUES}voxel values: {{3}}."),
    ],
)
def test_label_input_is_8_bit_with_declared_values(
    cloud: Any,
    chest: ItkImage,
    put: Callable[[ItkImage], dict[str, str]],
    mha: Callable[[ItkImage], bytes],
    value: int,
    dtype: Any,
    reason: str,
) -> None:
    wrong = replace(chest, array=(mask_of(chest).array * value).astype(dtype))
    images = {"fixed_image": put(chest), "moving_image": put(chest), "fixed_mask": put(mask_of(chest))}
    refused = cloud.post(REGISTRATION, **images, moving_mask=put(wrong))
    assert refused.status_code == 400
    assert refused.json()["inputs"][:3] == [{}, {}, {}]
    assert refused.json()["inputs"][3]["__all__"][0].startswith(reason)

    session = cloud.session(cloud.upload(mha(wrong)))["api_url"]
    posted = cloud.post(REGISTRATION, **images, moving_mask={"upload_session": session})
    job = cloud.finished(posted.json()["pk"])
    assert (job["status"], len(job["inputs"])) == ("Cancelled", 3)
    told = cloud.api.get(session).json()
    begin = f"Image validation for socket Moving mask failed with error: {reason}"
    assert (told["status"], told["error_message"].startswith(begin)) == ("Failed", True)


def test_old_shape_has_inputs_and_outputs_and_leaves_out_defaults(
    cloud: Any, ct: dict[str, str], chest: ItkImage
) -> None:
    algorithm = cloud.api.get("algorithms/?slug=air-by-threshold-old").json()["results"][0]
    (recorded,) = [e["response"]["body"] for e in exchanges() if e["section"] == "old-shapes"]
    assert set(algorithm) == set(recorded["results"][0])
    assert [s["slug"] for s in algorithm["inputs"]] == ["ct-image", "threshold"]
    assert algorithm["inputs"][1]["default_value"] == -400
    found = outputs(cloud.finished(cloud.post("air-by-threshold-old", ct_image=ct).json()["pk"]))
    assert found["air-volume-ml"]["value"] == np.count_nonzero(chest.array <= -400) * 0.125
    given = cloud.post("air-by-threshold-old", ct_image=ct, threshold={"value": -990})
    found = outputs(cloud.finished(given.json()["pk"]))
    assert found["air-volume-ml"]["value"] == np.count_nonzero(chest.array <= -990) * 0.125


def test_versions_of_the_platform_by_switch(cloud: Any, chest_mha: bytes) -> None:
    cloud.sandbox.behave(old_algorithms=True, interface_key_only=True)
    algorithm = cloud.api.get(cloud.algorithm()).json()
    assert ("interfaces" in algorithm, [s["slug"] for s in algorithm["inputs"]]) == (False, ["ct-image"])
    job = cloud.run(chest_mha)
    assert ["socket" in v or v["interface"]["slug"] for v in job["inputs"]] == ["ct-image"]
    cloud.sandbox.behave(old_algorithms=False, interface_key_only=False, sessions_view_only=True)
    assert "interfaces" in cloud.api.get(cloud.algorithm()).json()
    refused = cloud.api.post("cases/upload-sessions/", json={"uploads": [cloud.upload(chest_mha)]})
    assert (refused.status_code, refused.json()) == (405, {"detail": 'Method "POST" not allowed.'})


def test_lobes_come_with_a_picture(cloud: Any, ct: dict[str, str], tmp_path: Path) -> None:
    slug = "pulmonary-lobe-segmentation-for-covid-19-ct-scans"
    found = outputs(cloud.finished(cloud.post(slug, ct_image=ct).json()["pk"]))
    lobes = cloud.api.get(found["pulmonary-lobes"]["image"]).json()
    assert (lobes["segments"], lobes["depth"]) == ([0, 1, 2, 3, 4, 5], 24)
    assert cloud.api.get(found["pulmonary-lobes-picture"]["image"]).json()["shape"] == [1, 64, 64]


@pytest.mark.parametrize(
    ("mask_as", "status", "shape", "segments"),
    [
        (MaskAs.COMPUTED, "Succeeded", (24, 64, 64), [0, 1]),
        (MaskAs.OTHER_GRID, "Succeeded", (24, 32, 32), [0, 1]),
        (MaskAs.OTHER_DIRECTION, "Succeeded", (24, 64, 64), [0, 1]),
        (MaskAs.EMPTY, "Succeeded", (24, 64, 64), [0]),
        (MaskAs.UNDECLARED, "Failed", None, None),
        (MaskAs.INT16, "Failed", None, None),
    ],
)
def test_mask_leaves_the_algorithm_as_asked(
    cloud: Any, chest_mha: bytes, tmp_path: Path, mask_as: MaskAs, status: str, shape: Any, segments: Any
) -> None:
    cloud.sandbox.behave(mask_as=mask_as)
    job = cloud.run(chest_mha)
    assert job["status"] == status
    if status == "Failed":
        assert (job["outputs"], len(job["inputs"])) == ([], 1)
        return
    image = cloud.api.get(job["outputs"][0]["image"]).json()
    assert (tuple(image["shape"]), image["segments"]) == (shape, segments)
    mask = read_image(cloud.download(job["outputs"][0]["image"], tmp_path / "mask.mha"))
    at = (3, 32, 32)
    if mask_as is MaskAs.OTHER_DIRECTION:
        assert (mask.direction[8], mask.origin_lps[2]) == (-1.0, -300.0 + 23 * 5.0)
        at = (20, 32, 32)
    if mask_as is not MaskAs.EMPTY and shape == (24, 64, 64):
        assert mask.array[at] == 1  # the same tissue, whichever end the slices are counted from


def test_version_changes_between_two_jobs_and_may_be_none(cloud: Any, chest_mha: bytes) -> None:
    before = cloud.run(chest_mha)["algorithm_image"]
    pk = cloud.sandbox.new_version("identity-mask")
    after = cloud.run(chest_mha)["algorithm_image"]
    assert (before != after, after.split("/")[-2]) == (True, pk)
    cloud.sandbox.new_version("identity-mask", is_ready=False)
    refused = cloud.submit(user_uploads=[cloud.upload(chest_mha)])
    assert refused.json() == {"non_field_errors": ["Algorithm image is not ready to be used"]}


def test_archive_item_becomes_a_job_and_its_values_are_the_jobs(
    cloud: Any, ct: dict[str, str], tmp_path: Path, chest_mha: bytes
) -> None:
    archive = cloud.api.get("archives/?slug=coronacasesorg").json()["results"][0]
    assert cloud.api.get(archive["api_url"]).json() == archive
    assert cloud.plain.get("archives/").json()["count"] == 0
    made = cloud.api.post("archives/items/", json={"archive": archive["api_url"], "title": "one"})
    assert (made.status_code, made.json()["values"], made.json()["title"]) == (201, [], "one")
    url = f"archives/items/{made.json()['pk']}/"
    values = [
        {"interface": "ct-image", "user_uploads": [cloud.upload(chest_mha, "case-1.mha")]},
        {"interface": "threshold", "value": -650},
    ]
    changed = cloud.api.patch(url, json={"values": values})
    assert (changed.status_code, changed.json()["title"]) == (200, "one")
    assert [v["interface"] for v in changed.json()["values"]] == ["threshold", "ct-image"]
    held = cloud.api.get(url).json()["values"]
    assert [(v["interface"]["slug"], v["pk"]) for v in held] == [
        (v["interface"], v["pk"]) for v in changed.json()["values"]
    ]
    image = held[1]["image"]
    listed = cloud.api.get("cases/images/", params={"archive": archive["pk"]}).json()
    assert [i["api_url"] for i in listed["results"]] == [image]
    assert cloud.api.get("cases/images/", params={"name": "case-1.mha"}).json()["count"] == 1
    assert cloud.api.get("archives/items/", params={"archive": archive["pk"]}).json()["count"] == 1

    given = {"ct_image": {"image": image}, "threshold": {"value": -650}}
    job = cloud.finished(cloud.post("air-by-threshold-old", **given).json()["pk"])
    assert {v["pk"] for v in job["inputs"]} == {v["pk"] for v in changed.json()["values"]}

    other = cloud.client(cloud.sandbox.add_user())
    assert other.get(image).status_code == 200  # whoever may use the archive may use its images
    stranger = cloud.client(cloud.sandbox.add_user(may_run=False))
    assert (stranger.get(image).status_code, stranger.get(url).status_code) == (404, 404)
    for client in (other, stranger):
        client.close()


@pytest.mark.parametrize(
    ("query", "status", "answer"),
    [
        ("cases/images/?archive=xyz", 400, {"archive": ["“xyz” is not a valid UUID."]}),
        (
            "cases/images/?reader_study=00000000-0000-4000-8000-000000000000",
            400,
            {"reader_study": ["Select a valid choice. That choice is not one of the available choices."]},
        ),
        ("archives/00000000-0000-4000-8000-000000000000/", 404, {"detail": "No Archive matches the given query."}),
        ("archives/items/xyz/", 404, {"detail": "Not found."}),
    ],
)  # fmt: skip
def test_archives_refuse(cloud: Any, query: str, status: int, answer: Any) -> None:
    refused = cloud.api.get(query)
    assert (refused.status_code, refused.json()) == (status, answer)


def test_item_is_made_empty(cloud: Any) -> None:
    archive = cloud.api.get("archives/").json()["results"][0]["api_url"]
    values = [{"interface": "threshold", "value": 1}]
    refused = cloud.api.post("archives/items/", json={"archive": archive, "values": values})
    assert (refused.status_code, refused.json()) == (400, ["Values can only be added via update"])


def test_item_laid_down_by_hand(cloud: Any, chest_mha: bytes, tmp_path: Path) -> None:
    (tmp_path / "ct.mha").write_bytes(chest_mha)
    (tmp_path / "o.json").write_text("{}")
    contents = {"ct-image": tmp_path / "ct.mha", "options-file": tmp_path / "o.json", "threshold": 5}
    cloud.sandbox.add_archive_item("chest-cts", contents, title="by hand")
    (item,) = cloud.api.get("archives/items/").json()["results"]
    assert [(v["interface"]["slug"], v["value"]) for v in item["values"]] == [
        ("options-file", None),
        ("threshold", 5),
        ("ct-image", None),
    ]
    assert cloud.api.get(item["values"][0]["file"], follow_redirects=True).json() == {}


def test_nan_becomes_null() -> None:
    value = {"a": float("nan"), "b": [1.5, float("-inf"), {"c": float("inf")}], "d": "nan"}
    assert json.loads(json.dumps(without_nan(value), allow_nan=False)) == {
        "a": None,
        "b": [1.5, None, {"c": None}],
        "d": "nan",
    }
