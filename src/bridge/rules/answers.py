"""What rules take from other rules: masks made of the images that are chosen, and answers in place of fixed values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.config.masks import STUDY
from bridge.rules.explanation import Check, Outcome

if TYPE_CHECKING:
    from pydantic import JsonValue

    from bridge.config.chains import Source
    from bridge.rules.compiled import Rule, RuleInput
    from bridge.volumes.volume import Candidate, Volume

Shows = Callable[["Volume"], str | None]
"""What a volume shows, as it stands in the identity of a job; None where its pixels cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """One output of an answer."""

    name: str
    value: JsonValue = None
    """Of JSON; or the reference to an image that is at the platform already. None: `lacks` says why."""
    account: str = ""
    """Where the image is; "" for a value."""
    lacks: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A job of a rule whose answers other rules take, and what it gave."""

    rule: str
    job: str
    at: float
    """When the job was made, POSIX seconds: of two answers to the same images the newer one counts."""
    is_given: bool = False
    ended: str = ""
    """How it ended without an answer; "" while it is under way."""
    contents: frozenset[str] = frozenset()
    """What its inputs show."""
    masks: frozenset[str] = frozenset()
    """SOP Instance UIDs of its segmentations."""
    outputs: tuple[Offered, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The images that an answer should have been made of."""

    contents: frozenset[str]
    socket: str = ""
    """The input that they were chosen for, where nothing else will do; "": they are only preferred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Answers in place of fixed values, by socket; or why there is none."""

    values: Mapping[str, JsonValue] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    outcome: Outcome = Outcome.MATCH
    reason: str = ""


def takes_answers(rule: Rule) -> bool:
    return bool(rule.sources) or any(one.mask not in ("", STUDY) for one in rule.inputs)


def shortage(answers: Iterable[Answer], rule: str) -> str:
    """Why a rule has not answered; "" when it has."""
    every = [one for one in answers if one.rule == rule]
    if any(not one.is_given and not one.ended for one in every):
        return f"waits for the answer of {rule}"
    if any(one.is_given for one in every):
        return ""
    if not every:
        return f"{rule} has no answer yet"
    last = max(every, key=_age)
    return f"{rule} has no answer: its job {last.job[:8]} is {last.ended}"


def about(rule: Rule, wish: RuleInput, chosen: Mapping[str, str]) -> About | None:
    """What a mask should have been made of. `chosen`: what the images of a job show, by input; those that are known."""
    if wish.mask in ("", STUDY):
        return None
    if wish.of:
        return About(contents=frozenset({chosen[wish.of]}), socket=wish.of) if wish.of in chosen else None
    images = [one.name for one in rule.inputs if one.is_image and one.prior == wish.prior]
    if len(images) == 1 and images[0] in chosen:
        return About(contents=frozenset({chosen[images[0]]}))
    return None


def passed_over(
    fits: Mapping[int, Candidate], answers: Sequence[Answer], meant: About | None
) -> dict[int, str]:
    """Of masks that fit, by place, those that are not meant, and why."""
    made_by = {uid: one for one in answers for uid in one.masks}
    makers = {
        place: maker
        for place, candidate in fits.items()
        if (maker := made_by.get(candidate.instances[0].sop_instance_uid))
    }
    why: dict[int, str] = {}
    if meant is not None:
        others = {place: one for place, one in makers.items() if not one.contents & meant.contents}
        if meant.socket:
            why |= dict.fromkeys(others, f"made of another image than {meant.socket}")
        elif len(others) < len(makers):
            why |= dict.fromkeys(others, "another is made of the image that is chosen")
    left = {place: one for place, one in makers.items() if place not in why}
    newest = {one.job for one in _newest(left.values())}
    for place, one in left.items():
        if one.job not in newest:
            why[place] = f"{one.rule} has answered again since"
    return why


def values_for(rule: Rule, answers: Sequence[Answer], chosen: Mapping[str, str]) -> Given:
    """The answers that a job of the rule gets as values. `chosen`: as for `about`."""
    values: dict[str, JsonValue] = {}
    checks: list[Check] = []
    for socket, source in sorted(rule.sources.items()):
        found, outcome, reason = _value(rule, source, answers, chosen)
        wanted = f"{source.output} of {source.rule}" + (f", made of {source.of}" if source.of else "")
        told = None if found is None else _told(found)
        checks.append(
            Check(keyword=socket, wanted=wanted, found=told, ok=found is not None, private=found is not None)
        )
        if found is None:
            return Given(outcome=outcome, reason=f"{socket}: {reason}", checks=tuple(checks))
        values[socket] = found.value
    return Given(values=values, checks=tuple(checks))


def _value(
    rule: Rule, source: Source, answers: Sequence[Answer], chosen: Mapping[str, str]
) -> tuple[Offered | None, Outcome, str]:
    given = [one for one in answers if one.rule == source.rule and one.is_given]
    if source.of:
        given = [one for one in given if chosen.get(source.of) in one.contents]
    else:
        given = [one for one in given if one.contents & set(chosen.values())] or given
    given = _newest(given)
    if not given:
        waits = shortage(answers, source.rule)
        return None, Outcome.NO_MATCH, waits or f"{source.rule} has no answer to the image of {source.of}"
    offered = [one for answer in given for one in answer.outputs if one.name == source.output]
    if not offered:
        names = ", ".join(sorted({one.name for answer in given for one in answer.outputs})) or "nothing"
        return None, Outcome.REFUSED, f"{source.rule} gave no {source.output}: it gave {names}"
    first = offered[0]
    if first.lacks:
        return None, Outcome.REFUSED, f"{source.output} of {source.rule} {first.lacks}"
    if first.account and first.account != rule.platform:
        reason = (
            f"{source.output} of {source.rule} is an image at {first.account}, and not at {rule.platform}"
        )
        return None, Outcome.REFUSED, reason
    if any(one.value != first.value for one in offered):
        reason = f"{len(offered)} answers of {source.rule} differ in {source.output}, and nothing says which is meant"
        return None, Outcome.HELD, reason
    return first, Outcome.MATCH, ""


def _newest(answers: Collection[Answer]) -> list[Answer]:
    """Of answers to the same images the last."""
    found: dict[tuple[str, frozenset[str]], Answer] = {}
    for one in sorted(answers, key=_age):
        found[one.rule, one.contents] = one
    return list(found.values())


def _age(one: Answer) -> tuple[float, str]:
    return one.at, one.job


def _told(found: Offered) -> str:
    if found.account:
        return f"an image at {found.account}"
    text = str(found.value)
    return text if len(text) <= 60 else f"{text[:60]}…"
