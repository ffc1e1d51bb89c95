"""Before and after: what became of each attribute of an object, by its path. For a person who wants to see it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset
from pydicom.filereader import dcmread

from bridge.export.deidentified import Deidentified
from bridge.export.keep import keyword_of
from bridge.export.verdicts import Deed

AS_IT_IS = "leaves as it is"
LONGEST = 64
"""Characters of a value that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An attribute of the source or of what leaves; a path names no item number, so it may stand for several.

    before, after: values as text, shortened. They are a patient's: only for who asked for them.
    """

    path: str
    deeds: tuple[str, ...]
    """What was done, in the words of `Deed`; or that it leaves as it is."""
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def made(self) -> tuple[str, ...]:
        """Values that leave and did not come: dummies, pseudonyms, mapped UIDs. They may be shown to anyone."""
        return tuple(one for one in self.after if one not in self.before)


def lines_of(source: Dataset, made: Deidentified) -> tuple[Line, ...]:
    """Every path of either object, in the order of the words."""
    before, after = _values(source), _values(dcmread(BytesIO(made.encoded)))
    deeds = defaultdict(list)
    for done in made.done:
        deeds[done.path].append(str(done.deed))
    return tuple(
        Line(
            path=path,
            deeds=tuple(deeds[path]) or (_untold(path in before, path in after),),
            before=tuple(before.get(path, ())),
            after=tuple(after.get(path, ())),
        )
        for path in sorted(before.keys() | after.keys())
    )


def _untold(was: bool, leaves: bool) -> str:
    """What became of a path that nothing is noted of: items go and come with their sequence."""
    if not leaves:
        return Deed.REMOVED
    return AS_IT_IS if was else Deed.WRITTEN


def _values(data_set: Dataset) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path, value in _walk(data_set, ""):
        if value not in found[path]:
            found[path].append(value)
    return found


def _walk(data_set: Dataset, path: str) -> Iterator[tuple[str, str]]:
    for tag in sorted(data_set.keys()):
        where = f"{path}{keyword_of(int(tag))}"
        try:
            element = data_set[tag]
        except Exception:  # noqa: BLE001 - pydicom raises many kinds, and their texts quote values
            yield where, "(unreadable)"
            continue
        if element.VR == "SQ":
            yield where, f"{len(element.value)} items"
            for item in element.value:
                yield from _walk(item, f"{where}.")
        else:
            yield where, _text(element.value)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = "" if value is None else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
