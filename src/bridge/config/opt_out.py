"""The opt-out list: patients of whom nothing is sent to a platform. Nothing here ever shows an ID."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bridge.errors import ConfigError

UNREADABLE = "RUL-004"
"""The list is named and cannot be read: nothing leaves before it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut:
    """Who is on the list. Capitals and padding do not count: a wish to opt out must not fail by a typist's habit."""

    everywhere: frozenset[str] = field(default=frozenset(), repr=False)
    """IDs without an issuer."""
    of_issuer: frozenset[tuple[str, str]] = field(default=frozenset(), repr=False)
    """(issuer, ID)"""

    count: int = 0
    """Lines that name somebody."""

    def __len__(self) -> int:
        return self.count

    def names(self, patients: Iterable[tuple[str, str]]) -> bool:
        """Whether any of these is on the list.

        Args:
            patients: (Issuer of Patient ID, Patient ID) as headers have them; the issuer is "" where none stands. An
                entry with an issuer counts for a patient without one too.
        """
        for issuer, patient in patients:
            issuer, patient = _folded(issuer), _folded(patient)
            if patient in self.everywhere or (issuer, patient) in self.of_issuer:
                return True
            if not issuer and any(patient == one for _, one in self.of_issuer):
                return True
        return False


NOBODY = OptOut()


def read_opt_out(file: Path | None) -> OptOut:
    """The list as it stands now; nobody where none is named.

    Each line is a Patient ID or `ISSUER|ID`; `#` begins a comment at the beginning of a line or behind a space. An ID
    may have both characters in it, so a line counts as a whole too.
    Raises ConfigError (RUL-004) for a file that cannot be read.
    """
    if file is None:
        return NOBODY
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else (error.strerror or "").lower()
        raise ConfigError(
            UNREADABLE,
            f"the opt-out list cannot be read ({why or 'unknown reason'})",
            "the file that `opt_out_file` of site.toml names",
            "Put it back; an empty file opts nobody out",
        ) from None
    everywhere: set[str] = set()
    of_issuer: set[tuple[str, str]] = set()
    count = 0
    for line in text.splitlines():
        count += bool(line.strip()) and not line.lstrip().startswith("#")
        for entry in {line, line.partition(" #")[0], line.partition("\t#")[0]}:
            if not entry.strip() or entry.lstrip().startswith("#"):
                continue
            everywhere.add(_folded(entry))
            issuer, bar, patient = entry.partition("|")
            if bar and _folded(patient):
                of_issuer.add((_folded(issuer), _folded(patient)))
    return OptOut(everywhere=frozenset(everywhere), of_issuer=frozenset(of_issuer), count=count)


def _folded(text: str) -> str:
    return text.strip().casefold()
