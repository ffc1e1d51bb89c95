"""The C-STORE SCP: every storage SOP class, every transfer syntax, bytes kept as they came.

`0x0000` is answered only after the `Keeper` has made file and row durable. The receiver never converts and never
judges content: what cannot be framed as a data set is refused with a status, everything else is kept.
"""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass
from typing import Any, Protocol

from bridge.dicom.headers import Header, read_header
from bridge.errors import ConfigError, Refused
from bridge.log import event as log_event

log = logging.getLogger("bridge.receive")

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
DATA_SET_MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
PROCESSING_FAILURE = 0x0110
NOT_AUTHORIZED = 0x0124


class Keeper(Protocol):
    """Where instances are kept. `keep` returns only when the instance would survive a power cut."""

    def has_room(self, size_bytes: int) -> bool: ...

    def keep(
        self,
        *,
        encoded: bytes,
        header: Header,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        calling_ae_title: str,
        source: str,
        quiet_s: float,
    ) -> str: ...


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
    acse_timeout_s: float
    dimse_timeout_s: float
    network_timeout_s: float


class Receiver:
    """A C-ECHO and C-STORE SCP in threads of its own."""

    def __init__(self, listening: Listening, keeper: Keeper) -> None:
        self._listening = listening
        self._keeper = keeper
        self._server: Any = None

    @property
    def port(self) -> int:
        """The port in use: the one asked for, or the one the system gave for port 0."""
        return int(self._server.socket.getsockname()[1])

    def start(self) -> None:
        """Raises ConfigError (RCV-010) when the address cannot be used."""
        import pynetdicom
        from pynetdicom import AE, evt
        from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

        # One switch for the process, read at each negotiation: any storage class, private and unknown ones too,
        # is accepted with the first transfer syntax that the context names (`_prefer` orders them).
        pynetdicom._config.UNRESTRICTED_STORAGE_SERVICE = True
        pynetdicom._config.LOG_HANDLER_LEVEL = "none"
        listening = self._listening
        entity = AE(ae_title=listening.ae_title)
        entity.maximum_associations = listening.maximum_associations
        entity.maximum_pdu_size = listening.maximum_pdu_bytes
        entity.acse_timeout = listening.acse_timeout_s
        entity.dimse_timeout = listening.dimse_timeout_s
        entity.network_timeout = listening.network_timeout_s
        entity.require_called_aet = True
        if not listening.any_calling_ae:
            entity.require_calling_aet = [peer.ae_title for peer in listening.peers]
        entity.add_supported_context(Verification)
        handlers = [
            (evt.EVT_CONN_OPEN, _answer_at_once),
            (evt.EVT_REQUESTED, self._prefer),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_C_ECHO, lambda event: SUCCESS),
            (evt.EVT_C_STORE, self._store),
        ]
        try:
            self._server = entity.start_server(
                (listening.host, listening.port),
                block=False,
                evt_handlers=handlers,  # type: ignore[arg-type]
            )
        except OSError as problem:
            raise ConfigError(
                "RCV-010",
                f"cannot listen on {listening.host}:{listening.port} ({problem.strerror})",
                "a free port that this user may open",
                "Stop the other program, or set another `port` in [receive]",
            ) from None
        log_event(log, "receive.listening", ae_title=listening.ae_title, host=listening.host, port=self.port)

    def stop(self) -> None:
        """Take no new association and end those that are open; what was acknowledged is safe already."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _prefer(self, event: Any) -> None:
        """As the archive has it: compressed syntaxes first, then Explicit, Implicit, Big Endian last.

        In unrestricted mode pynetdicom takes the first syntax that a context proposes, so the order is ours to set.
        """
        requested = event.assoc.requestor.primitive.presentation_context_definition_list
        for context in requested:
            context.transfer_syntax = sorted(context.transfer_syntax, key=_rank)

    def _rejected(self, event: Any) -> None:
        primitive = event.assoc.requestor.primitive
        log_event(
            log,
            "association.rejected",
            level=logging.WARNING,
            calling_ae_title=str(primitive.calling_ae_title),
            called_ae_title=str(primitive.called_ae_title),
            host=event.assoc.requestor.address,
        )

    def _peer(self, calling: str, address: str) -> Peer | None:
        """The source that this is; None when the AE title is one of another machine."""
        for peer in self._listening.peers:
            if peer.ae_title == calling and (peer.host is None or address in _addresses(peer.host)):
                return peer
        if self._listening.any_calling_ae:
            return Peer(name="", ae_title=calling, quiet_s=self._listening.quiet_s)
        return None

    def _store(self, event: Any) -> int:
        try:
            return self._keep(event)
        except OSError:
            log_event(log, "instance.not-written", level=logging.ERROR, failed=True)
            return OUT_OF_RESOURCES
        except Exception:  # noqa: BLE001 - a status is the only answer a sender understands
            log_event(log, "instance.failed", level=logging.ERROR, failed=True)
            return PROCESSING_FAILURE

    def _keep(self, event: Any) -> int:
        request = event.request
        encoded = request.DataSet.getvalue()
        calling = str(event.assoc.requestor.primitive.calling_ae_title).strip()
        peer = self._peer(calling, event.assoc.requestor.address)
        if peer is None:
            log_event(
                log,
                "instance.refused",
                level=logging.WARNING,
                code="RCV-006",
                status="0x0124",
                calling_ae_title=calling,
                host=event.assoc.requestor.address,
            )
            return NOT_AUTHORIZED
        if not self._keeper.has_room(len(encoded)):
            log_event(log, "instance.refused", level=logging.ERROR, code="RCV-003", status="0xA700")
            return OUT_OF_RESOURCES
        syntax = str(event.context.transfer_syntax)
        try:
            header = read_header(encoded, syntax)
            _check(header, str(request.AffectedSOPInstanceUID))
        except Refused as refusal:
            status = DATA_SET_MISMATCH if refusal.code == "RCV-005" else CANNOT_UNDERSTAND
            log_event(
                log,
                "instance.refused",
                level=logging.WARNING,
                code=refusal.code,
                status=f"0x{status:04X}",
                reason=refusal.sentence(),
            )
            return status
        self._keeper.keep(
            encoded=encoded,
            header=header,
            sop_class_uid=str(request.AffectedSOPClassUID),
            sop_instance_uid=str(request.AffectedSOPInstanceUID),
            transfer_syntax_uid=syntax,
            calling_ae_title=calling,
            source=peer.name,
            quiet_s=peer.quiet_s,
        )
        return SUCCESS


def _answer_at_once(event: Any) -> None:
    # The response is two small packets: without this the second waits 40 ms for the peer's delayed ACK.
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _check(header: Header, affected_sop_instance_uid: str) -> None:
    missing = [keyword for keyword in ("StudyInstanceUID", "SeriesInstanceUID") if not header.uid(keyword)]
    if missing:
        raise Refused(
            "RCV-004",
            f"an object without {' and '.join(missing)}",
            "the UIDs that file an instance (PS3.3 C.7.2, C.7.3)",
            "Mend the object at its source",
        )
    if header.uid("SOPInstanceUID") != affected_sop_instance_uid.rstrip("\0 "):
        raise Refused(
            "RCV-005",
            "a data set whose SOP Instance UID is not that of the C-STORE request",
            "the same UID in command and data set (PS3.7 9.1.1)",
            "Mend the sender: it is not possible to say which of the two is meant",
        )


def _addresses(host: str) -> set[str]:
    """Addresses of a configured host now; () for a name that cannot be resolved: then nobody is let in by it."""
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        return set()


LAST_SYNTAXES = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2")
"""Uncompressed syntaxes from the best to the least wanted; every other one stands before them."""


def _rank(transfer_syntax: object) -> int:
    name = str(transfer_syntax)
    return LAST_SYNTAXES.index(name) + 1 if name in LAST_SYNTAXES else 0
