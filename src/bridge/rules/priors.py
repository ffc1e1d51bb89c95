"""Inputs that take a volume of an earlier study of the same patient: from which one, and why not from the others.

A rule has one prior: all of its inputs that ask for one take their volumes from the same study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.rules.explanation import InputExplanation, Outcome, PriorVerdict, prior_name
from bridge.rules.labels import order
from bridge.rules.picks import Mend, Pick, pick

if TYPE_CHECKING:
    from bridge.rules.answers import About, Answer
    from bridge.rules.compiled import Rule, RuleInput
    from bridge.rules.facts import Prior, PriorStudy, Study


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Back:
    """What a look back found."""

    picks: Mapping[str, Pick] = field(default_factory=dict)
    """Of inputs that ask for a prior: those that take images; where no study is taken, all of them."""
    told: tuple[PriorVerdict, ...] = ()
    days: int = 0
    seen: PriorStudy | None = None
    """The study that is taken."""

    @property
    def answers(self) -> tuple[Answer, ...]:
        """What other rules gave for that study."""
        return self.seen.study.answers if self.seen else ()

    def of(self, found: Pick) -> Pick:
        """A pick from that study, which says so."""
        told = replace(
            found.told, reason=f"in {prior_name(self.days)}: {found.told.reason}", prior_days=self.days
        )
        return replace(found, told=told, is_prior=True)


def look_back(rule: Rule, study: Study, mend: Mend) -> Back:
    """Find the newest earlier study that has what the rule wants of one.

    Images decide which study it is; masks are then looked for in that one. The search ends, as that of one input among
    its definitions does, at the first study of which something is to be said: two volumes that fit equally well, one
    that fits and is no volume, objects that arrive still.
    """
    wishes = [one for one in rule.inputs if one.prior]
    if not wishes:
        return Back()
    deciding = [one for one in wishes if not one.mask] or wishes
    told: list[PriorVerdict] = []
    nearest: dict[str, Pick] = {}
    taken: Prior | None = None
    picks: dict[str, Pick] = {}
    for prior in study.priors:
        if taken is not None and prior.place != taken.place:
            told.append(_verdict(prior, "not looked at: a newer one fits"))
            continue
        why, found = _look(rule, prior, wishes, deciding, mend)
        nearest = nearest or {
            name: replace(one, told=replace(one.told, prior_days=prior.days)) for name, one in found.items()
        }
        if why:
            told.append(_verdict(prior, why))
        elif prior.arriving:
            told.append(_verdict(prior, ARRIVES))
            return Back(
                told=tuple(told), picks=_none(wishes, nearest, f"{prior_name(prior.days)}: {ARRIVES}")
            )
        elif taken is not None:
            told.append(_verdict(prior, "it fits as well, and nobody can say which is newer"))
            reason = (
                f"two studies {prior.days} days before fit, and their Study Times do not say which is newer"
            )
            return Back(told=tuple(told), picks=_none(wishes, nearest, reason, Outcome.HELD))
        else:
            taken, picks = prior, found
            told.append(_verdict(prior, "the newest that fits", chosen=True))
    if taken is None:
        return Back(told=tuple(told), picks=_none(wishes, nearest, _why(study, told)))
    back = Back(told=tuple(told), days=taken.days, seen=taken.look())
    return replace(back, picks={name: back.of(one) for name, one in picks.items()})


def not_looked(rule: Rule) -> Back:
    """Where the current study lacks what the rule wants: no earlier one is read for nothing."""
    wishes = [one for one in rule.inputs if one.prior]
    return Back(picks=_none(wishes, {}, "no earlier study is looked at"))


def wants_prior(picks: Sequence[Pick]) -> bool:
    """Whether an earlier study, or more of one, could change what these picks come to."""
    hopeless = any(one.outcome is Outcome.NO_MATCH for one in picks if not one.is_prior)
    return not hopeless and any(one.is_prior for one in picks)


ARRIVES = "objects of it arrive still; the rules look again when it is decided"


def _look(
    rule: Rule, prior: Prior, wishes: Sequence[RuleInput], deciding: Sequence[RuleInput], mend: Mend
) -> tuple[str, dict[str, Pick]]:
    """Why a study is passed over, "" when it is not; and what its inputs take."""
    for wish in wishes:
        if wish.prior_min_days is not None and prior.days < wish.prior_min_days:
            return f"less than the {wish.prior_min_days} days of {wish.name} (prior_min_days)", {}
        if wish.prior_max_days is not None and prior.days > wish.prior_max_days:
            return f"more than the {wish.prior_max_days} days of {wish.name} (prior_max_days)", {}
    seen = prior.look()
    if seen.kept_from:
        return seen.kept_from, {}
    found = {one.name: pick_of(rule, one, seen, mend) for one in deciding}
    for name, one in found.items():
        if one.outcome is Outcome.NO_MATCH and not prior.arriving:
            return f"{name}: {one.told.reason}", found
    return "", found


def pick_of(rule: Rule, wish: RuleInput, seen: PriorStudy, mend: Mend, meant: About | None = None) -> Pick:
    """What an input takes from an earlier study."""
    candidates = sorted(seen.masks if wish.mask else seen.candidates, key=order)
    return pick(rule, wish, candidates, mend, seen.study, meant=meant)


def _why(study: Study, told: Sequence[PriorVerdict]) -> str:
    if study.undated:
        return f"{study.undated}, so no other is earlier"
    if not told:
        return "no earlier study of this patient is here"
    if len(told) == 1:
        return f"{told[0].name}: {told[0].reason}"
    return f"none of {len(told)} earlier studies fits; {told[0].name}: {told[0].reason}"


def _verdict(prior: Prior, reason: str, *, chosen: bool = False) -> PriorVerdict:
    return PriorVerdict(name=prior_name(prior.days), chosen=chosen, reason=reason)


def _none(
    wishes: Sequence[RuleInput],
    nearest: Mapping[str, Pick],
    reason: str,
    outcome: Outcome = Outcome.NO_MATCH,
) -> dict[str, Pick]:
    """Every input without a volume; the candidates of the newest study that was looked at stand beside the reason."""
    none = {}
    for one in wishes:
        told = InputExplanation(input=one.name, chosen=None, reason="", candidates=())
        if one.name in nearest:
            told = nearest[one.name].told
        unchosen = tuple(replace(verdict, chosen=False) for verdict in told.candidates)
        told = replace(told, chosen=None, reason=reason, candidates=unchosen)
        none[one.name] = Pick(outcome=outcome, told=told, is_mask=bool(one.mask), is_prior=True)
    return none
