"""What a peer said about one instance, and when."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.dicom.statuses import STORED, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    destination: str
    sop_instance_uid: str
    outcome: Outcome
    status: int | None
    """The DIMSE status; None when the peer gave no answer at all."""
    reason: str
    reached: bool = True
    """False when there was no association with the peer: nothing was sent."""

    @property
    def stored(self) -> bool:
        return self.outcome in STORED
