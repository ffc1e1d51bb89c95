"""C-STORE SCU against a real SCP: a receipt for each instance, in the peer's own words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.deliver.store_scu import Address, Outgoing, echo, store
from bridge.dicom.headers import read_body
from bridge.dicom.statuses import STORE_STATUSES, Outcome, store_status
from bridge.sandbox.pacs import Orders, SmallPacs, order
from made_objects import ct_slice


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


def test_dropped_association_leaves_no_answer_and_no_success(pacs: SmallPacs, tmp_path: Path) -> None:
    order(tmp_path / "pacs", Orders(abort=1))
    receipts = store(address(pacs.port), outgoing(tmp_path))
    assert [r.outcome for r in receipts] == [Outcome.RETRY, Outcome.RETRY]
    assert all(r.status is None for r in receipts)


def test_peer_that_is_down_is_tried_again(tmp_path: Path) -> None:
    (receipt,) = store(address(1), outgoing(tmp_path, 1))
    assert receipt.outcome is Outcome.RETRY
    assert not receipt.stored


def test_unknown_called_title_is_a_matter_of_configuration(pacs: SmallPacs, tmp_path: Path) -> None:
    (receipt,) = store(address(pacs.port, ae_title="WRONG"), outgoing(tmp_path, 1))
    assert receipt.outcome in (Outcome.CONFIGURATION, Outcome.DELIVERED)
    if pacs_checks_its_title(pacs):
        assert "called AE title" in receipt.reason


def pacs_checks_its_title(pacs: SmallPacs) -> bool:
    return not echo(address(pacs.port, ae_title="WRONG")).stored


def test_echo(pacs: SmallPacs) -> None:
    assert echo(address(pacs.port)).outcome is Outcome.DELIVERED
    assert echo(address(1)).outcome is Outcome.RETRY


TABLE = [
    (0x0000, Outcome.DELIVERED),
    (0xB000, Outcome.WARNED),
    (0xB006, Outcome.WARNED),
    (0xB007, Outcome.WARNED),
    (0x0107, Outcome.WARNED),
    (0x0116, Outcome.WARNED),
    (0xA700, Outcome.RETRY),
    (0xA7FF, Outcome.RETRY),
    (0xA900, Outcome.REFUSED),
    (0xA9AB, Outcome.REFUSED),
    (0xC000, Outcome.RETRY_FEW),
    (0xC211, Outcome.RETRY_FEW),
    (0x0110, Outcome.RETRY_FEW),
    (0x0111, Outcome.DUPLICATE),
    (0x0117, Outcome.REFUSED),
    (0x0118, Outcome.REFUSED),
    (0x0119, Outcome.REFUSED),
    (0x0122, Outcome.REFUSED),
    (0x0124, Outcome.CONFIGURATION),
    (0x0105, Outcome.REFUSED),
    (0x0106, Outcome.REFUSED),
    (0x0115, Outcome.REFUSED),
    (0x0120, Outcome.REFUSED),
    (0x0121, Outcome.REFUSED),
    (0x0210, Outcome.RETRY),
    (0x0213, Outcome.RETRY),
    (0xFE00, Outcome.RETRY),
    (0x9999, Outcome.RETRY_FEW),
]


@pytest.mark.parametrize(("status", "outcome"), TABLE)
def test_status_has_its_meaning(status: int, outcome: Outcome) -> None:
    assert store_status(status).outcome is outcome


def test_rows_of_the_table_do_not_overlap() -> None:
    covered = [status for row in STORE_STATUSES for status in range(row.first, row.last + 1)]
    assert len(covered) == len(set(covered))
