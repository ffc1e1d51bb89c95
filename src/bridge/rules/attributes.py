"""What a condition asks about, and how its values are read from headers: attributes, paths into sequences, names.

Values are tuples of texts without padding, () when there is none; numbers are written in full. Nothing that a header
holds makes reading fail: what cannot be read has no value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.config.vocabulary import Kind
from bridge.dicom.headers import texts

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from bridge.volumes.frames import View

Found = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One word of a rule that a condition asks about."""

    text: str
    """As the rule writes it."""
    kind: Kind = Kind.TEXT
    unit: str = ""
    """Of a fact; the numbers of headers have those of PS3.3, which we do not know."""
    computed: bool = False
    """A fact of ours, not an attribute of the header."""
    private: bool = True
    """The value may identify a person; logs and reports hide it."""
    path: tuple[str, ...] = ()
    """Keywords from the top of the data set; all but the last are sequences. () for a fact."""
    name_group: int = 0
    """Of a person name: 0 alphabetic, 1 ideographic, 2 phonetic."""
    name_part: int | None = None
    """Of that group: 0 family name ... 4 suffix; None for the whole of it."""
    whole: bool = True
    """The value as it stands; False for a group or a part of a person name."""


def of_keyword(keyword: str) -> Subject:
    """An attribute at the top, for questions of our own."""
    return Subject(text=keyword, path=(keyword,))


def attribute(header: Dataset, subject: Subject) -> Iterator[Found]:
    """The values of an attribute of one object; of a multi-frame object, one for each value that frames have.

    What a classic object has at the top, a multi-frame object has in its functional groups (PS3.3 C.7.6.16).
    """
    keyword = subject.path[0]
    roots = [header]
    if keyword not in header and "SharedFunctionalGroupsSequence" in header:
        shared = _in_groups(header, "SharedFunctionalGroupsSequence", keyword)
        roots = shared or _in_groups(header, "PerFrameFunctionalGroupsSequence", keyword) or roots
    for root in roots:
        yield values_in(root, subject)


def items_of(header: Dataset, subject: Subject) -> tuple[Dataset, ...]:
    """The items of the sequence of one object, of all of its frames where it has some."""
    keyword = subject.path[0]
    roots = [header]
    if keyword not in header and "SharedFunctionalGroupsSequence" in header:
        roots = _in_groups(header, "SharedFunctionalGroupsSequence", keyword)
        roots += _in_groups(header, "PerFrameFunctionalGroupsSequence", keyword)
    return tuple(item for root in roots for item in items_in(root, subject))


def attribute_of_frame(view: View, subject: Subject) -> Found:
    """What one frame says, also where Enhanced objects have another word for it: Frame Type, Effective Echo Time."""
    from bridge.volumes.keys import KEYS

    if len(subject.path) > 1 or subject.kind is Kind.SEQUENCE:
        return _values(*_start(view, subject.path), subject)
    keyword = subject.path[0]
    words: tuple[str, ...] = (keyword,)
    if view.multi_frame:
        words = next((key.keywords for key in KEYS if key.name == keyword), words)
    # Image Type at the top is that of the whole object, and MIXED where its frames differ.
    for word in reversed(words):
        if found := _part_of(subject, _clean(word, view.source(word))):
            return found
    return ()


def items_of_frame(view: View, subject: Subject) -> tuple[Dataset, ...]:
    return tuple(_items(*_start(view, subject.path)))


def values_in(data_set: Dataset, subject: Subject) -> Found:
    """Each value at the end of the path once, in the order of the items."""
    return _values([data_set], subject.path, subject)


def items_in(data_set: Dataset, subject: Subject) -> tuple[Dataset, ...]:
    return tuple(_items([data_set], subject.path))


def _values(roots: Iterable[Dataset], path: Sequence[str], subject: Subject) -> Found:
    if subject.kind is Kind.SEQUENCE:
        count = len(_items(roots, path))
        return (f"{count} item{'s' if count > 1 else ''}",) if count else ()
    found = [value for end in _items(roots, path[:-1]) for value in _part_of(subject, _clean(path[-1], end))]
    return tuple(dict.fromkeys(found)) if len(subject.path) > 1 else tuple(found)


def _items(roots: Iterable[Dataset], path: Sequence[str]) -> list[Dataset]:
    found = list(roots)
    for keyword in path:
        found = [item for one in found for item in _sequence(one, keyword)]
    return found


def _sequence(data_set: Dataset, keyword: str) -> Iterable[Dataset]:
    try:
        element = data_set[keyword]
        return list(element.value) if element.VR == "SQ" else ()
    except Exception:  # noqa: BLE001 - a sequence that cannot be read has no items; pydicom's text would quote them
        return ()


def _start(view: View, path: tuple[str, ...]) -> tuple[list[Dataset], tuple[str, ...]]:
    """Where the path of a frame begins, and what is left of it: in the macro that it names, else where its first word
    stands."""
    if macro := [item for name, item in view.groups if name == path[0]]:
        # The groups of a frame come before the shared ones.
        return macro[:1], path[1:]
    return [view.source(path[0])], path


def _in_groups(header: Dataset, sequence: str, keyword: str) -> list[Dataset]:
    """Where the functional groups have it: in an item of a macro, or as a macro of a frame."""
    try:
        frames = list(header.get(sequence) or ())
        macros = [element for frame in frames for element in frame if element.VR == "SQ"]
        inside = [item for macro in macros for item in macro.value if keyword in item]
        return inside or [frame for frame in frames if keyword in frame]
    except Exception:  # noqa: BLE001 - groups that cannot be read hold no value; pydicom's text would quote them
        return []


def _clean(keyword: str, data_set: Dataset) -> Found:
    values = texts(data_set, keyword)
    trimmed = tuple(value.strip(" ") for value in values)
    if values and data_set[keyword].VR == "PN":
        # Empty components at the end of a name are padding too (PS3.5 6.2.1.2).
        trimmed = tuple("=".join(group.rstrip("^ ") for group in value.split("=")) for value in trimmed)
    return tuple(value for value in trimmed if value)


def _part_of(subject: Subject, values: Found) -> Found:
    """Groups of a person name stand between equals signs, its components between carets (PS3.5 6.2.1)."""
    if subject.whole:
        return values
    groups = (_at(value.split("="), subject.name_group) for value in values)
    if subject.name_part is not None:
        groups = (_at(group.split("^"), subject.name_part) for group in groups)
    return tuple(one for group in groups if (one := group.strip(" ")))


def _at(parts: Sequence[str], index: int) -> str:
    return parts[index] if index < len(parts) else ""
