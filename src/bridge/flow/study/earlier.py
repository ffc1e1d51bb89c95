"""Earlier studies of the same patient: which there are, and what keeps one from being used.

The index finds studies by a keyed hash of the patient. Whether they are of one patient, and which is earlier, their
headers say; what they do not say is not assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, partial
from itertools import groupby

from bridge.dicom.headers import texts
from bridge.dicom.instance import Instance
from bridge.flow.study.doubts import Doubt, another_patient, doubts
from bridge.flow.study.versions import OTHER_IDENTITY
from bridge.rules import Rule, Study
from bridge.rules.dates import as_date, as_time
from bridge.rules.facts import Prior, PriorStudy
from bridge.rules.guards import patients
from bridge.store.instances import Instances
from bridge.store.studies import INCOMPLETE, SET_ASIDE, Studies
from bridge.store.studies import Study as StudyRow
from bridge.volumes import Tolerance, candidates_of
from bridge.volumes.masks import masks_of

NO_DATE, TWO_DATES = "no Study Date that can be read", "several Study Dates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Another study that names the same patient."""

    uid: str
    one: Instance
    """Any object of it: tells where it lies in time, before the others are read."""
    see: Callable[[], Study]
    doubts: Callable[[Sequence[Instance]], Iterable[Doubt]]
    """Those that no person has accepted."""
    arriving: bool = False
    kept_from: str = ""


def asks(rules: Iterable[Rule]) -> bool:
    """Whether any of these rules takes a volume of an earlier study."""
    return any(one.prior for rule in rules for one in rule.inputs)


def moment(instances: Iterable[Instance]) -> tuple[date | None, str, str]:
    """Day and time at which a study began, by Study Date and Study Time (PS3.3 C.7.2.1).

    Returns:
        (day, "HHMMSS.FFFFFF", why there is no day). The time is "" where it is absent, or where objects differ.
    """
    days: set[date | None] = set()
    times: set[str] = set()
    for one in instances:
        days |= {as_date(value) for value in texts(one.header, "StudyDate")}
        times |= {as_time(value) for value in texts(one.header, "StudyTime")}
    day = next(iter(days)) if len(days) == 1 else None
    if day is None:
        return None, "", TWO_DATES if len(days - {None}) > 1 else NO_DATE
    return day, times.pop() if len(times) == 1 else "", ""


def priors_of(current: Study, others: Iterable[Other], tolerance: Tolerance) -> tuple[tuple[Prior, ...], str]:
    """The earlier ones of other studies, the newest first, and why nobody can say which they are.

    A study of the same day counts where both have a time and its is the earlier one. One without a date is never
    earlier.
    """
    now = moment(current.foreign)
    if now[0] is None:
        return (), f"the study has {now[2]}"
    found = []
    for other in others:
        day, time, _ = moment([other.one])
        if day is not None and (day < now[0] or (day == now[0] and "" < time < now[1])):
            found.append((day, time, other))
    found.sort(key=lambda one: (one[0], one[1], one[2].uid), reverse=True)
    priors: list[Prior] = []
    for day, of_day in groupby(found, key=lambda one: one[0]):
        members = list(of_day)
        times = [time for _, time, _ in members]
        is_told = len(set(times)) == len(times) and ("" not in times or len(times) == 1)
        is_timed = len(times) > 1 or day == now[0]
        first = len(priors)
        for place, (_, _, other) in enumerate(members):
            priors.append(
                Prior(
                    days=(now[0] - day).days,
                    place=first + (place if is_told else 0),
                    look=cache(
                        partial(_look, current, other, (day, times[place] if is_timed else None), tolerance)
                    ),
                    arriving=other.arriving,
                )
            )
    return tuple(priors), ""


def among(current: Study, others: Iterable[Study], tolerance: Tolerance) -> Study:
    """A study of a folder, with the earlier ones of the same folder."""
    found = (
        Other(
            uid=one.study_instance_uid,
            one=one.foreign[-1],
            see=partial(_itself, one),
            doubts=partial(doubts, elsewhere=(), sent_as_another=(), key=bytes(16)),
        )
        for one in others
        if one.study_instance_uid != current.study_instance_uid
        and patients(one.foreign) & patients(current.foreign)
    )
    priors, undated = priors_of(current, found, tolerance)
    return replace(current, priors=priors, undated=undated)


def _itself(study: Study) -> Study:
    return study


def _look(current: Study, other: Other, at: tuple[date, str | None], tolerance: Tolerance) -> PriorStudy:
    study = other.see()
    if why := _kept_from(current, other, study, at):
        return PriorStudy(study=study, kept_from=why)
    return PriorStudy(
        study=study,
        candidates=candidates_of(study.instances, tolerance),
        masks=masks_of(study.instances, tolerance),
    )


def _kept_from(current: Study, other: Other, study: Study, at: tuple[date, str | None]) -> str:
    if other.kept_from:
        return other.kept_from
    if why := another_patient(current.foreign, study.foreign):
        return why
    for doubt in other.doubts(study.instances):
        return f"{doubt.code}: {doubt.reason}"
    day, time, why = moment(study.foreign)
    if why or day != at[0]:
        return f"it has {why or TWO_DATES}"
    if at[1] is not None and time != at[1]:
        return "it has several Study Times, and on that day they matter"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """The index, for studies of before."""

    instances: Instances
    studies: Studies
    key: bytes
    tolerance: Tolerance
    by: float | None = None
    """Only studies of which something had come by then; None for all."""

    def priors(self, current: Study, see: Callable[[StudyRow], Study]) -> tuple[tuple[Prior, ...], str]:
        """`priors_of` what is held. `see`: a study with all that rules may ask of it."""
        return priors_of(current, self._others(current.study_instance_uid, see), self.tolerance)

    def _others(self, uid: str, see: Callable[[StudyRow], Study]) -> Iterator[Other]:
        for row in self.instances.patients.others(uid):
            one = self.instances.newest_of(row.study_instance_uid)
            if one is not None and (self.by is None or row.first_at <= self.by):
                yield Other(
                    uid=row.study_instance_uid,
                    one=one,
                    see=partial(see, row),
                    doubts=partial(self._doubts, row),
                    arriving=row.news and self.by is None,
                    kept_from=_standing(row),
                )

    def _doubts(self, row: StudyRow, instances: Sequence[Instance]) -> Iterator[Doubt]:
        uid = row.study_instance_uid
        found = doubts(
            instances,
            elsewhere=self.studies.series_elsewhere(uid),
            sent_as_another=self.studies.changed(uid, OTHER_IDENTITY),
            key=self.key,
        )
        yield from (one for one in found if one.mark not in row.released.split())


def _standing(row: StudyRow) -> str:
    """What speaks against using a study that is here, by its row."""
    if row.state == SET_ASIDE:
        return "deciding it failed too often; it rests"
    if INCOMPLETE in row.doubts:
        return f"{INCOMPLETE}: it is not complete"
    return ""
