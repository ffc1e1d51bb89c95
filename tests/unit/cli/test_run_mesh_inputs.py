"""Scans of a study on their way to the Virtual Patient Engine: which object, what of it leaves, what is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from tests.made_objects import mesh_object
from tests.unit.cli.test_run_meshes import SITE
from tests.unit.export.test_meshes import OBJ, binary
from typer.testing import CliRunner

from bridge.cli.app import app
from bridge.sandbox.phantom import make_study, write_study
from bridge.sandbox.virtual_patient_engine import Sandbox

pytestmark = pytest.mark.slow

RULE = """\
[rules.jaw]
mode = "hold"
platform = "vpe"
algorithm = "virtual-patient"
version = "24.06"
destinations = ["pacs"]

[rules.jaw.inputs.cbct]
volume = { Modality = "CT" }
prefer = ["thinnest"]

[rules.jaw.inputs.ios_upper]
mesh = true
volume = { SeriesDescription = "upper" }

[rules.jaw.inputs.ios_lower]
mesh = true
volume = { SeriesDescription = "lower" }

[rules.jaw.values]
inputs = { cbct = { extension = ".nrrd" } }
outputs = { meshes = [{ structures = ["mandible"] }] }
"""
STL = binary(head=b"solid Canary^Yellow", spare=0x4343)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("study")
    return write_study(make_study(when=datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC), scale=0.25), folder)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "cloud") as sandbox:
        yield sandbox


def laid_out(
    sandbox: Sandbox, images: list[Path], meshes: list[Dataset], folder: Path, rule: str = RULE
) -> Path:
    """A folder with a study, and the site's files beside it."""
    study = folder / "study"
    study.mkdir()
    for number, file in enumerate(images):
        (study / f"{number:04d}.dcm").symlink_to(file)
    for number, one in enumerate(meshes):
        one.save_as(study / f"mesh{number}.dcm", enforce_file_format=True)
    (folder / "site.toml").write_text(
        SITE.format(
            base_url=sandbox.base_url,
            token_url=sandbox.token_url,
            client_id=sandbox.client_id,
            token_file=sandbox.token_file,
            ca=sandbox.ca_file,
        )
    )
    (folder / "rules.toml").write_text(rule)
    return study


def run(study: Path, folder: Path) -> str:
    words = ["run", "jaw", str(study), "--out", str(folder / "out"), "--config", str(folder / "site.toml")]
    told = CliRunner().invoke(app, words)
    return f"{told.output}{told.exception or ''}"


def arrived(sandbox: Sandbox, name: str) -> bytes:
    (file,) = (one for one in (sandbox.folder / "store" / "in").rglob(name) if one.is_file())
    return file.read_bytes()


def scans(images: list[Path]) -> list[Dataset]:
    of = dcmread(images[0])
    return [
        mesh_object(STL, of, number=1, SeriesDescription="upper"),
        mesh_object(OBJ, of, number=2, kind="obj", SeriesDescription="lower"),
        mesh_object(binary(), of, number=3, SeriesDescription="a splint nobody asked for"),
    ]


def test_chosen_scans_leave_as_bare_files_and_the_record_says_so(
    sandbox: Sandbox, images: list[Path], tmp_path: Path
) -> None:
    told = run(laid_out(sandbox, images, scans(images), tmp_path), tmp_path)
    ledger = sandbox.ledger()
    assert (ledger["created"], ledger["finished"]) == (1, 1), told
    assert arrived(sandbox, "ios_upper") == bytes(80) + binary()[80:]
    assert arrived(sandbox, "ios_lower").startswith(b"o 1\nv 0 0 0.50 0.1 0.2 0.3\n")
    outside = b"".join(
        one.read_bytes() for one in (sandbox.folder / "store" / "in").rglob("*") if one.is_file()
    )
    source = dcmread(images[0])
    for canary in ("Canary", "Yellow", str(source.PatientName), source.PatientID, source.StudyInstanceUID):
        assert canary.encode() not in outside
    out = tmp_path / "out"
    (mesh,) = (sandbox.folder / "store" / "out").rglob("*.stl")
    (file,) = out.glob("mandible*.dcm")
    found = dcmread(file)
    assert found.EncapsulatedDocument[: found.EncapsulatedDocumentLength] == mesh.read_bytes()
    assert (found.PatientID, found.StudyInstanceUID) == (source.PatientID, source.StudyInstanceUID)
    (out / ".bridge" / "rules.toml").write_text(RULE)
    site = (tmp_path / "site.toml").read_text().replace('data = "data"', f'data = "{out / ".bridge"}"')
    (tmp_path / "after.toml").write_text(site)
    words = ["disclosures", "--patient", source.PatientID, "--json", "--config", str(tmp_path / "after.toml")]
    sent = json.loads(CliRunner().invoke(app, words).stdout)["sent"]
    assert {(one["name"], one["format"]) for one in sent} == {
        ("cbct.nrrd", "nrrd"),
        ("ios_upper.stl", "stl"),
        ("ios_lower.obj", "obj"),
    }


def without(number: int, images: list[Path]) -> list[Dataset]:
    return [one for place, one in enumerate(scans(images)) if place != number]


def twice(images: list[Path]) -> list[Dataset]:
    return [*scans(images), mesh_object(STL, dcmread(images[0]), number=4, SeriesDescription="upper")]


def spoiled(images: list[Path]) -> list[Dataset]:
    of = dcmread(images[0])
    return [mesh_object(b"%PDF-1.7 Canary", of, SeriesDescription="upper"), *scans(images)[1:]]


def burned_in(images: list[Path]) -> list[Dataset]:
    made = scans(images)
    made[0].BurnedInAnnotation = "YES"
    return made


@pytest.mark.parametrize(
    ("meshes", "expected"),
    [
        (lambda images: without(0, images), "ios_upper: none of 2 candidates fits"),
        (lambda images: [], "ios_upper: the study has no mesh"),
        (twice, "fit, and the rule does not say which to prefer"),
        (spoiled, "EXP-012"),
        (burned_in, "ios_upper: none of 3 candidates fits"),
    ],
    ids=["no such mesh", "no mesh", "two meshes", "no mesh inside", "text in the mesh"],
)
def test_without_exactly_one_mesh_nothing_is_sent(
    sandbox: Sandbox, images: list[Path], tmp_path: Path, meshes: object, expected: str
) -> None:
    assert callable(meshes)
    told = run(laid_out(sandbox, images, meshes(images), tmp_path), tmp_path)
    assert expected in " ".join(told.split())
    assert "Canary" not in told
    assert sandbox.ledger()["created"] == 0


def test_rule_that_asks_for_no_mesh_sends_none(sandbox: Sandbox, images: list[Path], tmp_path: Path) -> None:
    alone = RULE[: RULE.index("[rules.jaw.inputs.ios_upper]")] + RULE[RULE.index("[rules.jaw.values]") :]
    told = run(laid_out(sandbox, images, scans(images), tmp_path, alone), tmp_path)
    assert sandbox.ledger()["finished"] == 1, told
    assert [one.name for one in (sandbox.folder / "store" / "in").rglob("*") if one.is_file()] == ["cbct"]


def test_explain_says_which_mesh_and_why_not_the_others(
    sandbox: Sandbox, images: list[Path], tmp_path: Path
) -> None:
    study = laid_out(sandbox, images, scans(images), tmp_path)
    words = ["explain", str(study), "--rule", "jaw", "--json", "--config", str(tmp_path / "site.toml")]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.output
    assert "ios_upper is series 101, M3D, 1 mesh" in told.output
    assert "ios_lower is series 102, M3D, 1 mesh" in told.output
    assert "a mesh, from which a face can be drawn" in told.output


def test_audit_shows_the_meshes_that_would_leave(
    sandbox: Sandbox, images: list[Path], tmp_path: Path
) -> None:
    study = laid_out(sandbox, images, scans(images), tmp_path)
    words = ["privacy", "audit", str(study), "--rule", "jaw", "--json"]
    told = CliRunner().invoke(app, [*words, "--config", str(tmp_path / "site.toml")])
    assert told.exit_code == 0, told.output
    inputs = {one["input"]: one for one in json.loads(told.stdout)["inputs"]}
    assert {name: one["format"] for name, one in inputs.items() if name != "cbct"} == {
        "ios_upper": "stl",
        "ios_lower": "obj",
    }
    assert inputs["ios_upper"]["attributes"] == []
    assert [one["risk"] for one in inputs["ios_upper"]["risks"]] == ["face"]
