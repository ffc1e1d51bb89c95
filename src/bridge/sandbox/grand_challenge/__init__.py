"""Grand Challenge on loopback: its API, its object store, and an algorithm that really computes.

Faithful to the platform's own server where a client can tell the difference: statuses, bodies, order of checks,
second origin for files. `python -m bridge.sandbox.grand_challenge FOLDER` runs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .sandbox import Sandbox, run

__all__ = ["Sandbox", "run"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import sandbox

        return getattr(sandbox, name)
    raise AttributeError(name)
