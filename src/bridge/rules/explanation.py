"""Why a rule did or did not choose: values that people read and tables keep.

Plain values: `pydantic.TypeAdapter(Explanation)` writes and reads them as JSON. Reasons and labels never hold a value
that may identify a person; the checks do, and `masked` takes it away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.config.vocabulary import COMBINATIONS

HIDDEN = "…"
"""Stands for a value that may identify a person."""


class Outcome(StrEnum):
    MATCH = "match"
    NO_MATCH = "no-match"
    HELD = "held"
    """A person must decide."""
    REFUSED = "refused"
    """What the rule asks for is there and cannot be processed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One condition and its verdict; of conditions that are put together, the verdict of the whole."""

    keyword: str
    wanted: str
    found: str | None
    """None when the attribute is absent or empty."""
    ok: bool
    private: bool
    """`wanted` and `found` may identify a person."""
    parts: tuple[Check, ...] = ()
    """What it is put together of; of the objects or items that were asked, those of the one that speaks for all."""

    def masked(self) -> Check:
        if not self.private:
            return self
        if self.parts:
            parts = tuple(part.masked() for part in self.parts)
            return compound(self.keyword, parts, ok=self.ok, absent=self.found is None)
        return replace(self, wanted=HIDDEN, found=None if self.found is None else HIDDEN)


def compound(keyword: str, parts: tuple[Check, ...], *, ok: bool, absent: bool = False) -> Check:
    """The check of conditions that are put together. `keyword`: the word that does it, or the path of a sequence.

    `absent`: there is nothing that could be asked.
    """
    return Check(
        keyword=keyword,
        wanted=_wanted(keyword, parts),
        found=None if absent else _told(keyword, parts, ok),
        ok=ok,
        private=any(part.private for part in parts),
        parts=parts,
    )


MOST_TOLD = 3
"""Branches that a sentence names."""


def _wanted(keyword: str, parts: tuple[Check, ...]) -> str:
    every = [
        part.wanted if part.keyword in COMBINATIONS else f"{part.keyword} {part.wanted}" for part in parts
    ]
    inside = [
        f"({text})" if part.keyword in ("any", "all") else text
        for text, part in zip(every, parts, strict=True)
    ]
    together = " and ".join(every if len(every) == 1 else inside)
    match keyword:
        case "any":
            return " or ".join(every if len(every) == 1 else inside)
        case "all":
            return together
        case "not":
            return f"not ({together})"
        case "any_instance":
            return f"an object with {together}"
        case "every_instance":
            return f"only objects with {together}"
        case _:
            return f"an item with {together}"


def _told(keyword: str, parts: tuple[Check, ...], ok: bool) -> str:
    """What decided, in words."""
    failing = [part for part in parts if not part.ok]
    match keyword:
        case "any" if not ok:
            more = f"; and {len(parts) - MOST_TOLD} more" if len(parts) > MOST_TOLD else ""
            return "; ".join(_said(part) for part in parts[:MOST_TOLD]) + more
        case "any":
            return next(_said(part) for part in parts if part.ok)
        case "not" if failing:
            # What is absent decides only where nothing else does.
            return _said(
                next((part for part in failing if part.found is not None), failing[0]), unwanted=True
            )
        case "all" | "not" | "every_instance":
            return _said(failing[0]) if failing else "; ".join(_said(part) for part in parts)
        case _ if not ok:
            which = "object" if keyword == "any_instance" else "item"
            return f"no {which} fits, the nearest: {_said(failing[0])}"
        case _:
            return "; ".join(_said(part) for part in parts)


def _said(check: Check, *, unwanted: bool = False) -> str:
    if check.found is None:
        return f"{check.keyword} is absent"
    if check.parts:
        return check.found if check.keyword in COMBINATIONS else f"{check.keyword}: {check.found}"
    if check.found == HIDDEN:
        return f"{check.keyword} fits" if check.ok else f"{check.keyword} does not fit"
    against = "" if check.ok or unwanted else f" where the rule wants {check.wanted}"
    return f"{check.keyword} is {check.found}{against}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateVerdict:
    """What became of one candidate for one input."""

    series_instance_uid: str
    label: str
    """`series 3, CT, 60 images, 5.0 mm`"""
    chosen: bool
    reason: str
    checks: tuple[Check, ...]

    def masked(self) -> CandidateVerdict:
        return replace(self, series_instance_uid="", checks=tuple(check.masked() for check in self.checks))


@dataclass(frozen=True, slots=True, kw_only=True)
class InputExplanation:
    """Which candidate became which input."""

    input: str
    chosen: int | None
    """Index into `candidates`; of several that make a job each, the first."""
    reason: str
    candidates: tuple[CandidateVerdict, ...]
    """By series number, whatever the order of arrival."""
    definition: str = ""
    """The `[volumes.NAME]` that they were judged by; "" where the conditions are the input's own."""
    earlier: tuple[InputExplanation, ...] = ()
    """What came before it in the rule, and was what no candidate is."""
    prior_days: int | None = None
    """The candidates are of a study so many days before the current one; None for the current one."""

    def of_job(self, index: int) -> InputExplanation:
        """The same told of one job where every chosen candidate makes one of its own."""
        candidates = tuple(
            replace(one, chosen=False, reason="fits, and makes a job of its own")
            if one.chosen and place != index
            else one
            for place, one in enumerate(self.candidates)
        )
        return replace(self, chosen=index, candidates=candidates)

    def masked(self) -> InputExplanation:
        return replace(
            self,
            candidates=tuple(candidate.masked() for candidate in self.candidates),
            earlier=tuple(one.masked() for one in self.earlier),
        )


def prior_name(days: int) -> str:
    """An earlier study in sentences; an interval identifies nobody, a date may."""
    return f"the study {days} day{'s' * (days != 1)} before" if days else "the study earlier that day"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorVerdict:
    """What became of one earlier study of the patient."""

    name: str
    """`the study 412 days before`"""
    chosen: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The whole story of one rule and one study."""

    rule: str
    outcome: Outcome
    reason: str
    study: tuple[Check, ...]
    inputs: tuple[InputExplanation, ...]
    """() when the study itself does not fit: nobody looked further."""
    priors: tuple[PriorVerdict, ...] = ()
    """Earlier studies of the patient, the newest first, where the rule asks for one."""
    risks: tuple[str, ...] = ()
    """What its pixels may show of a person although the rule takes them, in words."""

    @property
    def every(self) -> tuple[InputExplanation, ...]:
        """The inputs, each behind the definitions that were looked at before the one that spoke for it."""
        return tuple(one for told in self.inputs for one in (*told.earlier, told))

    def masked(self) -> Explanation:
        """The same without UIDs and without values that may identify a person: for logs, reports and pages."""
        return replace(
            self,
            study=tuple(check.masked() for check in self.study),
            inputs=tuple(one.masked() for one in self.inputs),
        )
