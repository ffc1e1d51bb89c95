"""What a condition can ask about: attributes of the headers, and facts computed from them.

Values are tuples of texts without padding, () when there is none; numbers are written in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from bridge.dicom.headers import texts

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from bridge.dicom.instance import Instance
    from bridge.volumes.volume import Candidate, Geometry

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

    A condition on a volume must hold for each of them.
    """
    if computed:
        return (VOLUME_FACTS[keyword](candidate),)
    every = {reading for instance in candidate.instances for reading in attribute(instance.header, keyword)}
    return tuple(sorted(every)) or ((),)


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
    "spacing_mm": _on_grid(lambda geometry: geometry.spacing_mm[0]),
    "length_mm": _on_grid(lambda geometry: geometry.length_mm),
    "pixel_spacing_mm": _on_grid(lambda geometry: max(geometry.spacing_mm[1:])),
    "slices": _on_grid(lambda geometry: int(geometry.shape[0])),
    "rows": _of_image(1, "Rows"),
    "columns": _of_image(2, "Columns"),
    "instances": lambda candidate: (str(len(candidate.instances)),),
}
