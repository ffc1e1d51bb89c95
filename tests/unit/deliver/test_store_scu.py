"""C-STORE SCU against a real SCP: a receipt for each instance, in the peer's own words."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pynetdicom
import pytest
from pynetdicom import AE

from bridge.deliver.association import associate
from bridge.deliver.store_scu import Address, Outgoing, echo, store
from bridge.dicom.headers import read_body
from bridge.dicom.statuses import STORE_STATUSES, Outcome, store_status
from bridge.sandbox.pacs import Orders, SmallPacs, order
from made_objects import ct_slice
from raw_acceptor import ABORT, RawAcceptor, rejection


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[SmallPacs]:
    with SmallPacs(tmp_path / "pacs", ae_title="PACS") as pacs:
        yield pacs


def address(port: int, **changes: Any) -> Address:
    values: dict[str, Any] = {
        "name": "pacs",
        "ae_title": "PACS",
        "host": "127.0.0.1",
        "port": port,
        "calling_ae_title": "BRIDGE",
        "connect_timeout_s": 2.0,
        "acse_timeout_s": 2.0,
        "dimse_timeout_s": 2.0,
        "network_timeout_s": 5.0,
    }
    return Address(**(values | changes))


def outgoing(folder: Path, count: int = 2) -> list[Outgoing]:
    found = []
    for number in range(count):
        made = ct_slice(number=number)
        file = folder / f"{number}.dcm"
        made.save_as(file, enforce_file_format=True)
        found.append(
            Outgoing(sop_class_uid=made.SOPClassUID, sop_instance_uid=made.SOPInstanceUID, file=file)
        )
    return found


def test_every_instance_has_its_receipt(pacs: SmallPacs, tmp_path: Path) -> None:
    sent = outgoing(tmp_path)
    receipts = store(address(pacs.port), sent)
    assert [r.sop_instance_uid for r in receipts] == [one.sop_instance_uid for one in sent]
    assert all(r.outcome is Outcome.DELIVERED and r.status == 0 for r in receipts)
    for one in sent:
        assert read_body(pacs.held[one.sop_instance_uid]) == read_body(one.file)


def test_refusal_of_one_does_not_stop_the_next(pacs: SmallPacs, tmp_path: Path) -> None:
    pacs.refuse(1)
    outcomes = [r.outcome for r in store(address(pacs.port), outgoing(tmp_path))]
    assert outcomes == [Outcome.RETRY, Outcome.DELIVERED]


def test_instance_that_breaks_the_association_has_no_answer_and_holds_up_no_other(
    pacs: SmallPacs, tmp_path: Path
) -> None:
    order(tmp_path / "pacs", Orders(abort=1))
    sent = outgoing(tmp_path, 3)
    receipts = store(address(pacs.port), sent)
    assert [r.outcome for r in receipts] == [Outcome.RETRY, Outcome.DELIVERED, Outcome.DELIVERED]
    assert [r.status for r in receipts] == [None, 0, 0]
    assert all(r.reached for r in receipts)
    assert set(pacs.held) == {one.sop_instance_uid for one in sent[1:]}


def test_peer_is_told_to_be_reached_once_and_before_anything_is_sent(pacs: SmallPacs, tmp_path: Path) -> None:
    order(tmp_path / "pacs", Orders(abort=1))
    attempts: list[int] = []
    store(address(pacs.port), outgoing(tmp_path, 3), reached=lambda: attempts.append(len(pacs.attempts)))
    assert attempts == [0]


def test_nothing_is_listening(tmp_path: Path) -> None:
    (receipt,) = store(address(1), outgoing(tmp_path, 1), reached=lambda: pytest.fail("reached"))
    assert (receipt.outcome, receipt.reached, receipt.stored) == (Outcome.RETRY, False, False)


def test_peer_that_answers_no_connection_is_given_up_in_time() -> None:
    with socket.socket() as server, ExitStack() as stack:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        where = server.getsockname()
        for _ in range(8):  # nobody accepts: when its queue is full, the next one hears nothing
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(where)
        begun = time.monotonic()
        receipt = echo(address(where[1], connect_timeout_s=0.5))
        assert 0.4 < time.monotonic() - begun < 3
    assert not receipt.reached


def test_name_without_an_address() -> None:
    receipt = echo(address(104, host="pacs.invalid"))
    assert (receipt.outcome, receipt.reached) == (Outcome.RETRY, False)
    assert "pacs.invalid" in receipt.reason


CALLED, CALLING, BUSY, NO_REASON = (
    rejection(1, 1, 7),
    rejection(1, 1, 3),
    rejection(2, 3, 2),
    rejection(1, 1, 1),
)
WITHOUT_ASSOCIATION = [
    (CALLED, Outcome.CONFIGURATION, "there is no AE title PACS at 127.0.0.1"),
    (CALLING, Outcome.CONFIGURATION, "PACS does not know the AE title BRIDGE"),
    (NO_REASON, Outcome.CONFIGURATION, "for good"),
    (BUSY, Outcome.RETRY, "for now"),
    (ABORT, Outcome.RETRY, "broken off"),
    (b"", Outcome.RETRY, "broken off"),
    (None, Outcome.RETRY, "not answered"),
]
"""PS3.8 9.3.4: (answer to the request, what it means, words of the reason)."""


@pytest.mark.parametrize(("answer", "outcome", "words"), WITHOUT_ASSOCIATION)
def test_peer_that_grants_no_association_is_not_reached(
    answer: bytes | None, outcome: Outcome, words: str, tmp_path: Path
) -> None:
    # Only who says nothing is to be waited for: a busy machine takes longer than that to answer.
    patience_s = 0.3 if answer is None else 10.0
    with RawAcceptor(answer) as peer:
        receipts = store(address(peer.port, acse_timeout_s=patience_s), outgoing(tmp_path, 2))
    assert [(r.outcome, r.reached) for r in receipts] == [(outcome, False)] * 2
    assert words in receipts[0].reason
    assert peer.calls == 1


def test_class_that_is_not_taken_is_refused_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pynetdicom._config, "UNRESTRICTED_STORAGE_SERVICE", False)
    entity = AE(ae_title="PACS")
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.4")  # MR, and we bring CT
    server = entity.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    try:
        receipts = store(address(server.socket.getsockname()[1]), outgoing(tmp_path, 2))
    finally:
        server.shutdown()
    assert [(r.outcome, r.reached) for r in receipts] == [(Outcome.REFUSED, True)] * 2
    assert "CT Image Storage" in receipts[0].reason
    assert "`bridge check`" in receipts[0].reason


def test_label_map_that_is_not_taken_names_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pynetdicom._config, "UNRESTRICTED_STORAGE_SERVICE", False)
    entity = AE(ae_title="PACS")
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.66.4")
    server = entity.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    label_map = replace(outgoing(tmp_path, 1)[0], sop_class_uid="1.2.840.10008.5.1.4.1.1.66.7")
    try:
        (receipt,) = store(address(server.socket.getsockname()[1]), [label_map])
    finally:
        server.shutdown()
    assert receipt.outcome is Outcome.REFUSED
    assert 'Write segmentation = "binary"' in receipt.reason


def test_silent_connection_is_probed(pacs: SmallPacs) -> None:
    association, _ = associate(address(pacs.port, keepalive_s=12.0), ["1.2.840.10008.1.1"])
    try:
        connection = association.dul.socket.socket
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 12
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 4
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
    finally:
        association.release()


def test_echo(pacs: SmallPacs) -> None:
    assert echo(address(pacs.port)).outcome is Outcome.DELIVERED
    assert echo(address(1)).outcome is Outcome.RETRY


TABLE = [
    ((0x0000,), Outcome.DELIVERED),
    ((0xB000,), Outcome.WARNED),
    ((0xB006,), Outcome.WARNED),
    ((0xB007,), Outcome.WARNED),
    ((0x0107, 0x0116), Outcome.WARNED),
    ((0xA700, 0xA701, 0xA7FF), Outcome.RETRY),
    ((0xA900, 0xA9AB, 0xA9FF), Outcome.REFUSED),
    ((0xC000, 0xC211, 0xCFFF), Outcome.RETRY_FEW),
    ((0x0110,), Outcome.RETRY_FEW),
    ((0x0111,), Outcome.DUPLICATE),
    ((0x0117, 0x0118, 0x0119, 0x0122), Outcome.REFUSED),
    ((0x0124,), Outcome.CONFIGURATION),
    ((0x0105, 0x0106, 0x0115, 0x0120, 0x0121), Outcome.REFUSED),
    ((0x0210, 0x0211, 0x0212), Outcome.RETRY_ONCE),
    ((0x0213,), Outcome.RETRY),
    ((0xFE00,), Outcome.RETRY),
]


@pytest.mark.parametrize(("statuses", "outcome"), TABLE)
def test_status_has_its_meaning(statuses: tuple[int, ...], outcome: Outcome) -> None:
    assert {store_status(status).outcome for status in statuses} == {outcome}


def test_every_row_of_the_table_is_walked() -> None:
    walked = {store_status(status) for statuses, _ in TABLE for status in statuses}
    assert walked == set(STORE_STATUSES)


@pytest.mark.parametrize("status", [0x9999, 0xA6FF, 0xA800, 0xB001, 0x0001, 0xFFFF])
def test_status_that_stands_nowhere_is_passing_trouble(status: int) -> None:
    assert store_status(status).outcome is Outcome.RETRY_FEW


def test_rows_of_the_table_do_not_overlap() -> None:
    covered = [status for row in STORE_STATUSES for status in range(row.first, row.last + 1)]
    assert len(covered) == len(set(covered))
