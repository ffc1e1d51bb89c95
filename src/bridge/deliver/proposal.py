"""What a destination would take: an association that only negotiates (PS3.8 7.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.deliver.association import Address, associate
from bridge.dicom.statuses import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What came of it."""

    accepted: frozenset[str]
    """SOP Class UIDs with a presentation context in Explicit VR Little Endian."""
    problem: str = ""
    """Why nothing is known; empty where the peer answered."""


def propose(address: Address, sop_class_uids: Sequence[str]) -> Proposal:
    """Propose SOP classes with Explicit VR Little Endian, as results are sent, and send nothing."""
    association, (outcome, reason) = associate(address, sop_class_uids)
    if association is None:
        refused_all = outcome is Outcome.REFUSED
        return Proposal(accepted=frozenset(), problem="" if refused_all else reason)
    accepted = frozenset(str(context.abstract_syntax) for context in association.accepted_contexts)
    association.release()
    return Proposal(accepted=accepted)
