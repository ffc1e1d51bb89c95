"""De-identification of a data set at any depth: each attribute judged, what no dictionary knows left behind.

PS3.15 Annex E, with one rule on top: what is in no dictionary goes, and text, names and dates that the table does not
name survive only by `keep.toml`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pydicom._dicom_dict import DicomDictionary
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from bridge.export.attribute_types import Place, Want
from bridge.export.dummies import unknown_code
from bridge.export.keep import keyword_of
from bridge.export.known_codes import SCHEMES, meaning_of
from bridge.export.profile import Action, rule_for
from bridge.export.verdicts import NUMBERS, Deed, Judge, gone

DEEPEST = 24
"""Sequences within sequences; what lies deeper goes. PS3.3 needs six, structured reports some more."""

_REPEATING = (0x50, 0x60)
_PIXELS = 0x7FE0
_LEFT_OUT_GROUPS = frozenset({0x0000, 0x0002, 0x0004, 0xFFFA, 0xFFFC, 0xFFFE})
_CHARACTER_SET = 0x00080005
_REWRITTEN = frozenset({_CHARACTER_SET, 0x00120062, 0x00120063, 0x00120064, 0x00280303})
"""Character set, and what the profile itself writes: of the object as a whole, at the top."""

_CODE_VALUE, _LONG_CODE_VALUE, _URN_CODE_VALUE = 0x00080100, 0x00080119, 0x00080120
_SCHEME, _SCHEME_VERSION, _MEANING = 0x00080102, 0x00080103, 0x00080104
_OF_CODES = frozenset({_CODE_VALUE, _LONG_CODE_VALUE, _URN_CODE_VALUE, _SCHEME, _SCHEME_VERSION, _MEANING})


@dataclass(slots=True)
class Walk:
    """One walk over one object. `done`: how often what was done to which path; a path names no item number."""

    judge: Judge
    done: Counter[tuple[str, Deed]] = field(default_factory=Counter)

    def data_set(self, source: Dataset, place: Place, path: str = "", depth: int = 0) -> Dataset:
        """A new data set with what may leave of `source`, which stays as it is."""
        out = Dataset()
        for tag in sorted(source.keys()):
            number = int(tag)
            if number in _REWRITTEN and (depth == 0 or number == _CHARACTER_SET):
                continue
            where = f"{path}{keyword_of(number)}"
            vrs = _vrs(number, depth)
            element = _read(source, number) if vrs else None
            if element is None:
                self._note(where, Deed.REMOVED)
            elif vrs == ("SQ",):
                self._sequence(out, element, place, where, depth)
            else:
                self._value(out, element, vrs, place.want(number), where)
        _codes(source, out)
        return out

    def _value(
        self, out: Dataset, element: DataElement, vrs: tuple[str, ...], want: Want, where: str
    ) -> None:
        tag = int(element.tag)
        if tag in _OF_CODES:
            return
        vr = element.VR if element.VR in vrs else vrs[0]
        found = self.judge.verdict(tag, element, vr, want)
        self._note(where, found.deed)
        if found.deed is not Deed.REMOVED:
            out.add(DataElement(tag, vr, _empty(vr) if found.value is None else found.value))

    def _sequence(self, out: Dataset, element: DataElement, place: Place, where: str, depth: int) -> None:
        tag = int(element.tag)
        want = place.want(tag)
        rule = rule_for(tag, self.judge.profile.options)
        goes = rule is not None and rule.action not in (Action.KEEP, Action.CLEAN)
        if rule is not None and rule.basic is Action.REMOVE_EMPTY_OR_UIDS and want is Want.NEEDS_A_VALUE:
            goes = False
        items = element.value if element.VR == "SQ" and depth < DEEPEST else []
        if goes or (not items and element.VR != "SQ"):
            self._sequence_gone(out, element, place, rule.basic if rule else Action.REMOVE, where, depth)
            return
        kept: list[Dataset] = []
        for item in items:
            cleaned = self._item(item, place.item(tag), f"{where}.", depth)
            if cleaned is None:
                self._note(where, Deed.CLEANED)
            else:
                kept.append(cleaned)
        if items and not any(len(item) for item in kept) and any(len(item) for item in items):
            # Items of which nothing is left are worth keeping only where the IOD wants one.
            if want is not Want.NEEDS_A_VALUE:
                self._note(where, Deed.EMPTIED if want is Want.MAY_BE_EMPTY else Deed.REMOVED)
                if want is Want.MAY_BE_EMPTY:
                    out.add(DataElement(tag, "SQ", Sequence()))
                return
            kept = kept or [unknown_code()]
        out.add(DataElement(tag, "SQ", Sequence(kept)))

    def _sequence_gone(
        self, out: Dataset, element: DataElement, place: Place, action: Action, where: str, depth: int
    ) -> None:
        tag = int(element.tag)
        want = place.want(tag)
        found = gone(action, "SQ", want)
        items: list[Dataset] = []
        if want is Want.NEEDS_A_VALUE and element.VR == "SQ" and depth < DEEPEST:
            # An item is needed: of codes one that says nothing, of others what of them tells nothing.
            coded = [item for item in element.value if _is_code(item)]
            items = (
                [unknown_code()]
                if coded
                else [
                    cleaned
                    for item in element.value
                    if (cleaned := self._item(item, place.item(tag), f"{where}.", depth)) is not None
                ]
            )
        if items:
            self._note(where, Deed.DUMMY)
        else:
            empty = want is Want.MAY_BE_EMPTY or found.deed is Deed.EMPTIED
            self._note(where, Deed.EMPTIED if empty else Deed.REMOVED)
            if not empty:
                return
        out.add(DataElement(tag, "SQ", Sequence(items)))

    def _item(self, item: Dataset, place: Place, path: str, depth: int) -> Dataset | None:
        """An item cleaned; None for one whose code no dictionary knows."""
        if _is_code(item) and not _known_code(item):
            return None
        return self.data_set(item, place, path, depth + 1)

    def _note(self, where: str, deed: Deed | None) -> None:
        if deed is not None:
            self.done[where, deed] += 1


def _vrs(tag: int, depth: int) -> tuple[str, ...]:
    """VRs that the dictionary allows; none for what never leaves."""
    group, element = tag >> 16, tag & 0xFFFF
    if group & 1 or not element or group in _LEFT_OUT_GROUPS or group >> 8 in _REPEATING:
        return ()
    # Pixels within an item are an icon; offsets of frames are written anew.
    if group == _PIXELS and (depth or element not in (0x0008, 0x0009, 0x0010)):
        return ()
    entry = DicomDictionary.get(tag)
    if entry is None or entry[0] in ("", "NONE"):
        return ()
    return tuple(entry[0].split(" or "))


def _read(source: Dataset, tag: int) -> DataElement | None:
    """An element decoded; None for one that cannot be: pydicom parses a sequence that came as UN (PS3.5 6.2.2)."""
    try:
        return source[tag]
    except Exception:  # noqa: BLE001 - pydicom raises many kinds; what cannot be read does not leave
        return None


def _empty(vr: str) -> Any:
    return None if vr in NUMBERS else b"" if vr.startswith("O") or vr == "UN" else ""


def _text(item: Dataset, tag: int) -> str:
    element = _read(item, tag) if tag in item else None
    return "" if element is None else str(element.value or "").strip(" \0")


def _is_code(item: Dataset) -> bool:
    return any(tag in item for tag in (_CODE_VALUE, _LONG_CODE_VALUE, _URN_CODE_VALUE))


def _known_code(item: Dataset) -> tuple[int, str, str, str] | None:
    scheme = _text(item, _SCHEME)
    for tag in (_CODE_VALUE, _LONG_CODE_VALUE):
        value = _text(item, tag)
        meaning = meaning_of(scheme, value) if value else None
        if meaning is not None:
            return tag, value, scheme, meaning
    return None


def _codes(source: Dataset, out: Dataset) -> None:
    """The triplet of a known code, its meaning from the dictionary; a scheme alone when it is a public one."""
    code = _known_code(source)
    if code is not None:
        tag, value, scheme, meaning = code
        out.add(DataElement(tag, "SH" if tag == _CODE_VALUE else "UC", value))
        out.add(DataElement(_SCHEME, "SH", scheme))
        out.add(DataElement(_MEANING, "LO", meaning))
    elif _text(source, _SCHEME) in SCHEMES:
        out.add(DataElement(_SCHEME, "SH", _text(source, _SCHEME)))
