"""C-STORE SCU: push files to a peer as a modality or an archive would."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pynetdicom
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pynetdicom import AE, evt

from bridge.errors import Refused, TryLater

MAXIMUM_CONTEXTS = 128
"""Presentation context IDs are the odd numbers of one byte (PS3.8 9.3.2.2)."""


def send(
    files: Sequence[Path],
    *,
    host: str = "127.0.0.1",
    port: int,
    called_ae_title: str = "ANY-SCP",
    calling_ae_title: str = "MODALITY",
    timeout_s: float = 60.0,
) -> list[int | None]:
    """Send Part 10 files over one association, each in its own SOP class and transfer syntax, bytes untouched.

    Returns:
        The status of each file, in order; None where the peer gave none (context refused, association lost).
    Raises:
        Refused: SBX-002, a file has no Part 10 header; SBX-003, more than 128 presentation contexts are needed.
        TryLater: SBX-004, no association.
    """
    # Process-wide, but it concerns only senders that hand over a path: those want the file's own bytes.
    pynetdicom._config.STORE_SEND_CHUNKED_DATASET = True
    pynetdicom._config.LOG_HANDLER_LEVEL = "none"
    entity = AE(ae_title=calling_ae_title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = timeout_s
    contexts = dict.fromkeys(_context(file) for file in files)
    if len(contexts) > MAXIMUM_CONTEXTS:
        raise Refused(
            "SBX-003",
            f"{len(contexts)} presentation contexts",
            f"at most {MAXIMUM_CONTEXTS} in one association",
            "Send the files in several turns",
        )
    for sop_class_uid, transfer_syntax_uid in contexts:
        entity.add_requested_context(sop_class_uid, transfer_syntax_uid)
    association = entity.associate(
        host, port, ae_title=called_ae_title, evt_handlers=[(evt.EVT_CONN_OPEN, send_at_once)]
    )
    if not association.is_established:
        raise TryLater("SBX-004", f"no association with {host}:{port}", "an SCP that accepts one")
    statuses: list[int | None] = []
    for number, file in enumerate(files, start=1):
        try:
            answer = association.send_c_store(file, msg_id=number % 65536)
        except ValueError:
            # No context was accepted for it; the text quotes UIDs.
            statuses.append(None)
            continue
        if "Status" not in answer:
            # Lost. pynetdicom may not have noticed yet, and another request would wait for its time-out in vain.
            association.abort()
            break
        statuses.append(int(answer.Status))
    else:
        association.release()
    return statuses + [None] * (len(files) - len(statuses))


def send_at_once(event: Any) -> None:
    """On EVT_CONN_OPEN: no waiting for the peer's delayed ACK, 40 ms for every message of two writes."""
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _context(file: Path) -> tuple[str, str]:
    try:
        meta = read_file_meta_info(file)
        return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
    except (InvalidDicomError, AttributeError):
        raise Refused(
            "SBX-002",
            "a file without SOP class and transfer syntax in its header",
            "a Part 10 file (PS3.10 7.1)",
        ) from None
