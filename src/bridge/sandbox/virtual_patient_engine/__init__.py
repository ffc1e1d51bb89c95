"""A Virtual Patient Engine on loopback: login, engine and storage as three origins, and meshes that are computed.

Where the vendor's documents leave something open, a setting says which way it goes (`Behaviour`); nobody has compared
it with the live service. `python -m bridge.sandbox.virtual_patient_engine FOLDER` runs it.

    sandbox.arm(Fault(origin="engine", path="*/notify/*", after=True, reset=True))  # told, and the answer lost
    sandbox.behave(notify="post", spelling="pages", missing=("tooth36",))
    sandbox.move_clock(7200)                                                        # addresses run out
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.sandbox.loopback.faults import Fault

    from .sandbox import Sandbox, run
    from .settings import Behaviour, Limits

_HOMES = {
    "Sandbox": ".sandbox",
    "run": ".sandbox",
    "Fault": "bridge.sandbox.loopback.faults",
    "Behaviour": ".settings",
    "Limits": ".settings",
}
__all__ = ["Behaviour", "Fault", "Limits", "Sandbox", "run"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name], __name__), name)
    raise AttributeError(name)
