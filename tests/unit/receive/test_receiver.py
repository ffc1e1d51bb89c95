"""The SCP against real associations: what is acknowledged is kept, what is refused says why by its status."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless
from pynetdicom import AE, evt
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import CTImageStorage, Verification  # type: ignore[attr-defined]

from bridge.dicom.headers import read_body
from bridge.receive.admit import Why
from bridge.receive.listening import Listening, Peer
from bridge.receive.scp import Receiver
from bridge.store.alerts import Alerts
from bridge.store.instances import Instances
from bridge.store.refusals import Refusals
from bridge.store.studies import Studies
from bridge.store.tables import Index
from made_objects import ct_slice

PRIVATE_CLASS = "1.3.46.670589.5.0.1.1"


@pytest.fixture
def index(tmp_path: Path) -> Index:
    index = Index(tmp_path / "index.sqlite")
    index.open()
    return index


@pytest.fixture
def store(index: Index, tmp_path: Path) -> Instances:
    return Instances(index, tmp_path / "instances", key=b"k" * 32)


@pytest.fixture
def studies(index: Index) -> Studies:
    return Studies(index)


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
        "maximum_instance_bytes": 1 << 32,
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


def answer_to(association: Any, data_set: Dataset, **command: str) -> int:
    """C-STORE below pynetdicom's own, which checks UIDs; `command` says other UIDs than the data set."""
    request = C_STORE()
    request.MessageID = 1
    request.Priority = 2
    uids = {
        "AffectedSOPClassUID": data_set.SOPClassUID,
        "AffectedSOPInstanceUID": data_set.SOPInstanceUID,
        **command,
    }
    request._affected_sop_class_uid = UID(uids["AffectedSOPClassUID"])
    request._affected_sop_instance_uid = UID(uids["AffectedSOPInstanceUID"])
    encoded = encode(data_set, False, True)
    assert encoded is not None
    request.DataSet = BytesIO(encoded)
    context = next(c for c in association.accepted_contexts if c.abstract_syntax == CTImageStorage)
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, context.context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return int(answer.Status)


def store_raw(port: int, data_set: Dataset, **command: str) -> int:
    association = associate(port)
    status = answer_to(association, data_set, **command)
    association.release()
    return status


def store_one(port: int, data_set: Dataset, **how: Any) -> int:
    association = associate(port, data_set.SOPClassUID, **how)
    assert association.is_established
    answer = association.send_c_store(data_set)
    association.release()
    return int(answer.Status)


def test_stored_instance_is_held_byte_for_byte(
    receiver: Receiver, store: Instances, studies: Studies
) -> None:
    sent = ct_slice()
    assert store_one(receiver.port, sent) == 0x0000
    (held,) = store.of_study(sent.StudyInstanceUID)
    data, syntax = read_body(held.file)
    assert syntax == ExplicitVRLittleEndian
    assert data.endswith(sent.PixelData)
    study = studies.study(sent.StudyInstanceUID)
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


@pytest.mark.parametrize("called", ["BRIDGE", "BRIDGE_ER"])
def test_title_by_which_a_sender_called_is_kept(store: Instances, called: str) -> None:
    receiver = Receiver(listening(also_called=("BRIDGE_ER",)), store)
    receiver.start()
    assert associate(receiver.port, called="BRIDGE_XX").is_rejected
    sent = ct_slice()
    assert store_one(receiver.port, sent, called=called) == 0
    receiver.stop()
    assert store.called_ae_titles(sent.StudyInstanceUID) == (called,)


@pytest.mark.parametrize(
    ("titles", "why", "admitted"),
    [
        (
            {"calling": "STRANGER"},
            Why.CALLING,
            '[sources.stranger]\nae_title = "STRANGER"\nhost = "127.0.0.1"',
        ),
        ({"called": "OTHER"}, Why.CALLED, None),
    ],
)
def test_unknown_titles_are_rejected_noted_and_logged_with_what_admits_them(
    store: Instances,
    index: Index,
    caplog: pytest.LogCaptureFixture,
    titles: dict[str, str],
    why: Why,
    admitted: str | None,
) -> None:
    refusals = Refusals(index)
    receiver = Receiver(listening(), store, refusals)
    receiver.start()
    with caplog.at_level(logging.WARNING, logger="bridge.receive"):
        for _ in range(2):
            assert associate(receiver.port, **titles).is_rejected
    receiver.stop()
    keys = [record.keys for record in caplog.records if record.message == "association.rejected"]
    assert [(one["reason"], one["admit"]) for one in keys] == [(why, admitted)] * 2
    (noted,) = refusals.all()
    assert (noted.calling_ae_title, noted.called_ae_title) == (
        titles.get("calling", "CT1"),
        titles.get("called", "BRIDGE"),
    )
    assert (noted.host, noted.why, noted.count) == ("127.0.0.1", why, 2)


def test_one_association_too_many_is_rejected_and_no_refused_peer(store: Instances, index: Index) -> None:
    refusals = Refusals(index)
    receiver = Receiver(listening(maximum_associations=1), store, refusals)
    receiver.start()
    first = associate(receiver.port)
    assert associate(receiver.port).is_rejected
    first.release()
    receiver.stop()
    assert refusals.all() == []


def test_stranger_is_let_in_where_the_site_says_so(store: Instances, studies: Studies) -> None:
    receiver = Receiver(listening(any_calling_ae=True), store)
    receiver.start()
    sent = ct_slice()
    assert store_one(receiver.port, sent, calling="STRANGER") == 0x0000
    receiver.stop()
    assert studies.study(sent.StudyInstanceUID) is not None


def test_title_of_another_machine_is_not_enough_and_is_said_once(
    store: Instances, index: Index, caplog: pytest.LogCaptureFixture
) -> None:
    refusals = Refusals(index)
    elsewhere = Peer(name="ct1", ae_title="CT1", quiet_s=7.0, host="192.0.2.1")
    receiver = Receiver(listening(peers=(elsewhere,)), store, refusals)
    receiver.start()
    association = associate(receiver.port)
    with caplog.at_level(logging.WARNING, logger="bridge.receive"):
        assert [association.send_c_store(ct_slice()).Status for _ in range(3)] == [0x0124] * 3
    association.release()
    receiver.stop()
    (said,) = (one.keys for one in caplog.records if one.message == "association.not-authorized")
    # ct1 is taken: the same name twice would be no TOML.
    assert said["admit"].startswith("[sources.ct1-2]\n")
    assert [(one.why, one.count) for one in refusals.all()] == [(Why.HOST, 1)]


def test_bridge_without_sources_takes_nothing_and_says_why(store: Instances, index: Index) -> None:
    refusals = Refusals(index)
    receiver = Receiver(listening(peers=()), store, refusals)
    receiver.start()
    assert store_one(receiver.port, ct_slice()) == 0x0124
    receiver.stop()
    assert [one.why for one in refusals.all()] == [Why.CALLING]


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


@pytest.mark.parametrize("keyword", ["AffectedSOPInstanceUID", "AffectedSOPClassUID"])
def test_data_set_of_another_uid_than_the_command_is_refused(
    receiver: Receiver, store: Instances, keyword: str
) -> None:
    sent = ct_slice()
    assert store_raw(receiver.port, sent, **{keyword: "1.2.3.999"}) == 0xA900
    assert store.of_study(sent.StudyInstanceUID) == ()


def test_padding_of_a_uid_in_the_command_is_no_difference(receiver: Receiver, store: Instances) -> None:
    sent = ct_slice()
    assert store_raw(receiver.port, sent, AffectedSOPInstanceUID=f"{sent.SOPInstanceUID} ") == 0x0000
    (held,) = store.of_study(sent.StudyInstanceUID)
    assert held.sop_instance_uid == sent.SOPInstanceUID


def test_uid_that_is_too_long_gets_a_status_and_the_association_goes_on(receiver: Receiver) -> None:
    bad, good = ct_slice(), ct_slice()
    bad.SOPInstanceUID = "1." + "2" * 63
    association = associate(receiver.port)
    assert answer_to(association, bad) == 0x0117
    assert answer_to(association, good) == 0x0000
    association.release()


def test_full_disk_is_said_once_and_recovers_by_itself(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    free = Disk(monkeypatch, free_bytes=10_000)
    alerts = Alerts(index)
    store = Instances(index, tmp_path / "instances", key=b"k" * 32, reserve_bytes=1 << 30, alarm=alerts)
    receiver = Receiver(listening(), store)
    receiver.start()
    association = associate(receiver.port)
    with caplog.at_level(logging.INFO):
        assert [association.send_c_store(ct_slice()).Status for _ in range(3)] == [0xA700] * 3
        assert [one.kind for one in alerts.all()] == ["disk-full"]
        free.free_bytes = 1 << 40
        assert association.send_c_store(ct_slice()).Status == 0x0000
        association.release()
        receiver.stop()
    assert alerts.all() == []
    assert list((tmp_path / "instances").rglob("*.dcm")) != []
    said = [record.message for record in caplog.records]
    assert (said.count("alert.disk-full"), said.count("alert.disk-full.over")) == (1, 1)
    assert said.count("instance.refused") == 0
    (ended,) = (one.keys for one in caplog.records if one.message == "association.ended")
    assert (ended["stored"], ended["refused"]) == (1, "3 x 0xA700")


class Disk:
    """A disk with as much room as the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free_bytes: int) -> None:
        self.free_bytes = free_bytes
        monkeypatch.setattr("bridge.store.disk.shutil.disk_usage", lambda folder: self)

    @property
    def free(self) -> int:
        return self.free_bytes


def test_object_that_is_too_large_is_refused_without_being_held_and_the_next_is_kept(
    store: Instances,
) -> None:
    receiver = Receiver(listening(maximum_instance_bytes=100_000), store)
    receiver.start()
    large, small = ct_slice(), ct_slice()
    large.PixelData = bytes(1_000_000)
    association = associate(receiver.port)
    assert association.send_c_store(large).Status == 0xA700
    assert association.send_c_store(small).Status == 0x0000
    association.release()
    receiver.stop()
    assert store.of_study(large.StudyInstanceUID) == ()


def test_acknowledged_instances_survive_an_abort_in_the_middle_of_the_next(
    receiver: Receiver, store: Instances
) -> None:
    kept, broken = ct_slice(), ct_slice()
    broken.PixelData = bytes(5_000_000)
    association = associate(receiver.port)
    assert association.send_c_store(kept).Status == 0x0000
    # The second message breaks off after its command and a part of its data set.
    request = C_STORE()
    request.MessageID, request.Priority = 2, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = broken.SOPClassUID, broken.SOPInstanceUID
    encoded = encode(broken, False, True)
    assert encoded is not None
    request.DataSet = BytesIO(encoded)
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    context = next(c for c in association.accepted_contexts if c.abstract_syntax == CTImageStorage)
    pdus = message.encode_msg(context.context_id, 16384)
    for _ in range(5):
        association.dul.send_pdu(next(pdus))
    time.sleep(0.1)
    association.abort()
    assert associate(receiver.port).send_c_echo().Status == 0x0000
    assert len(store.of_study(kept.StudyInstanceUID)) == 1
    assert store.of_study(broken.StudyInstanceUID) == ()


def test_dead_peer_is_noticed_by_keepalive(receiver: Receiver) -> None:
    association = associate(receiver.port)
    (accepted,) = receiver._server.active_associations
    connection = accepted.dul.socket.socket
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 30
    association.release()


def test_drain_lets_an_open_association_finish_and_takes_no_new_one(store: Instances) -> None:
    receiver = Receiver(listening(), store)
    receiver.start()
    first, second = ct_slice(), ct_slice()
    association = associate(receiver.port)
    assert association.send_c_store(first).Status == 0x0000
    drain = threading.Thread(target=receiver.drain, args=(10.0,))
    drain.start()
    time.sleep(0.8)
    assert not associate(receiver.port).is_established
    assert association.send_c_store(second).Status == 0x0000
    association.release()
    begun = time.monotonic()
    drain.join(5)
    assert not drain.is_alive()
    assert time.monotonic() - begun < 3
    assert len(store.of_study(first.StudyInstanceUID)) == len(store.of_study(second.StudyInstanceUID)) == 1


def test_drain_rejects_for_now_what_had_connected_and_not_asked_yet(store: Instances) -> None:
    receiver = Receiver(listening(), store)
    receiver.start()
    drains = threading.Event()
    entity = AE(ae_title="CT1")
    entity.add_requested_context("1.2.840.10008.1.1")
    found: list[Any] = []

    def ask() -> None:
        late = [(evt.EVT_CONN_OPEN, lambda event: drains.wait(5))]
        found.append(entity.associate("127.0.0.1", receiver.port, ae_title="BRIDGE", evt_handlers=late))

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.3)
    drain = threading.Thread(target=receiver.drain, args=(3.0,))
    drain.start()
    time.sleep(0.8)
    drains.set()
    asking.join(5)
    drain.join(5)
    (association,) = found
    assert association.is_rejected
    assert association.acceptor.primitive.result == 2, "transient: the sender comes again"


def test_drain_aborts_what_does_not_end_in_time_and_keeps_what_it_acknowledged(store: Instances) -> None:
    receiver = Receiver(listening(), store)
    receiver.start()
    sent = ct_slice()
    association = associate(receiver.port)
    assert association.send_c_store(sent).Status == 0x0000
    begun = time.monotonic()
    receiver.drain(0.2)
    assert time.monotonic() - begun < 4
    time.sleep(0.2)
    assert not association.is_established
    assert len(store.of_study(sent.StudyInstanceUID)) == 1


def test_drain_waits_for_an_object_that_is_being_written(store: Instances) -> None:
    slow = Slow(store)
    receiver = Receiver(listening(), slow)
    receiver.start()
    sent = ct_slice()
    association = associate(receiver.port)
    sender = threading.Thread(target=association.send_c_store, args=(sent,))
    sender.start()
    assert slow.begun.wait(5)
    receiver.drain(0.0)
    assert len(store.of_study(sent.StudyInstanceUID)) == 1
    sender.join(10)


class Slow:
    """A disk that takes its time."""

    def __init__(self, store: Instances) -> None:
        self._store = store
        self.room = store.room
        self.begun = threading.Event()

    def keep(self, **instance: Any) -> str:
        self.begun.set()
        time.sleep(1.0)
        return self._store.keep(**instance)


def test_own_results_that_come_back_are_counted_when_the_association_ends(
    index: Index, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Instances(index, tmp_path / "instances", key=b"k" * 32, uid_root="1.2.3")
    receiver = Receiver(listening(), store)
    receiver.start()
    association = associate(receiver.port)
    with caplog.at_level(logging.INFO, logger="bridge.receive"):
        for number in range(3):
            sent = ct_slice()
            sent.SOPInstanceUID = f"1.2.3.{number}"
            assert association.send_c_store(sent).Status == 0x0000
            assert Studies(index).study(sent.StudyInstanceUID) is None
        association.release()
        receiver.stop()
    (ended,) = (one.keys for one in caplog.records if one.message == "association.ended")
    assert (ended["own"], ended["stored"], ended["refused"]) == (3, 0, "")
