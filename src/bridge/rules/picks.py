"""Which candidate an input takes, and why not the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.config.masks import STUDY
from bridge.rules.answers import passed_over, shortage
from bridge.rules.checks import of_candidate
from bridge.rules.exclusions import exclusion, mask_exclusion, mesh_exclusion
from bridge.rules.explanation import CandidateVerdict, Check, InputExplanation, Outcome
from bridge.rules.labels import label_of, mended_note, number_of
from bridge.rules.preference import best, ranked

if TYPE_CHECKING:
    from bridge.rules.answers import About
    from bridge.rules.compiled import Definition, Rule, RuleInput
    from bridge.rules.facts import Study
    from bridge.volumes.volume import Candidate


Mend = Callable[["Candidate", tuple[str, ...]], "Candidate"]
"""`volumes.mended` with all that it needs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pick:
    """What an input takes: one candidate, or each that makes a job of its own."""

    outcome: Outcome
    told: InputExplanation
    taken: Mapping[int, Candidate] = field(default_factory=dict)
    """By its place among all: one that was mended for two inputs is two values and one thing. The preferred first."""
    refused: tuple[str, ...] = ()
    """Those that fit by their headers beside the ones that were taken, and are no volumes."""
    is_mask: bool = False
    is_mesh: bool = False
    is_prior: bool = False
    """The places are those of an earlier study."""


def pick(
    rule: Rule,
    wish: RuleInput,
    candidates: Sequence[Candidate],
    mend: Mend,
    study: Study,
    elsewhere: Mapping[int, str] | None = None,
    meant: About | None = None,
) -> Pick:
    """Judge every candidate for one input, by the first of its definitions that has something to say.

    The next definition is looked at only where nothing is what the one before asks for. Two that fit equally well, and
    one that fits and is no volume, end the search: a second choice is not taken because of a doubt about the first.

    elsewhere: for the input of which every volume is taken, the places of those that other inputs take, and for which.
    meant: for an input that takes results of a rule, the image that they should have been made of.
    """
    earlier: list[Pick] = []
    for definition in wish.wanted[:-1]:
        found = _look(rule, wish, definition, candidates, mend, study, elsewhere, meant)
        if found.outcome is not Outcome.NO_MATCH:
            break
        earlier.append(found)
    else:
        found = _look(rule, wish, wish.wanted[-1], candidates, mend, study, elsewhere, meant)
    told = replace(
        found.told,
        reason=_reason(found, earlier, [one.name for one in wish.wanted[len(earlier) + 1 :]]),
        earlier=tuple(one.told for one in earlier),
    )
    return replace(found, told=told)


def _reason(found: Pick, earlier: Sequence[Pick], later: Sequence[str]) -> str:
    """What the definition says that speaks for the input, and what became of the others."""
    if not found.told.definition:
        return found.told.reason
    passed = [f"{one.told.definition}: {one.told.reason}" for one in earlier]
    speaks = f"{found.told.definition}: {found.told.reason}"
    if found.outcome is Outcome.NO_MATCH:
        return "; ".join([*passed, speaks])
    unseen = [f"{name} is not looked at" for name in later if found.outcome is not Outcome.MATCH]
    return "; ".join([speaks, *unseen, *passed])


def _look(
    rule: Rule,
    wish: RuleInput,
    definition: Definition,
    candidates: Sequence[Candidate],
    mend: Mend,
    study: Study,
    elsewhere: Mapping[int, str] | None,
    meant: About | None,
) -> Pick:
    if definition.repair:
        candidates = [mend(one, definition.repair) for one in candidates]
    judged = [_judge(rule, wish, definition, candidate, study) for candidate in candidates]
    for place, socket in (elsewhere or {}).items():
        if not judged[place].reason or judged[place].refused:
            judged[place] = replace(judged[place], reason=f"{socket} takes it", refused=False)
    if wish.mask not in ("", STUDY):
        named = {n: one for n, one in enumerate(candidates) if not judged[n].reason or judged[n].refused}
        for place, why in passed_over(named, study.answers, meant).items():
            judged[place] = replace(judged[place], reason=why, refused=False)
    fits = [one for one, verdict in zip(candidates, judged, strict=True) if not verdict.reason]
    each = elsewhere is not None
    left, behind = (ranked(definition.prefer, fits), []) if each else best(definition.prefer, fits)
    decided_by = behind[-1][1] if behind else ""
    outcome, reason = _decision(wish, definition, candidates, judged, left, decided_by, each=each)
    if outcome is Outcome.NO_MATCH and wish.mask not in ("", STUDY):
        waits = shortage(study.answers, wish.mask)
        reason = "; ".join([reason] * bool(candidates) + [waits] * bool(waits)) or reason
    winners = left if outcome is Outcome.MATCH else []
    verdicts = []
    for candidate, verdict in zip(candidates, judged, strict=True):
        why = verdict.reason
        if not why:
            decided = next((name for one, name in behind if one is candidate), "")
            why = (
                f"fits, but {decided} puts another before it"
                if decided
                else "every condition holds"
                if winners
                else "fits as well as another"
            )
        verdicts.append(
            CandidateVerdict(
                series_instance_uid=candidate.series_instance_uid,
                label=label_of(candidate),
                chosen=any(candidate is one for one in winners),
                reason=why,
                checks=verdict.checks,
            )
        )
    places = {id(candidate): place for place, candidate in enumerate(candidates)}
    taken = {places[id(one)]: one for one in winners}
    told = InputExplanation(
        input=wish.name,
        chosen=next(iter(taken), None),
        reason=reason,
        candidates=tuple(verdicts),
        definition=definition.name,
    )
    refused = tuple(
        f"{label_of(one)}: {verdict.reason}"
        for one, verdict in zip(candidates, judged, strict=True)
        if each and verdict.refused
    )
    return Pick(
        outcome=outcome, told=told, taken=taken, refused=refused, is_mask=bool(wish.mask), is_mesh=wish.mesh
    )


def _decision(
    wish: RuleInput,
    definition: Definition,
    candidates: Sequence[Candidate],
    judged: Sequence[_Judgement],
    left: Sequence[Candidate],
    decided: str,
    *,
    each: bool,
) -> tuple[Outcome, str]:
    if left and each:
        return Outcome.MATCH, f"each of the {len(left)} that fit" if len(
            left
        ) > 1 else "the only one that fits"
    if len(left) == 1:
        how = f"the first by {decided}" if decided else "the only one that fits"
        return Outcome.MATCH, f"{label_of(left[0])}{mended_note(left[0])}: {how}"
    if left:
        return Outcome.HELD, _tie(definition, left)
    pairs = list(zip(candidates, judged, strict=True))
    for refused in (True, False):
        told = [f"{label_of(one)}: {verdict.reason}" for one, verdict in pairs if verdict.refused is refused]
        if refused and told:
            more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
            return Outcome.REFUSED, told[0] + more
        if len(told) == 1:
            return Outcome.NO_MATCH, told[0]
    nothing = "the study has no images"
    if not wish.is_image:
        nothing = f"the study has no {'mesh' if wish.mesh else 'segmentation'}"
    return Outcome.NO_MATCH, f"none of {len(pairs)} candidates fits" if pairs else nothing


def _tie(definition: Definition, left: Sequence[Candidate]) -> str:
    count = len(left)
    if len({candidate.series_instance_uid for candidate in left}) == 1:
        who = f"{count} volumes of series {number_of(left[0])}"
    else:
        numbers = [number_of(candidate) for candidate in left]
        who = f"series {', '.join(numbers[:-1])} and {numbers[-1]}"
    if not definition.prefer:
        return f"{who} fit, and the rule does not say which to prefer"
    shared = ", ".join(f"{one.name} ({one.shown(left[0])})" for one in definition.prefer)
    return f"{who} fit and are equal by {shared}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judgement:
    reason: str
    """Why the candidate does not fit; "" when it does."""
    checks: tuple[Check, ...] = ()
    refused: bool = False
    """Its headers fit, and it is no volume."""


def _judge(
    rule: Rule, wish: RuleInput, definition: Definition, candidate: Candidate, study: Study
) -> _Judgement:
    if wish.mask:
        struck = mask_exclusion(candidate, wish.mask, study.made_by)
    elif wish.mesh:
        struck = mesh_exclusion(candidate, other_ai=rule.other_ai, burned_in=rule.burned_in)
    else:
        struck = exclusion(
            candidate, other_ai=rule.other_ai, burned_in=rule.burned_in, captures=rule.captures
        )
    if struck:
        return _Judgement(reason=struck)
    checks, shortages = [], []
    for clause in definition.where:
        told = of_candidate(clause, candidate, study.today)
        if told is None:
            continue
        check, shortage = told
        checks.append(check)
        if shortage:
            shortages.append(shortage)
    if shortages:
        return _Judgement(reason=shortages[0], checks=tuple(checks))
    if candidate.volume is None and candidate.document is None:
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
