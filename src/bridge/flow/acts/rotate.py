"""A person wants new keys: those that seal the crosswalk, or those behind the names outside."""

from __future__ import annotations

from bridge.errors import ConfigError
from bridge.flow.parts import Parts
from bridge.store.keys import Kind
from bridge.store.rows import Act

ROTATE = "keys-rotate"


def rotate(parts: Parts, act: Act) -> str:
    """`act.target` is a kind of key. A crash may make one key more, which harms nobody."""
    match act.target:
        case Kind.SEAL:
            rows = parts.crosswalk.seal_anew()
            return f"{rows} rows of the crosswalk are sealed with a new key; the older keys are removed"
        case Kind.NAMES:
            number = parts.crosswalk.name_anew()
            return f"jobs that begin from now on use names of key {number}; no patient keeps a name, in no account"
        case _:
            kinds = " or ".join(Kind)
            raise ConfigError("ACT-010", f"no kind of key {act.target[:20]!r}", kinds)
