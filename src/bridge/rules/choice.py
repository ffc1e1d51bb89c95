"""From a study to the inputs of a rule, or to the reasons why there are none.

The decision depends on the set of candidates only: not on their order, not on the order of rules or of arrival.
What is not certain is left to a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from bridge.rules.conditions import holds, joined, shortfall, wanted
from bridge.rules.exclusions import exclusion
from bridge.rules.explanation import CandidateVerdict, Check, Explanation, InputExplanation, Outcome
from bridge.rules.facts import Found, Study, candidate_values, study_values
from bridge.rules.preference import FIGURES, best, series_number

if TYPE_CHECKING:
    from bridge.rules.compiled import Rule, RuleInput, Term
    from bridge.volumes.volume import Candidate, Volume


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """What a rule makes of a study."""

    explanation: Explanation
    volumes: Mapping[str, Volume] | None
    """By input; None unless the outcome is a match."""


def choose(rule: Rule, study: Study, candidates: Iterable[Candidate]) -> Choice:
    """Apply a rule to a study. `candidates`: the series of the study, split into volumes or refused.

    The mode of the rule is not asked: what would happen is the same as what happens.
    """
    checks = []
    for term in rule.study:
        found = study_values(study, term.keyword, computed=term.computed)
        check, shortage = _checked(term, (found,))
        checks.append(check)
        if shortage:
            return _nothing(rule, Outcome.NO_MATCH, f"the study does not fit: {shortage}", checks)
    ordered = sorted(candidates, key=_order)
    picks = [_pick(one, ordered) for one in rule.inputs]
    outcome = min((pick.outcome for pick in picks), key=_FIRST.index)
    if outcome is not Outcome.MATCH:
        reason = next(f"{pick.told.input}: {pick.told.reason}" for pick in picks if pick.outcome is outcome)
        return _nothing(rule, outcome, reason, checks, picks)
    if twice := _taken_twice(picks):
        return _nothing(rule, Outcome.HELD, twice, checks, picks)
    chosen = {pick.told.input: pick.candidate for pick in picks if pick.candidate}
    reason = "; ".join(f"{name} is {_label(candidate)}" for name, candidate in chosen.items())
    volumes = {name: candidate.volume for name, candidate in chosen.items() if candidate.volume}
    return Choice(
        explanation=Explanation(
            rule=rule.name,
            outcome=outcome,
            reason=reason,
            study=tuple(checks),
            inputs=tuple(pick.told for pick in picks),
        ),
        volumes=MappingProxyType(volumes),
    )


_FIRST = (Outcome.NO_MATCH, Outcome.REFUSED, Outcome.HELD, Outcome.MATCH)
"""Of several inputs the hopeless one speaks for the rule: nobody is asked about a choice that leads nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pick:
    outcome: Outcome
    told: InputExplanation
    candidate: Candidate | None = None


def _nothing(
    rule: Rule, outcome: Outcome, reason: str, checks: Sequence[Check], picks: Sequence[_Pick] = ()
) -> Choice:
    told = tuple(pick.told for pick in picks)
    explanation = Explanation(
        rule=rule.name, outcome=outcome, reason=reason, study=tuple(checks), inputs=told
    )
    return Choice(explanation=explanation, volumes=None)


def _taken_twice(picks: Sequence[_Pick]) -> str:
    for index, pick in enumerate(picks):
        for other in picks[:index]:
            if pick.candidate is not None and pick.candidate is other.candidate:
                return f"{other.told.input} and {pick.told.input} both choose {_label(pick.candidate)}"
    return ""


def _pick(wish: RuleInput, candidates: Sequence[Candidate]) -> _Pick:
    """Judge every candidate for one input."""
    judged = [_judge(wish, candidate) for candidate in candidates]
    fits = [one for one, verdict in zip(candidates, judged, strict=True) if not verdict.reason]
    left, behind = best(wish.prefer, fits)
    outcome, reason = _decision(wish, candidates, judged, left, behind[-1][1] if behind else "")
    winner = left[0] if outcome is Outcome.MATCH else None
    verdicts = []
    for candidate, verdict in zip(candidates, judged, strict=True):
        why = verdict.reason
        if not why:
            decided = next((name for one, name in behind if one is candidate), "")
            why = (
                f"fits, but {decided} puts another before it"
                if decided
                else "every condition holds"
                if winner
                else "fits as well as another"
            )
        verdicts.append(
            CandidateVerdict(
                series_instance_uid=candidate.series_instance_uid,
                label=_label(candidate),
                chosen=candidate is winner,
                reason=why,
                checks=verdict.checks,
            )
        )
    chosen = next((index for index, verdict in enumerate(verdicts) if verdict.chosen), None)
    told = InputExplanation(input=wish.name, chosen=chosen, reason=reason, candidates=tuple(verdicts))
    return _Pick(outcome=outcome, told=told, candidate=winner)


def _decision(
    wish: RuleInput,
    candidates: Sequence[Candidate],
    judged: Sequence[_Judgement],
    left: Sequence[Candidate],
    decided: str,
) -> tuple[Outcome, str]:
    if len(left) == 1:
        how = f"the first by {decided}" if decided else "the only one that fits"
        return Outcome.MATCH, f"{_label(left[0])}: {how}"
    if left:
        return Outcome.HELD, _tie(wish, left)
    pairs = list(zip(candidates, judged, strict=True))
    for refused in (True, False):
        told = [f"{_label(one)}: {verdict.reason}" for one, verdict in pairs if verdict.refused is refused]
        if refused and told:
            more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
            return Outcome.REFUSED, told[0] + more
        if len(told) == 1:
            return Outcome.NO_MATCH, told[0]
    return Outcome.NO_MATCH, f"none of {len(pairs)} candidates fits" if pairs else "the study has no images"


def _tie(wish: RuleInput, left: Sequence[Candidate]) -> str:
    count = len(left)
    if len({candidate.series_instance_uid for candidate in left}) == 1:
        who = f"{count} volumes of series {_number(left[0])}"
    else:
        numbers = [_number(candidate) for candidate in left]
        who = f"series {', '.join(numbers[:-1])} and {numbers[-1]}"
    if not wish.prefer:
        return f"{who} fit, and the rule does not say which to prefer"
    shared = ", ".join(f"{name} ({FIGURES[name].shown(left[0])})" for name in wish.prefer)
    return f"{who} fit and are equal by {shared}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judgement:
    reason: str
    """Why the candidate does not fit; "" when it does."""
    checks: tuple[Check, ...] = ()
    refused: bool = False
    """Its headers fit, and it is no volume."""


def _judge(wish: RuleInput, candidate: Candidate) -> _Judgement:
    if struck := exclusion(candidate):
        return _Judgement(reason=struck)
    checks, shortages = [], []
    for term in wish.volume:
        readings = candidate_values(candidate, term.keyword, computed=term.computed)
        if candidate.volume is None and term.computed and readings == ((),):
            continue
        check, shortage = _checked(term, readings)
        checks.append(check)
        if shortage:
            shortages.append(shortage)
    if shortages:
        return _Judgement(reason=shortages[0], checks=tuple(checks))
    if candidate.volume is None:
        return _Judgement(reason=_refusal(candidate), checks=tuple(checks), refused=True)
    return _Judgement(reason="", checks=tuple(checks))


def _checked(term: Term, readings: tuple[Found, ...]) -> tuple[Check, str]:
    """The check, and why it fails in words that hold no private value ("" when it does not)."""
    failing = [found for found in readings if holds(term.condition, found) is not True]
    shown = failing[0] if failing else readings[0]
    check = Check(
        keyword=term.keyword,
        wanted=wanted(term.condition),
        found=joined(shown) if shown else None,
        ok=not failing,
        private=term.private,
    )
    if not failing:
        return check, ""
    if term.private and shown:
        return check, f"{term.keyword} does not fit"
    return check, f"{term.keyword} {shortfall(term.condition, shown)}"


def _refusal(candidate: Candidate) -> str:
    refusal = candidate.refusal
    if refusal is None:
        return "not a volume"
    shown = {name: _short(value) for name, value in refusal.numbers.items()}
    rest = ", ".join(f"{name} {value}" for name, value in shown.items() if value not in refusal.found)
    numbers = f" ({rest})" if rest else ""
    return f"not a volume, {refusal.code}: {refusal.found}{numbers}"


def _short(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _order(candidate: Candidate) -> tuple[object, ...]:
    """A place among the candidates that does not depend on the order of arrival."""
    number = series_number(candidate)
    planes = candidate.volume.planes if candidate.volume else ()
    return (
        number is None,
        number or 0,
        candidate.series_instance_uid,
        sorted(instance.sop_instance_uid for instance in candidate.instances),
        [(plane.instance.sop_instance_uid, plane.frame) for plane in planes],
        candidate.refusal.sentence() if candidate.refusal else "",
    )


def _number(candidate: Candidate) -> str:
    number = series_number(candidate)
    return "without number" if number is None else str(number)


def _label(candidate: Candidate) -> str:
    volume = candidate.volume
    modality = "\\".join(candidate_values(candidate, "Modality", computed=False)[0])
    if not re.fullmatch(r"[A-Z0-9]{1,16}", modality):
        # Any text can stand in a header, a name too; a modality is a short word.
        modality = "no modality"
    images = len(volume.planes if volume else candidate.instances)
    parts = [f"series {_number(candidate)}", modality, f"{images} image{'s' if images != 1 else ''}"]
    if volume:
        parts.append(f"{round(float(volume.geometry.spacing_mm[0]), 3)} mm")
    return ", ".join(parts)
