"""How the SCP listens, and whom it lets in."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from bridge.receive.admit import Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A sender that is let in."""

    name: str
    ae_title: str
    quiet_s: float
    host: str | None = None
    """When given, the only address that may use this AE title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """How the SCP listens; every wait and every bound is a setting."""

    ae_title: str
    host: str
    port: int
    peers: tuple[Peer, ...]
    any_calling_ae: bool
    quiet_s: float
    """Quiet period of senders that are let in without being named."""
    maximum_associations: int
    maximum_pdu_bytes: int
    maximum_instance_bytes: int
    acse_timeout_s: float
    dimse_timeout_s: float
    network_timeout_s: float
    also_called: tuple[str, ...] = ()
    """Further AE titles by which senders may call it."""

    def peer(self, calling_ae_title: str, address: str) -> Peer | None:
        """The source that this is; None when the AE title is one of another machine."""
        for peer in self.peers:
            if peer.ae_title == calling_ae_title and (peer.host is None or address in addresses(peer.host)):
                return peer
        if self.any_calling_ae:
            return Peer(name="", ae_title=calling_ae_title, quiet_s=self.quiet_s)
        return None

    def why_not(self, calling_ae_title: str, called_ae_title: str) -> Why | None:
        """Why an association was rejected; None when it would be let in at another time."""
        if called_ae_title not in (self.ae_title, *self.also_called):
            return Why.CALLED
        if not self.any_calling_ae and all(peer.ae_title != calling_ae_title for peer in self.peers):
            return Why.CALLING
        return None


def addresses(host: str) -> set[str]:
    """Addresses of a configured host now; empty for a name that has none: then nobody is let in by it."""
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        return set()
