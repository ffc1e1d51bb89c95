"""Names and dates for outside: a function of a secret key and a scope, which tells nothing without the key.

Each name carries a mark that only the key can make. An object that comes round again is therefore recognised, and its
names are not replaced a second time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import date, timedelta

from bridge.dicom.uids import UUID_ROOT
from bridge.errors import ConfigError

SHORTEST_KEY_BYTES = 32
LEAST_SHIFT_DAYS, MOST_SHIFT_DAYS = 366, 3653
_PATIENT = re.compile(r"P-([0-9a-f]{12})([0-9a-f]{6})")
_NAME_BYTES, _MARK_BYTES = 10, 6


@dataclass(frozen=True, slots=True)
class Scope:
    """Within what a patient, a study and an instance keep their names; outside it they are others."""

    parts: tuple[str, ...]

    @classmethod
    def of_job(cls, job_id: str) -> Scope:
        """Fresh names for each job: nobody outside can tell that two jobs were of one patient."""
        return cls(("job", job_id))

    @classmethod
    def of_patient(cls, issuer: str, patient_id: str) -> Scope:
        """The same names in every job of a patient, for longitudinal use. `issuer`: of the Patient ID, or ""."""
        return cls(("patient", issuer, patient_id))


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """The mapping of one scope outward. One way: what was mapped cannot be found from the outcome without the key.

    Raises:
        ConfigError: DEI-001, a key shorter than 32 bytes.
    """

    key: bytes = field(repr=False)
    scope: Scope = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) < SHORTEST_KEY_BYTES:
            raise ConfigError(
                "DEI-001", f"a key of {len(self.key)} bytes", f"at least {SHORTEST_KEY_BYTES} random bytes"
            )

    def patient(self) -> str:
        """What stands for the patient, as Patient ID and as name: `P-` and 18 hexadecimal digits."""
        name = self._digest("patient")[:6].hex()
        return f"P-{name}{self._mark('patient', name)}"

    def is_patient(self, text: str) -> bool:
        """Whether a Patient ID is the one of this scope, so that the object has been here before."""
        return _PATIENT.fullmatch(text) is not None and hmac.compare_digest(text, self.patient())

    def uid(self, original: str) -> str:
        """The UID that stands for another: equal ones equally, whatever they name. One of ours stays as it is.

        `2.25.` and 128 bits (PS3.5 B.2): 80 of HMAC-SHA256, and 48 that mark them as made with this key and scope.
        """
        if self.is_uid(original):
            return original
        name = self._digest("uid", original)[:_NAME_BYTES]
        # The first bit is set, so that the number always has the same length and the mark its place.
        name = bytes([name[0] | 0x80]) + name[1:]
        return f"{UUID_ROOT}.{int.from_bytes(name + self._uid_mark(name), 'big')}"

    def is_uid(self, uid: str) -> bool:
        """Whether a UID was made with this key and scope."""
        root, _, number = uid.rpartition(".")
        if root != UUID_ROOT or not number.isascii() or not number.isdigit() or len(number) > 39:
            return False
        value = int(number)
        if value.bit_length() != 8 * (_NAME_BYTES + _MARK_BYTES) or str(value) != number:
            return False
        whole = value.to_bytes(_NAME_BYTES + _MARK_BYTES, "big")
        return hmac.compare_digest(whole[_NAME_BYTES:], self._uid_mark(whole[:_NAME_BYTES]))

    def shift_days(self) -> int:
        """By how many days dates move: always back, between one year and ten, the same in the whole scope."""
        span = MOST_SHIFT_DAYS - LEAST_SHIFT_DAYS + 1
        return -(LEAST_SHIFT_DAYS + int.from_bytes(self._digest("dates")[:8], "big") % span)

    def shifted(self, text: str) -> str | None:
        """A DA or DT value moved by `shift_days`: distances of days stay, time of day and offset from UTC too.

        None for one that names no day (a year alone, what is no date), or would leave the years 1 to 9999.
        """
        try:
            day = date(int(text[:4]), int(text[4:6]), int(text[6:8]))
            moved = day + timedelta(days=self.shift_days())
        except (ValueError, OverflowError):
            return None
        return f"{moved:%Y%m%d}".rjust(8, "0") + text[8:]

    def _uid_mark(self, name: bytes) -> bytes:
        return self._digest("uid mark", name.hex())[:_MARK_BYTES]

    def _mark(self, kind: str, name: str) -> str:
        return self._digest(f"{kind} mark", name)[:3].hex()

    def _digest(self, *parts: str) -> bytes:
        # Length-prefixed, so that ("ab", "c") and ("a", "bc") differ.
        encoded = [part.encode("utf-8", "surrogatepass") for part in (*self.scope.parts, "|", *parts)]
        message = b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
        return hmac.new(self.key, b"outward names" + message, hashlib.sha256).digest()
