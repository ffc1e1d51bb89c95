"""Whether the bytes of a data set end where its elements say: a file that was cut off still has a header that reads.

Only lengths are looked at (PS3.5 7.1, 7.5). Bytes that look like no element are somebody's habit, such as padding at
the end, and no sign that something is missing.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
"""Value representations with a length of four bytes (PS3.5 7.1.2)."""


class _CutOff(Exception):
    """The bytes end within an element."""


class _Strange(Exception):
    """No element here: nothing can be said."""


def is_whole(encoded: bytes, transfer_syntax_uid: str) -> bool:
    """False when a data set breaks off within an element.

    Raises zlib.error for a deflated one that cannot be inflated.
    """
    if transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        encoded = zlib.decompress(encoded, -zlib.MAX_WBITS)
    order = "big" if transfer_syntax_uid == ExplicitVRBigEndian else "little"
    walk = _Walk(data=encoded, is_big=order == "big")
    try:
        at = 0
        while at < len(encoded):
            at = walk.element(at, implicit=transfer_syntax_uid == ImplicitVRLittleEndian)
    except _CutOff:
        return False
    except _Strange:
        return True
    return at == len(encoded)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walk:
    """Each method takes where something begins and returns where it ends, which may be behind the bytes."""

    data: bytes
    is_big: bool

    def element(self, at: int, *, implicit: bool) -> int:
        vr = self._bytes(at + 4, 2)
        if implicit:
            head, length = 8, self._number(at + 4, 4)
        elif vr in _LONG:
            head, length = 12, self._number(at + 8, 4)
        elif vr.isalpha() and vr.isupper():
            head, length = 8, self._number(at + 6, 2)
        else:
            raise _Strange
        if length != UNDEFINED:
            return at + head + length
        # Items of an unknown element are implicit, whatever is around them (PS3.5 6.2.2).
        return self._items(at + head, implicit=implicit or vr == b"UN")

    def _items(self, at: int, *, implicit: bool) -> int:
        while True:
            tag, length = self._tag(at), self._number(at + 4, 4)
            at += 8
            if tag == SEQUENCE_END:
                return at
            if tag != ITEM:
                raise _Strange
            at = at + length if length != UNDEFINED else self._item(at, implicit=implicit)

    def _item(self, at: int, *, implicit: bool) -> int:
        while self._tag(at) != ITEM_END:
            at = self.element(at, implicit=implicit)
        self._bytes(at, 8)
        return at + 8

    def _tag(self, at: int) -> int:
        return self._number(at, 2) << 16 | self._number(at + 2, 2)

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self._bytes(at, size), "big" if self.is_big else "little")

    def _bytes(self, at: int, size: int) -> bytes:
        if at + size > len(self.data):
            raise _CutOff
        return self.data[at : at + size]
