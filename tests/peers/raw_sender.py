"""A sender that changes nothing: the bytes of a file go over the network as they lie there, whatever they are."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

LONG_VRS = (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV")
MOST_CONTEXTS = 120
"""Of the 128 that an association has numbers for (PS3.8 9.3.2.2)."""
ABORTED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One file as a sender would offer it."""

    file: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: bytes


def offer(file: Path) -> Offer | str:
    """What of a file goes into a C-STORE, or why it cannot be offered at all."""
    content = file.read_bytes()
    try:
        found = dcmread(BytesIO(content), force=True, stop_before_pixels=True)
    except Exception as error:  # noqa: BLE001 - pydicom raises many kinds
        return f"pydicom cannot read it ({type(error).__name__})"
    meta = found.file_meta
    syntax = meta.get("TransferSyntaxUID") if meta else None
    if syntax is None:
        if not len(found):
            return "no data set"
        implicit, little = found.original_encoding
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        syntax = syntax if little else ExplicitVRBigEndian
    # The data set counts; where it is silent, the meta header speaks for it.
    sop_class = _text(found, "SOPClassUID") or _text(meta, "MediaStorageSOPClassUID")
    sop_instance = _text(found, "SOPInstanceUID") or _text(meta, "MediaStorageSOPInstanceUID")
    if sop_class == "1.2.840.10008.1.3.10":
        return "a media directory"
    if not sop_class:
        return "no SOP class"
    if not sop_instance:
        return "no SOP Instance UID"
    return Offer(
        file=file,
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        transfer_syntax_uid=str(syntax),
        data_set=content[data_set_at(content) :],
    )


def data_set_at(content: bytes) -> int:
    """Where the data set begins: behind preamble and group 2, which is Explicit VR Little Endian (PS3.10 7.1)."""
    at = 132 if content[128:132] == b"DICM" else 0
    while content[at : at + 2] == b"\x02\x00":
        if content[at + 4 : at + 6] in LONG_VRS:
            at += 12 + struct.unpack_from("<I", content, at + 8)[0]
        else:
            at += 8 + struct.unpack_from("<H", content, at + 6)[0]
    return at


def _text(data_set: Any, keyword: str) -> str:
    return str(data_set.get(keyword) or "").rstrip("\0 ") if data_set is not None else ""


class RawSender:
    """Sends offers to a receiver on loopback and hears a status for each, or `ABORTED`."""

    def __init__(self, port: int, calling: str, called: str) -> None:
        self._port, self._calling, self._called = port, calling, called

    def send(self, offers: Iterable[Offer]) -> Iterator[tuple[Offer, int]]:
        """Every offer in its own transfer syntax; as few associations as the contexts allow."""
        kinds: list[list[tuple[str, str]]] = []
        ordered = sorted(offers, key=_kind)
        for kind, _ in groupby(ordered, key=_kind):
            if not kinds or len(kinds[-1]) == MOST_CONTEXTS:
                kinds.append([])
            kinds[-1].append(kind)
        for group in kinds:
            association = None
            for one in (one for one in ordered if _kind(one) in group):
                if association is None or not association.is_established:
                    association = self._associate(group)
                yield one, _store(association, one)
            if association is not None and association.is_established:
                association.release()

    def echo(self) -> int:
        association = self._associate([])
        status = int(association.send_c_echo().Status)
        association.release()
        return status

    def _associate(self, kinds: list[tuple[str, str]]) -> Any:
        entity = AE(ae_title=self._calling)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
        contexts = [PresentationContext()]
        contexts[0].abstract_syntax = Verification
        contexts[0].transfer_syntax = [ImplicitVRLittleEndian]
        for sop_class, syntax in kinds:
            context = PresentationContext()
            context._abstract_syntax, context._transfer_syntax = UID(sop_class), [UID(syntax)]
            contexts.append(context)
        entity.requested_contexts = contexts
        association = entity.associate(
            "127.0.0.1", self._port, ae_title=self._called, evt_handlers=[(evt.EVT_CONN_OPEN, _at_once)]
        )
        assert association.is_established
        return association


def _at_once(event: Any) -> None:
    # A request is two packets: without this the second waits for the acknowledgement of the first.
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _kind(one: Offer) -> tuple[str, str]:
    return one.sop_class_uid, one.transfer_syntax_uid


def _store(association: Any, one: Offer) -> int:
    """One C-STORE below pynetdicom's own: that one decodes, checks UIDs and would refuse half of what is sent here."""
    (context,) = (
        context
        for context in association.accepted_contexts
        if (context.abstract_syntax, context.transfer_syntax[0]) == _kind(one)
    )
    request = C_STORE()
    request.MessageID = 1
    request.Priority = 2
    request._affected_sop_class_uid = UID(one.sop_class_uid)
    request._affected_sop_instance_uid = UID(one.sop_instance_uid)
    request.DataSet = BytesIO(one.data_set)
    association._reactor_checkpoint.clear()
    try:
        association.dimse.send_msg(request, context.context_id)
        _, answer = association.dimse.get_msg(block=True)
    finally:
        association._reactor_checkpoint.set()
    return ABORTED if answer is None else int(answer.Status)
