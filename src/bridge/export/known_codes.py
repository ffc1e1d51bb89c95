"""Coded concepts that the standard itself lists: only such a code says nothing but what it means.

A local code (99...) can be anything, and the meaning beside a public code is free text; so unknown codes go, and the
meaning of a known one is written anew from the dictionary.
"""

from __future__ import annotations

from functools import cache
from typing import Any

SCHEMES = frozenset(
    (
        "DCM",
        "SCT",
        "SRT",
        "SNM3",
        "99SDM",
        "UCUM",
        "LN",
        "NCIt",
        "RADLEX",
        "FMA",
        "MSH",
        "UMLS",
        "IBSI",
        "MDC",
        "NEU",
    )
)
"""Coding Scheme Designators that may stand alone (PS3.16 8)."""

UNKNOWN = ("SCT", "261665006", "Unknown")
"""What stands for a code that must be there and may not be told."""

_OLD_SNOMED = ("SRT", "SNM3", "99SDM")


def meaning_of(scheme: str, value: str) -> str | None:
    """Code Meaning by the dictionary of the standard's context groups; None for a code that is in none."""
    if (scheme, value) == UNKNOWN[:2]:
        return UNKNOWN[2]
    known = _known()
    if scheme in _OLD_SNOMED:
        return known.get(("SCT", _snomed().get(value, "")))
    return known.get((scheme, value))


@cache
def _known() -> dict[tuple[str, str], str]:
    # Half a second and tens of megabytes: only for whoever de-identifies.
    from pydicom.sr._concepts_dict import concepts

    # Equal codes have several names there; the first in the order of the alphabet, so that it is always the same.
    found: dict[tuple[str, str], str] = {}
    by_scheme: dict[str, dict[str, Any]] = concepts
    for scheme, names in by_scheme.items():
        for name in sorted(names):
            for value, told in names[name].items():
                found.setdefault((scheme, value), told[0][:64])
    return found


@cache
def _snomed() -> dict[str, str]:
    from pydicom.sr._snomed_dict import mapping

    return dict(mapping["SRT"])
