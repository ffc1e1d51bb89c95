"""Whom the SCP turns away: said once for each association, with what would admit it, and noted."""

from __future__ import annotations

import logging
from typing import Any, Protocol

from bridge.log import event as log_event
from bridge.receive.admit import Why, admit
from bridge.receive.listening import Listening

log = logging.getLogger("bridge.receive")


class Doorbook(Protocol):
    """Where peers are noted that were not let in, for `bridge check` and `bridge status`."""

    def note(self, calling_ae_title: str, called_ae_title: str, host: str, why: str) -> None: ...


class Door:
    def __init__(self, listening: Listening, doorbook: Doorbook | None) -> None:
        self._listening = listening
        self._doorbook = doorbook

    def rejected(self, event: Any) -> None:
        """An association was not accepted (PS3.8 9.3.4)."""
        calling, called, host = _who(event)
        why = self._listening.why_not(calling, called)
        if why is not None:
            self._turned_away("association.rejected", event, why)
            return
        log_event(
            log,
            "association.rejected",
            level=logging.WARNING,
            calling_ae_title=calling,
            host=host,
            reason=f"{self._listening.maximum_associations} associations are open already",
        )

    def not_authorized(self, event: Any) -> None:
        """An association was accepted, but its peer may not store: the address is not that of the source."""
        calling, called, _ = _who(event)
        # Without a single source pynetdicom checks no calling AE title.
        why = self._listening.why_not(calling, called) or Why.HOST
        self._turned_away("association.not-authorized", event, why)

    def _turned_away(self, name: str, event: Any, why: Why) -> None:
        calling, called, host = _who(event)
        taken = [peer.name for peer in self._listening.peers]
        log_event(
            log,
            name,
            level=logging.WARNING,
            calling_ae_title=calling,
            called_ae_title=called,
            host=host,
            reason=str(why),
            admit=None if why is Why.CALLED else admit(calling, host, taken),
        )
        if self._doorbook is None:
            return
        try:
            self._doorbook.note(calling, called, host, str(why))
        except Exception:  # noqa: BLE001 - the peer has its answer; a note that cannot be written changes nothing
            log_event(log, "refusal.not-noted", level=logging.ERROR, failed=True)


def _who(event: Any) -> tuple[str, str, str]:
    requestor = event.assoc.requestor
    titles = (requestor.primitive.calling_ae_title, requestor.primitive.called_ae_title)
    calling, called = (str(title).strip() for title in titles)
    return calling, called, str(requestor.address)
