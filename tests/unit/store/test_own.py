"""Results that come back are kept and noted, and never open, reopen or trigger anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from bridge.dicom.headers import read_header
from bridge.store.decisions import Decisions
from bridge.store.instances import Arrived, Instances
from bridge.store.jobs import Jobs
from bridge.store.rows import StoredResult
from bridge.store.studies import Studies
from bridge.store.tables import Index
from made_objects import ct_slice

EXPLICIT = "1.2.840.10008.1.2.1"
ROOT = "1.2.826.7"


@pytest.fixture
def index(tmp_path: Path) -> Index:
    index = Index(tmp_path / "index.sqlite")
    index.open()
    return index


@pytest.fixture
def store(index: Index, tmp_path: Path) -> Instances:
    return Instances(index, tmp_path / "instances", key=b"k" * 32, uid_root=ROOT)


def keep(store: Instances, data_set: Dataset) -> Arrived:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, data_set)
    data = buffer.getvalue()
    return store.keep(
        encoded=data,
        header=read_header(data, EXPLICIT),
        sop_class_uid=data_set.SOPClassUID,
        sop_instance_uid=data_set.SOPInstanceUID,
        transfer_syntax_uid=EXPLICIT,
        calling_ae_title="PACS",
        source="pacs",
        quiet_s=30.0,
    )


def issued(data_set: Dataset, index: Index) -> None:
    """In the table of results: an archive may have changed everything else."""
    result = StoredResult(
        sop_instance_uid=data_set.SOPInstanceUID,
        job_id="job-7",
        kind="SEG",
        output_name="",
        sop_class_uid=data_set.SOPClassUID,
        series_instance_uid="2.25.8",
        file="f",
        sha256="",
        size_bytes=1,
    )
    Jobs(index).keep_results([result], {})


def contributed(data_set: Dataset, index: Index) -> None:
    """Made by any bridge; another system has added an item of its own."""
    data_set.ContributingEquipmentSequence = [
        equipment("Vendor", "Router", "109103"),
        equipment("bridge", "dicom-cloud-bridge", "109102"),
    ]


def rooted(data_set: Dataset, index: Index) -> None:
    data_set.SOPInstanceUID = f"{ROOT}.12345"


def equipment(manufacturer: str, model: str, purpose: str) -> Dataset:
    code, item = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = purpose, "DCM", "Purpose"
    item.Manufacturer, item.ManufacturerModelName = manufacturer, model
    item.PurposeOfReferenceCodeSequence = [code]
    return item


Sign = Callable[[Dataset, Index], None]
SIGNS = pytest.mark.parametrize("sign", [issued, contributed, rooted])


@SIGNS
def test_one_sign_is_enough_and_opens_no_study(store: Instances, index: Index, sign: Sign) -> None:
    result = ct_slice()
    sign(result, index)
    assert keep(store, result) is Arrived.OWN
    assert Studies(index).study(result.StudyInstanceUID) is None
    (held,) = store.of_study(result.StudyInstanceUID)
    assert held.own and held.file.is_file()


@SIGNS
def test_settled_study_stays_settled_however_often_and_however_changed_a_result_returns(
    store: Instances, index: Index, sign: Sign
) -> None:
    source = ct_slice(study="2.25.100")
    keep(store, source)
    Decisions(index).decide("2.25.100", Studies(index).study("2.25.100").due_at, [])  # type: ignore[union-attr]
    settled = Studies(index).study("2.25.100")
    assert settled is not None and settled.state == "decided"
    result = ct_slice(study="2.25.100")
    sign(result, index)
    for times in range(3):
        result.PatientComments = f"coerced {times}"
        assert keep(store, result) is Arrived.OWN
        assert keep(store, result) is Arrived.OWN
    result.PatientComments = "coerced 0"
    assert keep(store, result) is Arrived.OWN
    assert Studies(index).study("2.25.100") == settled
    assert store.replacements("2.25.100") == []


def test_timeline_of_the_job_says_once_that_its_result_came_back(store: Instances, index: Index) -> None:
    result = ct_slice()
    issued(result, index)
    for times in range(3):
        result.PatientComments = f"coerced {times}"
        keep(store, result)
    (noted,) = Jobs(index).timeline("job-7")
    assert (noted.event, noted.keys) == ("result.came-back", {"calling_ae_title": "PACS"})


@pytest.mark.parametrize(
    "items",
    [
        [equipment("bridge", "dicom-cloud-bridge", "109101")],
        [equipment("bridge", "another", "109102")],
        [equipment("Vendor", "dicom-cloud-bridge", "109102")],
        [],
    ],
)
def test_equipment_of_others_is_no_sign(store: Instances, index: Index, items: list[Dataset]) -> None:
    source = ct_slice()
    source.ContributingEquipmentSequence = items
    assert keep(store, source) is Arrived.STORED


def test_root_counts_whole_components(store: Instances) -> None:
    source = ct_slice()
    source.SOPInstanceUID = f"{ROOT}7.1"
    assert keep(store, source) is Arrived.STORED
