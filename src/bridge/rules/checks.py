"""One entry of a table of conditions, asked of a study or a candidate: the check, and why it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.rules.asked import OfStudy, images_of
from bridge.rules.attributes import Found
from bridge.rules.clauses import Clause, Term, judge, judge_each, sentence, subjects
from bridge.rules.conditions import holds, joined, shortfall, wanted
from bridge.rules.explanation import Check
from bridge.rules.facts import candidate_values, study_values

if TYPE_CHECKING:
    from datetime import date

    from bridge.volumes.volume import Candidate


def of_study(clause: Clause, asked: OfStudy) -> tuple[Check, str]:
    if isinstance(clause, Term):
        return _checked(clause, (study_values(asked.study, clause.subject),), asked.today)
    verdict = judge(clause, asked)
    return verdict.check, "" if verdict.holds else sentence(verdict.check)


def of_candidate(clause: Clause, candidate: Candidate, today: date) -> tuple[Check, str] | None:
    """The check and its shortage; None for a question that only a volume could answer, of what is none."""
    if isinstance(clause, Term):
        readings = candidate_values(candidate, clause.subject)
        if candidate.volume is None and clause.subject.computed and readings == ((),):
            return None
        return _checked(clause, readings, today)
    verdict = judge_each(clause, images_of(candidate, today))
    if candidate.volume is None and verdict.holds is None and _asks_for_grid(clause, candidate):
        return None
    return verdict.check, "" if verdict.holds else sentence(verdict.check)


def _asks_for_grid(clause: Clause, candidate: Candidate) -> bool:
    facts = (subject for subject in subjects(clause) if subject.computed)
    return any(candidate_values(candidate, fact) == ((),) for fact in facts)


def _checked(term: Term, readings: tuple[Found, ...], today: date) -> tuple[Check, str]:
    """The check, and why it fails in words that hold no private value ("" when it does not)."""
    failing = [found for found in readings if holds(term.condition, found, today) is not True]
    shown = failing[0] if failing else readings[0]
    subject = term.subject
    check = Check(
        keyword=subject.text,
        wanted=wanted(term.condition),
        found=joined(shown) if shown else None,
        ok=not failing,
        private=subject.private,
    )
    if not failing:
        return check, ""
    if subject.private and shown:
        return check, f"{subject.text} does not fit"
    return check, f"{subject.text} {shortfall(term.condition, shown)}"
