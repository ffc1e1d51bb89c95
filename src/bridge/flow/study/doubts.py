"""Reasons to hold a study although rules match: it may not be one patient's. Pure: headers in, sentences out.

    STU-001  two Patient IDs                    STU-005  a series with objects of another patient
    STU-002  two issuers of Patient IDs         STU-006  a Series Instance UID that another study has too
    STU-003  two birth dates                    STU-007  no Patient ID
    STU-004  two names                          STU-008  objects sent again as another patient's

STU-009, a study that is not complete, comes from `complete`; STU-010, one whose pixels are gone, from `intake`.
Results of this bridge say nothing about a study, and what is absent contradicts nothing. No sentence holds a value: a
person looks at the study where it lies.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from bridge.dicom.headers import number, text
from bridge.dicom.instance import Instance
from bridge.dicom.names import are_alike
from bridge.dicom.uids import keyed_name
from bridge.dicom.values import is_valid, mended


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Why a person must look."""

    code: str
    reason: str
    mark: str
    """Stands for exactly what was found: a person who accepts it has not accepted what arrives later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trait:
    """An attribute by which patients differ."""

    code: str
    keyword: str
    words: str


_TRAITS = (
    _Trait(code="STU-001", keyword="PatientID", words="Patient IDs"),
    _Trait(code="STU-002", keyword="IssuerOfPatientID", words="issuers of Patient IDs"),
    _Trait(code="STU-003", keyword="PatientBirthDate", words="birth dates"),
    _Trait(code="STU-004", keyword="PatientName", words="names"),
)


def doubts(
    instances: Iterable[Instance], *, elsewhere: Collection[str], sent_as_another: Collection[int], key: bytes
) -> tuple[Doubt, ...]:
    """Every doubt about a study, in the order of codes, whatever the order of its objects.

    Args:
        instances: the newest version of each object of the study.
        elsewhere: Series Instance UIDs that occur in another study too.
        sent_as_another: numbers of versions that bear another identity than an earlier one of the same object.
        key: of this installation; the marks tell nothing without it.
    """
    foreign = [instance for instance in instances if not instance.own]
    if not foreign:
        return ()

    def doubt(code: str, reason: str, facts: Iterable[str]) -> Doubt:
        return Doubt(code=code, reason=reason, mark=f"{code}.{keyed_name(key, code, *sorted(facts))}")

    found = []
    for trait in _TRAITS:
        values = {value for instance in foreign if (value := _value(instance, trait.keyword))}
        if _contradict(trait, values):
            reason = f"the study has {_several(trait, values)}"
            found.append(doubt(trait.code, reason, values))
    series: dict[str, list[Instance]] = defaultdict(list)
    for instance in foreign:
        series[instance.series_instance_uid].append(instance)
    for members in sorted(series.values(), key=_by_number):
        for trait in _TRAITS:
            values = {value for one in members if (value := _value(one, trait.keyword))}
            if _contradict(trait, values):
                reason = f"{_series(members)} mixes patients: {_several(trait, values)}"
                found.append(doubt("STU-005", reason, values))
                break
    shared = [members for uid, members in series.items() if uid in elsewhere]
    for members in sorted(shared, key=_by_number):
        reason = f"{_series(members)} has the Series Instance UID of a series in another study"
        found.append(doubt("STU-006", reason, [members[0].series_instance_uid]))
    if nameless := _without_patient_id(foreign, series.values()):
        found.append(doubt("STU-007", nameless, ()))
    again = [instance for instance in foreign if instance.number in sent_as_another]
    if again:
        reason = f"{len(again)} of {len(foreign)} objects came again as another patient's"
        found.append(doubt("STU-008", reason, [str(instance.number) for instance in again]))
    return tuple(sorted(found, key=lambda one: one.code))


def another_patient(one: Iterable[Instance], other: Iterable[Instance]) -> str:
    """Why two studies are not surely of one patient, "" when they are.

    Stricter than within one study, because nothing else ties them together: both name one and the same Patient ID of
    the same issuer, or neither names an issuer; birth dates and names do not contradict each other.
    """
    studies = [[instance for instance in every if not instance.own] for every in (one, other)]
    for trait in _TRAITS:
        here, there = (
            {value for instance in study if (value := _value(instance, trait.keyword))} for study in studies
        )
        if trait.keyword == "PatientID" and not (here and there):
            return "the studies do not both have a Patient ID"
        is_name = trait.keyword in ("PatientID", "IssuerOfPatientID")
        if (is_name and here != there) or _contradict(trait, here | there):
            return f"the studies have {_differing(trait)}"
    return ""


def _differing(trait: _Trait) -> str:
    return "different names" if trait.keyword == "PatientName" else f"different {trait.words}"


def _value(instance: Instance, keyword: str) -> str:
    """What identifies, without padding; "" for what is absent or says nothing."""
    value = (text(instance.header, keyword) or "").strip()
    if keyword == "PatientBirthDate":
        value = mended(keyword, "DA", value) or value
        return value if is_valid(keyword, "DA", "1", value) else ""
    if keyword == "PatientName":
        return value if any(character.isalnum() for character in value) else ""
    return value


def _contradict(trait: _Trait, values: Collection[str]) -> bool:
    if trait.keyword != "PatientName":
        return len(values) > 1
    names = sorted(values)
    return any(not are_alike(one, other) for index, one in enumerate(names) for other in names[:index])


def _several(trait: _Trait, values: Collection[str]) -> str:
    # Spellings of names are not counted: three of them may be two persons.
    return "different names" if trait.keyword == "PatientName" else f"{len(values)} different {trait.words}"


def _without_patient_id(foreign: Sequence[Instance], series: Iterable[Sequence[Instance]]) -> str:
    if not any(_value(instance, "PatientID") for instance in foreign):
        return "no object of the study has a Patient ID"
    for members in sorted(series, key=_by_number):
        # A report without one is nobody's second identity; images without one could be anybody's.
        images = [one for one in members if number(one.header, "Rows") is not None]
        if images and not any(_value(one, "PatientID") for one in members):
            return f"no image of {_series(members)} has a Patient ID"
    return ""


def _by_number(members: Sequence[Instance]) -> tuple[float, str]:
    return min(number(one.header, "SeriesNumber") or 0.0 for one in members), members[0].series_instance_uid


def _series(members: Sequence[Instance]) -> str:
    numbers = {number(one.header, "SeriesNumber") for one in members} - {None}
    name = (
        f"series {min(one for one in numbers if one is not None):g}" if numbers else "a series without number"
    )
    return f"{name} ({len(members)} object{'s' * (len(members) != 1)})"
