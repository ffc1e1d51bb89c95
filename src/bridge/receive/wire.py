"""The connection and the negotiation: what is set on a socket, and which transfer syntax is wanted."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any

KEEPALIVE_S, PROBES = 30, 3
"""A firewall forgets a connection that is silent while a scanner works, and tells neither end."""

LAST_SYNTAXES = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2")
"""Uncompressed syntaxes from the best to the least wanted; every other one stands before them."""


def tune(event: Any) -> None:
    """Set up the socket of an association that has just been opened."""
    connection = event.assoc.dul.socket.socket
    # The response is two small packets: without this the second waits 40 ms for the peer's delayed ACK.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_S),
        ("TCP_KEEPINTVL", KEEPALIVE_S // PROBES),
        ("TCP_KEEPCNT", PROBES),
    ):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def acknowledge(event: Any) -> None:
    """After each PDU, in both directions: acknowledge at once what comes next.

    DCMTK writes the head of a PDU and its body apart, and Nagle's algorithm holds back the second until the first is
    acknowledged, which Linux puts off for 40 ms. The option does not last (tcp(7)).
    """
    connection = event.assoc.dul.socket.socket
    if connection is not None and hasattr(socket, "TCP_QUICKACK"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def by_preference(transfer_syntaxes: Iterable[Any]) -> list[Any]:
    """As the archive has it: compressed first, then Explicit, Implicit, Big Endian last."""
    return sorted(transfer_syntaxes, key=_rank)


def _rank(transfer_syntax: object) -> int:
    name = str(transfer_syntax)
    return LAST_SYNTAXES.index(name) + 1 if name in LAST_SYNTAXES else 0
