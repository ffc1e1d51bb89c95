"""The C-STORE SCP: every storage SOP class, every transfer syntax, bytes kept as they came.

`0x0000` is answered only after the `Keeper` has made file and row durable. The receiver never converts and never
judges content: what cannot be framed as a data set is refused with a status, everything else is kept.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import AbstractContextManager
from typing import Any, Protocol

from bridge.dicom.headers import Header, read_header
from bridge.errors import ConfigError, Refused
from bridge.log import event as log_event
from bridge.receive.bounded import Bounded, bound
from bridge.receive.door import Door, Doorbook
from bridge.receive.filing import check_filed
from bridge.receive.listening import Listening
from bridge.receive.tally import Tallies
from bridge.receive.wire import acknowledge, by_preference, tune

log = logging.getLogger("bridge.receive")

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
DATA_SET_MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
PROCESSING_FAILURE = 0x0110
INVALID_INSTANCE = 0x0117
NOT_AUTHORIZED = 0x0124

TRANSIENT, PRESENTATION, CONGESTION = 0x02, 0x03, 0x01
"""Rejection of an association for now (PS3.8 9.3.4)."""

STATUS_OF = {"RCV-005": DATA_SET_MISMATCH, "RCV-008": INVALID_INSTANCE}
"""Of a refused object, by its code; any other is not understood (PS3.4 B.2.3, PS3.7 C.4)."""

WRITING_S = 10.0
"""How long an object that is being written may take to end when its association is gone."""
LOOK_S = 0.02


class Keeper(Protocol):
    """Where instances are kept. `keep` returns only when the instance would survive a power cut."""

    def room(self, size_bytes: int) -> AbstractContextManager[bool]: ...

    def keep(
        self,
        *,
        encoded: bytes,
        header: Header,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        calling_ae_title: str,
        called_ae_title: str,
        source: str,
        quiet_s: float,
    ) -> str: ...


class Receiver:
    """A C-ECHO and C-STORE SCP in threads of its own."""

    def __init__(self, listening: Listening, keeper: Keeper, doorbook: Doorbook | None = None) -> None:
        self._listening = listening
        self._keeper = keeper
        self._door = Door(listening, doorbook)
        self._server: Any = None
        self._port = listening.port
        self._tallies = Tallies()
        self._draining = False
        self._working = 0
        self._idle = threading.Condition()

    @property
    def port(self) -> int:
        """The port in use: the one asked for, or the one the system gave for port 0."""
        return self._port

    def start(self) -> None:
        """Raises ConfigError (RCV-010) when the address cannot be used."""
        import pynetdicom
        from pynetdicom import AE, evt
        from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

        # One switch for the process, read at each negotiation: any storage class, private and unknown ones too,
        # is accepted with the first transfer syntax that the context names (`_requested` orders them).
        pynetdicom._config.UNRESTRICTED_STORAGE_SERVICE = True
        pynetdicom._config.LOG_HANDLER_LEVEL = "none"
        # Its own check answers an illegal UID with an abort, which takes the rest of the association along.
        pynetdicom._config.VALIDATORS["UI"] = lambda uid: (True, "")
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
            (evt.EVT_CONN_OPEN, tune),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_REJECTED, self._door.rejected),
            (evt.EVT_PDU_RECV, acknowledge),
            (evt.EVT_PDU_SENT, acknowledge),
            (evt.EVT_PDU_RECV, bound, [listening.maximum_instance_bytes]),
            (evt.EVT_C_ECHO, lambda event: SUCCESS),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_CONN_CLOSE, self._tallies.closed),
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
        self._port = int(self._server.socket.getsockname()[1])
        log_event(log, "receive.listening", ae_title=listening.ae_title, host=listening.host, port=self.port)

    def stop(self) -> None:
        """Take no new association and end those that are open; what was acknowledged is safe already."""
        self.drain(0.0)

    def drain(self, within_s: float) -> None:
        """Take no new association from now on; those that are open may end by themselves, for so long.

        Then they are aborted. Returns when nothing is being written any more: what was acknowledged is safe, what
        was not will be sent again.
        """
        server, self._server = self._server, None
        if server is None:
            return
        self._draining = True
        server.shutdown()
        until = time.monotonic() + within_s
        while server.active_associations and time.monotonic() < until:
            time.sleep(LOOK_S)
        left = server.active_associations
        # Each waits for its own threads, one that hangs in the middle of a PDU for its time-out.
        aborts = [threading.Thread(target=one.abort, name="abort", daemon=True) for one in left]
        for abort in aborts:
            abort.start()
        with self._idle:
            self._idle.wait_for(lambda: self._working == 0, WRITING_S)
        for abort in aborts:
            abort.join(1.0)
        log_event(log, "receive.drained", aborted=len(left))

    def _requested(self, event: Any) -> None:
        """In unrestricted mode pynetdicom takes the first syntax that a context proposes: the order is ours to set."""
        if self._draining:
            event.assoc.acse.send_reject(TRANSIENT, PRESENTATION, CONGESTION)
            event.assoc.kill()
            return
        called = str(event.assoc.requestor.primitive.called_ae_title).strip()
        if called in self._listening.also_called:
            # Compared next with the title that was called; an entity of pynetdicom has one only.
            event.assoc.acceptor.ae_title = called
        requested = event.assoc.requestor.primitive.presentation_context_definition_list
        for context in requested:
            context.transfer_syntax = by_preference(context.transfer_syntax)

    def _store(self, event: Any) -> int:
        with self._idle:
            self._working += 1
        tally = self._tallies.of(event.assoc)
        try:
            status = self._keep(event)
        except OSError:
            log_event(log, "instance.not-written", level=logging.ERROR, failed=True)
            status = OUT_OF_RESOURCES
        except Exception:  # noqa: BLE001 - a status is the only answer a sender understands
            log_event(log, "instance.failed", level=logging.ERROR, failed=True)
            status = PROCESSING_FAILURE
        finally:
            with self._idle:
                self._working -= 1
                self._idle.notify_all()
        if status != SUCCESS:
            tally.refused[status] += 1
        return status

    def _keep(self, event: Any) -> int:
        request = event.request
        requestor = event.assoc.requestor
        calling = str(requestor.primitive.calling_ae_title).strip()
        called = str(requestor.primitive.called_ae_title).strip()
        tally = self._tallies.of(event.assoc)
        peer = self._listening.peer(calling, requestor.address)
        if peer is None:
            if not tally.refused[NOT_AUTHORIZED]:
                self._door.not_authorized(event)
            return NOT_AUTHORIZED
        if isinstance(request.DataSet, Bounded) and request.DataSet.is_cut:
            return _refuse(
                OUT_OF_RESOURCES,
                Refused(
                    "RCV-007",
                    f"an object of {request.DataSet.size_bytes} bytes",
                    f"at most {self._listening.maximum_instance_bytes}",
                    "Raise `maximum_instance_bytes` in [receive] if this machine has the memory for it",
                ),
            )
        encoded = request.DataSet.getvalue()
        syntax = str(event.context.transfer_syntax)
        try:
            header = read_header(encoded, syntax)
            _check(header, str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
        except Refused as refusal:
            return _refuse(STATUS_OF.get(refusal.code, CANNOT_UNDERSTAND), refusal)
        # Asked for last: as long as it lasts, the bytes count as written.
        with self._keeper.room(len(encoded)) as fits:
            if not fits:
                return OUT_OF_RESOURCES
            arrived = self._keeper.keep(
                encoded=encoded,
                header=header,
                sop_class_uid=_bare(request.AffectedSOPClassUID),
                sop_instance_uid=_bare(request.AffectedSOPInstanceUID),
                transfer_syntax_uid=syntax,
                calling_ae_title=calling,
                called_ae_title=called,
                source=peer.name,
                quiet_s=peer.quiet_s,
            )
        tally.kept[str(arrived)] += 1
        return SUCCESS


def _refuse(status: int, refusal: Refused) -> int:
    log_event(
        log,
        "instance.refused",
        level=logging.WARNING,
        code=refusal.code,
        status=f"0x{status:04X}",
        reason=refusal.sentence(),
    )
    return status


def _bare(uid: object) -> str:
    """Without padding (PS3.5 9.1)."""
    return str(uid).rstrip("\0 ")


def _check(header: Header, affected_sop_class_uid: str, affected_sop_instance_uid: str) -> None:
    check_filed(header)
    for keyword, affected in (
        ("SOPClassUID", affected_sop_class_uid),
        ("SOPInstanceUID", affected_sop_instance_uid),
    ):
        if header.uid(keyword) != _bare(affected):
            raise Refused(
                "RCV-005",
                f"a data set whose {keyword} is not that of the C-STORE request",
                "the same UID in command and data set (PS3.7 9.1.1)",
                "Mend the sender: results could not say which object they are about",
            )
