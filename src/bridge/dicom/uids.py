"""Keyed names: UIDs and identifiers that are the same every time and tell nothing without the key.

A result is the same object whenever and wherever it is made, because its UIDs are a function of the job. The key is
`secret.key` of the data directory; without it nobody can find out which study a UID or a name belongs to.
"""

from __future__ import annotations

import hashlib
import hmac


def _digest(key: bytes, parts: tuple[str, ...]) -> bytes:
    # Length-prefixed, so that ("ab", "c") and ("a", "bc") differ.
    message = b"".join(len(encoded).to_bytes(4, "big") + encoded for encoded in (p.encode() for p in parts))
    return hmac.new(key, message, hashlib.sha256).digest()


UUID_ROOT = "2.25"
"""The root of UIDs that nobody has to register (PS3.5 B.2)."""


def keyed_uid(key: bytes, *parts: str, root: str = UUID_ROOT) -> str:
    """A UID below `root` with 128 bits of HMAC-SHA256 over the length-prefixed UTF-8 `parts`.

    Those bits are at most 39 digits: a root of at most 24 characters leaves room for them (PS3.5 9.1).
    """
    return f"{root}.{int.from_bytes(_digest(key, parts)[:16], 'big')}"


def is_below(uid: str, root: str) -> bool:
    """Whether a UID was made under a root; nothing is under the root ""."""
    return bool(root) and uid.startswith(f"{root}.")


def keyed_name(key: bytes, *parts: str) -> str:
    """12 hexadecimal digits that stand for something, for example a study, where its UID must not appear."""
    return _digest(key, parts)[:6].hex()
