"""Why a rule did or did not choose: values that people read and tables keep.

Plain values: `pydantic.TypeAdapter(Explanation)` writes and reads them as JSON. Reasons and labels never hold a value
that may identify a person; the checks do, and `masked` takes it away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


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
    """One condition and its verdict."""

    keyword: str
    wanted: str
    found: str | None
    """None when the attribute is absent or empty."""
    ok: bool
    private: bool
    """`wanted` and `found` may identify a person."""

    def masked(self) -> Check:
        if not self.private:
            return self
        return replace(self, wanted=HIDDEN, found=None if self.found is None else HIDDEN)


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
    """Index into `candidates`."""
    reason: str
    candidates: tuple[CandidateVerdict, ...]
    """By series number, whatever the order of arrival."""

    def masked(self) -> InputExplanation:
        return replace(self, candidates=tuple(candidate.masked() for candidate in self.candidates))


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The whole story of one rule and one study."""

    rule: str
    outcome: Outcome
    reason: str
    study: tuple[Check, ...]
    inputs: tuple[InputExplanation, ...]
    """() when the study itself does not fit: nobody looked further."""

    def masked(self) -> Explanation:
        """The same without UIDs and without values that may identify a person: for logs, reports and pages."""
        return replace(
            self,
            study=tuple(check.masked() for check in self.study),
            inputs=tuple(one.masked() for one in self.inputs),
        )
