"""The SCP against real associations: what is acknowledged is kept, what is refused says why by its status."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, Verification  # type: ignore[attr-defined]

from bridge.dicom.headers import read_body
from bridge.receive.scp import Listening, Peer, Receiver
from bridge.store.instances import Instances
from bridge.store.tables import Index
from made_objects import ct_slice

PRIVATE_CLASS = "1.3.46.670589.5.0.1.1"


@pytest.fixture
def store(tmp_path: Path) -> Instances:
    index = Index(tmp_path / "index.sqlite")
    index.open()
    return Instances(index, tmp_path / "instances", key=b"k" * 32)


def listening(**changes: Any) -> Listening:
    values: dict[str, Any] = {
        "ae_title": "BRIDGE",
        "host": "127.0.0.1",
        "port": 0,
        "peers": (Peer(name="ct", ae_title="CT1", quiet_s=7.0),),
        "any_calling_ae": False,
        "quiet_s": 30.0,
        "maximum_associations": 10,
        "maximum_pdu_bytes": 131072,
        "acse_timeout_s": 5.0,
        "dimse_timeout_s": 5.0,
        "network_timeout_s": 5.0,
    }
    return Listening(**(values | changes))


@pytest.fixture
def receiver(store: Instances) -> Iterator[Receiver]:
    receiver = Receiver(listening(), store)
    receiver.start()
    yield receiver
    receiver.stop()


def associate(
    port: int,
    sop_class: str = CTImageStorage,
    syntaxes: Any = None,
    calling: str = "CT1",
    called: str = "BRIDGE",
) -> Any:
    entity = AE(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 5
    entity.add_requested_context(sop_class, syntaxes or [ExplicitVRLittleEndian])
    entity.add_requested_context(Verification)
    return entity.associate("127.0.0.1", port, ae_title=called)


def store_one(port: int, data_set: Dataset, **how: Any) -> int:
    association = associate(port, data_set.SOPClassUID, **how)
    assert association.is_established
    answer = association.send_c_store(data_set)
    association.release()
    return int(answer.Status)


def test_stored_instance_is_held_byte_for_byte(receiver: Receiver, store: Instances) -> None:
    sent = ct_slice()
    assert store_one(receiver.port, sent) == 0x0000
    (held,) = store.of_study(sent.StudyInstanceUID)
    data, syntax = read_body(held.file)
    assert syntax == ExplicitVRLittleEndian
    assert data.endswith(sent.PixelData)
    study = store.study(sent.StudyInstanceUID)
    assert study is not None
    assert study.due_at - study.last_at == pytest.approx(7.0)


def test_private_storage_class_is_taken(receiver: Receiver, store: Instances) -> None:
    sent = ct_slice()
    sent.SOPClassUID = PRIVATE_CLASS
    sent.file_meta.MediaStorageSOPClassUID = PRIVATE_CLASS
    assert store_one(receiver.port, sent) == 0x0000
    assert len(store.of_study(sent.StudyInstanceUID)) == 1


def test_compressed_syntax_is_preferred_to_uncompressed(receiver: Receiver) -> None:
    wanted = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGLSLossless]
    association = associate(receiver.port, syntaxes=wanted)
    (context,) = [c for c in association.accepted_contexts if c.abstract_syntax == CTImageStorage]
    assert context.transfer_syntax == [JPEGLSLossless]
    association.release()


def test_echo_is_answered(receiver: Receiver) -> None:
    association = associate(receiver.port)
    assert association.send_c_echo().Status == 0x0000
    association.release()


@pytest.mark.parametrize("titles", [{"calling": "STRANGER"}, {"called": "OTHER"}])
def test_unknown_titles_are_rejected_and_logged(
    receiver: Receiver, titles: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="bridge.receive"):
        assert associate(receiver.port, **titles).is_rejected
    assert "association.rejected" in caplog.text


def test_stranger_is_let_in_where_the_site_says_so(store: Instances) -> None:
    receiver = Receiver(listening(any_calling_ae=True), store)
    receiver.start()
    sent = ct_slice()
    assert store_one(receiver.port, sent, calling="STRANGER") == 0x0000
    receiver.stop()
    assert store.study(sent.StudyInstanceUID) is not None


def test_title_of_another_machine_is_not_enough(store: Instances) -> None:
    elsewhere = Peer(name="ct", ae_title="CT1", quiet_s=7.0, host="192.0.2.1")
    receiver = Receiver(listening(peers=(elsewhere,)), store)
    receiver.start()
    assert store_one(receiver.port, ct_slice()) == 0x0124
    receiver.stop()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda ds: setattr(ds, "StudyInstanceUID", ""), 0xC000),
        (lambda ds: delattr(ds, "SeriesInstanceUID"), 0xC000),
    ],
)
def test_object_that_cannot_be_filed_is_refused(
    receiver: Receiver, store: Instances, change: Any, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    sent = ct_slice()
    change(sent)
    with caplog.at_level(logging.INFO, logger="bridge.receive"):
        assert store_one(receiver.port, sent) == status
    assert str(sent.PatientName) not in caplog.text


def test_data_set_of_another_uid_than_the_command_is_refused(receiver: Receiver) -> None:
    sent = ct_slice()
    association = associate(receiver.port)
    from io import BytesIO

    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.dsutils import encode

    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID = sent.SOPClassUID
    request.AffectedSOPInstanceUID = "1.2.3.999"
    encoded = encode(sent, False, True)
    assert encoded is not None
    request.DataSet = BytesIO(encoded)
    context = next(c for c in association.accepted_contexts if c.abstract_syntax == CTImageStorage)
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, context.context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    association.abort()
    assert answer.Status == 0xA900


def test_full_disk_is_said_and_recovers_by_itself(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite")
    index.open()
    store = Instances(index, tmp_path / "instances", key=b"k" * 32, reserve_bytes=1 << 60)
    receiver = Receiver(listening(), store)
    receiver.start()
    assert store_one(receiver.port, ct_slice()) == 0xA700
    store._reserve_bytes = 0
    assert store_one(receiver.port, ct_slice()) == 0x0000
    receiver.stop()


def test_acknowledged_instance_survives_an_abort(receiver: Receiver, store: Instances) -> None:
    sent = ct_slice()
    association = associate(receiver.port)
    assert association.send_c_store(sent).Status == 0x0000
    association.abort()
    assert len(store.of_study(sent.StudyInstanceUID)) == 1
