"""What a condition can ask about: attributes of the headers, and facts computed from them.

Values are tuples of texts without padding, () when there is none; numbers are written in full.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from bridge.dicom.headers import texts

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from bridge.dicom.instance import Instance
    from bridge.volumes.volume import Candidate, Geometry, Plane

Found = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """All instances of a study that have arrived, and what only the world outside knows about it."""

    study_instance_uid: str
    instances: tuple[Instance, ...]
    today: date
    calling_ae_titles: tuple[str, ...] = ()

    @property
    def foreign(self) -> tuple[Instance, ...]:
        """Without results of this bridge: they come back from the PACS and must not change a decision."""
        return tuple(instance for instance in self.instances if not instance.own)


def study_values(study: Study, keyword: str, *, computed: bool) -> Found:
    """Values for a study: those of all its instances together, each once, sorted.

    So a condition on a study holds when any of its objects fits, and a `not` when none does.
    """
    if computed:
        return STUDY_FACTS[keyword](study)
    every = {reading for instance in study.foreign for reading in attribute(instance.header, keyword)}
    return tuple(sorted({value for reading in every for value in reading}))


def candidate_values(candidate: Candidate, keyword: str, *, computed: bool) -> tuple[Found, ...]:
    """The different values that the images of a candidate have, sorted; one entry where all agree.

    A condition on a volume must hold for each of them. Of a multi-frame object only the frames of the volume speak.
    """
    if computed:
        return (VOLUME_FACTS[keyword](candidate),)
    if candidate.volume is not None:
        from bridge.volumes.frames import is_multi_frame

        if is_multi_frame(candidate.volume.planes[0].instance):
            return tuple(sorted({_of_frame(plane, keyword) for plane in candidate.volume.planes}))
    every = {reading for instance in candidate.instances for reading in attribute(instance.header, keyword)}
    return tuple(sorted(every)) or ((),)


def _of_frame(plane: Plane, keyword: str) -> Found:
    """What one frame says, also where Enhanced objects have another word for it: Frame Type, Effective Echo Time."""
    from bridge.volumes.frames import view_of
    from bridge.volumes.keys import KEYS

    view = view_of(plane.instance, plane.frame)
    words = next((key.keywords for key in KEYS if key.name == keyword), (keyword,))
    # Image Type at the top is that of the whole object, and MIXED where its frames differ.
    for word in reversed(words):
        source = view.source(word)
        if found := _clean(word, source, texts(source, word)):
            return found
    return ()


def attribute(header: Dataset, keyword: str) -> Iterator[Found]:
    """The values of an attribute of one object; of a multi-frame object, one for each value that frames have.

    What a classic object has at the top, a multi-frame object has in its functional groups (PS3.3 C.7.6.16).
    """
    found = [header]
    if keyword not in header and "SharedFunctionalGroupsSequence" in header:
        shared = _in_groups(header, "SharedFunctionalGroupsSequence", keyword)
        found = shared or _in_groups(header, "PerFrameFunctionalGroupsSequence", keyword) or found
    for data_set in found:
        yield _clean(keyword, data_set, texts(data_set, keyword))


def _in_groups(header: Dataset, sequence: str, keyword: str) -> list[Dataset]:
    try:
        macros = [element for frame in header.get(sequence) or () for element in frame if element.VR == "SQ"]
        return [item for macro in macros for item in macro.value if keyword in item]
    except Exception:  # noqa: BLE001 - groups that cannot be read hold no value; pydicom's text would quote them
        return []


def _clean(keyword: str, data_set: Dataset, values: Found) -> Found:
    trimmed = tuple(value.strip(" ") for value in values)
    if values and data_set[keyword].VR == "PN":
        # Empty components at the end of a name are padding too (PS3.5 6.2.1.2).
        trimmed = tuple("=".join(group.rstrip("^ ") for group in value.split("=")) for value in trimmed)
    return tuple(value for value in trimmed if value)


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
    """Measured by geometry where it refused; within its tolerance there is none."""
    if candidate.volume is not None:
        return ("0",)
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
        return ("no",)
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
        readings = candidate_values(candidate, keyword, computed=False)
        return readings[0] if len(readings) == 1 else ()

    return fact


def _number(value: float) -> str:
    return str(value if isinstance(value, int) else round(float(value), 3))


def _ages(study: Study) -> Found:
    found = study_values(study, "StudyDate", computed=False)
    ages = {(study.today - day).days for text in found if (day := as_date(text)) is not None}
    return tuple(str(age) for age in sorted(ages))


def as_date(text: str) -> date | None:
    """VR DA, also as ACR-NEMA wrote it: 2026.01.31 (PS3.5 6.2)."""
    digits = text.replace(".", "")
    if len(digits) != 8 or not (digits.isascii() and digits.isdigit()):
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


def _different(values: Iterable[str]) -> Found:
    return (str(len(set(values))),)


STUDY_FACTS: dict[str, Callable[[Study], Found]] = {
    "age_days": _ages,
    "calling_ae_title": lambda study: tuple(sorted({title.strip(" ") for title in study.calling_ae_titles})),
    "series": lambda study: _different(one.series_instance_uid for one in study.foreign),
    "instances": lambda study: _different(one.sop_instance_uid for one in study.foreign),
}

VOLUME_FACTS: dict[str, Callable[[Candidate], Found]] = {
    "is_volume": lambda candidate: ("no" if candidate.volume is None else "yes",),
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
