"""What the stages of a job work with. `service` fills it; nothing here is made by `flow` itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bridge.config.site import Site
from bridge.flow.stages.children import Children
from bridge.flow.stages.pace import Pace
from bridge.flow.stages.shelf import JobShelf
from bridge.platforms.protocol import Platform
from bridge.store.acts import Acts
from bridge.store.alerts import Alerts
from bridge.store.answers import Answers
from bridge.store.budgets import Budgets
from bridge.store.crosswalk import Crosswalk
from bridge.store.decisions import Decisions
from bridge.store.deliveries import Deliveries
from bridge.store.disclosures import Disclosures
from bridge.store.erasing import Erasing
from bridge.store.instances import Instances
from bridge.store.jobs import Jobs
from bridge.store.meta import Meta
from bridge.store.retention import Retention
from bridge.store.specs import Specs
from bridge.store.studies import Studies
from bridge.store.submits import Submits
from bridge.store.turns import Turns


class Enqueue(Protocol):
    def __call__(
        self, workflow: str, queue: str, id: str, *arguments: str, due_at: float | None = None
    ) -> None: ...


def nothing(point: str) -> None:
    """The ordinary passer-by of a point: does nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    site: Site
    key: bytes
    instances: Instances
    studies: Studies
    jobs: Jobs
    decisions: Decisions
    specs: Specs
    turns: Turns
    deliveries: Deliveries
    acts: Acts
    alerts: Alerts
    budgets: Budgets
    answers: Answers
    retention: Retention
    meta: Meta
    submits: Submits
    crosswalk: Crosswalk
    disclosures: Disclosures
    erasing: Erasing
    children: Children
    pace: Pace
    platform: Callable[[str], Platform]
    """The platform of an account, by the account's name."""
    enqueue: Enqueue
    folder: Path
    """`<data>/jobs`"""
    clock: Callable[[], float]
    instead: tuple[str, ...] = ()
    """Where results go instead of the destinations of their rule; for a case that is written into a folder."""
    passing: Callable[[str], None] = nothing
    """Told the name of each point at which a crash would hurt most; the kill tests die there."""

    def shelf(self, job_id: str) -> JobShelf:
        return JobShelf(self.folder / job_id)
