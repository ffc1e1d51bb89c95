"""What becomes of one value that is no sequence: kept, cleaned, mapped, or gone the way its Type allows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

from pydicom._uid_dict import UID_dictionary
from pydicom.dataelem import DataElement

from bridge.dicom.values import is_valid, mended
from bridge.export.attribute_types import Want, knows
from bridge.export.dummies import dummy
from bridge.export.keep import is_kept, is_plain_description, keep_list
from bridge.export.numerals import are_numbers, is_text
from bridge.export.profile import Action, Option, Profile, rule_for
from bridge.export.pseudonyms import Pseudonyms


class Deed(StrEnum):
    """What was done to an attribute; for the audit."""

    REMOVED = "removed"
    EMPTIED = "emptied"
    DUMMY = "replaced by a dummy"
    UID = "UID mapped"
    SHIFTED = "date shifted"
    GROUPED = "age grouped"
    CLEANED = "cleaned"
    KEPT = "kept by an option"
    WRITTEN = "written"


@dataclass(frozen=True, slots=True)
class Verdict:
    """deed None: as it was. `value`: of the element that is written; None when none is."""

    deed: Deed | None
    value: Any = None


class Nothing(Enum):
    """A value that may not be told."""

    NOTHING = 0


NOTHING = Nothing.NOTHING
REMOVED = Verdict(Deed.REMOVED)

TEMPORAL = frozenset({"DA", "DT", "TM"})
NUMBERS = frozenset({"US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT"})
NUMBER_TEXTS = frozenset({"DS", "IS"})
FREE_TEXTS = frozenset({"LO", "SH", "ST", "LT", "UT", "UC"})
BINARY = frozenset({"OB", "OW", "OF", "OD", "OL", "OV"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LONGEST_NUMBER = 32
_OLDEST_TOLD = 89

_PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_IMAGE_TYPES = frozenset({0x00080008, 0x00089007})
_SETS = frozenset({0x00180020, 0x00180021, 0x00180022, 0x00280051})
"""Scanning Sequence, Sequence Variant, Scan Options, Corrected Image: values in no order, of which one can go."""
_DEVICE_TEXTS = frozenset({0x00080070, 0x00081090, 0x00181020})
"""Manufacturer, its model and versions: outside the table, and device identity."""
_CODING_SCHEME_UIDS = frozenset({0x0008010C, 0x00080117, 0x00080118})
"""Those of schemes, contexts and resources: another one in their place would be a wrong statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Judges values under a profile.

    is_ours: the object was de-identified with these pseudonyms before; its dates have moved already.
    """

    profile: Profile
    names: Pseudonyms
    is_ours: bool

    def verdict(self, tag: int, element: DataElement, vr: str, want: Want) -> Verdict:
        """vr: of the dictionary, one of those it allows. `want`: the attribute's Type where it stands."""
        values = _values(element)
        rule = rule_for(tag, self.profile.options)
        action = rule.action if rule else None
        basic = rule.basic if rule else Action.REMOVE
        if _kind(element.VR) != _kind(vr):
            return gone(basic, vr, want)
        if vr == "UI" and (action is None or basic in (Action.UID, Action.DUMMY)):
            return self._uids(tag, values, keep=action is Action.KEEP, want=want)
        if not values:
            # An empty value tells nothing, but what the profile removes is not there afterwards.
            return gone(Action.REMOVE, vr, want) if action is Action.REMOVE else Verdict(None, None)
        if rule is None:
            found = self._outside(tag, values, element, vr)
        elif action is Action.KEEP:
            found = self._kept(tag, values, element, vr)
        elif action is Action.CLEAN:
            found = self._cleaned(tag, values, vr)
        else:
            found = NOTHING
        if isinstance(found, Verdict):
            return found
        return gone(basic, vr, want)

    def _uids(self, tag: int, values: list[Any], *, keep: bool, want: Want) -> Verdict:
        if tag in _CODING_SCHEME_UIDS and not all(map(_is_well_known, values)):
            return gone(Action.REMOVE, "UI", want)
        told = [
            one if _is_well_known(one) or (keep and is_valid("", "UI", "1", one)) else self.names.uid(one)
            for one in values
        ]
        return Verdict(None if told == values else Deed.UID, _one_or_many(told))

    def _outside(self, tag: int, values: list[Any], element: DataElement, vr: str) -> Verdict | Nothing:
        """An attribute that the table does not name: default is to go."""
        if vr in NUMBERS:
            return Verdict(None, element.value) if are_numbers(tag, vr, element.value) else NOTHING
        if vr in BINARY:
            is_kept_binary = tag in keep_list().binary and (tag in _PIXELS or not is_text(element.value))
            return Verdict(None, element.value) if is_kept_binary else NOTHING
        if vr in NUMBER_TEXTS:
            return Verdict(None, _one_or_many(values)) if all(map(_is_number, values)) else NOTHING
        if vr == "CS":
            return _code_strings(tag, values)
        if vr in FREE_TEXTS:
            if all(is_kept(tag, one, code_string=False) for one in values):
                return Verdict(None, _one_or_many(values))
            if tag in _DEVICE_TEXTS and Option.RETAIN_DEVICE_IDENTITY in self.profile.options:
                return self._kept(tag, values, element, vr)
            if Option.CLEAN_DESCRIPTORS in self.profile.options:
                return self._cleaned(tag, values, vr)
        return NOTHING

    def _kept(self, tag: int, values: list[Any], element: DataElement, vr: str) -> Verdict | Nothing:
        """What an option keeps, when it is what its VR says; a date field that holds a name is no date."""
        if vr in BINARY or vr == "PN":
            return NOTHING
        if vr in NUMBERS:
            return Verdict(Deed.KEPT, element.value) if are_numbers(tag, vr, element.value) else NOTHING
        if vr in NUMBER_TEXTS:
            return Verdict(Deed.KEPT, _one_or_many(values)) if all(map(_is_number, values)) else NOTHING
        if vr == "CS":
            return _code_strings(tag, values)
        if tag in keep_list().shapes and not all(is_kept(tag, one, code_string=False) for one in values):
            return NOTHING
        keyword = element.keyword
        told = [one if is_valid(keyword, vr, "1", one) else mended(keyword, vr, one) for one in values]
        if any(one is None or "\ufffd" in one for one in told):
            return NOTHING
        if vr == "AS":
            grouped = [_grouped(str(one)) for one in told]
            return Verdict(Deed.KEPT if grouped == values else Deed.GROUPED, _one_or_many(grouped))
        return Verdict(Deed.KEPT, _one_or_many(told))

    def _cleaned(self, tag: int, values: list[Any], vr: str) -> Verdict | Nothing:
        if vr in TEMPORAL:
            told = [one if is_valid("", vr, "1", one) else mended("", vr, one) for one in values]
            if vr != "TM" and not self.is_ours:
                told = [one and self.names.shifted(one) for one in told]
            return NOTHING if None in told else Verdict(Deed.SHIFTED, _one_or_many(told))
        if vr == "CS":
            return _code_strings(tag, values)
        if vr in FREE_TEXTS and all(is_plain_description(one, self.profile.words) for one in values):
            return Verdict(Deed.KEPT, _one_or_many(values))
        return NOTHING


def gone(action: Action, vr: str, want: Want) -> Verdict:
    """What is left of a value that may not be told: nothing, no value, or a dummy, as action and Type allow."""
    letters = set(action.value)
    if want is Want.NEEDS_A_VALUE or (want is Want.UNKNOWN and "D" in letters) or action is Action.DUMMY:
        made = dummy(vr)
        return Verdict(Deed.DUMMY, made) if made is not None else REMOVED
    if want is Want.MAY_BE_EMPTY or "X" not in letters or (want is Want.UNKNOWN and "Z" in letters):
        return Verdict(Deed.EMPTIED)
    return REMOVED


def _is_well_known(uid: str) -> bool:
    """PS3.6 Annex A by the dictionary, and the classes whose IOD is known, some of which are newer than it."""
    return uid in UID_dictionary or knows(uid)


def _kind(vr: str) -> str:
    """What a value is in memory: a sender's wrong VR may be mended within texts, and nowhere else."""
    return vr if vr in NUMBERS or vr in BINARY or vr in ("SQ", "UN") else "text"


def _code_strings(tag: int, values: list[Any]) -> Verdict | Nothing:
    known = [one == "" or is_kept(tag, one, code_string=True) for one in values]
    if all(known):
        return Verdict(None, _one_or_many(values))
    if tag in _IMAGE_TYPES:
        # Each value has its meaning by its place: from the first unknown one on they go.
        left = values[: known.index(False)]
    elif tag in _SETS:
        left = [one for one, is_known in zip(values, known, strict=True) if is_known]
    else:
        left = []
    return Verdict(Deed.CLEANED, _one_or_many(left)) if left else NOTHING


def _grouped(age: str) -> str:
    """Few people are so old that their age tells who they are (PS3.15 E.3.6)."""
    return "090Y" if age.endswith("Y") and int(age[:3]) > _OLDEST_TOLD else age


def _is_number(text: Any) -> bool:
    return text == "" or (len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text) is not None)


def _values(element: DataElement) -> list[Any]:
    """The values as text without padding, or the value itself where it is no text."""
    value = element.value
    if value is None or value == "" or value == b"" or value == []:
        return []
    if isinstance(value, bytes) or element.VR in NUMBERS:
        return [value]
    many = (
        list(value) if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue" else [value]
    )
    texts = [str(getattr(one, "original_string", one)).strip(" \0") for one in many]
    return texts if any(texts) else []


def _one_or_many(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values
