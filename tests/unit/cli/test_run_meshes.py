"""`bridge run` with the Virtual Patient Engine: a volume goes, meshes come back and become DICOM."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from bridge.cli.app import app
from bridge.sandbox.phantom import make_study, write_study
from bridge.sandbox.virtual_patient_engine import Sandbox

pytestmark = pytest.mark.slow

SITE = """\
[bridge]
ae_title = "BRIDGE"
data = "data"
rules = "rules.toml"

[receive]
reserve_bytes = 0

[destinations.pacs]
ae_title = "PACS"
host = "127.0.0.1"
port = 1

[accounts.vpe]
platform = "virtual-patient-engine"
base_url = "{base_url}"
token_file = "{token_file}"
ca = "{ca}"
retry_s = [0.01]
options = {{ client_id = "{client_id}", token_url = "{token_url}", poll_s = 0.05 }}
"""
RULE = """\
[rules.jaw]
mode = "hold"
platform = "vpe"
algorithm = "virtual-patient"
version = "24.06"
destinations = ["pacs"]

[rules.jaw.inputs.cbct]
volume = {{ Modality = "CT" }}
prefer = ["thinnest"]

[rules.jaw.values]
inputs = {{ cbct = {{ extension = "{extension}" }} }}
outputs = {{ meshes = [{{ structures = ["mandible", "tooth18"] }}] }}

{privacy}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    write_study(make_study(when=datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC), scale=0.25), folder)
    return folder


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "sandbox") as sandbox:
        yield sandbox


def run(
    sandbox: Sandbox, study: Path, folder: Path, extension: str = ".nrrd", privacy: str = ""
) -> tuple[Path, str]:
    (folder / "site.toml").write_text(
        SITE.format(
            base_url=sandbox.base_url,
            token_url=sandbox.token_url,
            client_id=sandbox.client_id,
            token_file=sandbox.token_file,
            ca=sandbox.ca_file,
        )
    )
    (folder / "rules.toml").write_text(RULE.format(extension=extension, privacy=privacy))
    words = ["run", "jaw", str(study), "--out", str(folder / "out"), "--config", str(folder / "site.toml")]
    told = CliRunner().invoke(app, words)
    return folder / "out", f"{told.output}{told.exception or ''}"


def test_mesh_becomes_an_object_that_holds_its_bytes_and_no_secret_stays_in_the_open(
    sandbox: Sandbox, study: Path, tmp_path: Path
) -> None:
    out, told = run(sandbox, study, tmp_path)
    (mesh,) = (sandbox.folder / "store" / "out").rglob("*.stl")
    (file,) = out.glob("mandible*.dcm")
    found = dcmread(file)
    assert found.EncapsulatedDocument[: found.EncapsulatedDocumentLength] == mesh.read_bytes()
    ledger = sandbox.ledger()
    assert (ledger["created"], ledger["started"], ledger["tokens"]) == (1, 1, 1)
    (token,) = sandbox.tokens()
    for one in out.rglob("*"):
        if one.is_file() and one.parent.name != "secrets":
            data = one.read_bytes()
            assert token.encode() not in data, one.name
            assert sandbox.secret.encode() not in data, one.name
            assert b"X-Amz-Signature" not in data, one.name
    assert token not in told


def received(sandbox: Sandbox) -> bytes:
    """What was sent for the volume, inflated."""
    (file,) = (one for one in (sandbox.folder / "store").rglob("*cbct*") if one.is_file())
    with zipfile.ZipFile(file) as archive:
        return b"".join(archive.read(one) for one in archive.namelist())


def test_dicom_leaves_under_other_names_and_its_mesh_is_filed_under_the_patient(
    sandbox: Sandbox, study: Path, tmp_path: Path
) -> None:
    out, told = run(sandbox, study, tmp_path, ".zip")
    (file,) = out.glob("mandible*.dcm")
    found = dcmread(file)
    source = dcmread(next(one for one in sorted(study.rglob("*")) if one.is_file()))
    assert (found.PatientID, found.StudyInstanceUID) == (source.PatientID, source.StudyInstanceUID)
    outside = received(sandbox)
    assert source.StudyInstanceUID.encode() not in outside
    assert source.PatientID.encode() not in outside
    assert str(source.PatientName).encode() not in outside
    (out / ".bridge" / "rules.toml").write_text((tmp_path / "rules.toml").read_text())
    site = (tmp_path / "site.toml").read_text().replace('data = "data"', f'data = "{out / ".bridge"}"')
    (tmp_path / "after.toml").write_text(site)
    words = ["disclosures", "--patient", source.PatientID, "--json", "--config", str(tmp_path / "after.toml")]
    (sent,) = json.loads(CliRunner().invoke(app, words).stdout)["sent"]
    archive = next(one for one in (sandbox.folder / "store").rglob("*cbct*") if one.is_file())
    assert sent["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert (sent["platform"], sent["format"], sent["name"]) == (
        "virtual-patient-engine",
        "dicom-zip",
        "cbct.zip",
    )
    assert sent["sent_at"] >= sent["begun_at"]
    assert sent["pseudonym"].encode() in outside, told


def test_slices_are_refused_where_one_object_is_wanted_and_nothing_is_sent(
    sandbox: Sandbox, study: Path, tmp_path: Path
) -> None:
    _, told = run(sandbox, study, tmp_path, ".dcm")
    assert "single slices" in told
    assert sandbox.ledger()["created"] == 0
