"""C-STORE SCU: send results to one destination and say for each instance what the peer answered.

Never "delivered" before the peer said so. An association that breaks leaves the instances behind it without an
answer: they are sent again, and equal UIDs and bytes make that safe.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.deliver.receipt import Receipt
from bridge.dicom.statuses import Outcome, store_status

CALLED_AE_NOT_RECOGNIZED, CALLING_AE_NOT_RECOGNIZED = 7, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A destination that takes C-STORE; every wait is a setting."""

    name: str
    ae_title: str
    host: str
    port: int
    calling_ae_title: str
    connect_timeout_s: float
    acse_timeout_s: float
    dimse_timeout_s: float
    network_timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A result on its way: a complete Part 10 file in Explicit VR Little Endian."""

    sop_class_uid: str
    sop_instance_uid: str
    file: Path


def echo(address: Address) -> Receipt:
    """C-ECHO the destination (PS3.4 A)."""
    from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

    association, problem = _associate(address, [Verification])
    if association is None:
        return _receipt(address, "", *problem)
    try:
        status = association.send_c_echo()
        if "Status" not in status:
            return _receipt(address, "", Outcome.RETRY, "no answer to C-ECHO")
        return _answered(address, "", int(status.Status))
    finally:
        association.release()


def store(address: Address, outgoing: Sequence[Outgoing]) -> tuple[Receipt, ...]:
    """Send instances over one association; one receipt each, in the order given."""
    classes = sorted({one.sop_class_uid for one in outgoing})
    association, problem = _associate(address, classes)
    if association is None:
        return tuple(_receipt(address, one.sop_instance_uid, *problem) for one in outgoing)
    try:
        accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
        return tuple(_send(association, address, one, accepted) for one in outgoing)
    finally:
        if association.is_established:
            association.release()


def _send(association: Any, address: Address, one: Outgoing, accepted: set[str]) -> Receipt:
    uid = one.sop_instance_uid
    if one.sop_class_uid not in accepted:
        return _receipt(
            address, uid, Outcome.REFUSED, f"the peer does not take SOP class {one.sop_class_uid}"
        )
    if not association.is_established:
        return _receipt(address, uid, Outcome.RETRY, "the association ended before this instance")
    try:
        status = association.send_c_store(one.file)
    except (RuntimeError, ValueError, OSError) as failure:
        # pynetdicom: the association died under our hands, or the file cannot be read.
        return _receipt(address, uid, Outcome.RETRY, f"not sent ({type(failure).__name__})")
    if "Status" not in status:
        # The next request would wait for its whole time-out in vain.
        association.abort()
        return _receipt(address, uid, Outcome.RETRY, "no answer: time-out, abort or lost connection")
    return _answered(address, uid, int(status.Status))


def _associate(address: Address, abstract_syntaxes: Sequence[str]) -> tuple[Any, tuple[Outcome, str]]:
    import pynetdicom
    from pynetdicom import AE, evt

    # Process-wide, and it concerns only senders that hand over a path: those want the file's own bytes.
    pynetdicom._config.STORE_SEND_CHUNKED_DATASET = True
    pynetdicom._config.LOG_HANDLER_LEVEL = "none"
    entity = AE(ae_title=address.calling_ae_title)
    entity.connection_timeout = address.connect_timeout_s
    entity.acse_timeout = address.acse_timeout_s
    entity.dimse_timeout = address.dimse_timeout_s
    entity.network_timeout = address.network_timeout_s
    for syntax in abstract_syntaxes:
        entity.add_requested_context(syntax, "1.2.840.10008.1.2.1")
    association = entity.associate(
        address.host,
        address.port,
        ae_title=address.ae_title,
        evt_handlers=[(evt.EVT_CONN_OPEN, _send_at_once)],
    )
    if association.is_established:
        return association, (Outcome.DELIVERED, "")
    return None, _why_not(association)


def _send_at_once(event: Any) -> None:
    # Without it each request waits 40 ms for the acknowledgement of its first packet (Nagle against delayed ACK).
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _why_not(association: Any) -> tuple[Outcome, str]:
    if association.is_rejected:
        primitive = association.acceptor.primitive
        code, permanent = primitive.diagnostic, primitive.result == 1
        if primitive.result_source == 1 and code == CALLED_AE_NOT_RECOGNIZED:
            return Outcome.CONFIGURATION, "association rejected: the peer does not know its called AE title"
        if primitive.result_source == 1 and code == CALLING_AE_NOT_RECOGNIZED:
            return Outcome.CONFIGURATION, "association rejected: the peer does not know our AE title"
        kind = "for good" if permanent else "for now"
        return (
            Outcome.CONFIGURATION if permanent else Outcome.RETRY,
            f"association rejected {kind} (source {primitive.result_source}, reason {code})",
        )
    if association.acceptor.primitive is not None and not association.accepted_contexts:
        return Outcome.REFUSED, "the peer accepted no presentation context"
    return Outcome.RETRY, "no connection: refused, unreachable or timed out"


def _answered(address: Address, uid: str, status: int) -> Receipt:
    row = store_status(status)
    return _receipt(address, uid, row.outcome, f"0x{status:04X} {row.meaning}", status)


def _receipt(address: Address, uid: str, outcome: Outcome, reason: str, status: int | None = None) -> Receipt:
    return Receipt(
        destination=address.name, sop_instance_uid=uid, outcome=outcome, status=status, reason=reason
    )
