"""What another version of a rule would have made of a study: two choices, and the difference between them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from bridge.rules.choice import Choice, Taken, choose
from bridge.rules.explanation import Outcome
from bridge.rules.guards import NO_GUARDS, Guards
from bridge.rules.picks import Mend
from bridge.volumes import candidates_of
from bridge.volumes.geometry import USUAL, Tolerance
from bridge.volumes.masks import masks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bridge.rules.answers import Shows
    from bridge.rules.compiled import Rule
    from bridge.rules.facts import Study
    from bridge.volumes.volume import Candidate, Volume

    Screen = Callable[[Rule, Choice], Choice]


class Change(StrEnum):
    NEW = "newly runs"
    GONE = "no longer runs"
    OTHER = "runs on something else"
    """Another volume, or another algorithm, account, version or value: another job."""
    ASKED = "a person is asked"
    """It neither runs now nor then, and then somebody must decide."""
    SAME = "as before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One rule and one study, under the rules of now and of then."""

    rule: str
    change: Change
    before: str
    """Outcome and reason; "" where there is no such rule."""
    after: str
    jobs_before: int
    jobs_after: int
    more: int
    """Jobs of then that are none of now."""


def replay(
    now: Sequence[Rule],
    then: Sequence[Rule],
    study: Study,
    *,
    held: bool,
    tolerance: Tolerance = USUAL,
    mend: Mend | None = None,
    guards: Guards = NO_GUARDS,
    shows: Shows = lambda volume: None,
    screen: Screen = lambda rule, choice: choice,
) -> tuple[Replayed, ...]:
    """Every rule of either file, by name, in the order of the new file and then of the old one.

    Only rules in the modes `hold` and `live` make jobs. `held`: the study is in doubt, so no rule makes one of it.
    `screen`: takes what may not leave out of a choice.
    """
    names = dict.fromkeys([*(rule.name for rule in then), *(rule.name for rule in now)])
    old, new = ({rule.name: rule for rule in rules} for rules in (now, then))
    candidates = _Candidates(study, tolerance)
    seen = partial(
        _seen,
        study=study,
        candidates=candidates,
        tolerance=tolerance,
        mend=mend,
        guards=guards,
        held=held,
        shows=shows,
        screen=screen,
    )
    return tuple(_one(name, seen(old.get(name)), seen(new.get(name))) for name in names)


class _Candidates:
    """The volumes of a study, looked for when the first rule wants them: most studies fit none."""

    def __init__(self, study: Study, tolerance: Tolerance) -> None:
        self._study, self._tolerance = study, tolerance
        self._found: tuple[Candidate, ...] | None = None

    def __iter__(self) -> Iterator[Candidate]:
        if self._found is None:
            self._found = candidates_of(self._study.instances, self._tolerance)
        return iter(self._found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    told: str = ""
    asks: bool = False
    jobs: frozenset[tuple[object, ...]] = frozenset()


def _one(name: str, before: _Seen, after: _Seen) -> Replayed:
    match bool(before.jobs), bool(after.jobs):
        case False, True:
            change = Change.NEW
        case True, False:
            change = Change.GONE
        case True, True:
            change = Change.SAME if before.jobs == after.jobs else Change.OTHER
        case _:
            change = Change.ASKED if after.asks and not before.asks else Change.SAME
    return Replayed(
        rule=name,
        change=change,
        before=before.told,
        after=after.told,
        jobs_before=len(before.jobs),
        jobs_after=len(after.jobs),
        more=len(after.jobs - before.jobs),
    )


def _seen(
    rule: Rule | None,
    *,
    study: Study,
    candidates: Iterable[Candidate],
    tolerance: Tolerance,
    mend: Mend | None,
    guards: Guards,
    held: bool,
    shows: Shows,
    screen: Screen,
) -> _Seen:
    if rule is None or rule.mode == "off":
        return _Seen()
    masks = masks_of(study.instances, tolerance) if any(one.mask for one in rule.inputs) else ()
    choice = screen(rule, choose(rule, study, candidates, mend, masks, guards=guards, shows=shows))
    told = choice.explanation
    matches = told.outcome is Outcome.MATCH
    live = rule.mode in ("hold", "live")
    runs = matches and live and not held
    work = (rule.platform, rule.algorithm, rule.version, repr(sorted(rule.values.items())))
    return _Seen(
        told=f"{told.outcome}: {told.reason}",
        asks=live and (told.outcome is Outcome.HELD or (matches and held)),
        jobs=frozenset(
            (*work, repr(sorted(one.values.items())), _planes(one.volumes), _objects(one))
            for one in choice.matches
            if runs
        ),
    )


def _objects(taken: Taken) -> tuple[object, ...]:
    return tuple((name, one.sop_instance_uid) for name, one in sorted(taken.documents.items()))


def _planes(volumes: Mapping[str, Volume]) -> tuple[object, ...]:
    """Which frames of which objects go to which input: stands for the content, which nobody reads for a question."""
    return tuple(
        (name, one.mending and one.mending.repairs, tuple((p.instance.number, p.frame) for p in one.planes))
        for name, one in sorted(volumes.items())
    )
