"""What keeps jobs from being made, as it stands now: the opt-out list, test patients, rules that pause themselves.

What fits while a rule pauses, or while nobody can read the list, is held with its reason and decided again as soon as
there is room: by the calendar, by a person, by a file that is back.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bridge.config.opt_out import UNREADABLE, read_opt_out
from bridge.config.rules import RuleModel
from bridge.config.site import Site
from bridge.errors import ConfigError
from bridge.flow.parts import Parts
from bridge.rules import Guards
from bridge.rules.clauses import Clause
from bridge.rules.guards import named_test_patients
from bridge.store.budgets import CODES, Pause
from bridge.store.rows import Budget

PAUSED, LIST_ALERT, LIST_SUBJECT = "rule-paused", "opt-out-unreadable", "opt_out_file"
LOOK_S = 1.0


def guards_of(site: Site) -> Guards:
    """For a question. Raises ConfigError (CFG-010, CFG-011) for `[test_patients]` with a mistake."""
    return guards_now(site, named_test_patients(site))


def guards_now(site: Site, test_patients: tuple[Clause, ...]) -> Guards:
    try:
        return Guards(test_patients=test_patients, opt_out=read_opt_out(site.opt_out_file))
    except ConfigError as error:
        return Guards(test_patients=test_patients, unreadable=error.sentence())


def budget_of(rule: RuleModel) -> Budget:
    return Budget(
        jobs_per_day=rule.jobs_per_day,
        jobs_per_month=rule.jobs_per_month,
        failures_in_a_row=rule.failures_in_a_row,
    )


def _signature(file: Path | None) -> tuple[int, ...] | None:
    """Changes when the file does, and when its rights do; None for one that is not there."""
    if file is None:
        return ()
    try:
        told = file.stat()
    except OSError:
        return None
    return told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns


class Watch:
    """`tick` is called again and again, before studies that are due are decided."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._looked_at = float("-inf")
        self._list: tuple[int, ...] | None = None

    def tick(self, rules: Mapping[str, RuleModel]) -> None:
        now = self._parts.clock()
        if self._looked_at <= now < self._looked_at + LOOK_S:
            return
        self._looked_at = now
        working = {name: rule for name, rule in rules.items() if rule.mode != "off"}
        codes = CODES | {UNREADABLE} if self._list_is_read() else CODES
        pauses = self._pauses(working)
        for name, rule in working.items():
            if name not in pauses:
                room = self._parts.budgets.room(name, budget_of(rule))
                self._parts.studies.decide_again(self._parts.decisions.kept_back(codes, name, room))

    def _list_is_read(self) -> bool:
        """Read again when it may have changed: a decision reads it in any case."""
        file, alerts = self._parts.site.opt_out_file, self._parts.alerts
        seen = _signature(file)
        if seen is not None and seen == self._list:
            return True
        self._list = None
        try:
            read_opt_out(file)
        except ConfigError as error:
            self._begin(LIST_ALERT, LIST_SUBJECT, f"{error.sentence()}. Nothing is sent to a platform before")
            return False
        alerts.end(LIST_ALERT, LIST_SUBJECT)
        self._list = seen
        return True

    def _pauses(self, rules: Mapping[str, RuleModel]) -> dict[str, Pause]:
        """Rules that pause now; their alerts stand, and those of all others are over."""
        budgets = self._parts.budgets
        known = budgets.pauses()
        for name in known.keys() - rules.keys():
            budgets.forget(name)
        pauses = {}
        for name, rule in rules.items():
            budget = budget_of(rule)
            pause = budgets.look(name, budget) if budget != Budget() or name in known else None
            if pause is not None:
                pauses[name] = pause
                self._begin(PAUSED, name, pause.reason)
        for alert in self._parts.alerts.all():
            if alert.kind == PAUSED and alert.subject not in pauses:
                self._parts.alerts.end(PAUSED, alert.subject)
        return pauses

    def _begin(self, kind: str, subject: str, reason: str) -> None:
        """Once: an alert that goes on is no write at each look."""
        standing = {(one.kind, one.subject): one.reason for one in self._parts.alerts.all()}
        if standing.get((kind, subject)) != reason:
            self._parts.alerts.begin(kind, subject, reason)
