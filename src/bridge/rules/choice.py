"""From a study to the inputs of a rule, or to the reasons why there are none.

The decision depends on the set of candidates only: not on their order, not on the order of rules or of arrival.
What is not certain is left to a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from bridge.config.opt_out import UNREADABLE
from bridge.rules.asked import OfStudy
from bridge.rules.checks import of_study
from bridge.rules.explanation import Check, Explanation, Outcome
from bridge.rules.guards import NO_GUARDS, Guards, against
from bridge.rules.labels import label_of, mended_note, order
from bridge.rules.picks import Mend, Pick, pick

if TYPE_CHECKING:
    from bridge.rules.compiled import Rule
    from bridge.rules.facts import Study
    from bridge.volumes.volume import Candidate, Volume


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """What a rule makes of a study."""

    explanation: Explanation
    volumes: Mapping[str, Volume] | None
    """By input; None unless the outcome is a match."""
    code: str = ""
    """Of what holds a rule that fits, where that is not for a person to decide."""


def choose(
    rule: Rule,
    study: Study,
    candidates: Iterable[Candidate],
    mend: Mend | None = None,
    masks: Iterable[Candidate] = (),
    *,
    guards: Guards = NO_GUARDS,
) -> Choice:
    """Apply a rule to a study.

    The mode of the rule is not asked: what would happen is the same as what happens.

    Args:
        candidates: the series of the study, split into volumes or refused.
        mend: does the repairs that an input declares. Without it only headers are looked at.
        masks: the segmentations of the study, for inputs that take labels.
        guards: what the site says of its patients. What they keep a rule from calls nobody.
    """
    checks = []
    asked = OfStudy(study=study)
    for clause in rule.study:
        check, shortage = of_study(clause, asked)
        checks.append(check)
        if shortage:
            return _nothing(rule, Outcome.NO_MATCH, f"the study does not fit: {shortage}", checks)
    guarded, kept_from = against(rule, study, guards)
    checks += guarded
    if kept_from:
        return _nothing(rule, Outcome.NO_MATCH, kept_from, checks)
    ordered = sorted(candidates, key=order)
    of_masks = sorted(masks, key=order) if any(one.mask for one in rule.inputs) else []
    picks = [
        pick(rule, one, of_masks if one.mask else ordered, mend or _by_headers, study) for one in rule.inputs
    ]
    outcome = min((one.outcome for one in picks), key=_FIRST.index, default=Outcome.MATCH)
    if outcome is not Outcome.MATCH:
        reason = next(f"{one.told.input}: {one.told.reason}" for one in picks if one.outcome is outcome)
        return _nothing(rule, outcome, reason, checks, picks)
    if twice := _taken_twice(picks):
        return _nothing(rule, Outcome.HELD, twice, checks, picks)
    if guards.unreadable:
        return replace(_nothing(rule, Outcome.HELD, guards.unreadable, checks, picks), code=UNREADABLE)
    chosen = {one.told.input: one.candidate for one in picks if one.candidate}
    reason = "; ".join(_told(one, one.candidate) for one in picks if one.candidate) or NO_VOLUME
    volumes = {name: candidate.volume for name, candidate in chosen.items() if candidate.volume}
    return Choice(
        explanation=Explanation(
            rule=rule.name,
            outcome=outcome,
            reason=reason,
            study=tuple(checks),
            inputs=tuple(one.told for one in picks),
        ),
        volumes=MappingProxyType(volumes),
    )


NO_VOLUME = "the rule names this study, and every input is fixed"
_FIRST = (Outcome.NO_MATCH, Outcome.REFUSED, Outcome.HELD, Outcome.MATCH)
"""Of several inputs the hopeless one speaks for the rule: nobody is asked about a choice that leads nowhere."""


def _by_headers(candidate: Candidate, repairs: tuple[str, ...]) -> Candidate:
    from bridge.volumes.repair import mended

    return mended(candidate, repairs)


def _nothing(
    rule: Rule, outcome: Outcome, reason: str, checks: Sequence[Check], picks: Sequence[Pick] = ()
) -> Choice:
    told = tuple(one.told for one in picks)
    explanation = Explanation(
        rule=rule.name, outcome=outcome, reason=reason, study=tuple(checks), inputs=told
    )
    return Choice(explanation=explanation, volumes=None)


def _told(found: Pick, candidate: Candidate) -> str:
    told = found.told
    by = f", by {told.definition}" if told.definition else ""
    passed = ", ".join(f"no {one.definition}" for one in told.earlier)
    return (
        f"{told.input} is {label_of(candidate)}{by}{f' ({passed})' if passed else ''}{mended_note(candidate)}"
    )


def _taken_twice(picks: Sequence[Pick]) -> str:
    for index, one in enumerate(picks):
        for other in picks[:index]:
            if one.candidate is not None and (one.place, one.is_mask) == (other.place, other.is_mask):
                return f"{other.told.input} and {one.told.input} both choose {label_of(one.candidate)}"
    return ""
