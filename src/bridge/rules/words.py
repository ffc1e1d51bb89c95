"""From a word of rules.toml to what it asks about: a fact of ours, a keyword of PS3.6, or a path of keywords."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydicom.datadict import dictionary_VR, keyword_dict, keyword_for_tag

from bridge.config.facts import FACTS, HARMLESS, Scope
from bridge.config.load import Document, Key, nearest
from bridge.config.vocabulary import COMBINATIONS, PERSON_NAME_GROUPS, PERSON_NAME_PARTS, Kind
from bridge.errors import ConfigError
from bridge.rules.attributes import Subject

NUMBERS = frozenset({"DS", "IS", "FL", "FD", "US", "SS", "UL", "SL", "UV", "SV", "US or SS"})
TEXTS = frozenset({"AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"})
DATES = frozenset({"DA", "DT"})
"""Value representations (PS3.5 6.2) that a condition can compare."""


def subject_of(document: Document, scope: Scope | None, key: Key) -> Subject | ConfigError:
    """What the last word of `key` asks about. `scope`: whose facts it may name; None in an item of a sequence.

    Gives ConfigError CFG-010 for a word that is none.
    """
    word = str(key[-1])
    fact = FACTS.get((scope, word)) if scope else None
    if fact:
        private = word not in HARMLESS
        return Subject(text=word, kind=fact.kind, unit=fact.unit, computed=True, private=private)
    path = tuple(word.split("."))
    if path[0] not in keyword_dict or not path[0]:
        return _unknown_word(document, scope, key, path)
    for index, keyword in enumerate(path):
        vr, behind = dictionary_VR(keyword), path[index + 1 :]
        if vr == "PN" and behind:
            return _of_name(document, key, path[: index + 1], behind)
        if vr != "SQ" and behind:
            found = f"{keyword} is no sequence, and nothing is inside it"
            remedy = f"Write {'.'.join(path[: index + 1])}"
            return document.error("CFG-010", key, found, "a sequence before each dot", remedy)
        if behind and behind[0] not in keyword_dict:
            return _unknown_inside(document, key, path[: index + 1], behind)
    kind = _kind(vr)
    if kind is None:
        found, expected = "the attribute is binary data", "an attribute with text or numbers"
        return document.error("CFG-010", key, found, expected, "Remove the condition")
    return Subject(text=word, kind=kind, private=path[-1] not in HARMLESS, path=path)


def _kind(vr: str) -> Kind | None:
    for kind, vrs in (
        (Kind.NUMBER, NUMBERS),
        (Kind.TEXT, TEXTS),
        (Kind.DATE, DATES),
        (Kind.SEQUENCE, {"SQ"}),
    ):
        if vr in vrs:
            return kind
    return None


def _of_name(
    document: Document, key: Key, path: tuple[str, ...], behind: Sequence[str]
) -> Subject | ConfigError:
    """`PatientName.FamilyName`, `PatientName.Ideographic`, `PatientName.Ideographic.GivenName`."""
    group, rest = 0, list(behind)
    if rest[0] in PERSON_NAME_GROUPS:
        group = PERSON_NAME_GROUPS.index(rest.pop(0))
    if len(rest) > 1 or (rest and rest[0] not in PERSON_NAME_PARTS):
        words = PERSON_NAME_PARTS if rest is not behind and len(rest) < len(behind) else _NAME_WORDS
        wrong = rest[1] if len(rest) > 1 and rest[0] in PERSON_NAME_PARTS else rest[0]
        near = "" if len(rest) > 1 else nearest(wrong, words)
        remedy = (
            f'Did you mean "{".".join([*path, *behind[: len(behind) - len(rest)], near])}"?' if near else ""
        )
        found = f'"{wrong[:40]}" is no part of a person name'
        return document.error("CFG-010", key, found, f"one of {', '.join(words)}", remedy)
    return Subject(
        text=str(key[-1]),
        path=path,
        name_group=group,
        name_part=PERSON_NAME_PARTS.index(rest[0]) if rest else None,
        whole=False,
    )


_NAME_WORDS = (*PERSON_NAME_PARTS, *PERSON_NAME_GROUPS)


def _unknown_inside(
    document: Document, key: Key, path: tuple[str, ...], behind: tuple[str, ...]
) -> ConfigError:
    wrong = behind[0]
    found = f'"{wrong[:64]}" is no DICOM keyword' if wrong else "a dot with nothing behind it"
    near = nearest(wrong, _KEYWORDS, cutoff=0.75) if wrong else None
    remedy = f'Did you mean "{".".join([*path, near, *behind[1:]])}"?' if near else ""
    return document.error("CFG-010", key, found, "keywords of PS3.6 with dots between them", remedy)


_KEYWORDS = tuple(one for one in keyword_dict if one)


def _unknown_word(document: Document, scope: Scope | None, key: Key, path: tuple[str, ...]) -> ConfigError:
    word, rest = path[0], path[1:]
    here = [fact.name for fact in FACTS.values() if fact.scope is scope]
    elsewhere = {fact.name for fact in FACTS.values() if fact.scope is not scope}
    if word in elsewhere and not rest:
        asked = "an item" if scope is None else f"a {scope.value}"
        place = "study" if scope is Scope.VOLUME or (Scope.STUDY, word) in FACTS else "inputs.<socket>.volume"
        found, remedy = f"a fact that {asked} does not have", f"Write it under {place}"
        expected = f"a DICOM keyword or one of {', '.join(here)}" if here else "a DICOM keyword"
        return document.error("CFG-010", key, found, expected, remedy)
    remedy = _keyword_of_tag(word)
    if not remedy:
        # Our own few words first: "spacing" means spacing_mm, not one of 5000 keywords that look alike.
        near = (nearest(word, here) if not rest else None) or nearest(word, _KEYWORDS, cutoff=0.75)
        near = near or nearest(word, COMBINATIONS)
        meant = f'"{".".join([near, *rest])}"' if near and rest else near
        remedy = f"Did you mean {meant}?" if meant else "Keywords are listed in DICOM PS3.6"
    expected = f"a keyword or one of {', '.join(here)}" if here else "a keyword"
    return document.error("CFG-010", key, "no DICOM keyword", expected, remedy)


def _keyword_of_tag(word: str) -> str:
    tag = re.fullmatch(r"\(?([0-9A-Fa-f]{4}),? ?([0-9A-Fa-f]{4})\)?", word)
    keyword = keyword_for_tag(int(tag[1] + tag[2], 16)) if tag else ""
    return f"Write its keyword, {keyword}" if keyword else ""
