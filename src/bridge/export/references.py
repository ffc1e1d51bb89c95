"""Lists of references that a cleaned image no longer makes (PS3.3 C.12.2, Common Instance Reference)."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

_SERIES, _INSTANCES = 0x00081115, 0x0008114A
_OTHER_STUDIES = 0x00081200
_INSTANCE_UID = 0x00081155


def drop_orphans(out: Dataset) -> tuple[int, ...]:
    """Take from an image's list of referenced instances, in place, those that nothing else in it refers to.

    Returns the tags of the lists that became shorter. Objects without Rows keep theirs: what a presentation state or
    a registration refers to is its content.
    """
    if "Rows" not in out:
        return ()
    used = set(_references(out, skip=frozenset({_SERIES, _OTHER_STUDIES})))
    shorter = []
    if _OTHER_STUDIES in out:
        studies = out[_OTHER_STUDIES].value
        changed = [_shorten(study, used) for study in studies]
        if any(changed):
            shorter.append(_OTHER_STUDIES)
            _put(out, _OTHER_STUDIES, [study for study in studies if _SERIES in study])
    if _shorten(out, used):
        shorter.append(_SERIES)
    return tuple(shorter)


def _shorten(place: Dataset, used: set[str]) -> bool:
    if _SERIES not in place:
        return False
    changed = False
    for series in place[_SERIES].value:
        listed = list(series[_INSTANCES].value) if _INSTANCES in series else []
        left = [one for one in listed if str(one.get("ReferencedSOPInstanceUID")) in used]
        if len(left) < len(listed):
            changed = True
            _put(series, _INSTANCES, left)
    if changed:
        _put(place, _SERIES, [series for series in place[_SERIES].value if _INSTANCES in series])
    return changed


def _put(place: Dataset, tag: int, items: list[Dataset]) -> None:
    if items:
        place[tag].value = Sequence(items)
    else:
        del place[tag]


def _references(place: Dataset, skip: frozenset[int] = frozenset()) -> Iterator[str]:
    for element in place:
        if element.tag == _INSTANCE_UID:
            yield str(element.value)
        elif element.VR == "SQ" and int(element.tag) not in skip:
            for item in element.value:
                yield from _references(item)
