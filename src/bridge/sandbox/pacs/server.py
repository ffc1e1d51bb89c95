"""The SCP of the small PACS: C-ECHO, C-STORE for every storage class, C-FIND; on 127.0.0.1 only."""

from __future__ import annotations

import logging
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pynetdicom
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)
from pynetdicom.transport import ThreadedAssociationServer

from bridge.errors import BridgeError, ConfigError
from bridge.log import event as log_event

from .archive import Archive, Arrival, Attempt, read_attempts
from .find import find
from .orders import OUT_OF_RESOURCES, Desk, Orders, order
from .send import send_at_once

log = logging.getLogger("bridge.sandbox")

HOST = "127.0.0.1"
POLL_S = 0.02
SUCCESS, PENDING, CANCELLED = 0x0000, 0xFF00, 0xFE00
PROCESSING_FAILURE, UNABLE_TO_PROCESS = 0x0110, 0xC000
WARNINGS = 0xB


class _Server(ThreadedAssociationServer):
    """Stands apart from the list of servers that `AE.start_server` keeps, whose end takes half a second to notice."""

    def shutdown(self) -> None:
        socketserver.TCPServer.shutdown(self)
        self.server_close()


class SmallPacs:
    """A PACS in threads of its own; also a context manager that starts and stops it."""

    def __init__(self, folder: Path, *, ae_title: str = "PACS", port: int = 0) -> None:
        self.folder = folder
        self.ae_title = ae_title
        self._port = port
        self._archive = Archive(folder)
        self._desk = Desk(folder)
        self._entity: AE | None = None
        self._server: Any = None
        self._stopping = threading.Event()

    @property
    def port(self) -> int:
        """The port in use once started, for port 0 the one the system gave."""
        return self._port

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every C-STORE request so far, oldest first."""
        return read_attempts(self.folder)

    @property
    def held(self) -> dict[str, Path]:
        """SOP Instance UID -> Part 10 file."""
        return self._archive.held()

    def refuse(self, count: int, status: int = OUT_OF_RESOURCES) -> None:
        """Refuse the next `count` C-STORE requests. Takes the place of all earlier orders."""
        order(self.folder, Orders(refuse=count, status=status))

    def start(self) -> None:
        """Listen. Raises ConfigError (SBX-005) when the port is taken."""
        # One switch for the whole process: every storage class, private and unknown ones too, is accepted with
        # the first transfer syntax proposed. C-ECHO and C-FIND must be named all the same.
        pynetdicom._config.UNRESTRICTED_STORAGE_SERVICE = True
        _silence()
        self._stopping.clear()
        entity = AE(ae_title=self.ae_title)
        entity.maximum_associations = 100
        for context in (
            Verification,
            StudyRootQueryRetrieveInformationModelFind,
            PatientRootQueryRetrieveInformationModelFind,
        ):
            entity.add_supported_context(context)
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, send_at_once),
            (evt.EVT_C_ECHO, lambda event: SUCCESS),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self._find),
        ]
        try:
            server: Any = entity.make_server((HOST, self._port), evt_handlers=handlers, server_class=_Server)
        except OSError as problem:
            raise ConfigError(
                "SBX-005", f"cannot listen on {HOST}:{self._port} ({problem.strerror})", "a free port, or 0"
            ) from None
        threading.Thread(target=server.serve_forever, args=(POLL_S,), name="small-pacs", daemon=True).start()
        self._port = int(server.socket.getsockname()[1])
        self._entity, self._server = entity, server

    def stop(self) -> None:
        """Drop all associations and stop listening; what was acknowledged is on disk."""
        self._stopping.set()
        if self._entity is None:
            return
        self._server.shutdown()
        for association in self._entity.active_associations:
            association.abort()
        self._entity = self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _store(self, event: Any) -> int:
        request = event.request
        arrival = Arrival(
            encoded=request.DataSet.getvalue(),
            sop_class_uid=str(request.AffectedSOPClassUID),
            sop_instance_uid=str(request.AffectedSOPInstanceUID),
            transfer_syntax_uid=str(event.context.transfer_syntax),
            calling_ae_title=str(event.assoc.requestor.ae_title).strip(),
        )
        try:
            orders = self._desk.next()
            stopped = self._stopping.wait(orders.delay_s)
            if orders.abort or stopped:
                self._archive.note(arrival, None)
                event.assoc.abort()
                return PROCESSING_FAILURE
            status = orders.status if orders.refuse else SUCCESS
            # A warning says that the instance was stored all the same (PS3.7 C.3).
            if (status == SUCCESS and not orders.lose) or status >> 12 == WARNINGS:
                self._archive.keep(arrival, status)
            else:
                self._archive.note(arrival, status)
        except (BridgeError, OSError):
            log_event(log, "pacs.not-kept", level=logging.ERROR, failed=True)
            return PROCESSING_FAILURE
        return status

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        try:
            for answer in find(event.identifier, self.held.values()):
                if event.is_cancelled:
                    yield CANCELLED, None
                    return
                yield PENDING, answer
        except KeyError:
            log_event(log, "pacs.query-refused", level=logging.WARNING)
            yield UNABLE_TO_PROCESS, None


def _silence() -> None:
    """pynetdicom's records quote identifiers and data sets."""
    pynetdicom._config.LOG_HANDLER_LEVEL = "none"
    pynetdicom._config.LOG_REQUEST_IDENTIFIERS = False
    pynetdicom._config.LOG_RESPONSE_IDENTIFIERS = False
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
