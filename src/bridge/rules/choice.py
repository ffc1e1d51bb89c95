"""From a study to the inputs of a rule, or to the reasons why there are none.

The decision depends on the set of candidates only: not on their order, not on the order of rules or of arrival.
What is not certain is left to a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from bridge.config.opt_out import UNREADABLE
from bridge.config.priors import NO_PRIOR
from bridge.rules.answers import About, Shows, about, takes_answers, values_for
from bridge.rules.asked import OfStudy
from bridge.rules.checks import of_study
from bridge.rules.explanation import Check, Explanation, Outcome, PriorVerdict
from bridge.rules.guards import NO_GUARDS, Guards, against
from bridge.rules.labels import order
from bridge.rules.picks import Mend, Pick, pick
from bridge.rules.priors import Back, look_back, not_looked, pick_of, wants_prior
from bridge.rules.sentences import taken_twice, takes

if TYPE_CHECKING:
    from pydantic import JsonValue

    from bridge.dicom.instance import Instance
    from bridge.rules.compiled import Rule, RuleInput
    from bridge.rules.facts import Study
    from bridge.volumes.volume import Candidate, Volume


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Taken:
    """What one job of a rule would take."""

    volumes: Mapping[str, Volume]
    """By input, one each."""
    documents: Mapping[str, Instance] = field(default_factory=dict)
    """Objects that hold a mesh, by input."""
    explanation: Explanation
    """Of this job: where several are made, why it takes this volume."""
    values: Mapping[str, JsonValue] = field(default_factory=dict)
    """Answers of other rules, by input."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """What a rule makes of a study."""

    explanation: Explanation
    matches: tuple[Taken, ...] = ()
    """One for each job; () unless the outcome is a match. More than one only where the rule has `for_each`."""
    code: str = ""
    """Of what holds a rule that fits, where that is not for a person to decide."""

    @property
    def volumes(self) -> Mapping[str, Volume] | None:
        """What a rule without `for_each` takes, else what is the first to be taken; None unless it is a match."""
        return self.matches[0].volumes if self.matches else None


def choose(
    rule: Rule,
    study: Study,
    candidates: Iterable[Candidate],
    mend: Mend | None = None,
    masks: Iterable[Candidate] = (),
    *,
    guards: Guards = NO_GUARDS,
    shows: Shows = lambda volume: None,
) -> Choice:
    """Apply a rule to a study.

    The mode of the rule is not asked: what would happen is the same as what happens.

    Args:
        candidates: the series of the study, split into volumes or refused.
        mend: does the repairs that an input declares. Without it only headers are looked at.
        masks: the segmentations of the study, for inputs that take labels.
        guards: what the site says of its patients. What they keep a rule from calls nobody.
        shows: what a volume shows; asked for rules that take answers of other rules, where there are any.
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
    work = _Work(
        rule=rule,
        study=study,
        masks=of_masks,
        meshes=_meshes(rule, study),
        mend=mend or _by_headers,
        shows=shows,
    )
    images, back = _images(work, ordered)
    work = replace(work, back=back)
    cases = [_case(work, one) for one in _each(rule, images)]
    made = [one for one in cases if one.outcome is Outcome.MATCH]
    if not made:
        first = min(cases, key=lambda one: _FIRST.index(one.outcome))
        nothing = _nothing(
            rule, first.outcome, first.reason, [*checks, *first.checks], first.picks, back.told
        )
        return replace(nothing, code=NO_PRIOR if wants_prior(first.picks) else "")
    if guards.unreadable:
        return replace(
            _nothing(rule, Outcome.HELD, guards.unreadable, checks, made[0].picks, back.told),
            code=UNREADABLE,
        )
    explanation = replace(_whole(rule, images, cases, made, checks), priors=back.told)
    matches = tuple(
        _taken(rule, one, len(cases), replace(explanation, study=(*checks, *one.checks))) for one in made
    )
    return Choice(explanation=explanation, matches=matches)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Work:
    """What the choice of every input needs."""

    rule: Rule
    study: Study
    masks: Sequence[Candidate]
    meshes: Sequence[Candidate]
    mend: Mend
    shows: Shows
    back: Back = field(default_factory=Back)
    """What a look at earlier studies found."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """One job that a rule may make."""

    picks: tuple[Pick, ...]
    """In the order of the inputs; each takes one candidate where the outcome is a match."""
    outcome: Outcome
    reason: str = ""
    checks: tuple[Check, ...] = ()
    values: Mapping[str, JsonValue] = field(default_factory=dict)


def _images(work: _Work, images: Sequence[Candidate]) -> tuple[dict[str, Pick], Back]:
    """Inputs that take images. One that takes every volume chooses last: what another input takes is not for it.

    Earlier studies are looked at where the current one has what the rule wants of it.
    """
    found: dict[str, Pick] = {}
    rule = work.rule
    for one in sorted(rule.inputs, key=lambda one: one.name == rule.for_each):
        if not one.is_image or one.prior:
            continue
        elsewhere = None
        if one.name == rule.for_each:
            elsewhere = {place: name for name, taken in found.items() for place in taken.taken}
        found[one.name] = pick(rule, one, images, work.mend, work.study, elsewhere)
    if any(one.outcome is Outcome.NO_MATCH for one in found.values()):
        back = not_looked(rule)
    else:
        back = look_back(rule, work.study, work.mend)
    return {**found, **back.picks}, back


def _each(rule: Rule, images: Mapping[str, Pick]) -> Iterator[Mapping[str, Pick]]:
    """The images of every job: of a rule whose every volume makes one, one volume each."""
    each = images.get(rule.for_each)
    if each is None or len(each.taken) < 2:
        yield images
        return
    for place, candidate in each.taken.items():
        alone = replace(each, taken={place: candidate}, told=each.told.of_job(place), refused=())
        yield {**images, rule.for_each: alone}


def _case(work: _Work, images: Mapping[str, Pick]) -> _Case:
    """With what goes with these images: masks, meshes, and answers of other rules."""
    rule, study = work.rule, work.study
    answers = (*study.answers, *work.back.answers)
    shown: dict[str, str] = {}
    if takes_answers(rule) and any(one.is_given for one in answers):
        for name, one in images.items():
            volumes = [candidate.volume for candidate in one.taken.values() if candidate.volume]
            if len(volumes) == 1 and (content := work.shows(volumes[0])):
                shown[name] = content
    picks = tuple(
        images[one.name] if one.name in images else _beside(work, one, about(rule, one, shown))
        for one in rule.inputs
    )
    outcome = min((one.outcome for one in picks), key=_FIRST.index, default=Outcome.MATCH)
    if outcome is not Outcome.MATCH:
        speaks = min((one for one in picks if one.outcome is outcome), key=lambda one: one.is_prior)
        reason = f"{speaks.told.input}: {speaks.told.reason}"
        return _Case(picks=picks, outcome=outcome, reason=reason)
    if twice := taken_twice(picks):
        return _Case(picks=picks, outcome=Outcome.HELD, reason=twice)
    given = values_for(rule, answers, shown)
    return _Case(
        picks=picks, outcome=given.outcome, reason=given.reason, checks=given.checks, values=given.values
    )


def _meshes(rule: Rule, study: Study) -> Sequence[Candidate]:
    """Those of the study, where the rule asks for one."""
    if not any(one.mesh for one in rule.inputs):
        return ()
    from bridge.volumes.meshes import meshes_of

    return sorted(meshes_of(study.instances), key=order)


def _beside(work: _Work, wish: RuleInput, meant: About | None) -> Pick:
    """A mask or a mesh, beside the images."""
    if wish.mesh:
        return pick(work.rule, wish, work.meshes, work.mend, work.study)
    if wish.prior and work.back.seen:
        return work.back.of(pick_of(work.rule, wish, work.back.seen, work.mend, meant))
    return pick(work.rule, wish, work.masks, work.mend, work.study, meant=meant)


def _whole(
    rule: Rule,
    images: Mapping[str, Pick],
    cases: Sequence[_Case],
    made: Sequence[_Case],
    checks: Sequence[Check],
) -> Explanation:
    """Of all jobs together."""
    picks = [images.get(one.told.input, one) for one in made[0].picks]
    # Of several jobs each has masks of its own, of which its own explanation tells.
    told = [takes(one) for one in picks if len(cases) == 1 or not one.is_mask]
    left = [one.reason for one in cases if one.outcome is not Outcome.MATCH]
    if left:
        told.append(f"no job of {len(left)} of them, {left[0]}")
    return Explanation(
        rule=rule.name,
        outcome=Outcome.MATCH,
        reason="; ".join(told) or NO_VOLUME,
        study=(*checks, *(made[0].checks if len(cases) == 1 else ())),
        inputs=tuple(one.told for one in picks),
    )


def _taken(rule: Rule, case: _Case, count: int, explanation: Explanation) -> Taken:
    """What a job takes. `count`: jobs that the rule would make of the study."""
    volumes, documents = {}, {}
    for one in case.picks:
        (candidate,) = one.taken.values()
        if candidate.volume is not None:
            volumes[one.told.input] = candidate.volume
        elif candidate.document is not None:
            documents[one.told.input] = candidate.document
    if count > 1:
        reason = "; ".join(
            takes(one) + (f", one of {count} that make a job each" if one.told.input == rule.for_each else "")
            for one in case.picks
        )
        explanation = replace(explanation, reason=reason, inputs=tuple(one.told for one in case.picks))
    return Taken(
        volumes=MappingProxyType(volumes),
        documents=MappingProxyType(documents),
        explanation=explanation,
        values=case.values,
    )


NO_VOLUME = "the rule names this study, and every input is fixed"
_FIRST = (Outcome.NO_MATCH, Outcome.REFUSED, Outcome.HELD, Outcome.MATCH)
"""Of several inputs the hopeless one speaks for the rule: nobody is asked about a choice that leads nowhere."""


def _by_headers(candidate: Candidate, repairs: tuple[str, ...]) -> Candidate:
    from bridge.volumes.repair import mended

    return mended(candidate, repairs)


def _nothing(
    rule: Rule,
    outcome: Outcome,
    reason: str,
    checks: Sequence[Check],
    picks: Sequence[Pick] = (),
    priors: tuple[PriorVerdict, ...] = (),
) -> Choice:
    told = tuple(one.told for one in picks)
    explanation = Explanation(
        rule=rule.name, outcome=outcome, reason=reason, study=tuple(checks), inputs=told, priors=priors
    )
    return Choice(explanation=explanation)
