"""What a rule waits for, and has not come yet. How things stand outside the study arrives as a value."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from bridge.rules.checks import of_candidate

if TYPE_CHECKING:
    from bridge.rules.choice import Choice
    from bridge.rules.compiled import Rule, Wait
    from bridge.rules.facts import Study
    from bridge.volumes.volume import Candidate

GAPS = "resample-gaps"


def outstanding(
    rule: Rule, study: Study, candidates: Collection[Candidate], over: Collection[str]
) -> tuple[Wait, ...]:
    """The waits of a rule that are not over.

    Args:
        over: rules of which nothing more is to come for this study.
    """
    return tuple(
        one
        for one in rule.waits_for
        if not (
            one.rule in over if one.rule else any(_fits(one, candidate, study) for candidate in candidates)
        )
    )


def _fits(wait: Wait, candidate: Candidate, study: Study) -> bool:
    """Whether a series is what a rule waits for; a result of this bridge is not."""
    if any(one.own for one in candidate.instances):
        return False
    told = [of_candidate(clause, candidate, study.today) for clause in wait.series]
    return all(one is not None and not one[1] for one in told)


def in_order(rules: Iterable[Rule]) -> list[Rule]:
    """The same rules, each behind those that it waits for. There are no circles: the file would have been refused."""
    by_name = {rule.name: rule for rule in rules}
    ordered: dict[str, Rule] = {}

    def place(rule: Rule) -> None:
        for wait in rule.waits_for:
            if wait.rule in by_name and wait.rule not in ordered:
                place(by_name[wait.rule])
        ordered[rule.name] = rule

    for rule in by_name.values():
        if rule.name not in ordered:
            place(rule)
    return list(ordered.values())


def is_whole(choice: Choice, study_instance_uid: str, quiet: Collection[str]) -> bool:
    """Whether all that a rule would take is there, although the study may grow: no gap, and nothing still arriving.

    Args:
        study_instance_uid: of the study that may grow; a volume of another one has been looked at as a whole.
        quiet: Series Instance UIDs of which nothing has arrived for a while.
    """
    return all(
        instance.own
        or instance.study_instance_uid != study_instance_uid
        or (instance.series_instance_uid in quiet and not (volume.mending and GAPS in volume.mending.repairs))
        for taken in choice.matches
        for volume in taken.volumes.values()
        for instance in volume.instances
    )
