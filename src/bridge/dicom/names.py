"""Whether two spellings may be one person's name (PS3.5 6.2, VR PN). Pure.

Only a clear difference counts. Devices cut names short, leave out middle names and titles, swap the order, write
umlauts in three ways and lose characters that their character set does not have.
"""

from __future__ import annotations

import re
import unicodedata

LEAST_LETTERS = 3
"""Fewer letters than these prove nothing where all others were lost."""

_TRANSLITERATED = {"ae": "a", "oe": "o", "ue": "u"}


def are_alike(one: str, other: str) -> bool:
    """False only when the two names share no reading: case, accents, spaces, carets and order do not matter.

    Names in different scripts cannot be compared and are alike.
    """
    ours, theirs = one.split("="), other.split("=")
    if any(_agree(_words(a), _words(b)) for a in ours for b in theirs):
        return True
    if _agree(*(_what_survives(name) for name in (one, other))):
        return True
    comparable = [(a, b) for a in ours for b in theirs if _scripts(a) & _scripts(b)]
    return not comparable


def _words(group: str) -> tuple[str, ...]:
    plain = "".join(
        c for c in unicodedata.normalize("NFKD", group.casefold()) if not unicodedata.combining(c)
    )
    for two, single in _TRANSLITERATED.items():
        plain = plain.replace(two, single)
    return tuple(sorted(re.findall(r"[^\W_]+", plain)))


def _what_survives(name: str) -> tuple[str, ...]:
    """Words of the letters that every character set has; () when they are too few to prove anything."""
    first = name.split("=")[0].casefold()
    words = tuple(
        sorted(word for part in re.split(r"[\s^,]+", first) if (word := re.sub(r"[^a-z0-9]", "", part)))
    )
    return words if sum(map(len, words)) >= LEAST_LETTERS else ()


def _agree(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether each word of the shorter name begins, or is begun by, a word of its own in the longer one."""
    few, many = sorted((one, other), key=len)
    left = sorted(many, key=len, reverse=True)
    for word in sorted(few, key=len, reverse=True):
        fits = [candidate for candidate in left if candidate.startswith(word) or word.startswith(candidate)]
        if not fits:
            return False
        left.remove(max(fits, key=lambda candidate: (candidate == word, len(candidate))))
    return bool(few)


def _scripts(group: str) -> set[str]:
    """The scripts of a name's letters, as Unicode names them: LATIN, CYRILLIC, CJK ..."""
    return {unicodedata.name(c, "?").split()[0] for c in unicodedata.normalize("NFKD", group) if c.isalpha()}
