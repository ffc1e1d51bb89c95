"""The Virtual Patient Engine on loopback: meshes that are closed and true, and a wire that is strict."""

from __future__ import annotations

import io
import json
import ssl
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.conftest import data_folder
from tests.unit.platforms.vpe_kit import jaws

from bridge.itk import ItkImage
from bridge.sandbox.virtual_patient_engine import Fault, Sandbox
from bridge.sandbox.virtual_patient_engine.anatomy import DECIDUOUS, PERMANENT, Bone
from bridge.sandbox.virtual_patient_engine.frames import Unreadable
from bridge.sandbox.virtual_patient_engine.surfaces import WRITERS, Surface, joined, spoiled, surface_of
from bridge.sandbox.virtual_patient_engine.volumes import read_volume

TILTED = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])


def volume_mm3(surface: Surface) -> float:
    """Signed: positive where triangles are counter-clockwise seen from outside (divergence theorem)."""
    a, b, c = (surface.points[surface.triangles[:, at]] for at in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def is_closed(surface: Surface) -> bool:
    """Each edge is walked as often one way as the other."""
    edges = Counter((int(one[at]), int(one[(at + 1) % 3])) for one in surface.triangles for at in range(3))
    return bool(edges) and all(edges[(b, a)] == count for (a, b), count in edges.items())


@pytest.mark.parametrize(
    "matrix",
    [np.diag([2.0, 3.0, 4.0]), TILTED @ np.diag([2.0, 3.0, 4.0]), np.diag([2.0, 3.0, -4.0])],
    ids=["straight", "turned", "mirrored"],
)
def test_surface_is_closed_outward_and_holds_exactly_its_voxels(matrix: Any) -> None:
    rng = np.random.default_rng(7)
    voxels = np.argwhere(rng.random((5, 6, 7)) < 0.4)
    surface = surface_of(voxels, matrix, np.array([10.0, -20.0, 30.0]))
    assert is_closed(surface)
    assert volume_mm3(surface) == pytest.approx(24.0 * len(voxels))


def test_surface_of_one_voxel_is_its_box_around_its_centre() -> None:
    surface = surface_of(np.array([[3, 4, 5]]), np.diag([1.0, 2.0, 3.0]), np.array([100.0, 0.0, 0.0]))
    assert surface.points.min(axis=0).tolist() == [102.5, 7.0, 13.5]
    assert surface.points.max(axis=0).tolist() == [103.5, 9.0, 16.5]
    assert len(surface.triangles) == 12


@pytest.mark.parametrize("how", ["ras", "metres", "shifted", "open", "inside-out", "empty"])
def test_surface_is_wrong_in_one_way_only(how: str) -> None:
    right = surface_of(np.argwhere(np.ones((3, 3, 3))), np.eye(3), np.array([50.0, 60.0, 70.0]))
    wrong = spoiled(right, how)
    facts = {
        "closed": not len(wrong.triangles) or is_closed(wrong),
        "volume": round(volume_mm3(wrong), 9) if how != "open" else 0.0,
        "first": wrong.points[0].round(6).tolist() if len(wrong.points) else [],
    }
    first = right.points[0]
    assert (
        facts
        == {
            "ras": {"closed": True, "volume": 27.0, "first": [-first[0], -first[1], first[2]]},
            "metres": {"closed": True, "volume": 2.7e-8, "first": (first / 1000).round(6).tolist()},
            "shifted": {"closed": True, "volume": 27.0, "first": (first + 500).tolist()},
            "open": {"closed": False, "volume": 0.0, "first": first.tolist()},
            "inside-out": {"closed": True, "volume": -27.0, "first": first.tolist()},
            "empty": {"closed": True, "volume": 0.0, "first": []},
        }[how]
    )


def test_files_of_each_extension_hold_the_same_triangles() -> None:
    surface = surface_of(np.array([[0, 0, 0], [1, 0, 0]]), np.eye(3), np.zeros(3))
    data = {extension: write(surface) for extension, write in WRITERS.items()}
    count = struct.unpack_from("<I", data[".stl"], 80)[0]
    assert len(data[".stl"]) == 84 + 50 * count
    first = np.frombuffer(data[".stl"], dtype="<f4", count=12, offset=84).reshape(4, 3)
    normal = np.cross(first[2] - first[1], first[3] - first[1])
    assert np.allclose(first[0], normal / np.linalg.norm(normal))
    text = data[".obj"].decode().splitlines()
    assert len([line for line in text if line.startswith("f ")]) == count == len(surface.triangles)
    assert len([line for line in text if line.startswith("v ")]) == len(surface.points) == 12
    assert b"element face %d\n" % count in data[".ply"]
    assert len(data[".ply"].split(b"end_header\n", 1)[1]) == 12 * 12 + 13 * count


def test_structures_divide_the_bone_and_right_is_the_patients() -> None:
    array = np.full((40, 32, 32), 1000.0)
    bone = Bone(
        ItkImage(
            array=array,
            spacing_mm=(1.0, 1.0, 1.0),
            origin_lps=(0.0, 0.0, 0.0),
            direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
        ),
        300.0,
    )
    counts = {name: len(bone.voxels_of(name)) for name in ("mandible", "maxillary", *PERMANENT)}
    assert sum(counts.values()) == array.size
    assert all(counts.values())
    assert not any(len(bone.voxels_of(name)) for name in DECIDUOUS)
    # Columns grow to the left of the patient: quadrant 1 is upper right, 18 its outermost.
    right, left = (bone.voxels_of(name)[:, 0].mean() for name in ("tooth18", "tooth28"))
    assert right < 2 < 29 < left
    lower, upper = (bone.voxels_of(name)[:, 2].mean() for name in ("tooth31", "tooth21"))
    assert lower < upper
    assert len(joined([bone.surface("tooth11"), bone.surface("tooth21")]).triangles) > 12


class Client:
    """A client that sends exactly what it is told to."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.http = httpx.Client(
            verify=ssl.create_default_context(cafile=str(sandbox.ca_file)), trust_env=False
        )
        self.token = self.login().json()["access_token"]

    def login(self, **changes: Any) -> httpx.Response:
        as_form = changes.pop("as_form", False)
        body = {
            "grant_type": "client_credentials",
            "audience": "virtualpatientengine.com",
            "client_id": self.sandbox.client_id,
            "client_secret": self.sandbox.secret,
            **changes,
        }
        given: dict[str, Any] = {"data": body} if as_form else {"json": body}
        return self.http.post(self.sandbox.token_url, **given)

    def engine(self, method: str, path: str, token: str | None = None, **more: Any) -> httpx.Response:
        url = path if path.startswith("https") else f"{self.sandbox.base_url}{path}"
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        return self.http.request(method, url, headers=headers, **more)

    def create(self, **changes: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.engine("POST", "/24.06/job", json=body(**changes)).json()
        return made

    def results(self, job: str) -> dict[str, Any]:
        for _ in range(400):
            answer = self.engine("GET", f"/24.06/pollJobResults?jobId={job}")
            if answer.status_code == 200:
                told: dict[str, Any] = answer.json()
                return told
        raise AssertionError("it does not end")


def body(**changes: Any) -> dict[str, Any]:
    return {
        "inputFiles": {"cbct": {"extension": ".nrrd"}},
        "outputFiles": {"meshes": [{"extension": ".stl", "structures": ["mandible"]}]},
        **changes,
    }


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "sandbox") as sandbox:
        yield sandbox
        assert not (sandbox.folder / "errors.log").exists()


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    client = Client(sandbox)
    yield client
    client.http.close()


def test_same_input_gives_the_same_bytes(client: Client, sandbox: Sandbox, tmp_path: Path) -> None:
    data = jaws(tmp_path)
    files = []
    for _ in range(2):
        made = client.create()
        pair = made["presignedUploadUrl"]["cbct"]
        assert client.http.put(pair["presignedUploadUrl"], content=data).status_code == 200
        assert client.engine("PUT", pair["notifyFinishUploadUrl"]).status_code == 200
        (mesh,) = client.results(made["jobId"])["outputFiles"]["meshes"]
        file = client.http.get(mesh["url"]).content
        assert mesh["size"] == len(file)
        files.append(file)
    assert files[0] == files[1]
    # 12 of 16 x 24 x 24 voxels are below 40 % of the box.
    corners = np.frombuffer(
        files[0], dtype=np.dtype([("n", "<f4", 3), ("c", "<f4", (3, 3)), ("r", "<u2")]), offset=84
    )["c"]
    low, high = corners.reshape(-1, 3).min(axis=0), corners.reshape(-1, 3).max(axis=0)
    assert low.tolist() == [-25.0, -25.0, 3.0]
    assert high.tolist() == [23.0, 23.0, 15.0]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"as_form": True}, 200),
        ({"client_secret": "wrong"}, 401),
        ({"client_id": "wrong"}, 401),
        ({"audience": "https://virtualpatientengine.com"}, 403),
        ({"grant_type": "password"}, 403),
    ],
)
def test_login(client: Client, change: dict[str, Any], status: int) -> None:
    assert client.login(**change).status_code == status


def test_token_is_asked_of_every_route_and_dies(client: Client, sandbox: Sandbox) -> None:
    for method, path in (
        ("POST", "/24.06/job"),
        ("GET", "/24.06/pollJobResults?jobId=x"),
        ("PUT", "/24.06/notify/x/cbct"),
    ):
        assert client.engine(method, path, token="wrong").status_code == 401
        assert client.http.request(method, f"{sandbox.base_url}{path}").status_code == 401
    assert client.engine("GET", "/24.06/pollJobResults?jobId=x").status_code == 404
    sandbox.move_clock(86_401)
    assert client.engine("GET", "/24.06/pollJobResults?jobId=x").status_code == 401
    assert sandbox.ledger()["tokens"] == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/24.06/job", 200),
        ("/24.06/generic-job", 404),
        ("/v2/generic-job", 200),
        ("/v2/job", 404),
        ("/23.01/job", 404),
    ],
)
def test_routes_by_version(client: Client, path: str, status: int) -> None:
    assert client.engine("POST", path, json=body()).status_code == status


MESH = {"extension": ".stl", "structures": ["mandible"]}


@pytest.mark.parametrize(
    "change",
    [
        {"inputFiles": {}},
        {"inputFiles": {"mri": {"extension": ".nrrd"}}},
        {"inputFiles": {"cbct": {"extension": ".mha"}}},
        {"inputFiles": {"cbct": {"extension": ".nrrd", "downloadUrl": "https://x.example"}}},
        {"inputFiles": {"ios_upper": {"extension": ".stl"}}},
        {"outputFiles": {}},
        {"outputFiles": {"meshes": []}},
        {"outputFiles": {"meshes": [{**MESH, "structures": []}]}},
        {"outputFiles": {"meshes": [{**MESH, "structures": ["wing"]}]}},
        {"outputFiles": {"meshes": [{**MESH, "extension": ".drc"}]}},
        {"outputFiles": {"meshes": [{**MESH, "uploadUrl": "https://x.example"}]}},
        {"finishWebhook": "https://x.example"},
        {"patientName": "x"},
    ],
)
def test_body_that_is_wrong_is_400_with_a_sentence(
    client: Client, sandbox: Sandbox, change: dict[str, Any]
) -> None:
    answer = client.engine("POST", "/24.06/job", json=body(**change))
    assert answer.status_code == 400
    assert answer.json()["message"]
    assert sandbox.ledger()["created"] == 0


def test_storage_refuses_a_bearer_chunks_another_method_and_a_late_or_changed_address(
    client: Client, sandbox: Sandbox
) -> None:
    url = client.create()["presignedUploadUrl"]["cbct"]["presignedUploadUrl"]
    put = client.http.put
    assert put(url, content=b"x", headers={"Authorization": "Bearer x"}).status_code == 400
    assert put(url, content=iter([b"x"])).status_code == 411
    assert client.http.get(url).status_code == 403
    assert put(url.replace("Expires=3600", "Expires=9999"), content=b"x").status_code == 403
    assert put(url, content=b"x").status_code == 200
    sandbox.move_clock(3601)
    late = put(url, content=b"x")
    assert late.status_code == 403
    assert "expired" in late.text
    assert late.headers["content-type"] == "application/xml"


def test_work_begins_once_and_only_with_the_last_input(
    client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    inputs = {"cbct": {"extension": ".nrrd"}, "ios_upper": {"extension": ".obj"}}
    made = client.create(inputFiles=inputs)
    pairs = made["presignedUploadUrl"]
    tell = {name: pair["notifyFinishUploadUrl"] for name, pair in pairs.items()}
    assert client.engine("PUT", tell["cbct"]).status_code == 400, "nothing was uploaded"
    client.http.put(pairs["cbct"]["presignedUploadUrl"], content=jaws(tmp_path))
    client.http.put(pairs["ios_upper"]["presignedUploadUrl"], content=b"v 0 0 0\n")
    assert client.engine("PUT", tell["cbct"]).status_code == 200
    assert sandbox.ledger()["orphans"] == [made["jobId"]]
    assert client.http.put(pairs["cbct"]["presignedUploadUrl"], content=b"other").status_code == 403
    for _ in range(3):
        assert client.engine("PUT", tell["ios_upper"]).status_code == 200
    assert client.results(made["jobId"])["success"] is True
    ledger = sandbox.ledger()
    assert (ledger["started"], ledger["finished"], ledger["orphans"]) == (1, 1, [])
    events = [
        json.loads(line)["event"] for line in (sandbox.folder / "ledger.jsonl").read_text().splitlines()
    ]
    assert events == ["created", "started", "finished"]


def test_requests_beyond_the_limit_are_429_in_both_forms(client: Client, sandbox: Sandbox) -> None:
    sandbox.set_limits(requests_per_minute=1)
    client.engine("GET", "/24.06/pollJobResults?jobId=x")
    wishes = [client.engine("GET", "/24.06/pollJobResults?jobId=x").headers["retry-after"] for _ in range(2)]
    assert wishes[0] == "5"
    assert wishes[1].endswith("GMT")
    sandbox.move_clock(61)
    assert client.engine("GET", "/24.06/pollJobResults?jobId=x").status_code == 404


def test_zip_of_slices_is_read_in_the_order_of_their_positions(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from bridge.sandbox.phantom import make_study, write_study

    files = write_study(make_study(when=datetime(2026, 1, 1, tzinfo=UTC)), tmp_path / "study")
    from pydicom import dcmread

    series: dict[str, list[Any]] = {}
    for file in files:
        one = dcmread(file)
        if one.get("ImagePositionPatient") is not None:
            series.setdefault(one.SeriesInstanceUID, []).append(one)
    slices = max(series.values(), key=len)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as bundle:
        for number, one in enumerate([*slices[1::2], *slices[::2]]):
            data = io.BytesIO()
            one.save_as(data)
            bundle.writestr(f"{number:04d}.dcm", data.getvalue())
    (tmp_path / "cbct").write_bytes(archive.getvalue())
    image = read_volume(tmp_path / "cbct", ".zip")
    lowest = min(slices, key=lambda one: float(one.ImagePositionPatient[2]))
    assert image.array.shape == (len(slices), lowest.Rows, lowest.Columns)
    assert list(image.origin_lps) == [float(one) for one in lowest.ImagePositionPatient]
    stored = lowest.pixel_array * float(lowest.RescaleSlope) + float(lowest.RescaleIntercept)
    assert np.array_equal(image.array[0], stored)


def test_frames_of_one_object_and_slices_of_an_archive_are_the_same_volume(tmp_path: Path) -> None:
    slices = data_folder("ct-head-phantom-philips/S2010")
    (whole,) = data_folder("multiframe/ct-legacy-converted-enhanced").iterdir()
    with zipfile.ZipFile(tmp_path / "slices", "w") as bundle:
        for file in sorted(slices.iterdir()):
            bundle.write(file, file.name)
    (tmp_path / "frames").write_bytes(whole.read_bytes())
    one, other = read_volume(tmp_path / "slices", ".zip"), read_volume(tmp_path / "frames", ".dcm")
    assert np.array_equal(one.array, other.array)
    # By the data's README, not by either reader.
    assert one.array.shape == (28, 512, 512)
    for image in (one, other):
        assert image.origin_lps == pytest.approx((-115.5, -1.85, 696.21))
        assert image.spacing_mm == pytest.approx((0.451172, 0.451172, 5.0), abs=1e-5)
        assert image.direction == pytest.approx(np.eye(3).ravel())


@pytest.mark.parametrize("places", [(), (0, 2, 3, 4)], ids=["nothing", "a gap"])
def test_volume_that_is_no_even_stack_cannot_be_read(tmp_path: Path, places: tuple[int, ...]) -> None:
    every = sorted(data_folder("ct-head-phantom-philips/S2010").iterdir())
    files = [every[place] for place in places]
    with zipfile.ZipFile(tmp_path / "slices", "w") as bundle:
        for file in files:
            bundle.write(file, file.name)
    with pytest.raises(Unreadable):
        read_volume(tmp_path / "slices", ".zip")


def test_control_api_does_over_http_what_the_methods_do(client: Client, sandbox: Sandbox) -> None:
    def control(method: str, where: str, /, **told: Any) -> Any:
        answer = client.http.request(method, f"{sandbox.control_url}{where}", json=told or None)
        return answer.status_code, answer.json()

    assert control("POST", "clock", move_s=100)[0] == 200
    assert control("PATCH", "behaviour", missing=["mandible"], notify="post")[1]["missing"] == ["mandible"]
    assert control("PATCH", "limits", in_flight=3)[1]["in_flight"] == 3
    assert control("PATCH", "limits", nothing=3)[0] == 400
    assert control("POST", "faults", path="*/job", status=500)[1] == {"fault": 1}
    assert client.engine("POST", "/24.06/job", json=body()).status_code == 500
    assert control("GET", "faults")[1]["faults"][0]["hits"] == 1
    assert control("DELETE", "tokens")[0] == 200
    assert client.engine("POST", "/24.06/job", json=body()).status_code == 401
    assert control("GET", "ledger")[1]["tokens"] == 1
    assert control("GET", "nowhere")[0] == 404
    status, overview = control("GET", "")
    assert (status, overview["limits"]["in_flight"], overview["behaviour"]["notify"]) == (200, 3, "post")
    assert not [line for line in sandbox.requests() if "/sandbox/" in line["path"]]
    assert sandbox.arm(Fault(path="x")) == 2
