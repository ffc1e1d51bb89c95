"""What survives although the table does not speak of it: words and shapes that a reviewer has read (`keep.toml`)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from pydicom.datadict import dictionary_keyword, tag_for_keyword

_PARTS = re.compile(r"[^\W\d_]+\d?[^\W\d_]*|\d+(?:\.\d+)?|[^\w\s]|_", re.UNICODE)
_MARKS = frozenset("+-/&(),.:_*<>|=")
_LONGEST_DESCRIPTION = 64
_MOST_IN_A_ROW = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepList:
    """terms: of Code Strings, in any attribute. shapes, texts: by tag. words: of descriptions, small letters."""

    terms: frozenset[str]
    shapes: dict[int, re.Pattern[str]]
    texts: dict[int, frozenset[str]]
    binary: frozenset[int]
    words: frozenset[str]
    units: frozenset[str]


@cache
def keep_list() -> KeepList:
    written = tomllib.loads(files("bridge.export").joinpath("keep.toml").read_text("utf-8"))
    return KeepList(
        terms=frozenset(word for group in written["terms"] for word in _split(group["words"])),
        shapes={
            tag: re.compile(group["pattern"], re.ASCII)
            for group in written["shapes"]
            for tag in _tags(group["attributes"])
        },
        texts={
            tag: frozenset(_split(group["words"]))
            for group in written["texts"]
            for tag in _tags(group["attributes"])
        },
        binary=frozenset(_tags(written["binary"]["attributes"])),
        words=frozenset(_split(written["words"]["words"])),
        units=frozenset(_split(written["words"]["units"])),
    )


def reasons() -> dict[str, str]:
    """Keyword of each attribute of free text that may survive, and why; the terms of Code Strings are for any."""
    written: dict[str, Any] = tomllib.loads(files("bridge.export").joinpath("keep.toml").read_text("utf-8"))
    return {
        keyword: group["reason"]
        for group in (*written["shapes"], *written["texts"])
        for keyword in group["attributes"]
    }


def is_kept(tag: int, value: str, *, code_string: bool) -> bool:
    """Whether one value of an attribute outside the table may stay."""
    kept = keep_list()
    shape = kept.shapes.get(tag)
    if shape is not None and shape.fullmatch(value):
        return True
    return value in kept.texts.get(tag, ()) or (code_string and value in kept.terms)


def is_plain_description(text: str, words: frozenset[str] = frozenset()) -> bool:
    """Whether a description consists of known words, signs and small numbers alone.

    A number has at most two digits before the point, or three where a unit follows; pairs of digits in a row would
    make a date of birth or a telephone number. `words`: further ones that the site has allowed, small letters.
    """
    kept = keep_list()
    parts = [part.lower() for part in _PARTS.findall(text)]
    if not parts or len(text) > _LONGEST_DESCRIPTION or "".join(parts) != "".join(text.lower().split()):
        return False
    in_a_row = 0
    for part, following in zip(parts, [*parts[1:], ""], strict=True):
        if part not in _MARKS:
            in_a_row = in_a_row + len(part.split(".")) if part[0].isdigit() else 0
        if in_a_row > _MOST_IN_A_ROW:
            return False
        if part[0].isdigit():
            whole, _, fraction = part.partition(".")
            limit = 3 if following in kept.units else 2
            if not part.isascii() or len(whole) > limit or len(fraction) > 2:
                return False
        elif part not in _MARKS and part not in kept.words and part not in kept.units and part not in words:
            return False
    return True


def _tags(keywords: Iterable[str]) -> Iterable[int]:
    for keyword in keywords:
        tag = tag_for_keyword(keyword)
        assert tag is not None, keyword
        yield tag


def _split(words: str) -> list[str]:
    return [word for word in (" ".join(one.split()) for one in words.split(",")) if word]


def keyword_of(tag: int) -> str:
    """How a path names an attribute: its keyword, or its numbers where no dictionary knows it."""
    if not (tag >> 16) & 1:
        try:
            return dictionary_keyword(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
        except KeyError:
            pass
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
