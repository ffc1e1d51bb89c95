"""What the inputs of a rule take, in sentences that hold no private value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bridge.rules.explanation import MOST_TOLD, prior_name
from bridge.rules.labels import label_of, mended_note

if TYPE_CHECKING:
    from bridge.rules.picks import Pick
    from bridge.volumes.volume import Candidate


def takes(found: Pick) -> str:
    """What an input takes, in a sentence."""
    every = [f"{label_of(one)}{mended_note(one)}" for one in found.taken.values()]
    if len(every) == 1:
        (candidate,) = found.taken.values()
        sentence = _is(found, candidate)
    else:
        more = f"; and {len(every) - MOST_TOLD} more" if len(every) > MOST_TOLD else ""
        listed = "; ".join(every[:MOST_TOLD]) + more
        sentence = f"{found.told.input} is each of {len(every)} volumes{_by(found)}: {listed}"
    if found.refused:
        more = f" (and {len(found.refused) - 1} more)" if len(found.refused) > 1 else ""
        sentence += f"; no job for {len(found.refused)} that fit by their headers, {found.refused[0]}{more}"
    return sentence


def _is(found: Pick, candidate: Candidate) -> str:
    return f"{found.told.input} is {label_of(candidate)}{_by(found)}{mended_note(candidate)}"


def _by(found: Pick) -> str:
    by = f", by {found.told.definition}" if found.told.definition else ""
    if found.told.prior_days is not None:
        by = f", of {prior_name(found.told.prior_days)}{by}"
    passed = ", ".join(f"no {one.definition}" for one in found.told.earlier)
    return f"{by} ({passed})" if passed else by


def taken_twice(picks: Sequence[Pick]) -> str:
    """Which two inputs of a job choose the same series, "" when none do."""
    for index, one in enumerate(picks):
        for other in picks[:index]:
            same = (one.is_mask, one.is_mesh, one.is_prior) == (other.is_mask, other.is_mesh, other.is_prior)
            for place in one.taken if same else ():
                if place in other.taken:
                    return f"{other.told.input} and {one.told.input} both choose {label_of(one.taken[place])}"
    return ""
