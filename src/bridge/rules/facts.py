"""What the bridge computes of studies and volumes, and what a whole study or volume answers to a condition.

Values are tuples of texts without padding, () when there is none; numbers are written in full.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from bridge.rules.attributes import Found, Subject, attribute, attribute_of_frame, of_keyword
from bridge.rules.dates import age_years, as_date

if TYPE_CHECKING:
    from bridge.dicom.instance import Instance
    from bridge.rules.answers import Answer
    from bridge.volumes.volume import Candidate, Geometry


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """All instances of a study that have arrived, and what only the world outside knows about it."""

    study_instance_uid: str
    instances: tuple[Instance, ...]
    today: date
    calling_ae_titles: tuple[str, ...] = ()
    called_ae_titles: tuple[str, ...] = ()
    source: str = ""
    """Name of the source in site.toml that sent it last."""
    made_by: Mapping[str, str] = field(default_factory=dict)
    """The rule of each result of this bridge, by SOP Instance UID."""
    priors: tuple[Prior, ...] = ()
    """Earlier studies of the same patient, the newest first; () where no rule asks for one."""
    undated: str = ""
    """Why nobody can say which studies are earlier."""
    answers: tuple[Answer, ...] = ()
    """Of the rules that others take something from."""

    @property
    def foreign(self) -> tuple[Instance, ...]:
        """Without results of this bridge: they come back from the PACS and must not change a decision."""
        return tuple(instance for instance in self.instances if not instance.own)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriorStudy:
    """What an earlier study has."""

    study: Study
    candidates: tuple[Candidate, ...] = ()
    masks: tuple[Candidate, ...] = ()
    kept_from: str = ""
    """Why nothing of it may be taken: a doubt, or another patient. Names no value of a person."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prior:
    """An earlier study of the same patient."""

    days: int
    """From its Study Date to that of the current one."""
    place: int
    """0 for the newest; those of which nobody can say which is newer have the same."""
    look: Callable[[], PriorStudy]
    """Its headers are read when a rule gets so far: most never do. The same each time."""
    arriving: bool = False
    """Objects of it arrive still, or it has not been decided since."""


def study_values(study: Study, subject: Subject) -> Found:
    """Values for a study: those of all its instances together, each once, sorted.

    So a condition on a study holds when any of its objects fits, and a `not` when none does.
    """
    if subject.computed:
        return STUDY_FACTS[subject.text](study)
    every = {reading for instance in study.foreign for reading in attribute(instance.header, subject)}
    return tuple(sorted({value for reading in every for value in reading}))


def candidate_values(candidate: Candidate, subject: Subject) -> tuple[Found, ...]:
    """The different values that the images of a candidate have, sorted; one entry where all agree.

    A condition on a volume must hold for each of them. Of a multi-frame object only the frames of the volume speak.
    """
    if subject.computed:
        return (VOLUME_FACTS[subject.text](candidate),)
    if candidate.volume is not None:
        from bridge.volumes.frames import is_multi_frame, view_of

        if is_multi_frame(candidate.volume.planes[0].instance):
            views = (view_of(plane.instance, plane.frame) for plane in candidate.volume.planes)
            return tuple(sorted({attribute_of_frame(view, subject) for view in views}))
    every = {reading for instance in candidate.instances for reading in attribute(instance.header, subject)}
    return tuple(sorted(every)) or ((),)


def _on_grid(measure: Callable[[Geometry], float]) -> Callable[[Candidate], Found]:
    """A fact that only a volume has. Lengths count to 0.001 mm, so that rounding of positions decides nothing."""

    def fact(candidate: Candidate) -> Found:
        volume = candidate.volume
        return () if volume is None else (_number(measure(volume.geometry)),)

    return fact


def _is_isotropic(geometry: Geometry) -> str:
    return "yes" if max(geometry.spacing_mm) <= ISOTROPIC * min(geometry.spacing_mm) else "no"


ISOTROPIC = 1.05
"""Largest by smallest spacing up to which voxels count as cubes: 1 mm slices of 0.977 mm pixels do."""


def _of_normal(measure: Callable[[Sequence[float]], str]) -> Callable[[Candidate], Found]:
    """A fact of the direction in which slices are stacked, which an irregular stack has too."""

    def fact(candidate: Candidate) -> Found:
        if candidate.volume is not None:
            return (measure(candidate.volume.geometry.slice_step_lps),)
        return () if candidate.stack is None else (measure([float(one) for one in candidate.stack.axes[2]]),)

    return fact


def _orientation(normal: Sequence[float]) -> str:
    sizes = [abs(one) for one in normal]
    return ("sagittal", "coronal", "axial")[sizes.index(max(sizes))]


def _oblique(normal: Sequence[float]) -> str:
    largest = max(abs(one) for one in normal)
    beside = math.sqrt(max(0.0, sum(one * one for one in normal) - largest * largest))
    return _number(math.degrees(math.atan2(beside, largest)))


def _tilt(candidate: Candidate) -> Found:
    """Measured by geometry where it refused; within its tolerance there is none. Of a mended volume, as it came."""
    if candidate.volume is not None:
        mending = candidate.volume.mending
        return (str(round(mending.lean_degrees, 2)),) if mending and mending.lean_degrees else ("0",)
    if candidate.stack is None or candidate.refusal is None:
        return ()
    lean = candidate.refusal.numbers.get("lean_degrees")
    if lean is not None:
        return (str(round(float(lean), 2)),)
    return ("0",) if candidate.refusal.code in _UPRIGHT else ()


_UPRIGHT = ("GEO-024", "GEO-025")
"""Refusals that come after the lean has been looked at, and found none."""


def _gap(candidate: Candidate) -> Found:
    if candidate.volume is not None:
        mending = candidate.volume.mending
        return ("yes" if mending and "resample-gaps" in mending.repairs else "no",)
    refusal = candidate.refusal
    if candidate.stack is None or refusal is None or refusal.code not in ("GEO-023", "GEO-024", "GEO-025"):
        return ()
    holes = refusal.code != "GEO-025" and "step_mm" in refusal.numbers
    return ("yes" if holes else "no",)


def _of_image(index: int, keyword: str) -> Callable[[Candidate], Found]:
    """Rows and columns, which images have that form no volume."""

    def fact(candidate: Candidate) -> Found:
        if candidate.volume is not None:
            return (str(int(candidate.volume.geometry.shape[index])),)
        readings = candidate_values(candidate, of_keyword(keyword))
        return readings[0] if len(readings) == 1 else ()

    return fact


def _number(value: float) -> str:
    return str(value if isinstance(value, int) else round(float(value), 3))


def _ages(study: Study) -> Found:
    found = study_values(study, of_keyword("StudyDate"))
    ages = {(study.today - day).days for text in found if (day := as_date(text)) is not None}
    return tuple(str(age) for age in sorted(ages))


def _patient_ages(study: Study) -> Found:
    ages = {age_years(instance.header) for instance in study.foreign}
    return tuple(str(age) for age in sorted(age for age in ages if age is not None))


def _different(values: Iterable[str]) -> Found:
    return (str(len(set(values))),)


def _titles(titles: Iterable[str]) -> Found:
    return tuple(sorted({title.strip(" ") for title in titles} - {""}))


STUDY_FACTS: dict[str, Callable[[Study], Found]] = {
    "age_days": _ages,
    "called_ae_title": lambda study: _titles(study.called_ae_titles),
    "calling_ae_title": lambda study: _titles(study.calling_ae_titles),
    "patient_age_years": _patient_ages,
    "source": lambda study: (study.source,) if study.source else (),
    "series": lambda study: _different(one.series_instance_uid for one in study.foreign),
    "instances": lambda study: _different(one.sop_instance_uid for one in study.foreign),
}

VOLUME_FACTS: dict[str, Callable[[Candidate], Found]] = {
    "is_volume": lambda one: ("no" if one.volume is None or one.volume.mending else "yes",),
    "spacing_mm": _on_grid(lambda geometry: geometry.spacing_mm[0]),
    "length_mm": _on_grid(lambda geometry: geometry.length_mm),
    "pixel_spacing_mm": _on_grid(lambda geometry: max(geometry.spacing_mm[1:])),
    "is_isotropic": lambda one: () if one.volume is None else (_is_isotropic(one.volume.geometry),),
    "orientation": _of_normal(_orientation),
    "oblique_deg": _of_normal(_oblique),
    "tilt_deg": _tilt,
    "has_gap": _gap,
    "units": lambda one: (one.volume.units,) if one.volume and one.volume.units else (),
    "told_apart_by": lambda one: tuple(name for name, _ in one.volume.key) if one.volume else (),
    "slices": _on_grid(lambda geometry: int(geometry.shape[0])),
    "rows": _of_image(1, "Rows"),
    "columns": _of_image(2, "Columns"),
    "instances": lambda candidate: (str(len(candidate.instances)),),
}
