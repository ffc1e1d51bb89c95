"""What became of the objects of one association, as one line of the log at its end."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any
from weakref import WeakKeyDictionary

from bridge.log import event as log_event

log = logging.getLogger("bridge.receive")


class Tally:
    def __init__(self) -> None:
        self.kept: Counter[str] = Counter()
        """By what the keeper said: stored, identical, version, own ..."""
        self.refused: Counter[int] = Counter()
        """By status."""


class Tallies:
    """One for each association that is open. An association is served by one thread, so nothing is locked."""

    def __init__(self) -> None:
        self._open: WeakKeyDictionary[Any, Tally] = WeakKeyDictionary()

    def of(self, association: Any) -> Tally:
        return self._open.setdefault(association, Tally())

    def closed(self, event: Any) -> None:
        tally = self._open.pop(event.assoc, None)
        if tally is None or event.assoc.requestor.primitive is None:
            return
        log_event(
            log,
            "association.ended",
            level=logging.WARNING if tally.refused else logging.INFO,
            calling_ae_title=str(event.assoc.requestor.primitive.calling_ae_title).strip(),
            host=event.assoc.requestor.address,
            stored=tally.kept["stored"],
            versions=tally.kept["version"],
            identical=tally.kept["identical"],
            restored=tally.kept["restored"],
            own=tally.kept["own"],
            refused=", ".join(f"{count} x 0x{status:04X}" for status, count in sorted(tally.refused.items())),
        )
