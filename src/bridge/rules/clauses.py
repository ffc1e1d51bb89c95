"""Whole conditions: one attribute or fact, an item of a sequence, and what `any`, `all` and `not` put together.

Three verdicts: it holds, it does not, it is not known because nothing is there to ask. What is not known is never a
reason to send, and neither is its opposite.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal, Protocol, assert_never

from bridge.rules.conditions import Condition, conjunction, disjunction, holds, joined, negated, wanted
from bridge.rules.explanation import Check, compound

if TYPE_CHECKING:
    from bridge.rules.attributes import Found, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One condition and what it asks about."""

    subject: Subject
    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemTerm:
    """One item of a sequence fits all of these."""

    subject: Subject
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Clauses that are put together. Of `any`, one for each table; of the others, those of their table."""

    word: Literal["any", "all", "not", "any_instance", "every_instance"]
    clauses: tuple[Clause, ...]


Clause = Term | ItemTerm | Group
"""One entry of a table of conditions in rules.toml."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    holds: bool | None
    """None: not known."""
    check: Check


class Asked(Protocol):
    """Who answers: a study as a whole, one of its objects, an image of a volume, an item of a sequence."""

    @property
    def today(self) -> date: ...
    @property
    def known(self) -> dict[int, Verdict]:
        """Verdicts about all instances together, by the id of their clause: they are the same for each image."""
        ...

    def values(self, subject: Subject) -> Found: ...
    def items(self, subject: Subject) -> Sequence[Asked]: ...
    def nothing(self) -> Asked:
        """Somebody of the same kind who has no value at all."""
        ...

    def each(self) -> Sequence[Asked]:
        """Every instance by itself."""
        ...


def judge(clause: Clause, asked: Asked) -> Verdict:
    match clause:
        case Term(subject=subject, condition=condition):
            found = asked.values(subject)
            verdict = holds(condition, found, asked.today)
            check = Check(
                keyword=subject.text,
                wanted=wanted(condition),
                found=joined(found) if found else None,
                ok=verdict is True,
                private=subject.private,
            )
            return Verdict(holds=verdict, check=check)
        case ItemTerm(subject=subject):
            items = asked.items(subject)
            told = [_table(clause.clauses, item) for item in items or (asked.nothing(),)]
            verdict = disjunction([one for one, _ in told]) if items else None
            parts = _speaks(told, verdict)
            check = compound(subject.text, parts, ok=verdict is True, absent=not items)
            return Verdict(holds=verdict, check=check)
        case Group(word="any" | "all" | "not"):
            verdicts = [judge(one, asked) for one in clause.clauses]
            decides = disjunction if clause.word == "any" else conjunction
            verdict = decides([one.holds for one in verdicts])
            if clause.word == "not":
                verdict = negated(verdict)
            parts = tuple(one.check for one in verdicts)
            return Verdict(holds=verdict, check=compound(clause.word, parts, ok=verdict is True))
        case Group():
            if id(clause) not in asked.known:
                asked.known[id(clause)] = _of_instances(clause, asked)
            return asked.known[id(clause)]
        case _:
            assert_never(clause)


def judge_each(clause: Clause, asked: Iterable[Asked]) -> Verdict:
    """The clause asked of every image of a volume: it must hold for each. The check is of one where it does not."""
    return together([judge(clause, one) for one in asked])


def together(verdicts: Sequence[Verdict]) -> Verdict:
    holds_for_all = conjunction([one.holds for one in verdicts])
    speaks = min(verdicts, key=lambda one: (one.holds is True, one.holds is None, repr(one.check)))
    return Verdict(holds=holds_for_all, check=speaks.check)


def sentence(check: Check) -> str:
    """Why a clause that is put together does not hold; no value that may identify a person."""
    shown = check.masked()
    return f"{shown.keyword} is absent" if shown.found is None else f"{shown.keyword}: {shown.found}"


def subjects(clause: Clause) -> Iterable[Subject]:
    """What a clause asks about."""
    match clause:
        case Term(subject=subject) | ItemTerm(subject=subject):
            yield subject
        case Group(clauses=clauses):
            for one in clauses:
                yield from subjects(one)


def _table(clauses: Sequence[Clause], asked: Asked) -> tuple[bool | None, tuple[Check, ...]]:
    verdicts = [judge(one, asked) for one in clauses]
    return conjunction([one.holds for one in verdicts]), tuple(one.check for one in verdicts)


def _of_instances(clause: Group, asked: Asked) -> Verdict:
    told = [_table(clause.clauses, one) for one in asked.each()]
    decides = disjunction if clause.word == "any_instance" else conjunction
    verdict = decides([one for one, _ in told]) if told else None
    parts = _speaks(told or [_table(clause.clauses, asked.nothing())], verdict)
    return Verdict(holds=verdict, check=compound(clause.word, parts, ok=verdict is True, absent=not told))


def _speaks(told: Sequence[tuple[bool | None, tuple[Check, ...]]], verdict: bool | None) -> tuple[Check, ...]:
    """Of those that decided, the one that comes nearest to what is asked, whatever the order of arrival."""
    deciding = [parts for one, parts in told if one is verdict] or [parts for _, parts in told]
    return min(deciding, key=lambda parts: (sum(not part.ok for part in parts), repr(parts)))
