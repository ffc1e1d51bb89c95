"""When does a study count as complete? A decision without side effects, and the questions to the archive behind it.

Nothing in the headers says how many objects a study has, and the end of an association says nothing at all: a sender
may use one for each object. What counts is a quiet period; by choice what the archive names; and an upper bound.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Set
from dataclasses import dataclass, replace

from bridge.config.fields import Then
from bridge.config.site import Site
from bridge.deliver.association import Address
from bridge.deliver.query import Named, Silent, instances_of
from bridge.flow.parts import Parts
from bridge.flow.stages.destinations import address_of
from bridge.flow.study.doubts import Doubt
from bridge.flow.verdicts import pause
from bridge.store.studies import INCOMPLETE, Study

Asked = Callable[[Address, str], Named | Silent]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the source of a study asks for."""

    longest_s: float
    then: Then
    ask: str | None
    """The destination that is asked what the study has."""
    retry_s: tuple[float, ...]
    """Pauses while it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """To be decided now."""

    reason: str
    doubt: Doubt | None = None
    """Why what matches is held all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """To be looked at again."""

    reason: str
    after_s: float
    asked: str = ""
    """Digest of what the archive named."""
    alert: bool = False
    """It has taken longer than the source's limit."""


class Ask:
    """Nothing can be said before the archive has answered."""


def terms_of(site: Site, source: str) -> Terms:
    """A study of a source that is no longer in site.toml is treated as one of nobody in particular."""
    terms = site.sources.get(source) or site.receive
    ask = getattr(terms, "ask", None)
    retry_s = site.destinations[ask].retry_s if ask else ()
    return Terms(longest_s=terms.longest_s, then=terms.then, ask=ask, retry_s=tuple(retry_s))


def judge(
    study: Study,
    terms: Terms,
    now: float,
    *,
    answer: Named | Silent | None = None,
    silences: int = 0,
    held: Set[str] = frozenset(),
    own: Set[str] = frozenset(),
) -> Complete | Wait | Ask:
    """Whether a study is complete, waits, or is to be asked for.

    Args:
        answer: of the archive, when it has been asked.
        silences: how often in a row it did not say.
        held: SOP Instance UIDs that are here.
        own: those of results of ours, which count on neither side.
    """
    if study.complete:
        return Complete(reason=study.complete)  # decided before, and only a person's word has come since
    if _mark(study) in study.released.split():
        return Complete(reason="a person let it go on" + (f" although {study.waits}" if study.waits else ""))
    left_s = study.opened_at + terms.longest_s - now
    if now < study.last_at + study.quiet_s and left_s <= 0:
        return _late(study, terms, "objects keep arriving", study.quiet_s)
    if terms.ask is None:
        return Complete(reason=f"nothing for {study.quiet_s:g} s")
    if answer is None:
        return Ask()
    if isinstance(answer, Silent):
        reason = f"{terms.ask} does not say what the study has: {answer.reason}"
        pause_s = pause(terms.retry_s, silences)
        if left_s <= 0:
            return _late(study, terms, reason, pause_s)
        return Wait(reason=reason, after_s=min(pause_s, left_s))
    return _compared(study, terms, answer.sop_instance_uids - own, held - own, left_s)


def _compared(study: Study, terms: Terms, named: Set[str], held: Set[str], left_s: float) -> Complete | Wait:
    asked = hashlib.sha256("\0".join(sorted(named)).encode()).hexdigest()
    missing = named - held
    if missing or not named:
        verb = "is" if len(missing) == 1 else "are"
        reason = f"{terms.ask} names {_objects(len(named))}, {len(missing)} {verb} not here"
        if not named:
            reason = f"{terms.ask} names no object of the study"
        if left_s <= 0:
            return _late(study, terms, reason, study.quiet_s, asked)
        return Wait(reason=reason, after_s=min(study.quiet_s, left_s), asked=asked)
    reason = f"{terms.ask} names {_objects(len(named))}, all are here"
    if asked == study.asked:
        return Complete(reason=f"{reason}; it named the same {study.quiet_s:g} s before")
    if left_s + 2 * study.quiet_s <= 0:
        return _late(study, terms, f"{terms.ask} names others each time", study.quiet_s, asked)
    return Wait(reason=f"{reason}; asked again in {study.quiet_s:g} s", after_s=study.quiet_s, asked=asked)


def _late(study: Study, terms: Terms, reason: str, pause_s: float, asked: str = "") -> Complete | Wait:
    """The upper bound is over: what the source says is to be done then."""
    reason = f"{reason}, {_duration(terms.longest_s)} after it opened"
    match terms.then:
        case "go-on":
            return Complete(reason=f"the longest wait is over: {reason}")
        case "hold":
            doubt = Doubt(code=INCOMPLETE, reason=f"not complete: {reason}", mark=_mark(study))
            return Complete(reason=f"the longest wait is over: {reason}", doubt=doubt)
        case "alert":
            return Wait(reason=reason, after_s=pause_s, asked=asked, alert=True)


def _mark(study: Study) -> str:
    return f"{INCOMPLETE}.{study.opened_at:.0f}"


def _objects(count: int) -> str:
    return f"{count} object{'s' * (count != 1)}"


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds:g} s"


class Completeness:
    """Looks at one study after another. An archive that hangs keeps no other study from its turn."""

    AT_ONCE = 2
    """Questions to one archive at a time."""
    PATIENCE_S = 15.0
    """No wait of a question is longer, whatever the destination's settings for storing are."""

    def __init__(self, parts: Parts, *, ask: Asked = instances_of) -> None:
        self._parts = parts
        self._ask = ask
        self._questions: dict[str, _Question] = {}
        self._silences: Counter[str] = Counter()
        self._shortest_s = min(
            [parts.site.receive.longest_s, *(source.longest_s for source in parts.site.sources.values())]
        )

    def due(self) -> list[Study]:
        """Studies that are quiet, or have been open for so long that it may be too long."""
        now = self._parts.clock()
        every = self._parts.studies.due(now, now - self._shortest_s)
        return [study for study in every if study.due_at <= now or self._is_overdue(study, now)]

    def look(self, study: Study) -> Complete | Wait | None:
        """What is to be done with a study; None while the archive thinks."""
        terms = terms_of(self._parts.site, study.source)
        now = self._parts.clock()
        verdict = judge(study, terms, now)
        if not isinstance(verdict, Ask):
            return verdict
        answer = self._answer(study, terms.ask or "")
        if answer is None:
            return None
        uid = study.study_instance_uid
        silences = self._silences[uid]
        self._silences[uid] = silences + 1 if isinstance(answer, Silent) else 0
        held, own = self._parts.studies.objects(uid)
        if self._parts.site.uid_root and isinstance(answer, Named):
            root = f"{self._parts.site.uid_root}."
            own |= {one for one in answer.sop_instance_uids if one.startswith(root)}
        verdict = judge(study, terms, now, answer=answer, silences=silences, held=held, own=own)
        assert not isinstance(verdict, Ask)
        if isinstance(verdict, Complete):
            del self._silences[uid]
        return verdict

    def _is_overdue(self, study: Study, now: float) -> bool:
        over = now >= study.opened_at + terms_of(self._parts.site, study.source).longest_s
        return over and now < study.last_at + study.quiet_s

    def _answer(self, study: Study, there: str) -> Named | Silent | None:
        """The answer to a question that was put before; else None, and it is put as soon as there is a place."""
        uid = study.study_instance_uid
        question = self._questions.get(uid)
        if question is not None and not question.is_alive():
            del self._questions[uid]
            if question.last_at == study.last_at:
                return question.answer
            question = None  # the study has grown since: what the archive said is older than what is here
        busy = sum(one.destination == there and one.is_alive() for one in self._questions.values())
        if question is None and busy < self.AT_ONCE:
            self._questions[uid] = _Question(self._ask, self._address(there), study)
            self._questions[uid].start()
        return None

    def _address(self, there: str) -> Address:
        address = address_of(self._parts.site, there)
        return replace(
            address,
            connect_timeout_s=min(address.connect_timeout_s, self.PATIENCE_S),
            acse_timeout_s=min(address.acse_timeout_s, self.PATIENCE_S),
            dimse_timeout_s=min(address.dimse_timeout_s, self.PATIENCE_S),
            network_timeout_s=min(address.network_timeout_s, self.PATIENCE_S),
        )


class _Question(threading.Thread):
    """One question to an archive. A daemon: the end of the service does not wait for it."""

    def __init__(self, ask: Asked, address: Address, study: Study) -> None:
        super().__init__(name=f"ask-{address.name}", daemon=True)
        self.destination, self.last_at = address.name, study.last_at
        self.answer: Named | Silent = Silent(reason="the question was not put")
        self._ask, self._address, self._study = ask, address, study

    def run(self) -> None:
        try:
            self.answer = self._ask(self._address, self._study.study_instance_uid)
        except Exception as error:  # noqa: BLE001 - foreign texts quote what was asked; the class does not
            self.answer = Silent(reason=f"the question failed ({type(error).__name__})")
