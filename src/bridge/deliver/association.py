"""Associations that we open: one address, one way to ask for contexts, one set of words for why there is none."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bridge.dicom.statuses import Outcome

CALLED_AE_NOT_RECOGNIZED, CALLING_AE_NOT_RECOGNIZED = 7, 3
PROBES = 3
"""A connection is given up after so many probes without an answer."""
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A DICOM peer; every wait is a setting."""

    name: str
    ae_title: str
    host: str
    port: int
    calling_ae_title: str
    connect_timeout_s: float
    acse_timeout_s: float
    dimse_timeout_s: float
    network_timeout_s: float
    keepalive_s: float = 30.0


def associate(
    address: Address, abstract_syntaxes: Sequence[str], transfer_syntaxes: Sequence[str] = (EXPLICIT,)
) -> tuple[Any, tuple[Outcome, str]]:
    """Open an association. Returns it, or None and what the peer's answer means."""
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
        entity.add_requested_context(syntax, list(transfer_syntaxes))
    try:
        association = entity.associate(
            address.host,
            address.port,
            ae_title=address.ae_title,
            evt_handlers=[(evt.EVT_CONN_OPEN, _tune, [address.keepalive_s])],
        )
    except OSError:
        return None, (Outcome.RETRY, f"no connection: the name {address.host} has no address")
    if association.is_established:
        return association, (Outcome.DELIVERED, "")
    return None, _why_not(association, address)


def _tune(event: Any, keepalive_s: float) -> None:
    connection = event.assoc.dul.socket.socket
    # Without it each request waits 40 ms for the acknowledgement of its first packet (Nagle against delayed ACK).
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A firewall forgets a connection that is silent while an archive works, and tells neither end.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", max(round(keepalive_s), 1)),
        ("TCP_KEEPINTVL", max(round(keepalive_s / PROBES), 1)),
        ("TCP_KEEPCNT", PROBES),
    ):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _why_not(association: Any, address: Address) -> tuple[Outcome, str]:
    if association.is_rejected:
        primitive = association.acceptor.primitive
        code, permanent = primitive.diagnostic, primitive.result == 1
        if primitive.result_source == 1 and code == CALLED_AE_NOT_RECOGNIZED:
            where = f"{address.ae_title} at {address.host}:{address.port}"
            what = f"association rejected: there is no AE title {where}"
            return Outcome.CONFIGURATION, f"{what}. Check `ae_title`, `host` and `port` of the destination"
        if primitive.result_source == 1 and code == CALLING_AE_NOT_RECOGNIZED:
            what = f"{address.ae_title} does not know the AE title {address.calling_ae_title}"
            remedy = "It must be entered there, with the address of this machine"
            return Outcome.CONFIGURATION, f"association rejected: {what}. {remedy}"
        kind = "for good" if permanent else "for now"
        return (
            Outcome.CONFIGURATION if permanent else Outcome.RETRY,
            f"association rejected {kind} (source {primitive.result_source}, reason {code})",
        )
    if association.acceptor.primitive is not None and not association.accepted_contexts:
        return Outcome.REFUSED, "the peer accepted no presentation context"
    if association.is_aborted and association.requestor.address_info.port:
        return Outcome.RETRY, "the association was not answered, or broken off"
    return Outcome.RETRY, "no connection: refused, unreachable or timed out"
