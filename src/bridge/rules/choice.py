"""From a study to the inputs of a rule, or to the reasons why there are none.

The decision depends on the set of candidates only: not on their order, not on the order of rules or of arrival.
What is not certain is left to a person.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from bridge.rules.asked import OfStudy
from bridge.rules.attributes import of_keyword
from bridge.rules.checks import of_candidate, of_study
from bridge.rules.exclusions import exclusion
from bridge.rules.explanation import CandidateVerdict, Check, Explanation, InputExplanation, Outcome
from bridge.rules.facts import Study, candidate_values
from bridge.rules.preference import FIGURES, best, series_number

if TYPE_CHECKING:
    from datetime import date

    from bridge.rules.compiled import Rule, RuleInput
    from bridge.volumes.volume import Candidate, Volume


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """What a rule makes of a study."""

    explanation: Explanation
    volumes: Mapping[str, Volume] | None
    """By input; None unless the outcome is a match."""


Mend = Callable[["Candidate", tuple[str, ...]], "Candidate"]
"""`volumes.mended` with all that it needs."""


def choose(rule: Rule, study: Study, candidates: Iterable[Candidate], mend: Mend | None = None) -> Choice:
    """Apply a rule to a study.

    The mode of the rule is not asked: what would happen is the same as what happens.

    Args:
        candidates: the series of the study, split into volumes or refused.
        mend: does the repairs that an input declares. Without it only headers are looked at.
    """
    checks = []
    asked = OfStudy(study=study)
    for clause in rule.study:
        check, shortage = of_study(clause, asked)
        checks.append(check)
        if shortage:
            return _nothing(rule, Outcome.NO_MATCH, f"the study does not fit: {shortage}", checks)
    ordered = sorted(candidates, key=_order)
    picks = [_pick(one, ordered, mend or _by_headers, study.today) for one in rule.inputs]
    outcome = min((pick.outcome for pick in picks), key=_FIRST.index, default=Outcome.MATCH)
    if outcome is not Outcome.MATCH:
        reason = next(f"{pick.told.input}: {pick.told.reason}" for pick in picks if pick.outcome is outcome)
        return _nothing(rule, outcome, reason, checks, picks)
    if twice := _taken_twice(picks):
        return _nothing(rule, Outcome.HELD, twice, checks, picks)
    chosen = {pick.told.input: pick.candidate for pick in picks if pick.candidate}
    reason = "; ".join(f"{name} is {_label(one)}{_mended(one)}" for name, one in chosen.items()) or NO_VOLUME
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


NO_VOLUME = "the rule names this study, and every input is fixed"
_FIRST = (Outcome.NO_MATCH, Outcome.REFUSED, Outcome.HELD, Outcome.MATCH)
"""Of several inputs the hopeless one speaks for the rule: nobody is asked about a choice that leads nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pick:
    outcome: Outcome
    told: InputExplanation
    candidate: Candidate | None = None
    place: int = -1
    """Of the candidate among all: one that was mended for two inputs is two values and one thing."""


def _by_headers(candidate: Candidate, repairs: tuple[str, ...]) -> Candidate:
    from bridge.volumes.repair import mended

    return mended(candidate, repairs)


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
            if pick.candidate is not None and pick.place == other.place:
                return f"{other.told.input} and {pick.told.input} both choose {_label(pick.candidate)}"
    return ""


def _pick(wish: RuleInput, candidates: Sequence[Candidate], mend: Mend, today: date) -> _Pick:
    """Judge every candidate for one input."""
    if wish.repair:
        candidates = [mend(one, wish.repair) for one in candidates]
    judged = [_judge(wish, candidate, today) for candidate in candidates]
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
    place = -1 if chosen is None else chosen
    return _Pick(outcome=outcome, told=told, candidate=winner, place=place)


def _decision(
    wish: RuleInput,
    candidates: Sequence[Candidate],
    judged: Sequence[_Judgement],
    left: Sequence[Candidate],
    decided: str,
) -> tuple[Outcome, str]:
    if len(left) == 1:
        how = f"the first by {decided}" if decided else "the only one that fits"
        return Outcome.MATCH, f"{_label(left[0])}{_mended(left[0])}: {how}"
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


def _judge(wish: RuleInput, candidate: Candidate, today: date) -> _Judgement:
    if struck := exclusion(candidate):
        return _Judgement(reason=struck)
    checks, shortages = [], []
    for clause in wish.volume:
        told = of_candidate(clause, candidate, today)
        if told is None:
            continue
        check, shortage = told
        checks.append(check)
        if shortage:
            shortages.append(shortage)
    if shortages:
        return _Judgement(reason=shortages[0], checks=tuple(checks))
    if candidate.volume is None:
        return _Judgement(reason=_refusal(candidate), checks=tuple(checks), refused=True)
    return _Judgement(reason="", checks=tuple(checks))


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


def _mended(candidate: Candidate) -> str:
    mending = candidate.volume.mending if candidate.volume else None
    return f", {', '.join(mending.notes)}" if mending else ""


def _label(candidate: Candidate) -> str:
    volume = candidate.volume
    modality = "\\".join(candidate_values(candidate, of_keyword("Modality"))[0])
    if not re.fullmatch(r"[A-Z0-9]{1,16}", modality):
        # Any text can stand in a header, a name too; a modality is a short word.
        modality = "no modality"
    images = len(volume.planes if volume else candidate.instances)
    parts = [f"series {_number(candidate)}", modality, f"{images} image{'s' if images != 1 else ''}"]
    if volume:
        parts.append(f"{round(float(volume.geometry.spacing_mm[0]), 3)} mm")
    return ", ".join(parts)
