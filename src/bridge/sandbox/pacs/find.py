"""C-FIND over what is held: keys matched, and only the keys that were asked for answered (PS3.4 C.2.2.2, C.4.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

LEVELS = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
"""Query/Retrieve Level -> its unique key."""
_ALWAYS = (*LEVELS.values(), "SpecificCharacterSet", "Modality")


def find(request: Dataset, files: Iterable[Path]) -> Iterator[Dataset]:
    """One response for each study, series or instance that matches all keys given.

    UIDs match alone or in a list, other text exactly or with `*` and `?`; ranges and sequences are not looked at.

    Raises:
        KeyError: the Query/Retrieve Level is none of STUDY, SERIES, IMAGE.
    """
    unique = LEVELS[str(request.get("QueryRetrieveLevel", ""))]
    keys = [element for element in request if element.VR != "SQ" and element.keyword != "QueryRetrieveLevel"]
    wanted: list[int] = [element.tag for element in keys]
    wanted += [tag for keyword in _ALWAYS if (tag := tag_for_keyword(keyword)) is not None]
    entities: dict[str, list[Dataset]] = {}
    for file in files:
        header = dcmread(file, stop_before_pixels=True, specific_tags=wanted)
        entities.setdefault(str(header.get(unique, "")), []).append(header)
    for members in entities.values():
        facts = members[0]
        _count(facts, members)
        if all(_matches(key, facts.get(key.tag)) for key in keys):
            yield _answer(request, keys, facts)


def _count(facts: Dataset, members: list[Dataset]) -> None:
    facts.NumberOfStudyRelatedInstances = facts.NumberOfSeriesRelatedInstances = len(members)
    facts.NumberOfStudyRelatedSeries = len({str(member.get("SeriesInstanceUID", "")) for member in members})
    facts.ModalitiesInStudy = sorted({str(member.get("Modality", "")) for member in members})


def _matches(key: DataElement, held: DataElement | None) -> bool:
    if key.is_empty or key.keyword == "SpecificCharacterSet":
        return True
    values = [] if held is None or held.is_empty else held.value if held.VM > 1 else [held.value]
    asked = key.value if key.VM > 1 else [key.value]
    if key.VR == "UI":
        return any(str(value) in map(str, asked) for value in values)
    return any(fnmatchcase(str(value), str(pattern)) for value in values for pattern in asked)


def _answer(request: Dataset, keys: list[DataElement], facts: Dataset) -> Dataset:
    answer = Dataset()
    if "SpecificCharacterSet" in facts:
        answer.SpecificCharacterSet = facts.SpecificCharacterSet
    answer.QueryRetrieveLevel = request.QueryRetrieveLevel
    for key in keys:
        held = facts.get(key.tag)
        if key.keyword != "SpecificCharacterSet":
            answer.add(held if held is not None else DataElement(key.tag, key.VR, None))
    return answer
