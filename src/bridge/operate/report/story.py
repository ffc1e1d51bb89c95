"""The timeline of a job as rows: what happened, when, and how long it took to get there.

A bar reaches from the event before to the event it stands for. What a pause or a stop of the bridge took is hatched
and belongs to the event that caused it; so a gap is seen as the gap it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any

from bridge.dicom.statuses import AGAIN
from bridge.operate.report.words import Tone, duration, outcome, size
from bridge.store.jobs import JobEvent

TOGETHER_S = 2.0
"""Answers of one destination within this time are one attempt."""
MOST_ALIKE = 3
"""More rows alike, one after the other, become three: the first, how many more, the last."""


class Phase(StrEnum):
    """Where the time of a job goes."""

    RECEIVE = "receive"
    SETTLE = "wait for the rest"
    PREPARE = "prepare"
    CLOUD = "cloud"
    ENCODE = "encode"
    DELIVER = "deliver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that happened."""

    phase: Phase
    text: str
    tone: Tone
    begin: float
    """Seconds of the clock: the end of what went before."""
    end: float
    pause_until: float | None = None
    """Until when nothing was done after it, on purpose or not."""
    detail: str = ""
    alike: int = 0
    """How many more of the same this row stands for."""
    gap: bool = False
    """Nothing was done from `begin` to `end`: the bridge did not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one phase took of the whole."""

    phase: Phase
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    rows: tuple[Row, ...]
    shares: tuple[Share, ...]
    begin: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """An event in words, or several that were one attempt."""

    phase: Phase
    text: str
    tone: Tone = Tone.QUIET
    pause_s: float | None = None
    """How long it means to pause; infinity until whatever comes next."""
    detail: str = ""
    gap: bool = False
    at: float = 0.0
    lane: str = ""
    """The destination; "" for what concerns the whole job."""


def tell(timeline: Sequence[JobEvent]) -> Story | None:
    """The rows of a timeline; None when nothing is known."""
    if not timeline:
        return None
    told = _attempts(sorted(timeline, key=lambda event: event.at))
    rows = []
    for place, one in enumerate(told):
        before = next((other for other in reversed(told[:place]) if _joined(other, one)), None)
        after = next((other for other in told[place + 1 :] if _joined(other, one)), None)
        rows.append(
            Row(
                phase=one.phase,
                text=one.text,
                tone=one.tone,
                begin=_goes_on(before, one.at) if before else one.at,
                end=one.at,
                pause_until=_goes_on(one, after.at) if after and one.pause_s is not None else None,
                detail=one.detail,
                gap=one.gap,
            )
        )
    return Story(rows=tuple(_folded(rows)), shares=_shares(told), begin=told[0].at, end=told[-1].at)


def _attempts(events: Sequence[JobEvent]) -> list[_Told]:
    """Each event in words; answers that came together in one."""
    told: list[_Told] = []
    for event in events:
        one = replace(
            _told(event, told[-1].phase if told else Phase.RECEIVE),
            at=event.at,
            lane=str(event.keys.get("destination", "")),
        )
        if told and one.lane and one.lane == told[-1].lane and one.at - told[-1].at <= TOGETHER_S:
            told[-1] = _merged(told[-1], one)
        else:
            told.append(one)
    return told


def _merged(one: _Told, other: _Told) -> _Told:
    _, _, what = other.text.partition(": ")
    details = dict.fromkeys(detail for detail in (one.detail, other.detail) if detail)
    return replace(
        other,
        text=f"{one.text}, {what}",
        tone=max((one.tone, other.tone), key=WORSE.index),
        pause_s=max((pause for pause in (one.pause_s, other.pause_s) if pause is not None), default=None),
        detail="; ".join(details),
    )


WORSE = (Tone.QUIET, Tone.BUSY, Tone.GOOD, Tone.CARE, Tone.BAD)


def _joined(one: _Told, other: _Told) -> bool:
    """Destinations are served side by side: each waits for its own last answer only."""
    return not one.lane or not other.lane or one.lane == other.lane


def _goes_on(told: _Told, until: float) -> float:
    """When work goes on after an event: at once, or after its pause."""
    return told.at if told.pause_s is None else min(told.at + told.pause_s, until)


def _folded(rows: Sequence[Row]) -> list[Row]:
    folded: list[Row] = []
    at = 0
    while at < len(rows):
        end = at + 1
        while end < len(rows) and _alike(rows[end], rows[at]):
            end += 1
        run = list(rows[at:end])
        if len(run) > MOST_ALIKE:
            first, last = run[0], run[-1]
            # From the pause of the first to the beginning of the last: tries that took no time, and pauses.
            middle = replace(
                run[1], begin=first.end, end=run[-2].end, detail="", gap=True, alike=len(run) - 2
            )
            run = [replace(first, pause_until=None), replace(middle, pause_until=last.begin), last]
        folded.extend(run)
        at = end
    return folded


def _alike(row: Row, other: Row) -> bool:
    return (row.phase, row.text, row.detail) == (other.phase, other.text, other.detail)


def _shares(told: Sequence[_Told]) -> tuple[Share, ...]:
    seconds = dict.fromkeys(Phase, 0.0)
    for before, one in pairwise(told):
        seconds[one.phase] += one.at - before.at
    return tuple(Share(phase=phase, seconds=taken) for phase, taken in seconds.items() if taken >= 0.05)


Keys = Mapping[str, Any]


def _told(event: JobEvent, before: Phase) -> _Told:
    teller = _TELLERS.get(event.event)
    if teller is not None:
        return teller(event.keys, before)
    told = ", ".join(f"{key} {value}" for key, value in event.keys.items())
    return _Told(phase=before, text=event.event, detail=told)


def _stage(keys: Keys, before: Phase) -> Phase:
    try:
        return Phase(keys.get("stage", ""))
    except ValueError:
        return before


def _waits(keys: Keys, before: Phase) -> _Told:
    pause_s = float(keys.get("pause_s") or 0)
    return _Told(
        phase=_stage(keys, before),
        text=f"could not go on ({keys.get('code')}), tried again after {duration(pause_s)}",
        tone=Tone.CARE,
        pause_s=pause_s,
    )


def _answered(keys: Keys, before: Phase) -> _Told:
    word = outcome(str(keys.get("outcome")))
    stored = word.tone is Tone.GOOD
    return _Told(
        phase=Phase.DELIVER,
        text=f"{keys.get('destination')}: {keys.get('kind')} {word.text}",
        tone=word.tone,
        pause_s=float("inf") if keys.get("outcome") in AGAIN else None,
        detail="" if stored else str(keys.get("reason") or ""),
    )


def _asked(keys: Keys, before: Phase) -> _Told:
    missing = int(keys.get("missing") or 0)
    return _Told(
        phase=Phase.DELIVER,
        text=f"{keys.get('destination')}: asked, it has {keys.get('named')}"
        + (f" and does not name {missing}" if missing else ""),
        tone=Tone.CARE if missing else Tone.GOOD,
        pause_s=float("inf") if missing else None,
    )


def _ended(text: str, tone: Tone) -> Callable[[Keys, Phase], _Told]:
    def teller(keys: Keys, before: Phase) -> _Told:
        reason = str(keys.get("reason") or "")
        code = keys.get("code")
        return _Told(
            phase=_stage(keys, before), text=f"{text} ({code})" if code else text, tone=tone, detail=reason
        )

    return teller


def _plain(phase: Phase, words: Callable[[Keys], str], detail: str = "") -> Callable[[Keys, Phase], _Told]:
    return lambda keys, before: _Told(phase=phase, text=words(keys), detail=str(keys.get(detail) or ""))


_TELLERS: dict[str, Callable[[Keys, Phase], _Told]] = {
    "study.first-instance": _plain(Phase.RECEIVE, lambda keys: "first image arrived"),
    "study.last-instance": _plain(Phase.RECEIVE, lambda keys: "last image arrived"),
    "study.complete": _plain(Phase.SETTLE, lambda keys: "the study counted as complete", "reason"),
    "inputs.complete": _plain(Phase.SETTLE, lambda keys: "its inputs were there", "reason"),
    "instance.version": _plain(
        Phase.SETTLE, lambda keys: f"an object came again before the job began: {keys.get('change')}"
    ),
    "instance.late": lambda keys, before: _Told(
        phase=before,
        text=f"{keys.get('change')} of its input, which is job {str(keys.get('job'))[:8]}"
        if keys.get("job")
        else f"an object came again after the job had begun: {keys.get('change')}",
    ),
    "job.hours-over": _plain(
        Phase.PREPARE, lambda keys: f"its hours were over: it goes at {keys.get('until')}"
    ),
    "job.replaced": _ended("replaced by a newer job", Tone.QUIET),
    "job.restored": _ended("its input is back: it goes on", Tone.CARE),
    "job.released": _ended("released", Tone.GOOD),
    "act.release": _ended("a person released it", Tone.GOOD),
    "act.retry": _ended("a person let it go on", Tone.GOOD),
    "act.cancel": _ended("a person cancelled it", Tone.QUIET),
    "act.rerun": _ended("a person asked for the same work once more", Tone.QUIET),
    "cloud.stopped": _ended("the platform stopped it", Tone.QUIET),
    "cloud.not-stopped": _ended("the platform did not stop it", Tone.CARE),
    "job.rerun-of": _plain(
        Phase.SETTLE,
        lambda keys: f"the work of job {str(keys.get('job'))[:8]} once more, asked for by a person",
    ),
    "rule.matched": _plain(Phase.SETTLE, lambda keys: f"rule {keys.get('rule')} matched"),
    "prepare.converted": _plain(
        Phase.PREPARE,
        lambda keys: (
            f"{keys.get('input')} written as {keys.get('format')}, {size(float(keys.get('bytes') or 0))}"
        ),
    ),
    "cloud.step": _plain(Phase.CLOUD, lambda keys: f"{keys.get('account')}: {keys.get('step')}"),
    "cloud.state": _plain(Phase.CLOUD, lambda keys: f"the platform says {keys.get('state')}"),
    "cloud.found": _plain(
        Phase.CLOUD, lambda keys: "found what an earlier try had made there: nothing is made twice"
    ),
    "cloud.same-grid": _plain(
        Phase.CLOUD, lambda keys: f"the platform's copy of {keys.get('inputs')} has our grid"
    ),
    "cloud.fetched": _plain(
        Phase.CLOUD,
        lambda keys: f"{keys.get('outputs')} outputs fetched, {size(float(keys.get('bytes') or 0))}",
    ),
    "encode.made": _plain(
        Phase.ENCODE, lambda keys: f"{keys.get('kind')} made, {size(float(keys.get('bytes') or 0))}", "notes"
    ),
    "deliver.answered": _answered,
    "deliver.asked": _asked,
    "job.waits": _waits,
    "job.resumed": lambda keys, before: _Told(
        phase=before, text="the bridge had stopped; started again, it goes on", tone=Tone.CARE, gap=True
    ),
    "job.done": lambda keys, before: _Told(
        phase=before,
        # A rule may want no results of an answer.
        text="done: the rule makes no results" if keys.get("results") == 0 else "everything stored",
        tone=Tone.GOOD,
    ),
    "job.held": _ended("held: a person must decide", Tone.CARE),
    "job.refused": _ended("refused", Tone.BAD),
    "job.failed": _ended("failed", Tone.BAD),
    "job.cancelled": _ended("cancelled", Tone.QUIET),
}
"""One row for each event that `flow` notes; an event that is in no table is shown by its own name."""
