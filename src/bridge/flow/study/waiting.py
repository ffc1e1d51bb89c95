"""Rules that wait for another rule, or for a series: what they fit is kept back, and looked at again in time.

A match that is kept back is a decision like any other, held with a code of its own; nobody is called before its time is
over. What wakes it stands in the tables: the end of a job, and a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bridge.config.rules import RuleModel
from bridge.dicom.uids import keyed_name
from bridge.flow.parts import Parts
from bridge.flow.study.doubts import Doubt
from bridge.rules import Choice, Outcome, Rule, Study
from bridge.rules.waits import outstanding
from bridge.store.jobs import Decision, JobState
from bridge.store.rows import Waits
from bridge.store.studies import Study as StudyRow
from bridge.volumes import Candidate

WAITS = "RUL-006"
"""Of decisions that are kept back until something else has come."""
WAITED = "STU-011"
"""The doubt of a study of which a rule has waited in vain."""
NO_JOB = frozenset({"off", "explain"})
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How the match of a rule stands with what it waits for."""

    waits: Waits
    """Goes into the row of the decision."""
    reason: str = ""
    """Why it is kept back; "" where it is not."""
    doubts: tuple[Doubt, ...] = ()
    """What a person must accept, because the time is over."""


class Waiting:
    """What the rules of one study wait for, while they are being asked one after another, `in_order`."""

    def __init__(
        self,
        parts: Parts,
        models: Mapping[str, RuleModel],
        row: StudyRow,
        study: Study,
        candidates: Sequence[Candidate],
    ) -> None:
        self._parts, self._models, self._row = parts, models, row
        self._study, self._candidates = study, candidates
        # Read before the jobs are: what ends between the two is looked at once more.
        self._seen = parts.jobs.last_event() if any(one.waits for one in models.values()) else 0
        self._now = parts.clock()
        self._made: dict[str, Decision] = {}
        self._before: dict[str, Decision] | None = None

    def decided(self, decision: Decision) -> None:
        """What a rule made of the study: others may wait for it."""
        self._made[decision.rule] = decision

    def keeps(self, rule: Rule, choice: Choice) -> Kept | None:
        """None for a rule that waits for nothing, or that makes no job anyway; of a folder nothing more will come."""
        if self._parts.instead or not rule.waits_for or not choice.matches or rule.mode in NO_JOB:
            return None
        since = self._since(rule.name)
        waits = Waits(since=since, until=None, seen=self._seen)
        left = outstanding(rule, self._study, self._candidates, self._over(rule))
        late = [one for one in left if since + one.at_most_h * HOUR_S <= self._now]
        still = [one for one in left if one not in late]
        doubts = tuple(
            self._doubt(rule.name, one.told, one.at_most_h, since) for one in late if one.then == "hold"
        )
        doubts = tuple(one for one in doubts if one.mark not in self._row.released.split())
        if doubts or not still:
            return Kept(waits=waits, doubts=doubts)
        until = min(since + one.at_most_h * HOUR_S for one in still)
        told = " and ".join(one.told for one in still)
        by = datetime.fromtimestamp(until).astimezone()
        return Kept(
            waits=Waits(since=since, until=until, seen=self._seen),
            reason=f"fits, and waits for {told}, until {by:%Y-%m-%d %H:%M} at the latest",
        )

    def _since(self, rule: str) -> float:
        """When the rule first fitted the study: later objects begin its time anew only where its job was made."""
        if self._before is None:
            uid = self._row.study_instance_uid
            self._before = {one.rule: one for one in self._parts.decisions.of_study(uid)}
        before = self._before.get(rule)
        if before is None or before.waits is None:
            return self._now
        is_anew = before.outcome == Outcome.MATCH and self._row.last_at > before.decided_at
        return self._now if is_anew else before.waits.since

    def _over(self, rule: Rule) -> set[str]:
        return {one.rule for one in rule.waits_for if one.rule and self._is_over(one.rule)}

    def _is_over(self, rule: str) -> bool:
        model, decision = self._models.get(rule), self._made.get(rule)
        if model is None or model.mode in NO_JOB:
            return True
        if decision is None:
            return False
        if decision.outcome == Outcome.NO_MATCH:
            return True
        ids = [job.id for job in decision.jobs]
        states = self._parts.jobs.states(ids)
        return bool(ids) and all(states.get(id) is JobState.DONE for id in ids)

    def _doubt(self, rule: str, told: str, hours: float, since: float) -> Doubt:
        mark = keyed_name(self._parts.key, WAITED, self._row.study_instance_uid, rule, told, f"{since:.0f}")
        return Doubt(
            code=WAITED,
            reason=f"rule {rule} has waited {hours:g} h for {told}",
            mark=f"{WAITED}.{mark}",
        )
