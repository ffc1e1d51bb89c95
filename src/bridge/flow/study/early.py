"""Rules that start before their study is complete: when to look at one that still grows.

A look is worth its while only when a series has become quiet, and is never taken at each object: what a look costs
decides how soon the next may be. Nothing of this is kept: after a start every open study is looked at once more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf

from bridge.config.starts import INPUTS_COMPLETE
from bridge.flow.parts import Parts
from bridge.rules import Rule
from bridge.store.studies import Study

PAUSE_S = 1.0
SHARE = 10
"""At most one part in so many of the time goes into looks at one study."""
FAILED_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Growing:
    """How far a study has got."""

    series: frozenset[str]
    """Series Instance UIDs of all that has arrived."""
    quiet: frozenset[str]
    """Those of which nothing has arrived for a while."""

    def whole(self, rule: Rule) -> frozenset[str]:
        """Series that may be whole, as far as the clock tells: for what is urgent, it tells nothing."""
        return self.series if rule.urgent else self.quiet


@dataclass(slots=True)
class _Looked:
    next_at: float = 0.0
    series: dict[str, tuple[float, bool]] = field(default_factory=dict)
    """Of series that have been looked at: when the last object came, and whether that was quiet."""
    last_at: float = 0.0
    """Of the study when its series were last read; 0 to read them in any case."""
    quiet_at: float = 0.0
    """When the next series becomes quiet if nothing more arrives."""


class Early:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._looked: dict[str, _Looked] = {}

    @staticmethod
    def rules(rules: Sequence[Rule]) -> list[Rule]:
        return [one for one in rules if one.start == INPUTS_COMPLETE]

    def due(self, rules: Sequence[Rule]) -> Iterator[tuple[Study, Growing]]:
        """Open studies of which a series has become quiet, or grown where something urgent waits for it."""
        early = self.rules(rules)
        if not early:
            return
        now = self._parts.clock()
        studies = [one for one in self._parts.studies.due(now, now) if not one.complete]
        self._looked = {one.name: self._looked.get(one.name) or _Looked() for one in studies}
        for study in studies:
            looked = self._looked[study.name]
            if now < looked.next_at or (study.last_at == looked.last_at and now < looked.quiet_at):
                continue
            arrivals, quiet_s = self._parts.instances.arrivals(study.study_instance_uid), self._quiet_s(study)
            quiet = {uid: at for uid, at in arrivals.items() if now - at >= quiet_s}
            looked.last_at = study.last_at
            looked.quiet_at = min(
                (at + quiet_s for uid, at in arrivals.items() if uid not in quiet), default=inf
            )
            told = arrivals if any(one.urgent for one in early) else quiet
            seen = {uid: (at, uid in quiet) for uid, at in told.items()}
            if seen == looked.series:
                continue
            looked.series = seen
            yield study, Growing(series=frozenset(arrivals), quiet=frozenset(quiet))

    def looked(self, study: Study, began_at: float, *, failed: bool = False) -> None:
        now = self._parts.clock()
        pause_s = FAILED_S if failed else max(PAUSE_S, SHARE * (now - began_at))
        self._looked.setdefault(study.name, _Looked()).next_at = now + pause_s

    def forget(self, names: Collection[str]) -> None:
        """Look at these studies again, although nothing of them has arrived."""
        for name in names:
            if name in self._looked:
                self._looked[name].series = {}
                self._looked[name].last_at = 0.0

    def _quiet_s(self, study: Study) -> float:
        terms = self._parts.site.sources.get(study.source) or self._parts.site.receive
        return terms.inputs_quiet_s
