"""An instance opens or touches a study; when it is due, every rule looks at it; what matches becomes a job.

Deciding twice is deciding once: a job is its identity, and the row is written in the same transaction as the
decision. The relay hands it to the engine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date

from bridge.errors import BridgeError
from bridge.flow.parts import Parts
from bridge.flow.study import chain
from bridge.flow.study.complete import Complete, Completeness, Wait
from bridge.flow.study.decide import Decider
from bridge.flow.study.early import Early, Growing
from bridge.flow.study.guard import Watch
from bridge.flow.study.rulebook import Rules
from bridge.flow.study.waiting import WAITS
from bridge.flow.verdicts import pause
from bridge.log import event
from bridge.store.decisions import Woken
from bridge.store.studies import DECIDED, INCOMPLETE, OPEN
from bridge.store.studies import Study as StudyRow

log = logging.getLogger("bridge.intake")

MOST_ATTEMPTS = 20
"""A study at which deciding failed so often, or died, is left alone until something of it arrives."""
MOST_EARLY = 10
"""As many may be used up by looks at one that still grows: the look at all of it has the others."""

WHOLE = "each input has its volume"
"""Why a study that may still grow is decided by rules that start so."""


class Intake:
    """Looks for studies that are due. `tick` is called again and again."""

    def __init__(self, parts: Parts, rules: Rules, today: Callable[[], date]) -> None:
        self._parts = parts
        self._today = today
        self.use(rules)
        self._completeness = Completeness(parts)
        self._watch = Watch(parts)
        self._early = Early(parts)
        self._rests: dict[str, float] = {}
        self._woken: set[Woken] = set()

    def use(self, rules: Rules) -> None:
        """Decide by these rules from the next study on."""
        self._decider = Decider(self._parts, rules, self._today)
        self._rules = self._decider.rules
        self._models = rules.models
        self._rules_are_new = True

    def tick(self) -> None:
        """One look. An error of one study never keeps another from its turn."""
        now = self._parts.clock()
        self._watch.tick(self._models)
        if self._rules_are_new:
            self._let_go()
        chain.tick(self._parts, self._rules)
        self._wake()
        for study in self._completeness.due():
            if self._rests.get(study.name, now) > now:
                continue
            verdict = self._completeness.look(study)
            match verdict:
                case Wait():
                    self._wait(study, verdict)
                case Complete():
                    self._try(study, verdict)
        for study, growing in self._early.due(self._rules):
            self._try_early(study, growing)

    def _let_go(self) -> None:
        """A rule that is gone, or off, holds no study: a person could not end that, and its pixels would stay."""
        for study, rule in self._parts.decisions.let_go([rule.name for rule in self._rules]):
            event(log, "rule.let-go", study=study, rule=rule)
        self._rules_are_new = False

    def _wake(self) -> None:
        """Studies of which a rule waited for something that has come, or long enough."""
        # A rule that is gone, or off, would never decide again and wake its studies for ever.
        rules = [rule.name for rule in self._rules]
        over = self._parts.decisions.waits_over(WAITS, rules, self._parts.clock())
        # One that still grows may not be ready for a new decision: it is woken once for each, and not at every look.
        growing = {one for one in over if one.state == OPEN}
        self._early.forget({one.name for one in growing - self._woken})
        self._woken = growing
        decided = {one.study_instance_uid for one in over if one.state == DECIDED}
        if decided:
            self._parts.passing("wake:before")
            self._parts.studies.decide_again(decided)
            self._parts.passing("wake:after")

    def _try_early(self, study: StudyRow, growing: Growing) -> None:
        """A look that fails, or is interrupted too often, leaves the study to the look at all of it."""
        began_at = self._parts.clock()
        if study.attempts >= MOST_EARLY:
            self._early.looked(study, began_at, failed=True)
            return
        self._parts.studies.count_attempt(study)
        try:
            self.decide(study, Complete(reason=WHOLE), growing)
        except Exception as error:  # noqa: BLE001 - what hinders it hinders the later look too, and is told then
            code = error.code if isinstance(error, BridgeError) else "BUG-002"
            event(log, "study.not-looked-at", level=logging.WARNING, study=study.name, code=code)
            self._early.looked(study, began_at, failed=True)
        else:
            self._early.looked(study, began_at)
        self._parts.studies.forgive(study)

    def _wait(self, study: StudyRow, verdict: Wait) -> None:
        marks = f"{INCOMPLETE}.{study.opened_at:.0f}" if verdict.alert else ""
        self._parts.studies.wait(
            study, verdict.after_s, waits=verdict.reason, asked=verdict.asked, doubts=marks
        )
        self._rest(study, verdict.after_s)
        if verdict.alert:
            self._parts.alerts.begin("study-incomplete", study.name, verdict.reason)
        if verdict.reason != study.waits:
            event(log, "study.waits", study=study.name, reason=verdict.reason, pause_s=verdict.after_s)

    def _try(self, study: StudyRow, complete: Complete) -> None:
        attempts = self._parts.studies.count_attempt(study)
        if attempts > MOST_ATTEMPTS:
            self._parts.studies.set_aside(study)
            self._parts.instances.patients.tell(study.study_instance_uid)
            reason = f"deciding failed {attempts - 1} times; it rests until something of it arrives"
            self._parts.alerts.begin("study-set-aside", study.name, reason)
            return
        try:
            self.decide(study, complete)
            self._parts.alerts.end("study-set-aside", study.name)
        except Exception as error:  # noqa: BLE001 - counted above; in the end it is set aside, with an alert
            pause_s = pause(self._parts.site.engine.retry_s, attempts - 1)
            self._parts.studies.look_again(study, pause_s)
            self._rest(study, pause_s)
            event(
                log,
                "study.not-decided",
                level=logging.ERROR,
                failed=True,
                study=study.name,
                pause_s=pause_s,
                code=error.code if isinstance(error, BridgeError) else "BUG-002",
            )

    def _rest(self, study: StudyRow, after_s: float) -> None:
        """A study that never gets quiet is due at every look: arrivals move its due time, not its limit."""
        now = self._parts.clock()
        self._rests = {name: until for name, until in self._rests.items() if until > now}
        if study.due_at > now:
            self._rests[study.name] = now + after_s

    def decide(
        self, study: StudyRow, complete: Complete | None = None, growing: Growing | None = None
    ) -> list[str]:
        """Let every rule look at a study. Returns the ids of jobs that are new.

        Args:
            complete: why now; None for a folder, which is whole by itself.
            growing: how far a study has got that is not complete; then only those rules look that start before, and
                what does not match yet says nothing.
        """
        return self._decider.decide(study, complete or Complete(reason=""), growing)
