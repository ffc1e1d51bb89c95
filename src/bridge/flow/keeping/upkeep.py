"""What is looked after now and then: retention, finished stages of the engine, the marks of the fence."""

from __future__ import annotations

import logging

from bridge.flow.engine import Engine
from bridge.flow.keeping.fencing import Fencing
from bridge.flow.keeping.retention import Retention
from bridge.flow.parts import Parts
from bridge.log import event
from bridge.store.rows import FINAL

log = logging.getLogger("bridge.upkeep")

EVERY_S = 300.0
DAY_S = 86400.0
DESCRIBE = "describe"
"""How ids of stages begin that belong to no job; the minute is in them, so none is enqueued again."""


class Upkeep:
    """`tick` is called again and again and works only when it is time."""

    def __init__(self, parts: Parts, engine: Engine, fencing: Fencing) -> None:
        self._parts = parts
        self._engine = engine
        self._fencing = fencing
        self._due_at = 0.0
        self._clean_at = 0.0
        self._retention = Retention(parts)
        self._fills = True

    def tick(self) -> None:
        now = self._parts.clock()
        # A few at each look: an index of an earlier release may hold many studies.
        self._fills = self._fills and bool(self._parts.instances.patients.fill())
        if now < self._due_at:
            return
        self._due_at = now + EVERY_S
        self._fencing.renew()
        self._parts.instances.disk.look()
        self._parts.pace.settle()
        if now >= self._clean_at:
            self._clean_at = now + DAY_S
            self._clean(now)
        self._retention.tick()

    def _clean(self, now: float) -> None:
        before = now - self._parts.site.retention.stages_days * DAY_S
        count = self._engine.clean(before, self._is_over)
        if count:
            event(log, "engine.cleaned", stages=count)

    def _is_over(self, beginning: str) -> bool:
        """Whether no stage of that beginning is enqueued again: its job's row, which stays for ever, says so."""
        if beginning == DESCRIBE:
            return True
        return any(job.id == beginning and job.state in FINAL for job in self._parts.jobs.find(beginning))
