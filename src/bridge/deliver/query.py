"""C-FIND SCU: what an archive names of a study (PS3.4 C.4.1, Study Root).

Only SOP Instance UIDs count. Counts move with our own results, key objects and late reports, and a name in an answer
may have lost characters. Whatever is not a whole answer is "not known": it never reads as "not there".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from pydicom.dataset import Dataset

from bridge.deliver.association import EXPLICIT, IMPLICIT, Address, associate
from bridge.dicom.headers import text
from bridge.dicom.statuses import Outcome

T = TypeVar("T")

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
SUCCESS, PENDING = 0x0000, (0xFF00, 0xFF01)
FAILURES = {
    0x0110: "processing failure",
    0x0122: "SOP class not supported",
    0x0124: "not authorized",
    0xA700: "out of resources",
    0xA900: "identifier does not match SOP class",
    0xFE00: "cancelled",
}
"""PS3.4 table C.4-1 and PS3.7 annex C; 0xCxxx is "unable to process"."""
LONGEST_S = 120.0
"""A question with all its answers takes no longer: each answer alone may keep every time-out."""
MOST = 200_000
"""An archive that goes on answering beyond this ignores what it was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What an archive named, completely; it may be nothing."""

    sop_instance_uids: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """Not known, and why."""

    reason: str
    reached: bool = True
    """False when there was no association: a question would not be answered by anybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refused:
    """The archive answered, and not with what was asked for."""

    reason: str


def instances_of(address: Address, study_instance_uid: str) -> Named | Silent:
    """Every SOP Instance UID that an archive has of a study.

    Asked at IMAGE level without a series first (a relational query, PS3.4 C.4.1.2.2.1, that many grant without
    negotiation); an archive that refuses it or finds nothing is asked for the series and then for the images of each.
    """

    def ask(question: _Question) -> Named | Silent:
        found = question.ask("IMAGE", "SOPInstanceUID", study_instance_uid)
        if isinstance(found, Silent):
            return found
        if isinstance(found, set) and found:
            return Named(sop_instance_uids=frozenset(found))
        series = question.ask("SERIES", "SeriesInstanceUID", study_instance_uid)
        if not isinstance(series, set):
            return Silent(reason=series.reason)
        images: set[str] = set()
        for uid in sorted(series):
            of_series = question.ask("IMAGE", "SOPInstanceUID", study_instance_uid, uid)
            if not isinstance(of_series, set):
                return Silent(reason=of_series.reason)
            images |= of_series
        return Named(sop_instance_uids=frozenset(images))

    return _asked(address, ask)


def named(
    address: Address, study_instance_uid: str, series_instance_uid: str, sop_instance_uids: Collection[str]
) -> set[str] | Silent:
    """Which of these instances of a series the archive names.

    Absence is no failure: many archives index only after seconds or minutes.
    """

    def ask(question: _Question) -> set[str] | Silent:
        found = question.ask("IMAGE", "SOPInstanceUID", study_instance_uid, series_instance_uid)
        return found & set(sop_instance_uids) if isinstance(found, set) else Silent(reason=found.reason)

    return _asked(address, ask)


def _asked(address: Address, ask: Callable[[_Question], T]) -> T | Silent:
    association, (outcome, problem) = associate(address, [STUDY_ROOT_FIND], (EXPLICIT, IMPLICIT))
    if association is None:
        return Silent(reason=problem, reached=outcome is Outcome.REFUSED)
    try:
        return ask(_Question(association, until=time.monotonic() + LONGEST_S))
    finally:
        if association.is_established:
            association.release()


class _Question:
    """Questions over one association."""

    def __init__(self, association: Any, *, until: float) -> None:
        self._association = association
        self._until = until

    def ask(
        self, level: str, wanted: str, study: str, series: str | None = None
    ) -> set[str] | Silent | _Refused:
        """Values of the key `wanted` in all answers about that study, and series if given."""
        identifier = Dataset()
        identifier.QueryRetrieveLevel = level
        identifier.StudyInstanceUID = study
        identifier.SeriesInstanceUID = series or ""
        if level == "IMAGE":
            identifier.SOPInstanceUID = ""
        found: set[str] = set()
        try:
            for status, answer in self._association.send_c_find(identifier, STUDY_ROOT_FIND):
                if "Status" not in status:
                    # An archive that does not know us lets us in and hangs up on the question.
                    return Silent(reason="no answer to C-FIND: time-out, abort or lost connection")
                code = int(status.Status)
                if code == SUCCESS:
                    return found
                if code not in PENDING:
                    meaning = FAILURES.get(code, "unable to process" if code >> 12 == 0xC else "a failure")
                    return _Refused(reason=f"C-FIND answered 0x{code:04X} {meaning}")
                uid = text(answer, wanted) if answer is not None else None
                if not uid:
                    return self._enough("an answer to C-FIND that cannot be read")
                # A key that an archive does not look at, it has not matched either.
                if text(answer, "StudyInstanceUID") in (None, "", study) and (
                    series is None or text(answer, "SeriesInstanceUID") in (None, "", series)
                ):
                    found.add(uid)
                if len(found) > MOST or time.monotonic() > self._until:
                    return self._enough("answers to C-FIND without an end")
        except (RuntimeError, ValueError, OSError) as failure:
            # pynetdicom: the association died under our hands.
            return Silent(reason=f"C-FIND was not sent ({type(failure).__name__})")
        return Silent(reason="answers to C-FIND that break off")

    def _enough(self, reason: str) -> Silent:
        # Further answers would be taken for those to the next question.
        self._association.abort()
        return Silent(reason=reason)
