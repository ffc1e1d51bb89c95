"""A person lets a rule go on that paused itself: its count begins again, and what waited is decided and sent."""

from __future__ import annotations

from bridge.errors import ConfigError
from bridge.flow.parts import Parts
from bridge.flow.study.guard import PAUSED
from bridge.store.rows import Act

RESUME = "rules-resume"


def resume_rule(parts: Parts, act: Act) -> str:
    """`act.target` is the name of the rule. Raises ConfigError (ACT-008) for one that does not pause."""
    name = act.target
    paused = parts.budgets.pauses()
    if name not in paused and not parts.budgets.resumed_since(name, act.asked_at):
        others = ", ".join(paused) or "no rule pauses"
        raise ConfigError("ACT-008", f"rule {name[:64]} does not pause", f"one that does: {others}")
    jobs = [parts.jobs.get(id) for id in parts.budgets.held(name)]
    for job in jobs:
        account = parts.site.accounts.get(job.account)
        deadline_at = parts.clock() + account.deadline_hours * 3600 if account else None
        # A new run: the stage of this one has ended, and the relay hands over the next where it stopped.
        parts.acts.fulfil(
            act, job, state="ready", code="", reason="", run=job.run + 1, deadline_at=deadline_at
        )
    parts.budgets.resume(name)
    parts.alerts.end(PAUSED, name)
    told = f", and {len(jobs)} of its jobs with it" if jobs else ""
    return f"rule {name} goes on{told}; it counts from now"
