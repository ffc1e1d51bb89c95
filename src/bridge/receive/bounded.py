"""A bound on what one object may take of this machine's memory.

pynetdicom gathers the data set of a message in memory before anybody is asked. What is beyond the bound is read off
the network and thrown away, so that the sender hears a status and the association goes on.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any


class Bounded(BytesIO):
    """Takes `maximum_bytes`; from the first write beyond them it holds nothing any more."""

    def __init__(self, maximum_bytes: int, begun: bytes = b"") -> None:
        super().__init__()
        self._maximum_bytes = maximum_bytes
        self.size_bytes = 0
        """Of what was sent, held or not."""
        self.write(begun)

    @property
    def is_cut(self) -> bool:
        return self.size_bytes > self._maximum_bytes

    def write(self, data: Any, /) -> int:
        self.size_bytes += len(data)
        if self.is_cut:
            self.seek(0)
            self.truncate()
            return len(data)
        return super().write(data)


def bound(event: Any, maximum_bytes: int) -> None:
    """For each PDU before it is taken in: the message that it goes on with gets a bounded data set."""
    message = event.assoc.dimse.message
    if message is not None and not isinstance(message.data_set, Bounded):
        message.data_set = Bounded(maximum_bytes, message.data_set.getvalue())
