"""Versions are compared once, in a child where pixels are concerned, and nothing keeps a study from its turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from bridge.dicom.headers import read_header
from bridge.errors import TryLater
from bridge.flow.stages.children import Children
from bridge.flow.study import versions
from bridge.store.instances import Instances
from bridge.store.studies import Studies
from bridge.store.tables import Index
from made_objects import ct_slice

EXPLICIT = "1.2.840.10008.1.2.1"
STUDY = "2.25.100"


class Broken:
    """Children that end as `code` says."""

    def __init__(self, code: str) -> None:
        self._code = code

    def run(self, function: Any, *arguments: Any) -> Any:
        raise TryLater(self._code, "a working process died")


@pytest.fixture
def index(tmp_path: Path) -> Index:
    index = Index(tmp_path / "index.sqlite")
    index.open()
    return index


@pytest.fixture
def store(index: Index, tmp_path: Path) -> Instances:
    return Instances(index, tmp_path / "instances", key=b"k" * 32)


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    children = Children(1, timeout_s=60.0)
    yield children
    children.stop()


def parts(store: Instances, children: object) -> Any:
    return SimpleNamespace(instances=store, children=children)


def keep(store: Instances, data_set: Dataset) -> None:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, data_set)
    data = buffer.getvalue()
    store.keep(
        encoded=data,
        header=read_header(data, EXPLICIT),
        sop_class_uid=data_set.SOPClassUID,
        sop_instance_uid=data_set.SOPInstanceUID,
        transfer_syntax_uid=EXPLICIT,
        calling_ae_title="CT1",
        source="ct",
        quiet_s=30.0,
    )


def test_each_version_is_compared_once_with_the_one_before_it(
    store: Instances, index: Index, children: Children
) -> None:
    data_set = ct_slice(study=STUDY)
    keep(store, data_set)
    keep(store, ct_slice(study=STUDY, number=2))
    data_set.StudyDescription = "coerced"
    keep(store, data_set)
    data_set.PixelData = b"\1" + bytes(127)
    keep(store, data_set)
    data_set.PatientID = "C-2"
    keep(store, data_set)
    assert versions.classify(parts(store, children), STUDY) == [
        (3, "header-coerced"),
        (4, "other-pixels"),
        (5, "other-identity"),
    ]
    assert versions.classify(parts(store, children), STUDY) == []
    assert Studies(index).changed(STUDY, versions.OTHER_IDENTITY) == {5}


def test_version_that_kills_its_child_does_not_hold_up_its_study(store: Instances) -> None:
    data_set = ct_slice(study=STUDY)
    keep(store, data_set)
    data_set.PixelData = b"\1" + bytes(127)
    keep(store, data_set)
    assert versions.classify(parts(store, Broken("CHI-001")), STUDY) == [(2, "not-comparable")]


def test_trouble_of_the_machine_is_no_answer(store: Instances) -> None:
    data_set = ct_slice(study=STUDY)
    keep(store, data_set)
    data_set.PixelData = b"\1" + bytes(127)
    keep(store, data_set)
    with pytest.raises(TryLater):
        versions.classify(parts(store, Broken("SYS-001")), STUDY)
    assert len(store.replacements(STUDY)) == 1


def test_study_without_versions_asks_no_child(store: Instances) -> None:
    keep(store, ct_slice(study=STUDY))
    assert versions.classify(parts(store, Broken("SYS-001")), STUDY) == []
