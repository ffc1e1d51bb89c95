"""Values of a rule through `bridge run`: numbers, files, and images that are at the platform already."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from tests.contract.platform_benches import chest
from typer.testing import CliRunner

from bridge.cli.app import app
from bridge.errors import BridgeError
from bridge.itk import read_image, write_image
from bridge.sandbox.grand_challenge import Sandbox
from bridge.sandbox.phantom import make_study, write_study

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

[accounts.gc]
platform = "grand-challenge"
base_url = "{base_url}"
token_file = "{token_file}"
ca = "{ca}"
retry_s = [0.01]
options = {{ poll_first_s = 0.02, poll_s = 0.05 }}
"""
RULE = """\
[rules.case]
mode = "hold"
platform = "gc"
algorithm = "{algorithm}"
destinations = ["pacs"]

[rules.case.inputs.{socket}]
volume = {{ Modality = "CT" }}
prefer = ["thinnest"]

[rules.case.values]
{values}
"""
REGISTRATION = "deep-learning-based-ct-lung-registration"
NOWHERE = "00000000-0000-0000-0000-000000000000"


class Case:
    """One study, a sandbox, and a rule that changes."""

    def __init__(self, sandbox: Sandbox, study: Path, folder: Path) -> None:
        self.sandbox, self.study, self.folder = sandbox, study, folder
        (folder / "site.toml").write_text(
            SITE.format(base_url=sandbox.base_url, token_file=sandbox.token_file, ca=sandbox.ca_file)
        )

    def run(self, algorithm: str, socket: str, values: str, out: str = "out") -> Path:
        return self.run_rule(RULE.format(algorithm=algorithm, socket=socket, values=values), out)

    def run_rule(self, rule: str, out: str = "out") -> Path:
        (self.folder / "rules.toml").write_text(rule)
        words = ["run", "case", str(self.study), "--out", str(self.folder / out)]
        told = CliRunner().invoke(app, [*words, "--config", str(self.folder / "site.toml")])
        if told.exception and not isinstance(told.exception, SystemExit):
            raise told.exception
        return self.folder / out

    def jobs(self) -> list[Any]:
        return list(self.sandbox.platform.jobs.values())

    def given(self, job: Any) -> dict[str, Any]:
        """What the platform bound to the sockets of a job: ids of images, and values."""
        return {one.socket.slug: one.image or one.value for one in job.inputs}

    def uploads(self) -> int:
        return len([line for line in self.sandbox.requests("store") if line["method"] == "PUT"])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    write_study(make_study(when=datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC), scale=0.25), folder)
    return folder


@pytest.fixture
def case(study: Path, tmp_path: Path) -> Iterator[Case]:
    with Sandbox(tmp_path / "sandbox") as sandbox:
        yield Case(sandbox, study, tmp_path)


def test_number_and_file_reach_the_algorithm_and_the_answer_comes_back(case: Case) -> None:
    options = 'options-file = { threshold = -500, note = "ä" }'
    out = case.run("air-by-threshold", "ct-image", f"threshold = -400\n{options}")
    assert (out / "air-mask.seg.dcm").exists()
    (job,) = case.jobs()
    assert case.given(job)["threshold"] == -400
    (findings,) = [one for one in out.rglob("*.json") if b'"air_volume_ml"' in one.read_bytes()]
    assert json.loads(findings.read_bytes())["options"] == {"threshold": -500, "note": "ä"}


NO_RESULTS = "[rules.case.results]\nsegmentation = false\nmeasurement_report = false\ndocuments = false"


def test_images_at_the_platform_are_inputs_and_only_the_volume_is_sent(case: Case) -> None:
    case.run("all-kinds", "ct-image", "threshold = -400\noptions-file = {}", out="earlier")
    (earlier,) = case.jobs()
    smoothed = next(one.image for one in earlier.outputs if one.socket.slug == "smoothed-ct")
    image = read_image(case.sandbox.platform.image_path(case.sandbox.platform.images[smoothed]))
    file = case.folder / "mask.mha"
    write_image(file, replace(image, array=(image.array < -400).astype(np.uint8)))
    mask = case.sandbox.add_image(file)
    item = case.sandbox.add_archive_item("chest-cts", {"moving-mask": file})
    uploads = case.uploads()
    values = (
        f'fixed-image = {{ job = "{earlier.pk}", socket = "smoothed-ct" }}\n'
        f'fixed-mask = {{ image = "{mask.pk}" }}\n'
        f'moving-mask = {{ archive_item = "{item.pk}" }}'
    )
    # The answer is two images, of which nothing is made.
    out = case.run(REGISTRATION, "moving-image", f"{values}\n{NO_RESULTS}")
    assert sorted(one.name for one in out.iterdir()) == [".bridge", "report.html"]
    report = (out / "report.html").read_text()
    assert "The rule makes no results" in report
    assert 'src="data:image/webp;base64,' in report
    job = case.jobs()[-1]
    given = case.given(job)
    sent = given.pop("moving-image")
    assert given == {"fixed-image": smoothed, "fixed-mask": mask.pk, "moving-mask": item.values[0].image}
    assert case.sandbox.platform.images[sent].shape == image.array.shape
    assert job.status == "Succeeded"
    assert case.uploads() == uploads + 1
    assert len(case.sandbox.ledger()) == 2


VOLUME = f'fixed-image = {{ image = "{NOWHERE}" }}\nfixed-mask = {{ image = "{NOWHERE}" }}\n'


@pytest.mark.parametrize(
    ("algorithm", "socket", "values", "code"),
    [
        ("air-by-threshold", "ct-image", 'threshold = "high"\noptions-file = {}', "GC-211"),
        ("air-by-threshold", "ct-image", "threshold = 1.5\noptions-file = {}", "GC-211"),
        ("air-by-threshold", "ct-image", "threshold = 1", "GC-210"),
        ("air-by-threshold", "options-file", "threshold = 1\nct-image = 2", "GC-212"),
        (REGISTRATION, "moving-image", VOLUME + "moving-mask = 1", "GC-214"),
        (REGISTRATION, "moving-image", VOLUME + 'moving-mask = { image = "a", job = "b" }', "GC-214"),
        (REGISTRATION, "moving-image", VOLUME + 'moving-mask = { job = "b" }', "GC-214"),
        (REGISTRATION, "moving-image", VOLUME + 'moving-mask = { image = "a", why = "b" }', "GC-214"),
        (REGISTRATION, "moving-mask", VOLUME + f'moving-image = {{ image = "{NOWHERE}" }}', "GC-212"),
        (REGISTRATION, "moving-image", VOLUME + f'moving-mask = {{ image = "{NOWHERE}" }}', "GC-225"),
    ],
)
def test_value_that_its_socket_does_not_take_is_a_sentence_and_nothing_leaves(
    case: Case, algorithm: str, socket: str, values: str, code: str
) -> None:
    with pytest.raises(BridgeError) as told:
        case.run(algorithm, socket, values)
    assert told.value.code == code
    assert case.uploads() == 0
    assert case.sandbox.ledger() == []


def test_case_whose_rule_was_mended_goes_on_in_the_same_folder(case: Case) -> None:
    with pytest.raises(BridgeError):
        case.run("air-by-threshold", "ct-image", 'threshold = "high"\noptions-file = {}')
    out = case.run("air-by-threshold", "ct-image", "threshold = -400\noptions-file = {}")
    assert (out / "air-mask.seg.dcm").exists()
    case.run("air-by-threshold", "ct-image", "threshold = -700\noptions-file = {}")
    assert [case.given(job)["threshold"] for job in case.jobs()] == [-400, -700]
    with pytest.raises(BridgeError):
        case.run("air-by-threshold", "ct-image", 'threshold = "high"\noptions-file = {}')
    assert len(case.sandbox.ledger()) == 2


WITHOUT_VOLUME = """\
[rules.case]
mode = "live"
platform = "gc"
algorithm = "{algorithm}"
destinations = ["pacs"]
study = {{ StudyInstanceUID = "{study}" }}

[rules.case.values]
{values}

[rules.case.results]
private_codes = true
"""


def first_of(study: Path) -> Any:
    return dcmread(next(path for path in sorted(study.rglob("*")) if path.is_file()))


def test_rule_whose_inputs_are_all_at_the_platform_files_values_and_documents_in_its_study(
    case: Case,
) -> None:
    source = first_of(case.study)
    file = case.folder / "chest.mha"
    file.write_bytes(chest(case.folder))
    item = case.sandbox.add_archive_item("chest-cts", {"ct-image": file})
    values = f'ct-image = {{ archive_item = "{item.pk}" }}\nthreshold = -400\noptions-file = {{}}'
    rule = WITHOUT_VOLUME.format(algorithm="all-kinds", study=source.StudyInstanceUID, values=values)
    out = case.run_rule(rule)
    results = {path.name: dcmread(path) for path in out.glob("*.dcm")}
    assert {one.Modality for one in results.values()} == {"SR", "DOC"}, "masks lie on no image of the study"
    for one in results.values():
        assert (one.StudyInstanceUID, one.PatientID) == (source.StudyInstanceUID, source.PatientID)
        assert "CurrentRequestedProcedureEvidenceSequence" not in one
        assert "SourceInstanceSequence" not in one
        made_by = [item.ManufacturerModelName for item in one.ContributingEquipmentSequence]
        assert source.ManufacturerModelName not in made_by
    assert "air-mask: no image of the study was sent" in (out / "report.html").read_text()
    assert case.uploads() == 1, "the options, and no voxel"
    case.run_rule(rule)
    case.run_rule(rule, out="elsewhere")
    assert len(case.sandbox.ledger()) == 2, "its options are a file, which no earlier job can be told by"


def test_rule_without_a_volume_is_for_its_own_study_alone(case: Case) -> None:
    with pytest.raises(BridgeError) as told:
        case.run_rule(WITHOUT_VOLUME.format(algorithm="other-inputs", study="1.2.3", values="threshold = 1"))
    assert told.value.code == "RUN-004"
    assert case.sandbox.ledger() == []


def test_files_of_the_site_are_inputs_and_another_content_is_another_job(case: Case) -> None:
    source = first_of(case.study)
    (case.folder / "protocol.pdf").write_bytes(b"%PDF-1.4 of the site")
    with zipfile.ZipFile(case.folder / "atlas.zip", "w") as archive:
        archive.writestr("a.txt", "1")
    values = 'atlas = { file = "atlas.zip" }\nprotocol = { file = "protocol.pdf" }'
    rule = WITHOUT_VOLUME.format(algorithm="other-inputs", study=source.StudyInstanceUID, values=values)
    out = case.run_rule(rule)
    (told,) = [
        one for one in out.rglob("*.json") if b'"protocol"' in one.read_bytes() and "outputs" in one.parts
    ]
    content = (case.folder / "protocol.pdf").read_bytes()
    assert json.loads(told.read_bytes())["protocol"]["sha256"] == hashlib.sha256(content).hexdigest()
    case.run_rule(rule)
    assert len(case.sandbox.ledger()) == 1
    (case.folder / "protocol.pdf").write_bytes(b"%PDF-1.4 of another day")
    case.run_rule(rule)
    assert len(case.sandbox.ledger()) == 2


@pytest.mark.parametrize(
    ("atlas", "code"),
    [(b"%PDF-1.4", "GC-216"), (bytes(128) + b"DICM", "PRE-004")],
    ids=["another-kind", "a-patient"],
)
def test_file_that_must_not_go_is_a_sentence_and_nothing_leaves(case: Case, atlas: bytes, code: str) -> None:
    (case.folder / "protocol.pdf").write_bytes(b"%PDF-1.4 of the site")
    (case.folder / "atlas.zip").write_bytes(atlas)
    values = 'atlas = { file = "atlas.zip" }\nprotocol = { file = "protocol.pdf" }'
    uid = first_of(case.study).StudyInstanceUID
    with pytest.raises(BridgeError) as told:
        case.run_rule(WITHOUT_VOLUME.format(algorithm="other-inputs", study=uid, values=values))
    assert told.value.code == code
    assert case.uploads() == 0


def test_rule_for_each_volume_writes_the_results_of_each_job_into_its_own_folder(case: Case) -> None:
    rule = RULE.format(
        algorithm="air-by-threshold", socket="ct-image", values="threshold = -400\noptions-file = {}"
    )
    out = case.run_rule(rule.replace("[rules.case]\n", '[rules.case]\nfor_each = "ct-image"\n'))
    found = sorted(path.parent.name for path in out.glob("*/air-mask.seg.dcm"))
    assert len(found) == len(set(found)) == len(case.jobs()) == 2
    assert not list(out.glob("*.dcm"))
    referenced = {
        dcmread(path).ReferencedSeriesSequence[0].SeriesInstanceUID for path in out.glob("*/air-mask.seg.dcm")
    }
    assert len(referenced) == 2
    assert all((out / one / "report.html").exists() for one in found)
