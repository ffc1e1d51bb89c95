"""What would let a refused peer in: the section of site.toml that is to be added."""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import StrEnum

_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_NAME = 40


class Why(StrEnum):
    """Why a peer was not let in."""

    CALLING = "its AE title is not among the sources"
    CALLED = "it called another AE title than that of this bridge"
    """No section here admits it: the peer must call the right one."""
    HOST = "its address is not that of the source with this AE title"


def admit(calling_ae_title: str, host: str, taken: Collection[str] = ()) -> str:
    """A `[sources.NAME]` that admits a peer: valid TOML in ASCII, whatever the peer called itself.

    taken: names of sources that site.toml has already.
    """
    base = _NAME.sub("-", calling_ae_title.strip()).strip("-_").lower()[:_LONGEST_NAME] or "peer"
    name, count = base, 1
    while name in taken:
        count += 1
        name = f"{base}-{count}"
    return f"[sources.{name}]\nae_title = {_string(calling_ae_title.strip())}\nhost = {_string(host)}"


def _string(text: str) -> str:
    """A basic string of TOML 1.0: everything but printable ASCII is escaped, so that no terminal obeys it."""
    return '"' + "".join(_character(c) for c in text) + '"'


def _character(character: str) -> str:
    code = ord(character)
    if character in '"\\':
        return f"\\{character}"
    if 0x20 <= code < 0x7F:
        return character
    if 0xD800 <= code < 0xE000:
        return "?"  # half of a character: no TOML can say it
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
