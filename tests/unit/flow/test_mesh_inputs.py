"""Meshes of a study as inputs: what a job is by their shape, what is asked once more, what is gone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from tests.made_objects import mesh_object
from tests.unit.export.test_meshes import FACES, binary

from bridge.flow.acts.rerun import rerun
from bridge.flow.stages.inputs import documents_of
from bridge.store.jobs import JobState
from prepared import Prepared

pytestmark = pytest.mark.filterwarnings("ignore")

THIN = "ct-head-phantom-philips/S2020"
INPUTS = """
[rules.mask.inputs.image]
volume = { Modality = "CT" }

[rules.mask.inputs.scan]
mesh = true
volume = { Modality = "M3D" }
"""


def prepared(folder: Path, shared_data: Path, *scans: Dataset) -> Prepared:
    folder.mkdir(exist_ok=True)
    work = Prepared(folder, INPUTS)
    study = work.send(shared_data / THIN)
    for number, one in enumerate(scans):
        file = folder / f"scan{number}.dcm"
        one.save_as(file, enforce_file_format=True)
        work.send(file)
    work.decide(study)
    return work


def scan(shared_data: Path, document: bytes = b"", **attributes: object) -> Dataset:
    of = dcmread(next((shared_data / THIN).iterdir()), stop_before_pixels=True)
    return mesh_object(document or binary(), of, **attributes)  # type: ignore[arg-type]


def test_job_knows_the_object_of_its_mesh_and_is_its_shape(tmp_path: Path, shared_data: Path) -> None:
    ids = {}
    for name, one in {
        "plain": scan(shared_data),
        "other texts": scan(shared_data, binary(head=b"Canary^Yellow", spare=3), number=2, DocumentTitle="x"),
        "another shape": scan(shared_data, binary(FACES * 2)),
    }.items():
        work = prepared(tmp_path / name.replace(" ", "-"), shared_data, one)
        (found,) = documents_of(work.instances, work.job()).values()
        assert found.sop_instance_uid == one.SOPInstanceUID
        assert set(work.volumes()) == {"image"}
        ids[name] = work.job().contents
    assert ids["plain"] == ids["other texts"] != ids["another shape"]
    assert json.loads(ids["plain"])["image"] == json.loads(ids["another shape"])["image"]


def test_rerun_takes_the_same_mesh_while_it_is_there(tmp_path: Path, shared_data: Path) -> None:
    work = prepared(tmp_path, shared_data, scan(shared_data))
    first = work.job()
    work.jobs.change(first.id, state=JobState.DONE)
    again = work.jobs.get(rerun(work.parts, first.id))
    assert (again.inputs, again.contents, again.rerun) == (first.inputs, first.contents, 1)


def test_mesh_that_is_none_refuses_the_study_and_no_other_rule(tmp_path: Path, shared_data: Path) -> None:
    work = prepared(tmp_path, shared_data, scan(shared_data, b"%PDF-1.7 Canary^Yellow"))
    assert list(work.jobs.all()) == []
    (decision,) = work.parts.decisions.of_study(work.sent)
    assert (decision.outcome, decision.reason.partition(":")[0]) == ("refused", "EXP-012")
    assert "Canary" not in decision.reason + decision.explanation
