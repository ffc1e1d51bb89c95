"""Who answers a condition: a study, one of its objects, an image of a volume, an item of a sequence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from bridge.errors import Refused
from bridge.rules.attributes import (
    Found,
    Subject,
    attribute,
    attribute_of_frame,
    items_in,
    items_of,
    items_of_frame,
    values_in,
)
from bridge.rules.clauses import Asked, Verdict
from bridge.rules.facts import STUDY_FACTS, VOLUME_FACTS, Study, study_values

if TYPE_CHECKING:
    from bridge.volumes.frames import View
    from bridge.volumes.volume import Candidate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfItem:
    """A data set within another, or an empty one: nothing is computed of it."""

    data_set: Dataset
    today: date
    known: dict[int, Verdict] = field(default_factory=dict)

    def values(self, subject: Subject) -> Found:
        return () if subject.computed else values_in(self.data_set, subject)

    def items(self, subject: Subject) -> Sequence[Asked]:
        return _items(items_in(self.data_set, subject), self.today)

    def nothing(self) -> Asked:
        return _nobody(self.today)

    def each(self) -> Sequence[Asked]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfStudy:
    """All objects of a study together, without results of this bridge; a value of any of them is one of the study."""

    study: Study
    known: dict[int, Verdict] = field(default_factory=dict)

    @property
    def today(self) -> date:
        return self.study.today

    def values(self, subject: Subject) -> Found:
        return study_values(self.study, subject)

    def items(self, subject: Subject) -> Sequence[Asked]:
        every = (item for one in self.study.foreign for item in items_of(one.header, subject))
        return _items(every, self.today)

    def nothing(self) -> Asked:
        return _nobody(self.today)

    def each(self) -> Sequence[Asked]:
        return tuple(OfObject(study=self.study, header=one.header) for one in self.study.foreign)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfObject:
    """One object of a study; facts are those of the study."""

    study: Study
    header: Dataset
    known: dict[int, Verdict] = field(default_factory=dict)

    @property
    def today(self) -> date:
        return self.study.today

    def values(self, subject: Subject) -> Found:
        if subject.computed:
            return STUDY_FACTS[subject.text](self.study)
        every = {value for reading in attribute(self.header, subject) for value in reading}
        return tuple(sorted(every))

    def items(self, subject: Subject) -> Sequence[Asked]:
        return _items(items_of(self.header, subject), self.today)

    def nothing(self) -> Asked:
        return _nobody(self.today)

    def each(self) -> Sequence[Asked]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfImage:
    """One image or frame of a candidate; facts are those of the candidate."""

    candidate: Candidate
    view: View
    """An empty one where the frames of an object cannot be told: then nothing is known of them."""
    today: date
    every: tuple[View, ...]
    known: dict[int, Verdict]
    """Shared by all images of the candidate."""

    def values(self, subject: Subject) -> Found:
        if subject.computed:
            return VOLUME_FACTS[subject.text](self.candidate)
        return attribute_of_frame(self.view, subject)

    def items(self, subject: Subject) -> Sequence[Asked]:
        return _items(items_of_frame(self.view, subject), self.today)

    def nothing(self) -> Asked:
        return _nobody(self.today)

    def each(self) -> Sequence[Asked]:
        return images_of(self.candidate, self.today, self.every)


def images_of(candidate: Candidate, today: date, views: tuple[View, ...] = ()) -> tuple[OfImage, ...]:
    """Every image of a candidate; of a multi-frame object the frames of the volume. `views`: where they are known."""
    views = views or _views(candidate)
    known: dict[int, Verdict] = {}
    return tuple(
        OfImage(candidate=candidate, view=view, today=today, every=views, known=known) for view in views
    )


def _views(candidate: Candidate) -> tuple[View, ...]:
    from bridge.volumes.frames import View, view_of, views_of

    if candidate.volume is not None and candidate.volume.planes:
        return tuple(view_of(plane.instance, plane.frame) for plane in candidate.volume.planes)
    views: list[View] = []
    for instance in candidate.instances:
        try:
            views += views_of(instance)
        except Refused:
            views.append(View(header=Dataset()))
    return tuple(views) or (View(header=Dataset()),)


def _items(data_sets: Iterable[Dataset], today: date) -> tuple[OfItem, ...]:
    return tuple(OfItem(data_set=one, today=today) for one in data_sets)


def _nobody(today: date) -> OfItem:
    return OfItem(data_set=Dataset(), today=today)
