"""Stage `deliver`: one turn of one job at one destination is one try, until nothing is owed there any more.

A turn that reached nobody is put back and waits for the line of its destination; one that left something gets another
turn after a pause of its own. The job ends when no destination owes or is owed anything.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Sequence
from functools import partial

import sqlalchemy.exc

from bridge.config.destinations import DestinationSettings
from bridge.deliver.query import Silent
from bridge.dicom.statuses import STORED, Outcome
from bridge.flow.parts import Parts
from bridge.flow.stages import custody, offers
from bridge.flow.stages.destinations import REFUSES_US, UNREACHED, Away, address_of, may_try
from bridge.flow.verdicts import GOING, STOP, Answer, again, guard, pause
from bridge.log import event
from bridge.store.deliveries import HELD, OWED, SPOILT, UNNAMED
from bridge.store.rows import Delivery, Job, JobState, Turn

__all__ = ["address_of", "show", "turn"]

log = logging.getLogger("bridge.deliver")

LEFT, NOT_STORED, NOT_NAMED, SILENT = "DLV-001", "DLV-002", "DLV-003", "DLV-006"
GONE = "CFG-020"
WORST = (GONE, REFUSES_US, UNREACHED, LEFT, SILENT)
"""What the job row shows when its destinations have different reasons; reasons of this machine come before all."""
SETTLED = frozenset({Outcome.CONFIRMED, Outcome.REFUSED, HELD, SPOILT, UNNAMED})
SAID = frozenset({Outcome.DELIVERED, Outcome.WARNED, Outcome.DUPLICATE})
"""The peer says that it has it; enough where it is not asked."""
MACHINE_S = 5.0


def turn(parts: Parts, job_id: str, destination: str, number: int) -> Answer:
    """One turn. What it leaves in the engine is of no use to anybody: the rows say how it goes on."""
    while True:
        try:
            return _turn(parts, job_id, destination, number)
        except (OSError, sqlite3.OperationalError, sqlalchemy.exc.OperationalError):
            # A turn whose end is not written would be lost: the engine never runs the same id again.
            event(log, "deliver.machine-trouble", level=logging.ERROR, failed=True, job=job_id)
            time.sleep(MACHINE_S)


def _turn(parts: Parts, job_id: str, destination: str, number: int) -> Answer:
    mine = parts.turns.get(job_id, destination)
    if mine is None or mine.turn != number or mine.due_at is None:
        return STOP
    there = parts.site.destinations.get(destination)
    if there is None:
        parts.turns.put_back(mine, mine.code, mine.reason)
        return STOP
    job = parts.jobs.get(job_id)
    answer = guard(parts, partial(_try, parts), job_id, job.run, mine.tries, there.retry_s, mine, there)
    now = parts.turns.get(job_id, destination)
    if now is not None and now.turn == mine.turn:
        # The body did not come to its end: the job is over, or an error has had its consequence.
        if answer["then"] == "again":
            row = parts.jobs.get(job_id)
            parts.turns.later(mine, parts.clock() + answer["pause_s"], row.code, row.reason)
        else:
            parts.turns.over(mine)
    show(parts, job_id)
    return answer


def _try(parts: Parts, job: Job, mine: Turn, there: DestinationSettings) -> Answer:
    _hold_unwanted(parts, job, mine, there)
    away = may_try(parts, job, mine.destination)
    silent = None
    if away is None:
        owed, unconfirmed = _left(parts, mine, there)
        if owed:
            away = offers.offer(parts, job, mine.destination, _ripe(parts, owed, there))
        elif unconfirmed:
            told = custody.ask(parts, job, mine.destination, unconfirmed)
            away, silent = (told, None) if isinstance(told, Away) else (None, told)
    if parts.clock() - mine.since > there.give_up_after_days * 86400:
        _give_up(parts, mine, there, away, silent)
    owed, unconfirmed = _left(parts, mine, there)
    if not owed and not unconfirmed:
        # In this order: nobody else would close the job once its last turn is over.
        _close(parts, job)
        parts.turns.over(mine)
        return STOP
    if away is not None:
        parts.turns.put_back(mine, away.code, away.reason)
        return again(0.0)
    now = parts.clock()
    due_at, code, reason = (
        _after_offer(owed, there, mine.tries, now)
        if owed
        else _after_question(unconfirmed, there, mine.tries, now, silent)
    )
    parts.turns.later(mine, due_at, code, reason)
    return again(due_at - now)


def _hold_unwanted(parts: Parts, job: Job, mine: Turn, there: DestinationSettings) -> None:
    """Rules are checked when they are read; site.toml may have changed since this job kept its rule."""
    # A job of before rules had a purpose is clinical.
    purpose = json.loads(job.frozen).get("purpose", "clinical")
    if purpose not in there.accepts:
        owed = [d.sop_instance_uid for d in _left(parts, mine, there)[0]]
        reason = f"{purpose} results, and `accepts` of the destination has {' and '.join(there.accepts)} only"
        parts.deliveries.hold(mine.job_id, mine.destination, owed, HELD, reason)


def _left(parts: Parts, mine: Turn, there: DestinationSettings) -> tuple[list[Delivery], list[Delivery]]:
    """What is still to be offered, and what is to be asked about."""
    rows = parts.deliveries.of(mine.job_id, mine.destination)
    owed = [d for d in rows if not _is_settled(d, there) and not _is_said(d, there)]
    return owed, [d for d in rows if _is_said(d, there)]


def _is_settled(row: Delivery, there: DestinationSettings | None) -> bool:
    return row.outcome in SETTLED or (row.outcome in STORED and not (there and there.ask_back))


def _is_said(row: Delivery, there: DestinationSettings | None) -> bool:
    return row.outcome in SAID and there is not None and there.ask_back


def _ripe(parts: Parts, owed: Sequence[Delivery], there: DestinationSettings) -> Sequence[Delivery]:
    """What is offered in this turn: an instance with a long pause does not go along with one that has a short one."""
    now = parts.clock()
    return [
        d
        for d in owed
        if d.outcome not in offers.SLOW or d.last_at is None or d.last_at + there.retry_s[-1] <= now
    ] or owed


def _after_offer(
    owed: Sequence[Delivery], there: DestinationSettings, tries: int, now: float
) -> tuple[float, str, str]:
    def due_at(one: Delivery) -> float:
        if one.outcome == OWED:
            return now
        if one.outcome in offers.SLOW and one.last_at is not None:
            return one.last_at + there.retry_s[-1]
        return now + pause(there.retry_s, tries)

    refused_us = [d for d in owed if d.outcome == Outcome.CONFIGURATION]
    worst = (refused_us or [d for d in owed if d.reason] or owed)[0]
    reason = worst.reason or "to be sent again"
    return min(map(due_at, owed)), REFUSES_US if refused_us else LEFT, reason


def _after_question(
    unconfirmed: Sequence[Delivery], there: DestinationSettings, tries: int, now: float, silent: Silent | None
) -> tuple[float, str, str]:
    wait_s = pause(there.ask_back_s, min(d.asked for d in unconfirmed))
    if silent is not None:
        reason = f"stored, but not confirmed: {silent.reason}"
        return now + max(wait_s, pause(there.retry_s, tries)), SILENT, reason
    return now + wait_s, "", "stored; asked again whether it is there"


def _give_up(
    parts: Parts, mine: Turn, there: DestinationSettings, away: Away | None, silent: Silent | None
) -> None:
    """After the days of the destination a person must decide."""
    owed, unconfirmed = _left(parts, mine, there)
    parts.deliveries.hold(
        mine.job_id,
        mine.destination,
        [d.sop_instance_uid for d in owed],
        HELD,
        away.reason if away else "",
    )
    words = away or silent
    reason = f"said to be stored, and not confirmed: {words.reason}" if words else ""
    parts.deliveries.hold(
        mine.job_id, mine.destination, [d.sop_instance_uid for d in unconfirmed], UNNAMED, reason
    )


def _close(parts: Parts, job: Job) -> None:
    """End the job when no destination is owed or asked anything any more."""
    rows = parts.deliveries.of(job.id)
    if not all(_is_settled(d, parts.site.destinations.get(d.destination)) for d in rows):
        return
    missing = [d for d in rows if d.outcome not in STORED]
    if not missing:
        if parts.jobs.ended(job.id, JobState.DONE, results=len(rows)):
            event(log, "job.done", job=job.id, rule=job.rule, results=len(rows))
        return
    unnamed = [d for d in missing if d.outcome == UNNAMED]
    worst = next((d for d in missing if d.outcome != UNNAMED), missing[0])
    code = NOT_NAMED if len(unnamed) == len(missing) else NOT_STORED
    what = "not confirmed" if code == NOT_NAMED else "not stored"
    reason = (
        f"{len(missing)} of {len(rows)} results {what}; {worst.destination}: {worst.reason}. {_remedy(worst)}"
    )
    if parts.jobs.ended(job.id, JobState.FAILED, code=code, reason=reason):
        event(log, "job.failed", level=logging.ERROR, job=job.id, code=code, reason=reason)


def _remedy(row: Delivery) -> str:
    again = f"`bridge jobs retry {row.job_id[:8]}` sends again what is missing"
    match row.outcome:
        case Outcome.REFUSED:
            return f"Another kind of result may do (`results` of the rule); once the destination is changed, {again}"
        case _ if row.outcome == UNNAMED:
            return f"Look for it there; {again}"
        case _ if row.outcome == SPOILT:
            return f"Put the file back from a backup, then {again}; `bridge jobs rerun` makes new results"
        case _:
            return f"Mend it there, then {again}"


def show(parts: Parts, job_id: str) -> None:
    """The job row tells the worst of what its destinations say."""
    job = parts.jobs.get(job_id)
    if job.state not in GOING:
        return
    waiting = [_told(parts, one) for one in parts.turns.of_job(job_id) if one.due_at is not None]
    told = [one for one in waiting if one[0]]
    code, reason = min(told, key=_badness, default=("", ""))
    if (job.code, job.reason) != (code, reason):
        parts.jobs.change(job_id, code=code, reason=reason)


def _told(parts: Parts, one: Turn) -> tuple[str, str]:
    if one.destination not in parts.site.destinations:
        return (
            GONE,
            f"destination {one.destination} is no longer in site.toml; expected for this job. Put it back",
        )
    return one.code, f"{one.destination}: {one.reason}"


def _badness(told: tuple[str, str]) -> int:
    return WORST.index(told[0]) if told[0] in WORST else -1
