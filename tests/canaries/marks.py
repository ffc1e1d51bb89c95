"""Marks: texts, UIDs, dates and times of which each stands in one place only, so that what leaves tells from where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

TEXT = "CNRY"
UID = "2.999.7271"
"""Below the arc that is registered for examples."""
FIRST_DAY = date(1601, 1, 1).toordinal()
HOUR = "031415"

FAMILIES = {
    "text": re.compile(rb"CNRY\d{6}Z"),
    "uid": re.compile(rb"2\.999\.7271\.1\d{8}7"),
    "date": re.compile(rb"(?<!\d)1[67]\d{6}(?!\d{7})"),
    "time": re.compile(rb"031415\.\d{6}"),
}
"""How marks of a kind look as they were written: for a quick search where nothing is encoded."""


@dataclass(slots=True)
class Marks:
    """Hands out marks and remembers where each was put."""

    planted: dict[str, str] = field(default_factory=dict)
    count: int = 0
    dates: int = 0

    def text(self, where: str) -> str:
        """Eleven letters and digits, of which the last says nothing: encodings cut bits off. Fits every VR of text."""
        return self._put(f"{TEXT}{self._next():06}Z", where)

    def uid(self, where: str) -> str:
        return self._put(f"{UID}.{100_000_000 + self._next()}7", where)

    def date(self, where: str) -> str:
        """A day of the 17th century or a little later."""
        self.dates += 1
        return self._put(f"{date.fromordinal(FIRST_DAY + self.dates):%Y%m%d}", where)

    def time(self, where: str) -> str:
        return self._put(f"{HOUR}.{self._next():06}", where)

    def at(self, where: str, vr: str) -> str | None:
        """A mark for an attribute of that VR; None where it can hold none of its own, as three digits of an age."""
        match vr:
            case "UI":
                return self.uid(where)
            case "DA":
                return self.date(where)
            case "TM":
                return self.time(where)
            case "DT":
                day, moment = self.date(where), self.time(where)
                return f"{day}{moment}"
            case "AS" | "SQ":
                return None
        return self.text(where)

    def of(self, kinds: frozenset[str]) -> Iterator[str]:
        """The marks of some kinds of `FAMILIES`."""
        return (mark for mark in self.planted if any(FAMILIES[kind].match(mark.encode()) for kind in kinds))

    def in_plain(self, encoded: bytes, kinds: frozenset[str] = frozenset(FAMILIES)) -> set[str]:
        """The marks that stand in bytes as they were written."""
        seen = {one.decode() for kind in kinds for one in FAMILIES[kind].findall(encoded)}
        return seen & self.planted.keys()

    def _next(self) -> int:
        self.count += 1
        return self.count

    def _put(self, mark: str, where: str) -> str:
        self.planted[mark] = where
        return mark
