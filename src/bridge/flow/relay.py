"""Hands to the engine what is ready: jobs, and the turns of those that are owed to a destination.

What is to be done stands in our tables; the engine knows an id that it has seen, so handing over twice is handing
over once, and a lost engine file costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

from bridge.flow.at_work import is_at_work
from bridge.flow.job import CPU, destination_queue, platform_queue, stage_id, turn_id, turn_name
from bridge.flow.parts import Parts
from bridge.flow.stages.deliveries import show
from bridge.flow.stages.destinations import AWAY
from bridge.flow.stages.hours import CLOSED, closed, closed_reason
from bridge.log import event
from bridge.store.jobs import Stage
from bridge.store.ready import PAGE, Kind
from bridge.store.rows import Line, Turn

log = logging.getLogger("bridge.relay")

ASK_AGAIN_S = 60
"""How often a platform that cannot describe an algorithm is asked again; with a wrong token no oftener either."""


class Relay:
    """`tick` is called again and again."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._asked: dict[str, str] = {}
        self._handed: set[str] = set()

    def tick(self) -> None:
        self._jobs()
        self._turns()

    def _jobs(self) -> None:
        """Ready jobs, at the stage where they are, once the description of their algorithm is known.

        A run that a person began waits until nothing of the older one is in our hands.
        """
        ready = self._parts.jobs.ready
        kinds = [one for one in ready.kinds() if self._may_go(one)]
        handed = left = 0
        # Not all at once: what becomes urgent meanwhile has its turn at the next look.
        while handed < PAGE and (page := ready.first(kinds, after=left)):
            for job in page:
                if job.run and is_at_work(job.id):
                    left += 1
                    continue
                queue = platform_queue(job.account) if job.stage is Stage.CLOUD else CPU
                stage = stage_id(job.id, job.stage, job.run)
                self._parts.enqueue(job.stage, queue, stage, job.id, str(job.run), due_at=job.due_at)
                self._parts.passing("relay:mid")
                self._parts.jobs.started(job.id)
                handed += 1

    def _may_go(self, kind: Kind) -> bool:
        """Whether jobs of a kind can be handed over now; their rows say why not."""
        if kind.account not in self._parts.site.accounts:
            self._say(kind, "CFG-020", f"account {kind.account} is no longer in site.toml. Put it back")
            return False
        if until := closed(kind.not_before, self._parts.clock()):
            self._say(kind, CLOSED, closed_reason(kind.not_before, until))
            return False
        return kind.stage is not Stage.PREPARE or self._described(kind)

    def _turns(self) -> None:
        """Turns that are due. While a line is down, only its trial and those that have waited too long."""
        site, now = self._parts.site, self._parts.clock()
        due = [
            turn
            for turn in self._parts.turns.owed()
            if turn.due_at is not None and turn.due_at <= now and turn.destination in site.destinations
        ]
        lines = self._parts.turns.lines()
        trials = {name: self._trial(line, due, now) for name, line in lines.items()}
        handed = set()
        for turn in due:
            line = lines.get(turn.destination)
            if line is not None and trials[line.destination] != turn.job_id:
                days = site.destinations[turn.destination].give_up_after_days
                if now - turn.since <= days * 86400:
                    self._say_why(turn, line)
                    continue
            id = turn_id(turn.job_id, turn.destination, turn.turn)
            if id not in self._handed:
                # A turn that a person began waits until nothing of an older one is in our hands.
                if is_at_work(turn_name(turn.job_id, turn.destination)):
                    continue
                queue = destination_queue(turn.destination)
                due_at = self._parts.jobs.get(turn.job_id).due_at
                self._parts.enqueue(
                    "deliver", queue, id, turn.job_id, turn.destination, str(turn.turn), due_at=due_at
                )
            handed.add(id)
        self._handed = handed

    def _trial(self, line: Line, due: Sequence[Turn], now: float) -> str:
        """The job that may try a line now: one at a time, the longest waiting first. Empty: nobody yet."""
        if line.destination not in self._parts.site.destinations:
            self._parts.turns.line_up(line.destination)
            self._parts.alerts.end(AWAY, line.destination)
            return ""
        if line.next_at > now:
            return ""
        waiting = [turn.job_id for turn in due if turn.destination == line.destination]
        if line.trial in waiting or not waiting:
            return line.trial
        self._parts.turns.line_trial(line.destination, waiting[0])
        return waiting[0]

    def _say_why(self, turn: Turn, line: Line) -> None:
        """Show in the rows of a job why it waits; once for each reason."""
        if (turn.code, turn.reason) != (line.code, line.reason):
            self._parts.turns.say(turn, line.code, line.reason)
            show(self._parts, turn.job_id)

    def _described(self, kind: Kind) -> bool:
        account = self._parts.site.accounts[kind.account]
        known = self._parts.specs.get(kind.account, kind.algorithm, kind.declared_version)
        now = self._parts.clock()
        if known and known.spec and now - known.learned_at < account.describe_again_s:
            return True
        if known and known.spec is None:
            self._say(kind, known.code, known.reason)
            if now - known.learned_at < ASK_AGAIN_S:
                return False
        self._ask(kind, int(now // ASK_AGAIN_S))
        return False

    def _say(self, kind: Kind, code: str, reason: str) -> None:
        """Show in the rows of jobs why they wait; once, not at every look."""
        for id in self._parts.jobs.ready.say(kind, code, reason):
            event(log, "job.waits", level=logging.WARNING, job=id, code=code, reason=reason)

    def _ask(self, kind: Kind, window: int) -> None:
        """One question for all jobs that wait for its answer; the window in its id lets a later one be asked."""
        words = (kind.account, kind.algorithm, kind.declared_version)
        name = hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]
        id = f"describe.{name}.{window}"
        if id != self._asked.get(name):
            self._parts.enqueue("describe", platform_queue(kind.account), id, *words, due_at=0.0)
            self._asked[name] = id
