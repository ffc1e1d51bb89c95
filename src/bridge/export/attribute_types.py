"""How badly an attribute is wanted where it stands: its Type in the IOD of the SOP Class (PS3.5 7.4).

The data is `attribute_types.json`; `scripts/confidentiality.py` writes it and tells where it comes from.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib.resources import files
from typing import Any


class Want(IntEnum):
    """The Type of an attribute that is there: the condition of 1C and 2C holds, or it would not be."""

    UNKNOWN = 0
    MAY_GO = 3
    MAY_BE_EMPTY = 2
    NEEDS_A_VALUE = 1


_WANTS = {
    "1": Want.NEEDS_A_VALUE,
    "1C": Want.NEEDS_A_VALUE,
    "2": Want.MAY_BE_EMPTY,
    "2C": Want.MAY_BE_EMPTY,
    "3": Want.MAY_GO,
}
_Node = dict[int, tuple[Want, int]]


@dataclass(frozen=True, slots=True)
class Place:
    """A data set, or an item of a sequence, in an IOD. `node` -1: not where the IOD of its class has such a thing."""

    node: int
    sequence: int = 0

    def want(self, tag: int) -> Want:
        """Type of an attribute here; UNKNOWN where neither the IOD nor another one with that sequence has it."""
        if self.node >= 0:
            found = _nodes()[self.node].get(tag)
            return found[0] if found else Want.MAY_GO
        return _elsewhere().get((self.sequence, tag), Want.UNKNOWN)

    def item(self, tag: int) -> Place:
        """An item of a sequence that stands here."""
        below = _nodes()[self.node].get(tag) if self.node >= 0 else None
        return Place(below[1] if below else -1, tag)


def knows(sop_class_uid: str) -> bool:
    return sop_class_uid in _classes()


def top_of(sop_class_uid: str) -> Place:
    """The data set of an instance of that class."""
    return Place(_classes().get(sop_class_uid, -1))


@cache
def _written() -> dict[str, Any]:
    written: dict[str, Any] = json.loads(
        files("bridge.export").joinpath("attribute_types.json").read_text("ascii")
    )
    return written


@cache
def _classes() -> dict[str, int]:
    return dict(_written()["classes"])


@cache
def _nodes() -> tuple[_Node, ...]:
    return tuple(
        {
            int(tag, 16): (_WANTS[one], -1) if isinstance(one, str) else (_WANTS[one[0]], one[1])
            for tag, one in node.items()
        }
        for node in _written()["nodes"]
    )


@cache
def _elsewhere() -> dict[tuple[int, int], Want]:
    """The strongest want of an attribute in items of a sequence, over all IODs."""
    found: dict[tuple[int, int], Want] = defaultdict(lambda: Want.MAY_GO)
    for node in _nodes():
        for sequence, (_, below) in node.items():
            for tag, (want, _) in _nodes()[below].items() if below >= 0 else ():
                found[sequence, tag] = min(found[sequence, tag], want)
    return dict(found)
