"""C-STORE SCU: send results to one destination and say for each instance what the peer answered.

Never "delivered" before the peer said so. An instance that breaks the association stays without an answer; those
behind it go on a new one, so that it holds up nobody. Sending again is safe: UIDs and bytes are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pydicom.uid import UID

from bridge.deliver.association import Address, associate
from bridge.deliver.outgoing import Outgoing
from bridge.deliver.receipt import Receipt
from bridge.dicom.statuses import Outcome, store_status

__all__ = ["Address", "Outgoing", "echo", "store"]


def echo(address: Address) -> Receipt:
    """C-ECHO the destination (PS3.4 A)."""
    from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

    association, problem = associate(address, [Verification])
    if association is None:
        return _unreached(address, "", *problem)
    try:
        status = association.send_c_echo()
        if "Status" not in status:
            return _receipt(address, "", Outcome.RETRY, "no answer to C-ECHO")
        return _answered(address, "", int(status.Status))
    finally:
        association.release()


def store(
    address: Address, outgoing: Sequence[Outgoing], *, reached: Callable[[], None] = lambda: None
) -> tuple[Receipt, ...]:
    """Send instances; one receipt each, in the order given.

    `reached` is called when the first association stands and before anything is sent.
    """
    receipts: list[Receipt] = []
    while len(receipts) < len(outgoing):
        left = outgoing[len(receipts) :]
        association, problem = associate(address, sorted({one.sop_class_uid for one in left}))
        if association is None:
            receipts += [_unreached(address, one.sop_instance_uid, *problem, one) for one in left]
            break
        if not receipts:
            reached()
        receipts += _send_until_it_ends(association, address, left)
    return tuple(receipts)


def _send_until_it_ends(association: Any, address: Address, outgoing: Sequence[Outgoing]) -> list[Receipt]:
    """At least one receipt, also over an association that ends at once."""
    receipts = []
    try:
        accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
        for one in outgoing:
            receipts.append(_send(association, address, one, accepted))
            if not association.is_established:
                break
    finally:
        if association.is_established:
            association.release()
    return receipts


def _send(association: Any, address: Address, one: Outgoing, accepted: set[str]) -> Receipt:
    uid = one.sop_instance_uid
    if one.sop_class_uid not in accepted:
        return _receipt(address, uid, Outcome.REFUSED, _not_taken(one))
    if not association.is_established:
        return _receipt(address, uid, Outcome.RETRY, "the association ended before this instance")
    try:
        status = association.send_c_store(one.file)
    except (RuntimeError, ValueError, OSError) as failure:
        # pynetdicom: the association died under our hands, or the file cannot be read.
        return _receipt(address, uid, Outcome.RETRY, f"not sent ({type(failure).__name__})")
    if "Status" not in status:
        # The next request would wait for its whole time-out in vain.
        association.abort()
        return _receipt(address, uid, Outcome.RETRY, "no answer: time-out, abort or lost connection")
    return _answered(address, uid, int(status.Status))


_LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"


def _not_taken(one: Outgoing) -> str:
    if one.sop_class_uid == _LABEL_MAP:
        return (
            "the peer does not take Label Map Segmentation, which many archives do not know yet. Write "
            'segmentation = "binary" for this destination and `bridge jobs rerun` the job, or let the archive take it'
        )
    return (
        f"the peer does not take {UID(one.sop_class_uid).name}. `bridge check` shows what each destination takes; "
        "another kind of result may do (`results` of the rule)"
    )


def _answered(address: Address, uid: str, status: int) -> Receipt:
    row = store_status(status)
    return _receipt(address, uid, row.outcome, f"0x{status:04X} {row.meaning}", status)


def _unreached(
    address: Address, uid: str, outcome: Outcome, reason: str, one: Outgoing | None = None
) -> Receipt:
    """There was no association; one without any presentation context is an answer all the same."""
    if outcome is Outcome.REFUSED:
        return _receipt(address, uid, outcome, _not_taken(one) if one else reason)
    return replace(_receipt(address, uid, outcome, reason), reached=False)


def _receipt(address: Address, uid: str, outcome: Outcome, reason: str, status: int | None = None) -> Receipt:
    return Receipt(
        destination=address.name, sop_instance_uid=uid, outcome=outcome, status=status, reason=reason
    )
